"""A Run: one value, stored as names and arguments."""

import json
import subprocess
import sys
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from runs import varied
from torch.optim import SGD, Adagrad, Adam, AdamW

from kg.attention.performer import Performer
from kg.attention.softmax import Softmax
from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.models import ATTENTIONS, SCORERS, scorer_class
from kg.models.complex import ComplEx
from kg.models.distmult import DistMult
from kg.models.gated import Gated
from kg.models.neighbourhood import NeighbourhoodTransformer
from kg.models.ntn import NTN
from kg.models.rescal import RESCAL
from kg.models.scorer import EmbeddingScorer, Scorer
from kg.models.transe import TransE
from kg.resources import memory_bytes
from kg.training.gradient_descent import GradientDescent, Plateau, WarmUp
from kg.training.objectives import KvsAll, MaskedEntity, NegativeSampling, OneVsAll, RelationPrediction
from kg.training.regularizers import F2, L1, N3, Regularizer
from kg.training.run import Run

PLAIN = Run(partial(ComplEx, dim=4), GradientDescent(partial(Adam, lr=0.01)))
NESTED = Run(
    partial(
        Gated,
        own=partial(NeighbourhoodTransformer, width=8, attention=partial(Performer, num_features=8)),
        base=partial(ComplEx, dim=4),
        frozen=True,
    ),
    GradientDescent(partial(Adam, lr=0.01), auxiliary=MaskedEntity(0.5), hide="exact", base="models/complex"),
)
VARIANTS = [
    PLAIN,
    NESTED,
    varied(NESTED, scorer=partial(NeighbourhoodTransformer, attention=None), base=None),
    Run(
        partial(TransE, dim=3, norm=1, tied=True, entity_dropout=0.1),
        GradientDescent(
            partial(Adagrad, lr=0.1),
            NegativeSampling(64, shared=False, loss="logistic", margin=9.0, exclude_known=True),
            F2(0.5),
            schedule=Plateau(factor=0.5, patience=2),
            batch_size=7,
            precision="bf16",
            epochs=3,
            valid_every=2,
            patience=1,
        ),
        seed=9,
    ),
    Run(partial(RESCAL), GradientDescent(partial(AdamW), KvsAll(loss="bce", label_smoothing=0.1), N3(0.1))),
    varied(PLAIN, hide="pair", regularizer=L1(0.1), objective=OneVsAll(label_smoothing=0.2)),
    varied(PLAIN, hide="exact", scorer=partial(DistMult, dim=2), objective=KvsAll()),
    varied(PLAIN, auxiliary=RelationPrediction(0.25), schedule=WarmUp(0.2), pieces=4),
    varied(PLAIN, objective=OneVsAll(max_answers=8)),
    varied(PLAIN, objective=NegativeSampling(shared=False, candidates="typed", sides="bernoulli")),
]


def plain(value: Any) -> Any:
    """A Run as values that compare: partials do not."""
    if isinstance(value, partial):
        return value.func, {name: plain(each) for name, each in value.keywords.items()}
    is_open = isinstance(value, Run | GradientDescent)
    return {name: plain(each) for name, each in vars(value).items()} if is_open else value


@pytest.mark.parametrize("run", VARIANTS, ids=lambda run: run.scorer.func.__name__)
def test_json_round_trip(run: Run) -> None:
    stored = json.loads(json.dumps(run.to_json()))
    assert plain(Run.from_json(stored)) == plain(run)
    assert Run.from_json(stored).to_json() == stored


def test_what_is_stored() -> None:
    stored = PLAIN.to_json()
    assert stored["scorer"] == {"name": "complex", "arguments": {"dim": 4}} and stored["seed"] == 0
    assert stored["algorithm"]["name"] == "gradient_descent"
    settings = stored["algorithm"]["arguments"]
    assert settings["optimizer"] == {"name": "adam", "arguments": {"lr": 0.01}}
    assert settings["objective"] == {"name": "one_vs_all", "arguments": {"label_smoothing": 0.0, "max_answers": 1}}
    assert settings["regularizer"] is settings["schedule"] is settings["hide"] is settings["auxiliary"] is None


