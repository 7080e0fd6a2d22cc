"""How much each part counts: on paper, recovered where it was planted, and from valid facts alone."""

import json
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import Noted, train_part, varied
from torch import Tensor
from torch.optim import Adam

from kg.bundle import Bundle
from kg.errors import UserError
from kg.evaluation.ranking import Ranking, evaluate
from kg.graph.dataset import Dataset
from kg.graph.vocabulary import Vocabulary
from kg.models.combined import Combined
from kg.models.complex import ComplEx
from kg.models.distmult import DistMult
from kg.models.frequency import Frequency
from kg.models.scorer import Queries, Scorer
from kg.query.predictor import Predictor
from kg.training.algorithms.counting import Counting
from kg.training.ensembles import stacking
from kg.training.ensembles.combination import combination
from kg.training.ensembles.fitting import Gathered, derivatives, fitted, ranked
from kg.training.ensembles.stacking import Stacked, Stacking, of_relations
from kg.training.gradient_descent import GradientDescent
from kg.training.run import Run
from kg.training.train import resume, train

combined = partial(combination, train=train_part)

# One question with two rivals, the second of which stands for three candidates, and two answers; one part.
EVIDENCE = Gathered(
    torch.tensor([[[1.0, 1.0], [0.0, 0.0]]]),
    torch.tensor([[1.0, 3.0]]),
    torch.tensor([0, 0]),
    torch.tensor([[2.0, 1.0], [0.0, 1.0]]),
)


def test_the_loss_by_hand() -> None:
    weights = torch.tensor([math.log(2), math.log(3)]).double()
    # e^(w x): the rivals 2 * 3 and 3 * 1, the answers 4 * 3 and 1 * 3
    loss, gradient, hessian = derivatives(EVIDENCE, weights)
    assert loss.item() == pytest.approx(-math.log(12 / 21) - math.log(3 / 12))
    first = [2 * 12 / 21 + 6 / 21 - 2, 12 / 21 + 6 / 21 - 1]
    second = [6 / 12, 3 / 12 + 6 / 12 - 1]
    assert gradient.tolist() == pytest.approx([a + b for a, b in zip(first, second, strict=True)])
    assert torch.allclose(hessian, torch.autograd.functional.hessian(lambda w: loss_of(EVIDENCE, w), weights))


def loss_of(evidence: Gathered, weights: Tensor) -> Tensor:
    """As a sum over answers one by one."""
    total = weights.new_zeros(())
    for row, answer in zip(evidence.question.tolist(), evidence.answers.double(), strict=True):
        rivals = (evidence.rivals[row].double() @ weights).exp() @ evidence.weight[row].double()
        own = (answer @ weights).exp()
        total = total - (own / (own + rivals)).log()
    return total


def test_ranks_by_hand() -> None:
    ranks, losses = ranked(EVIDENCE, torch.tensor([math.log(2), math.log(3)]).double())
    assert ranks.tolist() == [1, 2]  # 12 > 6 > 1, and 6 > 3 > 1
    assert losses.tolist() == pytest.approx([-math.log(12 / 21), -math.log(3 / 12)])
    ranks, losses = ranked(EVIDENCE, torch.tensor([0.0, math.log(3)]).double())
    assert ranks.tolist() == [1 + 1 / 2] * 2  # 3, with 3 and three times 1: ties count half
    ranks, _ = ranked(EVIDENCE, torch.tensor([-1.0, 0.0]).double())
    assert ranks.tolist() == [1 + 1 + 3, 1 + 3 / 2]


def random_evidence(questions: int, columns: int, size: int) -> Gathered:
    torch.manual_seed(0)
    question = torch.arange(questions).repeat_interleave(2)
    weight = torch.randint(0, 4, (questions, columns)).float()
    weight[0] = 0  # a question without rivals
    return Gathered(torch.randn(questions, columns, size), weight, question, torch.randn(2 * questions, size) + 0.3)


