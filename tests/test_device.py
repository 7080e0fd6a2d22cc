"""What a GPU gives is what the CPU gives, within rounding: scores, gradients, trainings, ranks and answers.

Each test runs twice: on a device that is only pretended (pretended.py), which every machine can do, and on CUDA, under
the marker `gpu`, where there is one: `make test-gpu`.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import pytest
import torch
from paper import COUNTED
from pretended import pretended
from test_attention import Tokens, gradients, mechanism, scattered
from test_gradient_descent import RUNS
from test_models import VARIANTS, B, Made, graph, questions
from torch import Tensor, nn
from torch.optim import Adam

from kg.attention import ATTENTIONS
from kg.bundle import Bundle
from kg.evaluation.ranking import evaluate
from kg.graph.dataset import Dataset
from kg.models import SCORERS
from kg.models.complex import ComplEx
from kg.models.scorer import Queries, Scorer
from kg.probability import assessment
from kg.probability.fitting import calibrate
from kg.query.knowledge import Knowledge
from kg.query.pattern import Pattern
from kg.query.predictor import Predictor
from kg.training.ensembles.combination import combination
from kg.training.gradient_descent import GradientDescent
from kg.training.recipes import default_run
from kg.training.run import Run
from kg.training.train import train

TOLERANCE = 1e-3  # relative, and absolute: sums of a few hundred products in fp32, in another order


@pytest.fixture(params=["pretended", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> Iterator[torch.device]:
    if request.param == "cuda":
        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")
        yield torch.device("cuda", 0)
        return
    with pretended() as device:
        yield device


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found.cpu(), expected.cpu(), rtol=TOLERANCE, atol=TOLERANCE)


def moved(queries: Queries, device: torch.device) -> Queries:
    return replace(
        queries, head=queries.head.to(device), relation=queries.relation.to(device), graph=queries.graph.to(device)
    )


@pytest.mark.parametrize("make", VARIANTS, ids=str)
def test_scores(make: Made, device: torch.device) -> None:
    here, there = make(), make().to(device)
    asked, own = moved(questions(), device), torch.arange(B * 4).view(B, 4) % 9
    assert there.device == device or not there.state_dict()
    expected = here.score_tails(questions())
    found = there.score_tails(asked)
    assert found.device == device
    close(found, expected)
    close(there.score_tails(asked, own.to(device)), expected.gather(1, own))
    close(there.score_tails(asked, own[0].to(device)), expected[:, own[0]])
    close(there.score_tails(asked, slice(2, 5)), expected[:, 2:5])
    close(there.score_hrt(asked, own[:, 1].to(device)), expected.gather(1, own[:, 1:2])[:, 0])
    pairs = torch.tensor([0, 5, 8]), torch.tensor([3, 5, 1])
    relations = there.score_relations(*(x.to(device) for x in pairs), asked.graph)
    close(relations, here.score_relations(*pairs, graph()))


@pytest.mark.parametrize("make", [made for made in VARIANTS if made.name not in COUNTED], ids=str)
def test_gradients_of_scores(make: Made, device: torch.device) -> None:
    def found(scorer: Scorer, queries: Queries, tail: Tensor) -> dict[str, Tensor]:
        weights = torch.linspace(-1, 1, 9, device=tail.device)
        total = (scorer.score_tails(queries) * weights).sum()
        for factor in scorer.factors(queries, tail):
            total = total + factor.square().sum()
        total.backward()
        return {name: each.grad for name, each in scorer.named_parameters() if each.grad is not None}

    expected = found(make(), questions(), torch.arange(B))
    actual = found(make().to(device), moved(questions(), device), torch.arange(B, device=device))
    assert actual.keys() == expected.keys()
    for name, each in actual.items():
        assert each.device == device
        close(each, expected[name])


@pytest.mark.parametrize("name", ATTENTIONS)
def test_attention(name: str, device: torch.device) -> None:
    here, given = mechanism(name), scattered()
    there, lifted = mechanism(name), Tokens(*(x.to(device) for x in scattered()))
    if isinstance(there, nn.Module):
        there.to(device)
    close(there(*lifted), here(*given))
    for found, expected in zip(gradients(there, lifted), gradients(here, given), strict=True):
        close(found, expected)


@pytest.mark.filterwarnings("ignore:.*CUDA is not available:UserWarning")  # bf16, where the device is pretended
@pytest.mark.parametrize("name", RUNS)
def test_training_goes_on_where_it_stopped(name: str, random_dataset: Dataset, device: torch.device) -> None:
    whole = RUNS[name].trainer(random_dataset, device)
    losses = [epoch.loss for epoch in whole]
    first = RUNS[name].trainer(random_dataset, device)
    begun = [epoch.loss for epoch in islice(first, 3)]
    second = RUNS[name].trainer(random_dataset, device)
    second.load_state_dict(first.state_dict())
    assert [*begun, *(epoch.loss for epoch in second)] == pytest.approx(losses, rel=TOLERANCE)
    assert losses[-1] < losses[0]
    for key, weight in whole.scorer.state_dict().items():
        assert weight.device == device
        close(second.scorer.state_dict()[key], weight)


def test_training_without_chance_is_that_of_the_cpu(
    random_dataset: Dataset, device: torch.device, tmp_path: Path
) -> None:
    run = Run(partial(ComplEx, dim=8), GradientDescent(partial(Adam, lr=0.01), batch_size=100, epochs=3))
    here = train(random_dataset, run, tmp_path / "here")
    there = train(random_dataset, run, tmp_path / "there", device=device)
    assert there.metrics["valid"]["mrr"] == pytest.approx(here.metrics["valid"]["mrr"], abs=0.02)
    losses = [[row["loss"] for row in each.metrics["history"]] for each in (here, there)]
    assert losses[0] == pytest.approx(losses[1], rel=0.01)


def test_ranks(random_dataset: Dataset, random_scorer: Scorer, device: torch.device) -> None:
    here = evaluate(random_scorer, random_dataset, "test", temperature=1.0)
    there = evaluate(random_scorer.to(device), random_dataset, "test", temperature=1.0)
    assert torch.equal(there.rank.cpu(), here.rank) and torch.equal(there.candidates.cpu(), here.candidates)
    close(there.cross_entropy, here.cross_entropy)


ALONE = [name for name in SCORERS if name not in ("gated", "combine", "rank_ensemble")]
WAYS = ("complex", "neighbourhood", "rules")  # one of each kind of training and search: the others on CUDA alone


@pytest.mark.parametrize(
    ("model", "device"),
    [
        *((model, "pretended") for model in WAYS),
        *(pytest.param(model, "cuda", marks=pytest.mark.gpu) for model in ALONE),
    ],
    indirect=["device"],
)
def test_from_training_to_answers(model: str, random_dataset: Dataset, device: torch.device, tmp_path: Path) -> None:
    """All that a person does with a model, by its default settings: trained, calibrated, measured, asked."""
    run = default_run(model)(random_dataset)
    through(train(random_dataset, short(run), tmp_path / "model", device=device), device)


@pytest.mark.parametrize("model", ["combine", "rank_ensemble"])
def test_from_parts_to_answers(model: str, random_dataset: Dataset, device: torch.device, tmp_path: Path) -> None:
    names, trained = ["complex", "frequency"], partial(train_part_on, device)
    run = combination(names, tmp_path / "model", model, train=trained)(random_dataset)
    through(train(random_dataset, run, tmp_path / "model", device=device), device)


def train_part_on(device: torch.device, dataset: Dataset, run: Run, folder: Path) -> Bundle:
    return train(dataset, short(run), folder, device=device)


def short(run: Run) -> Run:
    """Two epochs, where it takes more than one."""
    if run.algorithm.epochs == 1:
        return run
    return replace(run, algorithm=run.algorithm.with_epochs(2))


def through(bundle: Bundle, device: torch.device) -> None:
    """Calibrated, measured and asked on the device, and read again on the CPU, where its scores are the same."""
    bundle = calibrate(bundle)
    assert bundle.scorer.device == device or not bundle.scorer.state_dict()
    assert assessment.evaluate(bundle).metrics.mrr > 0
    predictor = Predictor(bundle, Knowledge.of_model(bundle))
    best = predictor.ask(Pattern("e0", "r0", None), top=5)
    assert len(best) == 5
    predictor.ask(Pattern(None, "r1", "e3"), top=5, types="observed")
    predictor.ask(Pattern("e0", None, "e3"), top=2)
    assert len(predictor.complete(top=20)) == 20
    assert predictor.explain("e0", "r0", best[0].object)
    here = Predictor.load(bundle.path)
    assert here.score("e0", "r0", "e1") == pytest.approx(
        predictor.score("e0", "r0", "e1"), rel=TOLERANCE, abs=TOLERANCE
    )