def test_parts_of_parts_are_stored_by_name() -> None:
    attention = {"name": "performer", "arguments": {"num_features": 8}}
    own = {"name": "neighbourhood", "arguments": {"width": 8, "attention": attention}}
    base = {"name": "complex", "arguments": {"dim": 4}}
    stored = NESTED.to_json()
    assert stored["scorer"] == {"name": "gated", "arguments": {"own": own, "base": base, "frozen": True}}
    settings = stored["algorithm"]["arguments"]
    assert settings["auxiliary"] == {"name": "masked_entity", "arguments": {"weight": 0.5}}
    assert settings["base"] == "models/complex"
    assert not SCORERS.keys() & ATTENTIONS.keys()  # one name, one part


def test_a_variant_leaves_the_original() -> None:
    other = varied(PLAIN, seed=1, batch_size=8)
    assert (other.seed, other.algorithm.batch_size) == (1, 8)
    assert (PLAIN.seed, PLAIN.algorithm.batch_size) == (0, 512)
    assert other.scorer is PLAIN.scorer


def test_a_typo_in_python_is_an_error() -> None:
    with pytest.raises(TypeError, match="batchsize"):
        varied(PLAIN, batchsize=8)
    with pytest.raises(UserError, match="dims"):
        replace(PLAIN, scorer=partial(ComplEx, dims=8))
    with pytest.raises(UserError, match="learning_rate"):
        varied(PLAIN, optimizer=partial(Adam, learning_rate=0.1))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("scorer name", "complx", "no model 'complx'"),
        ("scorer arguments dims", 8, "dims"),
        ("algorithm name", "guess", "guess"),
        ("optimizer name", "adagrat", "adagrat"),
        ("optimizer arguments learning_rate", 0.1, "learning_rate"),
        ("objective name", "one_vs_some", "one_vs_some"),
        ("objective arguments smoothing", 0.1, "smoothing"),
        ("regularizer", {"name": "n4", "arguments": {"weight": 0.1}}, "n4"),
        ("schedule", {"name": "plateau", "arguments": {"factor": 0.5, "patients": 3}}, "patients"),
        ("schedule", {"name": "cosine", "arguments": {}}, "cosine"),
        ("auxiliary", {"name": "relation_prediction", "arguments": {"weight": 1.0, "over": 2}}, "over"),
        ("entity_weight", 3.0, "entity_weight"),
        ("objective", {"name": "n3", "arguments": {"weight": 0.1}}, "n3"),
        ("hide", "pairs", "pairs"),
        ("precision", "fp16", "fp16"),
        ("objective", {"name": "k_vs_all", "arguments": {"loss": "hinge"}}, "hinge"),
        ("objective", {"name": "negative_sampling", "arguments": {"loss": "hinge"}}, "hinge"),
    ],
)
def test_a_typo_in_what_is_stored_is_an_error(path: str, value: object, message: str) -> None:
    stored: dict[str, Any] = json.loads(json.dumps(PLAIN.to_json()))
    *outer, last = path.split()
    inner = stored if path.startswith(("scorer", "algorithm")) else stored["algorithm"]["arguments"]
    for name in outer:
        inner = inner[name]
    inner[last] = value
    with pytest.raises(UserError, match=message):
        Run.from_json(stored)


CHOICES = """
from dataclasses import replace
from functools import partial
from torch.optim import Adam
from kg.errors import UserError
from kg.models.neighbourhood import NeighbourhoodTransformer
from kg.models.transe import TransE
from kg.training.objectives import KvsAll, NegativeSampling
from kg.training.gradient_descent import GradientDescent

plain = GradientDescent(partial(Adam, lr=0.01))
for make in (
    lambda: replace(plain, hide="pairs"),
    lambda: replace(plain, precision="fp16"),
    lambda: KvsAll(loss="hinge"),
    lambda: NegativeSampling(loss="hinge"),
    lambda: TransE(3, 1, norm=3),
    lambda: NeighbourhoodTransformer(3, 1, vote_hops=3),
):
    try:
        make()
    except UserError as error:
        print(error)
"""


