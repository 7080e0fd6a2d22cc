"""Presets: Runs named by a file and a function, and one line for whatever is wrong with either."""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch.optim import Adagrad

from kg.attention.performer import Performer
from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.graph.vocabulary import Vocabulary
from kg.models.combined import Combined
from kg.models.complex import ComplEx
from kg.models.distmult import DistMult
from kg.models.frequency import Frequency
from kg.models.gated import Gated
from kg.models.neighbourhood import NeighbourhoodTransformer
from kg.studies.presets import preset, presets, written
from kg.training.ensembles.stacking import Stacking
from kg.training.gradient_descent import GradientDescent, Plateau
from kg.training.objectives import MaskedEntity, NegativeSampling
from kg.training.recipes import default_run
from kg.training.regularizers import N3
from kg.training.run import Run

UMLS = Path(__file__).parents[1] / "experiments" / "presets" / "umls.py"

MINE = """
from dataclasses import dataclass
from functools import partial
from torch.optim import Adam
from kg.errors import UserError
from kg.models.distmult import DistMult
from kg.training.gradient_descent import GradientDescent
from kg.training.run import Run

@dataclass
class Size:
    dim: "int" = 4

def _hidden():
    return "no preset"

def small():
    return Run(partial(DistMult, dim=Size().dim), GradientDescent(partial(Adam, lr=0.01), epochs=2))

def broken():
    return 1 / 0

def refused():
    return Run(partial(DistMult, size=4), GradientDescent(partial(Adam, lr=0.01)))

def told():
    raise UserError("the moon is full")

def forgetful():
    small()

def greedy(dataset):
    return small()
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    return file


def test_one_and_several(mine: Path) -> None:
    small = preset(f"{mine}:small")
    assert small.scorer.keywords == {"dim": 4} and small.algorithm.epochs == 2
    assert list(presets(f"{UMLS}:complex,rescal")) == ["complex", "rescal"]


def test_a_file_alone_is_all_its_public_functions(tmp_path: Path) -> None:
    start = MINE.partition("def broken")[0]
    (tmp_path / "all.py").write_text(start + "def other():\n    return small()\n")  # _hidden gives no Run
    runs = presets(str(tmp_path / "all.py"))
    assert list(runs) == ["small", "other"] and runs["other"].to_json() == runs["small"].to_json()
    (tmp_path / "none.py").write_text(start.partition("def small")[0])
    with pytest.raises(UserError, match=r"none\.py has no preset: it defines no public function"):
        presets(str(tmp_path / "none.py"))
    with pytest.raises(UserError, match="there is a preset small already"):
        presets(f"{tmp_path / 'all.py'}:small", str(tmp_path / "all.py"))


def test_a_file_leaves_no_trace(mine: Path) -> None:
    paths, modules = list(sys.path), set(sys.modules)
    preset(f"{mine}:small")
    assert sys.path == paths and not {name for name in set(sys.modules) - modules if "mine" in name}
    assert [path.name for path in mine.parent.iterdir()] == ["mine.py"]


def test_a_file_is_read_anew(mine: Path) -> None:
    preset(f"{mine}:small")
    mine.write_text(MINE.replace("epochs=2", "epochs=3"))  # within a second and of the same length
    assert preset(f"{mine}:small").algorithm.epochs == 3


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tiny", "has no preset 'tiny': it has small, broken, refused, told, forgetful, greedy"),
        ("_hidden", "has no preset '_hidden'"),
        ("partial", "has no preset 'partial'"),  # what the file imports is not its own
        ("Size", "has no preset 'Size'"),
        ("small,broken", "name one preset, as in .*mine.py:small"),
        ("", "name one preset"),
        ("broken", r"mine.py:21: ZeroDivisionError: division by zero"),
        ("refused", r"mine.py:24: DistMult: .*'size'"),
        ("told", r"mine.py:27: the moon is full"),
        ("forgetful", r"mine.py:forgetful is no preset: it returns a NoneType, not a Run"),
        ("greedy", r"TypeError: greedy\(\) missing 1 required positional argument: 'dataset'"),
    ],
)
def test_what_is_wrong_with_a_function(mine: Path, name: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as raised:
        preset(f"{mine}:{name}")
    assert "\n" not in str(raised.value)


def test_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file of presets"):
        preset(f"{tmp_path / 'nothing.py'}:a")
    with pytest.raises(UserError, match="expected FILE:name"):
        preset("umls.py")
    with pytest.raises(UserError, match="no such file of presets"):
        preset(f"{tmp_path}:a")
    (tmp_path / "typo.py").write_text("\ndef a(:\n")
    with pytest.raises(UserError, match=r"typo.py:2: SyntaxError: invalid syntax"):
        preset(f"{tmp_path / 'typo.py'}:a")
    (tmp_path / "lost.py").write_text("import nowhere_to_be_found\n")
    with pytest.raises(UserError, match=r"lost.py:1: ModuleNotFoundError: No module named"):
        preset(f"{tmp_path / 'lost.py'}:a")
    (tmp_path / "empty.py").write_text("")
    with pytest.raises(UserError, match="no preset 'a': it has none"):
        preset(f"{tmp_path / 'empty.py'}:a")
    with pytest.raises(UserError, match="has no preset ''"):
        presets(f"{UMLS}:rescal,")
    with pytest.raises(UserError, match="there is a preset rescal already"):
        presets(f"{UMLS}:rescal,complex", f"{UMLS}:rescal")


@pytest.mark.parametrize("model", ["rescal", "transe", "distmult", "complex"])
def test_the_model_file_gives_the_defaults(model: str) -> None:
    """The presets for umls are what `kg train` takes for a graph of its size."""
    facts = torch.zeros(5216, 3, dtype=torch.long)
    names = Vocabulary([f"e{i}" for i in range(135)], [f"r{i}" for i in range(46)])
    umls = Dataset(facts, facts[:0], facts[:0], names)
    assert preset(f"{UMLS}:{model}").to_json() == default_run(model)(umls).to_json()
    assert replace(preset(f"{UMLS}:{model}"), seed=1).seed == 1


def test_a_run_as_a_preset_file(tmp_path: Path) -> None:
    run = Run(
        partial(DistMult, dim=4, init=1e-05),
        GradientDescent(
            partial(Adagrad, lr=0.1),
            NegativeSampling(64, loss="logistic"),
            N3(0.01),
            schedule=Plateau(),
            hide="pair",
            epochs=7,
        ),
        seed=3,
    )
    source = written(run, "best", "The best")
    (tmp_path / "best.py").write_text(source)
    assert preset(f"{tmp_path / 'best.py'}:best").to_json() == run.to_json()
    expected = """\"""The best.\"""

from functools import partial

from torch.optim import Adagrad

from kg.models.distmult import DistMult
from kg.training.gradient_descent import GradientDescent, Plateau
from kg.training.objectives import NegativeSampling
from kg.training.regularizers import N3
from kg.training.run import Run


def best() -> Run:
    return Run(
        scorer=partial(DistMult, dim=4, init=1e-05),
        algorithm=GradientDescent(
            optimizer=partial(Adagrad, lr=0.1),
            objective=NegativeSampling(num_negatives=64, loss="logistic"),
            regularizer=N3(weight=0.01),
            schedule=Plateau(),
            hide="pair",
            epochs=7,
        ),
        seed=3,
    )
"""
    assert source == expected