def test_newton_finds_the_minimum() -> None:
    evidence, towards = random_evidence(30, 7, 4), torch.tensor([1.0, 0.0, 0.0, -1.0]).double()
    found = fitted([evidence.of(torch.arange(60) < 40), evidence.of(torch.arange(60) >= 40)], towards, 3.0, towards)
    weights = found.clone().requires_grad_()
    (loss_of(evidence, weights) + 1.5 * (weights - towards).square().sum()).backward()
    assert weights.grad.abs().max() < 0.01
    firmly = fitted([evidence], towards, 1e6, torch.zeros(4).double())
    assert (firmly - towards).abs().max() < 1e-3 < (found - towards).abs().max()


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    evidence, weights = random_evidence(30, 7, 4), torch.randn(4).double()
    whole = [*derivatives(evidence, weights), *ranked(evidence, weights)]
    monkeypatch.setattr("kg.training.ensembles.fitting._ROWS", 7)
    for one, other in zip(whole, [*derivatives(evidence, weights), *ranked(evidence, weights)], strict=True):
        torch.testing.assert_close(one, other)


def test_a_relation_without_evidence_has_the_weights_of_all() -> None:
    overall, start = torch.tensor([1.0, 2.0]).double(), torch.zeros(4, 2).double()
    weights = of_relations({2: EVIDENCE}, overall, 5.0, start)
    assert torch.equal(weights[[0, 1, 3]], overall.expand(3, 2)) and not torch.equal(weights[2], overall)
    few = of_relations({2: EVIDENCE}, overall, 1e9, start)
    torch.testing.assert_close(few, overall.expand(4, 2))


# In a whole training

N = 40


@pytest.fixture
def planted(tmp_path: Path) -> tuple[Dataset, list[Path]]:
    """Two frequencies stored as models: the one is right for the relation r, the other for s, and else at random."""
    generator = torch.Generator().manual_seed(0)
    facts = torch.stack([torch.randint(0, high, (500,), generator=generator) for high in (N, 2, N)], 1)
    right = 200 * torch.rand(4, N, generator=generator) ** 8  # a few answers are frequent, the others are not
    answers = torch.multinomial(right[facts[:, 1]] + 1, 1, generator=generator)[:, 0]
    facts[:, 2] = answers
    facts = torch.unique(facts, dim=0)
    facts = facts[torch.randperm(len(facts), generator=generator)]
    data = Dataset(facts[200:], facts[:149], facts[149:200], Vocabulary([f"e{i}" for i in range(N)], ["r", "s"]))
    run = Run(partial(Frequency), Counting())
    folders = []
    for number in (0, 1):
        noise = 200 * torch.rand(4, N, generator=generator) ** 8
        counts = torch.where((torch.arange(4) % 2 == number)[:, None], right, noise).int()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Frequency, "count", lambda scorer, graph, counts=counts: scorer.counts.copy_(counts))
            train(data, run, tmp_path / f"part{number}")
        folders.append(tmp_path / f"part{number}")
    return data, folders


def stack(data: Dataset, parts: list[Path], out: Path, **settings: Any) -> Bundle:
    run = combined([str(part) for part in parts], out)(data)
    return train(data, varied(run, **settings), out)


def with_parts(parts: list[Path]) -> Combined:
    """Before it is fitted."""
    scorer = Combined(N, 2, [partial(Frequency)] * len(parts))
    for part, folder in zip(scorer.scorers(), parts, strict=True):
        part.load_state_dict(Bundle.load(folder).scorer.state_dict())
    return scorer


def test_planted_weights_are_recovered(planted: tuple[Dataset, list[Path]], tmp_path: Path) -> None:
    data, parts = planted
    found = stack(data, parts, tmp_path / "out")
    weight = found.scorer.weight
    assert weight[0, 0] > 3 * weight[0, 1].abs() and weight[1, 1] > 3 * weight[1, 0].abs()
    mrr = found.metrics["valid"]["mrr"]
    assert all(mrr > Bundle.load(part).metrics["valid"]["mrr"] + 0.1 for part in parts)
    assert found.temperature == 1.0