def test_choices_are_checked_where_types_are_not() -> None:
    """In a process of its own: the hook of these tests would see to it as well."""
    done = subprocess.run([sys.executable, "-c", CHOICES], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "hide must be one of None, exact, pair: got pairs",
        "precision must be one of fp32, bf16: got fp16",
        "loss must be one of softmax, bce: got hinge",
        "loss must be one of softmax, corrected_softmax, margin, logistic: got hinge",
        "norm must be one of 1, 2: got 3",
        "vote_hops must be one of 1, 2: got 3",
    ]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("base name", "complx", "no model 'complx': choose one of rescal"),
        ("base arguments dims", 8, "ComplEx: got an unexpected keyword argument 'dims'"),
        ("own arguments attention name", "performr", "'performr'"),
        ("own arguments attention arguments features", 8, "Performer: got an unexpected keyword argument 'features'"),
    ],
)
def test_a_typo_in_a_part_of_a_part_is_an_error(path: str, value: object, message: str) -> None:
    stored: dict[str, Any] = json.loads(json.dumps(NESTED.to_json()))
    *outer, last = path.split()
    inner = stored["scorer"]["arguments"]
    for name in outer:
        inner = inner[name]
    inner[last] = value
    with pytest.raises(UserError, match=message) as raised:
        Run.from_json(stored)
    assert "\n" not in str(raised.value)


def test_parts_are_partials_with_names() -> None:
    """What is no partial could not be stored, and an argument without a name would be lost."""
    for own, message in (
        (ComplEx, r"own must be partial\(ComplEx\)"),
        (partial(ComplEx, 4), "ComplEx: give its arguments by name"),
        (partial(NeighbourhoodTransformer, attention=Softmax), r"attention must be partial\(Softmax\)"),
        (partial(NeighbourhoodTransformer, attention=partial(Softmax, True)), "Softmax: give its arguments by name"),
    ):
        with pytest.raises(UserError, match=message):
            replace(NESTED, scorer=partial(Gated, own=own, base=partial(ComplEx)))
    with pytest.raises(UserError, match="Gated: missing a required argument: 'base'"):
        replace(NESTED, scorer=partial(Gated, own=partial(ComplEx)))
    nobody = replace(NESTED, scorer=partial(Gated, own=partial(Unknown, size=3, entity_dropout=0.0), base=PLAIN.scorer))
    with pytest.raises(UserError, match="has no name"):
        nobody.to_json()


@pytest.mark.parametrize("name", sorted({*PLAIN.to_json(), *PLAIN.algorithm.to_json()} - GradientDescent.added))
def test_a_missing_setting_is_an_error(name: str) -> None:
    stored = PLAIN.to_json()
    del (stored if name in stored else stored["algorithm"]["arguments"])[name]
    with pytest.raises(UserError, match=name):
        Run.from_json(stored)


def test_models_of_before_do_not_name_settings_that_came_later() -> None:
    stored = varied(PLAIN, questions=10, averaging=0.5).to_json()
    for name in GradientDescent.added:
        del stored["algorithm"]["arguments"][name]
    assert plain(Run.from_json(stored)) == plain(PLAIN)


@pytest.mark.parametrize("name", ["batch_size", "pieces", "questions", "epochs", "valid_every", "patience"])
def test_numbers_are_at_least_one(name: str) -> None:
    with pytest.raises(UserError, match=f"{name} must be at least 1: got 0"):
        varied(PLAIN, **{name: 0})


def test_a_relation_cannot_be_read_off_the_graph() -> None:
    run = varied(PLAIN, scorer=partial(scorer_class("rgcn"), dim=4), hide="exact")
    with pytest.raises(UserError, match="hide must be pair"):
        varied(run, auxiliary=RelationPrediction(1.0))
    assert varied(run, auxiliary=RelationPrediction(1.0), hide="pair").algorithm.hide == "pair"


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_warm_up_is_a_part_of_the_training(share: float) -> None:
    with pytest.raises(UserError, match="share must be"):
        WarmUp(share)