@pytest.mark.parametrize("name", ["rescal", "transe", "distmult", "complex"])
def test_written_and_read_again(name: str, tmp_path: Path) -> None:
    run = preset(f"{UMLS}:{name}")
    (tmp_path / "again.py").write_text(written(run, name, "Again"))
    assert preset(f"{tmp_path / 'again.py'}:{name}").to_json() == run.to_json()


def test_parts_of_parts_in_a_preset_file(tmp_path: Path) -> None:
    own = partial(NeighbourhoodTransformer, readout="votes", attention=partial(Performer, num_features=8))
    run = Run(
        partial(Gated, own=own, base=partial(ComplEx), frozen=True),
        GradientDescent(partial(Adagrad, lr=0.1), auxiliary=MaskedEntity(0.5), hide="exact", base="a model"),
    )
    source = written(run, "best", "The best")
    (tmp_path / "best.py").write_text(source)
    assert preset(f"{tmp_path / 'best.py'}:best").to_json() == run.to_json()
    expected = """\"""The best.\"""

from functools import partial

from torch.optim import Adagrad

from kg.attention.performer import Performer
from kg.models.complex import ComplEx
from kg.models.gated import Gated
from kg.models.neighbourhood import NeighbourhoodTransformer
from kg.training.gradient_descent import GradientDescent
from kg.training.objectives import MaskedEntity
from kg.training.run import Run


def best() -> Run:
    return Run(
        scorer=partial(Gated, own=partial(NeighbourhoodTransformer, readout="votes", attention=partial(Performer, \
num_features=8)), base=partial(ComplEx), frozen=True),
        algorithm=GradientDescent(
            optimizer=partial(Adagrad, lr=0.1),
            auxiliary=MaskedEntity(weight=0.5),
            hide="exact",
            base="a model",
        ),
    )
"""
    assert source == expected


def test_lists_of_parts_in_a_preset_file(tmp_path: Path) -> None:
    made = partial(Combined, parts=[partial(DistMult, dim=4), partial(Frequency)])
    run = Run(made, Stacking(("models/a", "models/b")))
    (tmp_path / "best.py").write_text(source := written(run, "best", "The best"))
    assert "scorer=partial(Combined, parts=[partial(DistMult, dim=4), partial(Frequency)])" in source
    assert preset(f"{tmp_path / 'best.py'}:best").to_json() == run.to_json()
