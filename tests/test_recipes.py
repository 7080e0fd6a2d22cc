"""What a newcomer gets: it exists for every model, can be stored, and trains."""

import subprocess
import sys
from dataclasses import replace
from pkgutil import resolve_name

import pytest
import torch
from paper import COUNTED

from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.graph.vocabulary import Vocabulary
from kg.models import SCORERS
from kg.models.tables import EntityTable
from kg.training.gradient_descent import Descent, WarmUp
from kg.training.objectives import KvsAll, NegativeSampling, OneVsAll, OneVsUnknown
from kg.training.recipes import FAMILIES, default_run, paths
from kg.training.recipes.scale import against, choice
from kg.training.regularizers import N3
from kg.training.run import Run

WITHOUT = ("gated", "combine", "rank_ensemble")  # of what parts, is for the caller to say


@pytest.fixture
def large() -> Dataset:
    """As many entities as a large graph, and next to no facts."""
    facts, names = torch.tensor([[0, 0, 1]]), Vocabulary([f"e{i}" for i in range(50_000)], ["r"])
    return Dataset(facts, facts[:0], facts[:0], names)


@pytest.mark.parametrize("model", [name for name in SCORERS if name not in WITHOUT])
def test_a_default_can_be_stored_for_any_graph(model: str, random_dataset: Dataset, large: Dataset) -> None:
    for data in (random_dataset, large):
        stored = default_run(model)(data).to_json()
        assert stored["scorer"]["name"] == model
        assert Run.from_json(stored).to_json() == stored


@pytest.mark.parametrize("model", [name for name in SCORERS if name not in (*COUNTED, *WITHOUT, "pretrained")])
def test_a_default_learns(model: str, random_dataset: Dataset) -> None:
    run = default_run(model)(random_dataset)
    run = replace(run, algorithm=run.algorithm.with_epochs(5))
    losses = [epoch.loss for epoch in run.trainer(random_dataset)]
    assert losses[-1] < losses[0]


def test_each_family_holds_what_is_looked_for_there() -> None:
    for family in set(FAMILIES.values()):
        assert set(resolve_name(family).RECIPES) == {model for model, home in FAMILIES.items() if home == family}


def test_a_newcomer_imports_one_family() -> None:
    program = "import sys; from kg.training.recipes import recipe; recipe('complex'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(FAMILIES.values()) & set(done.stdout.split()) == {"kg.training.recipes.bilinear"}


# The size that decides between all entities and some

SCALED = [name for name, home in FAMILIES.items() if home.rpartition(".")[2] in ("bilinear", "dropout")]


def repeated(large: Dataset, times: int) -> Dataset:
    return replace(large, train=large.train.expand(times, 3))


@pytest.mark.parametrize("model", SCALED)
def test_where_all_entities_take_too_long_some_are_drawn(model: str, large: Dataset) -> None:
    """6 (2 T) N D operations at 2e11 a second are 600 seconds where T = 2e11 * 600 / (12 N D)."""
    tables = [part for part in default_run(model)(large).new_scorer(1, 1).modules() if isinstance(part, EntityTable)]
    numbers = sum(table.weight.shape[1] for table in tables)
    limit = int(2e11 * 600 / (12 * 50_000 * numbers))
    below, above = (default_run(model)(repeated(large, limit + more)) for more in (0, 1))
    assert isinstance(below.algorithm.objective, OneVsAll)
    assert above.algorithm.objective == NegativeSampling(512, loss="corrected_softmax", candidates="by_degree")
    same = replace(above.algorithm, objective=below.algorithm.objective, batch_size=below.algorithm.batch_size)
    assert same.to_json() == below.algorithm.to_json() and below.algorithm.batch_size == 512
    assert above.algorithm.batch_size == min(8192, max(1024, limit // 500))


@pytest.mark.parametrize("model", SCALED)
def test_a_model_learns_from_negatives_that_touch_its_rows(model: str, random_dataset: Dataset) -> None:
    run = against(default_run(model)(random_dataset), 4)
    run = replace(run, algorithm=replace(run.algorithm, batch_size=8, epochs=3))
    fit = run.trainer(replace(random_dataset, train=random_dataset.train[:60]))
    assert isinstance(fit, Descent) and len(fit._touched_tables) > 0
    losses = [epoch.loss for epoch in fit]
    assert losses[-1] < losses[0]


def test_what_was_chosen_is_said(large: Dataset) -> None:
    run = default_run("complex")(repeated(large, 10**6))
    assert choice(run, repeated(large, 10**6)) == (
        "Against all 50,000 entities an epoch would take up to 12:48 on two cores: "
        "each 2,000 answers are told from 512 negatives (negatives 0: from all)"
    )
    assert choice(default_run("complex")(large), large) is None
    assert choice(default_run("frequency")(large), large) is None


def test_a_model_without_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="no model 'rascal': choose one of rescal"):
        default_run("rascal")
    monkeypatch.setitem(SCORERS, "mine", "kg.models.distmult:DistMult")
    with pytest.raises(UserError, match="mine has no default settings yet"):
        default_run("mine")
    for model in WITHOUT:
        with pytest.raises(UserError, match=f"^{model} has no default settings yet: give a Run in Python$"):
            default_run(model)


def test_the_neighbourhood_of_few_and_of_many(random_dataset: Dataset, large: Dataset) -> None:
    """On few entities all answers at once; on more, votes beside ComplEx's own weight decay."""
    few, many = (default_run("neighbourhood")(data).algorithm for data in (random_dataset, large))
    assert few.hide == many.hide == "exact"
    assert isinstance(few.objective, KvsAll) and few.regularizer is None and isinstance(few.schedule, WarmUp)
    assert isinstance(many.objective, OneVsAll) and isinstance(many.regularizer, N3) and many.schedule is None
    votes = default_run("neighbourhood")(large).scorer.keywords
    assert votes["readout"] == "votes" and votes["dim"] == 128
    some = Dataset(large.train, large.valid, large.test, Vocabulary([f"e{i}" for i in range(1000)], ["r"]))
    middle = default_run("neighbourhood")(some)
    assert isinstance(middle.algorithm.regularizer, N3) and middle.scorer.keywords["dim"] == 512
    assert middle.scorer.keywords["neighbour_dropout"] == 0.7  # a fact for a thousand entities is sparse
    dense = replace(some, train=some.train.repeat(5000, 1))
    assert default_run("neighbourhood")(dense).scorer.keywords["neighbour_dropout"] == 0.3


def test_paths_of_few_and_of_many(random_dataset: Dataset, large: Dataset) -> None:
    """In a sparse graph they are longer. Each question hides its own fact: nothing else need be gone."""
    few, many = (default_run("paths")(data) for data in (random_dataset, large))
    assert few.scorer.keywords["num_layers"] == 4 and many.scorer.keywords["num_layers"] == 6
    assert few.algorithm.hide == many.algorithm.hide == "exact"
    assert few.algorithm.objective == OneVsUnknown() and many.algorithm.objective == OneVsUnknown(max_answers=8)
    assert few.algorithm.questions == many.algorithm.questions == 10_000 and few.algorithm.averaging
    assert paths.RECIPES["paths"].space.objective.keys() == {"one_vs_unknown"}