def test_answers_in_a_row_are_at_least_one() -> None:
    with pytest.raises(UserError, match="max_answers must be at least 1"):
        OneVsAll(max_answers=0)


def test_a_seed_is_not_negative() -> None:
    with pytest.raises(UserError, match="seed must be at least 0 and below"):
        replace(PLAIN, seed=-1)


class Nameless(Regularizer):
    weight = 1.0

    def norm(self, factor: torch.Tensor) -> torch.Tensor:
        return factor.sum()


class Unknown(EmbeddingScorer):
    """A scorer that no dict names."""


@pytest.mark.parametrize(
    "run",
    [
        replace(PLAIN, scorer=partial(Unknown, size=3, entity_dropout=0.0)),
        varied(PLAIN, optimizer=partial(SGD, lr=0.1)),
        varied(PLAIN, regularizer=Nameless()),
    ],
    ids=["scorer", "optimizer", "regularizer"],
)
def test_what_has_no_name_cannot_be_stored(run: Run) -> None:
    """What could not be read again is not written."""
    with pytest.raises(UserError, match="has no name"):
        run.to_json()


def test_arguments_need_names() -> None:
    with pytest.raises(UserError, match="by name"):
        replace(PLAIN, scorer=partial(ComplEx, 4))


def test_new_scorers_are_drawn_from_the_seed_alone() -> None:
    def weights(run: Run) -> torch.Tensor:
        return run.new_scorer(5, 2).table.weight

    torch.manual_seed(1)
    first = weights(PLAIN)
    after = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), after)  # the caller's own random state was left alone
    assert torch.equal(first, weights(PLAIN)) and not torch.equal(first, weights(replace(PLAIN, seed=1)))


@pytest.mark.parametrize("made", [partial(Adam, lr=0.5), partial(AdamW, weight_decay=0.1), partial(Adagrad, lr=0.1)])
def test_the_optimizer_gets_its_arguments(made: "partial[torch.optim.Optimizer]", random_scorer: Scorer) -> None:
    optimizer = GradientDescent(made).new_optimizer(list(random_scorer.parameters()))
    assert isinstance(optimizer, made.func)
    group = optimizer.param_groups[0]
    assert group["params"] == list(random_scorer.parameters())
    assert {name: group[name] for name in made.keywords} == made.keywords


@pytest.mark.parametrize(
    ("made", "algorithm", "line"),
    [
        (
            partial(ComplEx, dim=10**8),
            GradientDescent(partial(Adam, lr=0.1)),
            r"dim 100000000: .* 179 GB: there are 24 GB",
        ),
        (partial(ComplEx, dim=10**8), GradientDescent(partial(Adagrad, lr=0.1)), "134 GB: there are 24 GB"),
        (partial(RESCAL, dim=2**31 - 1), GradientDescent(partial(Adam)), "larger than any memory"),
        (partial(NTN, dim=10**6, slices=2), GradientDescent(partial(Adam)), "TB: there are 24 GB"),
    ],
)
def test_what_is_larger_than_the_memory_is_not_begun(
    random_dataset: Dataset, monkeypatch: pytest.MonkeyPatch, made: "partial[Any]", algorithm: Any, line: str
) -> None:
    monkeypatch.setattr("kg.training.run.memory_bytes", lambda device: 24 * 10**9)
    monkeypatch.setattr(Run, "new_scorer", lambda *_: pytest.fail("made"))
    with pytest.raises(UserError, match=line):
        Run(made, algorithm).trainer(random_dataset)


def test_a_limit_of_the_process_is_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 2**20 < memory_bytes() < 2**50
    monkeypatch.setattr("resource.getrlimit", lambda _: (5000, 5000))
    assert memory_bytes() == 5000