def test_few_candidates_give_nearly_the_same(
    planted: tuple[Dataset, list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those drawn at random stand for the rest."""
    monkeypatch.setattr(stacking, "_STRENGTHS", (10.0,))
    data, parts = planted
    whole, few = stack(data, parts, tmp_path / "whole"), stack(data, parts, tmp_path / "few", candidates=10)
    assert not torch.equal(whole.scorer.weight, few.scorer.weight)
    torch.testing.assert_close(whole.scorer.weight, few.scorer.weight, atol=0.1, rtol=0.1)
    assert whole.metrics["valid"]["mrr"] == pytest.approx(few.metrics["valid"]["mrr"], abs=0.02)


def test_reported_ranks_are_those_by_the_other_half(
    planted: tuple[Dataset, list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every fact, as evaluate would rank it with weights that it had no part in."""
    data, parts = planted
    run = combined([str(part) for part in parts], tmp_path / "out")(data)
    given: list[tuple[float, int, Tensor]] = []  # strength, number of answers, weights

    def spied(evidence: dict[int, Gathered], overall: Tensor, strength: float, start: Tensor) -> Tensor:
        weights = of_relations(evidence, overall, strength, start)
        given.append((strength, sum(len(each.question) for each in evidence.values()), weights))
        return weights

    monkeypatch.setattr(stacking, "of_relations", spied)
    fit = run.algorithm.trainer(with_parts(parts), data, run.seed)
    list(fit)
    reported = fit.valid_ranking(data, 1.0)
    *tried, (strength, answers, final) = given
    spread = final[:, :2] / fit.scorer.weight
    chosen = [(number, weights) for each, number, weights in tried if each == strength]
    # 75 and 74 facts: which half gave the weights can be told
    half = torch.randperm(149, generator=torch.Generator().manual_seed(run.seed)) % 2
    assert answers == 298 and [number for number, _ in chosen] == [2 * int((half == other).sum()) for other in (1, 0)]
    found = by_fact(reported)
    assert len(found) == 298
    for number, (_, weights) in enumerate(chosen):
        fit.scorer.weight.copy_(weights[:, :2] / spread)
        fit.scorer.reach.copy_(weights[:, 2:])
        asked = replace(data, valid=data.valid[half == number], train=torch.cat([data.train, data.valid]))
        exact = by_fact(evaluate(fit.scorer, asked, "valid"))
        assert len(exact) == chosen[1 - number][0]
        for fact, figures in exact.items():
            assert found.pop(fact) == pytest.approx(figures, rel=1e-5)
    assert not found


def by_fact(ranking: Ranking) -> dict[tuple[int, ...], tuple[float, ...]]:
    """The figures of each answer: rank, number of candidates, cross-entropy."""
    facts = torch.stack([ranking.head, ranking.relation, ranking.tail], 1).tolist()
    figures = torch.stack([ranking.rank, ranking.candidates, ranking.cross_entropy], 1).tolist()
    return {tuple(fact): tuple(each) for fact, each in zip(facts, figures, strict=True)}


def weights_where(data: Dataset, parts: list[Path], change: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """All fitted weights, where a change has been made to what the parts score known answers of train.

    Those that are an answer of valid, or the lowest of the row, stay as they are.
    """
    run = combined([str(part) for part in parts], "")(Bundle.load(parts[0]).dataset)
    scorer = with_parts(parts)
    asked = scorer.opinions

    def opinions(queries: Queries) -> Iterator[Tensor]:
        known = {name: torch.zeros(len(queries), N, dtype=torch.bool) for name in ("train", "valid")}
        for name, marked in known.items():
            marked[data.known(name).lookup(queries.head, queries.relation)] = True
        for scores in asked(queries):
            lowest = scores.amin(1, keepdim=True)
            yield torch.where(known["train"] & ~known["valid"], change(scores, lowest), scores)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scorer, "opinions", opinions)
        list(run.algorithm.trainer(scorer, data, run.seed))
    return torch.cat([scorer.weight, scorer.reach], 1)


def test_only_valid_is_learned_from(planted: tuple[Dataset, list[Path]]) -> None:
    """Known answers of train are nobody's rivals, whatever they score; facts of test are as any other."""
    data, parts = planted
    weights = weights_where(data, parts, lambda scores, lowest: scores)
    known = weights_where(data, parts, lambda scores, lowest: lowest + 3 * (scores - lowest))
    torch.testing.assert_close(known, weights)
    for test in (data.test[:0], data.valid, data.test.flip(0)):
        assert torch.equal(weights_where(replace(data, test=test), parts, lambda scores, lowest: scores), weights)
    fewer = weights_where(replace(data, train=data.train[:50]), parts, lambda scores, lowest: scores)
    assert not torch.equal(fewer, weights)  # what is no longer known is a rival


def test_the_same_comes_out_twice(planted: tuple[Dataset, list[Path]], tmp_path: Path) -> None:
    data, parts = planted
    first, second = (stack(data, parts, tmp_path / name, candidates=10) for name in "ab")
    assert torch.equal(first.scorer.weight, second.scorer.weight)
    assert torch.equal(first.scorer.reach, second.scorer.reach)
    assert first.metrics["valid"] == second.metrics["valid"]


def test_one_fact_is_enough(planted: tuple[Dataset, list[Path]], tmp_path: Path) -> None:
    data, parts = planted
    few = replace(data, valid=data.valid[:1])
    for part in parts:
        shutil.rmtree(part)
        run = Run(partial(Frequency), Counting())
        train(few, run, part)
    assert stack(few, parts, tmp_path / "out").scorer.weight.isfinite().all()


# Stored


def test_what_is_stored_answers_without_its_parts(random_dataset: Dataset, tmp_path: Path) -> None:
    run = Run(partial(ComplEx, dim=4), GradientDescent(partial(Adam, lr=0.1), epochs=2, valid_every=1))
    train(random_dataset, run, tmp_path / "complex")
    settings = combined([str(tmp_path / "complex"), "frequency", "naive_bayes"], tmp_path / "out")
    trained = train(random_dataset, settings(random_dataset), tmp_path / "out")
    before = evaluate(trained.scorer, random_dataset, "test").rank
    for name in ("complex", "out-frequency", "out-naive_bayes"):
        shutil.rmtree(tmp_path / name)
    stored = Bundle.load(tmp_path / "out")
    assert torch.equal(evaluate(stored.scorer, stored.dataset, "test").rank, before)
    assert stored.metrics["cross_fitted"] and stored.temperature == 1.0
    told = stored.run["scorer"]["arguments"]["parts"]
    assert [each["name"] for each in told] == ["complex", "frequency", "naive_bayes"]
    assert stored.run["algorithm"]["arguments"]["parts"] == [
        str(tmp_path / name) for name in ("complex", "out-frequency", "out-naive_bayes")
    ]
    card = (tmp_path / "out" / "2" / "README.md").read_text()
    assert "combine(parts=[complex(dim=4), frequency(), naive_bayes()])" in card
    assert "each half with weights that the other half gave" in card
    predictor = Predictor.load(tmp_path / "out")
    assert len(predictor.tails("e0", "r1", top=5)) == 5
    again = resume(tmp_path / "out")
    assert again.metrics["valid"] == trained.metrics["valid"] == stored.metrics["valid"]


def test_a_paused_training_goes_on(
    planted: tuple[Dataset, list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, parts = planted
    monkeypatch.setattr("kg.training.ensembles.fitting._BATCH", 16)
    whole = stack(data, parts, tmp_path / "whole", candidates=10)
    run = varied(combined([str(part) for part in parts], "")(data), candidates=10)
    with monkeypatch.context() as patch:
        step = Stacked._take_step

        def paused(fit: Stacked) -> None:
            step(fit)
            if fit.step == 3:
                fit.pause()

        patch.setattr(Stacked, "_take_step", paused)
        fit = run.algorithm.trainer(with_parts(parts), data, run.seed)
        first, second = fit
        assert not first.complete and second.complete and torch.equal(fit.scorer.weight, whole.scorer.weight)
        fit = run.algorithm.trainer(with_parts(parts), data, run.seed)
        assert not next(iter(fit)).complete and math.isnan(fit.loss())
        state = fit.state_dict()
    resumed = run.algorithm.trainer(run.new_scorer(N, 2), data, run.seed)
    resumed.load_state_dict(state)
    assert [epoch.complete for epoch in resumed] == [True]
    assert torch.equal(resumed.scorer.weight, whole.scorer.weight)
    figures = resumed.valid_ranking(data, None).metrics()
    assert figures.mrr == whole.metrics["valid"]["mrr"] and math.isnan(figures.perplexity)


# What cannot be combined


def test_parts_are_named_or_trained_first(random_dataset: Dataset, tmp_path: Path) -> None:
    progress = Noted()
    out = tmp_path / "out"
    with pytest.raises(UserError, match="no model 'foo': choose one of"):
        combined(["frequency", "foo"], out)
    with pytest.raises(UserError, match="no model ''"):
        combined(["frequency", ""], out)
    with pytest.raises(UserError, match="gated has no default settings"):
        combined(["gated"], out)
    made = combined(["frequency"], out, seed=3, progress=progress)(random_dataset)
    assert made.algorithm == Stacking((f"{out}-frequency",)) and made.seed == 3
    assert Bundle.load(f"{out}-frequency").run["seed"] == 3
    assert progress.notes == [f"frequency: trained first, in {out}-frequency"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("runs.train", None)
        assert combined(["frequency"], out)(random_dataset).algorithm == made.algorithm  # as it is
        with pytest.raises(UserError, match="out-frequency was trained on other facts: it cannot be the part here"):
            combined(["frequency"], out)(replace(random_dataset, test=random_dataset.test[1:]))
        shutil.copytree(f"{out}-frequency", f"{out}-naive_bayes")
        with pytest.raises(UserError, match="out-naive_bayes holds a model frequency, not naive_bayes"):
            combined(["frequency", "naive_bayes"], out)(random_dataset)


def test_parts_of_other_facts_or_another_shape(random_dataset: Dataset, tmp_path: Path) -> None:
    run = Run(partial(ComplEx, dim=4), GradientDescent(partial(Adam, lr=0.1), epochs=1))
    train(random_dataset, run, tmp_path / "part")
    settings = combined([str(tmp_path / "part")], tmp_path / "out")
    made = settings(random_dataset)
    other = replace(random_dataset, test=random_dataset.test[1:])
    declared = "part is not what the part is declared as: "

    def of(*parts: "partial[Scorer]") -> Run:
        return replace(made, scorer=partial(Combined, parts=list(parts)))

    for data, changed, message in (
        (other, made, "part was trained on other facts: it cannot be the part here"),
        (random_dataset, of(partial(DistMult, dim=4)), declared + "ComplEx, not DistMult"),
        (random_dataset, of(partial(ComplEx, dim=5)), declared + "Error.* size mismatch for table.weight"),
        (random_dataset, of(*[partial(ComplEx, dim=4)] * 2), "Combined has 2 parts that .* names 1 folders"),
        (random_dataset, replace(made, algorithm=Stacking(())), "Combined has 1 parts that .* names 0 folders"),
        (
            random_dataset,
            replace(run, algorithm=made.algorithm),
            "fits the weights of Combined, not of ComplEx",
        ),
        (replace(random_dataset, valid=random_dataset.valid[:0]), made, "part was trained on other facts"),
    ):
        with pytest.raises(UserError, match=message) as raised:
            train(data, changed, tmp_path / "out")
        assert "\n" not in str(raised.value)
    with pytest.raises(UserError, match="part was trained on other facts"):
        settings(other)
    assert not (tmp_path / "out").exists()


def test_what_stacking_cannot_use_is_an_error(random_dataset: Dataset) -> None:
    scorer, algorithm = Combined(50, 3, [partial(Frequency)]), Stacking(("part",))
    with pytest.raises(UserError, match="Stacking fits the weights of Combined, not of DistMult"):
        algorithm.trainer(DistMult(50, 3, dim=2), random_dataset, 0)
    with pytest.raises(UserError, match="Stacking fits its weights on valid facts, and there are none"):
        algorithm.trainer(scorer, replace(random_dataset, valid=random_dataset.valid[:0]), 0)
    with pytest.raises(UserError, match="Combined has no weights that gradient descent could train"):
        GradientDescent(partial(Adam, lr=0.1), hide="exact").trainer(scorer, random_dataset, 0)
    with pytest.raises(UserError, match="candidates must be at least 1: got 0"):
        Stacking(("part",), candidates=0)


def test_a_run_of_parts_is_stored_and_read(random_dataset: Dataset) -> None:
    made = partial(Combined, parts=[partial(ComplEx, dim=4), partial(Combined, parts=[partial(Frequency)])])
    run = Run(made, Stacking(("a", "b"), 7))
    stored = json.loads(json.dumps(run.to_json()))
    again = Run.from_json(stored)
    assert again.to_json() == stored and again.algorithm == Stacking(("a", "b"), 7)
    assert len(list(again.new_scorer(50, 3).scorers())) == 2
    for parts, message in (
        ([ComplEx], r"Combined: parts must be partial\(ComplEx\)"),
        ([partial(ComplEx, 4)], "ComplEx: give its arguments by name"),
        ([partial(ComplEx, dims=4)], "ComplEx: got an unexpected keyword argument 'dims'"),
    ):
        with pytest.raises(UserError, match=message):
            replace(run, scorer=partial(Combined, parts=parts))
