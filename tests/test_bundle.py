"""A model on disk: whole, checked, and without anything that could run."""

import json
import pickle
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from damage import replaced, with_arrays, with_values
from torch.optim import Adagrad

from kg import bundle
from kg.attention.performer import Performer
from kg.bundle import Bundle
from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.graph.schema import Schema
from kg.graph.vocabulary import Vocabulary
from kg.models.complex import ComplEx
from kg.models.gated import Gated
from kg.models.neighbourhood import NeighbourhoodTransformer
from kg.models.ntn import NTN
from kg.models.rescal import RESCAL
from kg.training.gradient_descent import Descent, GradientDescent, Plateau
from kg.training.run import Run
from kg.training.train import resume

RUN = Run(
    partial(ComplEx, dim=2, tied=True),
    GradientDescent(partial(Adagrad, lr=0.1), schedule=Plateau(), batch_size=4, epochs=2),
)
FILES = [
    "README.md",
    "calibration.json",
    "config.json",
    "dataset.safetensors",
    "index.safetensors",
    "manifest.json",
    "metrics.json",
    "model.safetensors",
    "schema.json",
    "state/state.json",
    "state/tensors.safetensors",
    "vocabulary.json",
]
METRICS = {"valid": {"mrr": 0.25, "perplexity": None}, "finished": False, "epochs": 1, "best_epoch": 1, "history": []}


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    train, valid = torch.tensor([[0, 0, 1], [1, 1, 2], [2, 0, 0]]), torch.tensor([[0, 1, 2]])
    names = Vocabulary(["http://x.example/ä", "_:b", 'a "name"'], ["r", "s"])
    schema = Schema(labels={"r": "rings"}, inverse={"r": ("s",), "s": ("r",)}, symmetric=("s",))
    return Dataset(train, valid, torch.zeros(0, 3, dtype=torch.long), names, schema, "/some/where.kg", 7, named=("r",))


@pytest.fixture
def fit(dataset: Dataset) -> Descent:
    """One epoch of two."""
    made = RUN.trainer(dataset)
    next(iter(made))
    made.report(0.25)
    return made


def save(path: Path, fit: Descent, dataset: Dataset, **changed: Any) -> None:
    given = {"weights": fit.best_weights(), "state": fit.state_dict(), "metrics": METRICS, "temperature": 1.5}
    bundle.save(path, dataset=dataset, run=RUN.to_json(), **{**given, **changed})


@pytest.fixture
def model(tmp_path: Path, fit: Descent, dataset: Dataset) -> Path:
    save(tmp_path / "model", fit, dataset)
    return tmp_path / "model"


def files_of(generation: Path) -> list[str]:
    return sorted(path.relative_to(generation).as_posix() for path in generation.rglob("*") if path.is_file())


def test_round_trip(model: Path, fit: Descent, dataset: Dataset) -> None:
    assert bundle.exists(model) and not bundle.exists(model.parent / "nowhere")
    read = Bundle.load(model)
    assert all(torch.equal(read.scorer.state_dict()[name], value) for name, value in fit.best_weights().items())
    assert isinstance(read.scorer, ComplEx) and read.scorer.weights.tie and not read.scorer.training
    for part in ("train", "valid", "test"):
        assert torch.equal(read.dataset.part(part), dataset.part(part))
    assert read.dataset.vocabulary == dataset.vocabulary and read.dataset.schema == dataset.schema
    assert (read.dataset.source, read.dataset.generation) == ("/some/where.kg", 7)
    assert (read.path, read.temperature, read.metrics, read.run) == (model, 1.5, METRICS, RUN.to_json())
    assert read.manifest["seed"] == 0 and read.manifest["torch"] == torch.__version__


def test_the_training_state_comes_back_as_it_was(model: Path, fit: Descent) -> None:
    """Tensors bit by bit; plain values by value, infinities too; tuples as lists."""

    def compare(left: Any, right: Any) -> None:
        if isinstance(left, torch.Tensor):
            assert left.dtype == right.dtype and torch.equal(left, right)
        elif isinstance(left, dict):
            assert list(left) == list(right)
            for key in left:
                compare(left[key], right[key])
        elif isinstance(left, list | tuple):
            assert len(left) == len(right)
            for a, b in zip(left, right, strict=True):
                compare(a, b)
        else:
            assert type(left) is type(right) and left == right

    compare(fit.state_dict(), Bundle.load(model, state=True).state)
    assert Bundle.load(model).state == {}
    assert fit.state_dict()["schedule"]["mode_worse"] == -torch.inf


def test_weights_under_the_names_of_format_1(tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    made = partial(Gated, own=partial(RESCAL, dim=2), base=partial(NTN, dim=2))
    run = Run(made, GradientDescent(partial(Adagrad, lr=0.1), hide="pair"))
    weights = run.new_scorer(3, 2).state_dict()
    old = {
        name.replace("matrix.weight", "matrix").replace("matrices.weight", "matrices"): x for name, x in weights.items()
    }
    assert {"own.matrix", "base.matrices", "own.table.weight"} <= old.keys()
    monkeypatch.setattr(bundle, "FORMAT", 1)
    bundle.save(tmp_path, dataset=dataset, run=run.to_json(), weights=old, state={}, metrics=METRICS)
    read = Bundle.load(tmp_path).scorer.state_dict()
    assert list(read) == list(weights) and all(torch.equal(read[name], x) for name, x in weights.items())


def test_a_model_of_format_1_is_calibrated_and_not_resumed(
    tmp_path: Path, fit: Descent, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(bundle, "FORMAT", 1)
        patch.setattr("kg.__version__", "0.1.7")
        save(tmp_path / "old", fit, dataset)
    bundle.save_calibration(Bundle.load(tmp_path / "old"), {"shape": "platt"})
    after = Bundle.load(tmp_path / "old")
    assert (after.manifest["format"], after.manifest["kg"], after.calibration) == (1, "0.1.7", {"shape": "platt"})
    with pytest.raises(UserError, match=r"old was trained by kg 0\.1\.7, in a format with which no training") as raised:
        resume(tmp_path / "old")
    assert "\n" not in str(raised.value)


def test_a_model_without_temperature(model: Path, fit: Descent, dataset: Dataset) -> None:
    save(model, fit, dataset, temperature=None)
    assert Bundle.load(model).temperature is None


def test_a_calibration_of_its_own(model: Path, fit: Descent, dataset: Dataset) -> None:
    """Fitted anew, all else stays as it was: weights, figures, and what training goes on with."""
    before = Bundle.load(model, state=True)
    assert before.calibration is None
    calibration = {"weights": torch.randn(2, 8).tolist(), "shape": "isotonic", "knots": [[-1 / 3, 0.1 + 0.2], [0.1, 1]]}
    bundle.save_calibration(before, calibration)
    after = Bundle.load(model, state=True)
    assert after.calibration == calibration
    old, new = before.scorer.state_dict(), after.scorer.state_dict()
    assert old.keys() == new.keys() and all(torch.equal(old[name], new[name]) for name in old)
    assert (after.temperature, after.metrics, after.run) == (before.temperature, before.metrics, before.run)
    changed = {name for name, sha in after.manifest["files"].items() if sha != before.manifest["files"][name]}
    assert changed == {"calibration.json"}
    assert all((model / "1" / name).samefile(model / "2" / name) for name in {*FILES} - changed - {"manifest.json"})
    resumed = RUN.trainer(dataset)
    resumed.load_state_dict(after.state)
    assert resumed.state_dict().keys() == fit.state_dict().keys()
    with pytest.raises(UserError, match="has changed since it was read: calibrate it again"):
        bundle.save_calibration(before, calibration)  # which may be of weights that a training has replaced since


def test_a_model_of_parts(tmp_path: Path, dataset: Dataset) -> None:
    own = partial(NeighbourhoodTransformer, dim=2, width=8, attention=partial(Performer, num_features=8))
    scorer = partial(Gated, own=own, base=partial(ComplEx, dim=2), frozen=True)
    run = Run(scorer, GradientDescent(partial(Adagrad, lr=0.1), hide="exact"))
    fit = run.algorithm.trainer(run.new_scorer(3, 2), dataset, run.seed)
    bundle.save(
        tmp_path,
        dataset=dataset,
        run=run.to_json(),
        weights=fit.best_weights(),
        state=fit.state_dict(),
        metrics=METRICS,
    )
    read = Bundle.load(tmp_path)
    assert isinstance(read.scorer, Gated) and isinstance(read.scorer.base, ComplEx)
    found, expected = read.scorer.state_dict(), fit.best_weights()
    assert found.keys() == expected.keys() and all(torch.equal(found[name], value) for name, value in expected.items())
    assert {name for name, p in read.scorer.named_parameters() if not p.requires_grad} == {
        "base.table.weight",
        "base.diagonal.weight",
    }
    title = (tmp_path / "1" / "README.md").read_text().splitlines()[0]
    assert title == (
        "# gated(own=neighbourhood(dim=2, width=8, attention=performer(num_features=8)), base=complex(dim=2), "
        "frozen=True)"
    )


def test_what_a_generation_holds(model: Path) -> None:
    assert files_of(model / "1") == FILES
    assert set(json.loads((model / "1" / "manifest.json").read_text())["files"]) == {*FILES} - {"manifest.json"}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0], ids=["first", "middle", "last"])
def test_a_flipped_byte_is_an_error_that_names_the_file(model: Path, name: str, place: float) -> None:
    file = model / "1" / name
    content = bytearray(file.read_bytes())
    content[round(place * (len(content) - 1))] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=f"1/{name}"):
        Bundle.load(model, state=True)


def test_every_byte_of_the_manifest_counts(model: Path) -> None:
    file = model / "1" / "manifest.json"
    content = file.read_bytes()
    for place in range(0, len(content), 7):
        for bit in (1, 2, 32):
            flipped = bytearray(content)
            flipped[place] ^= bit
            file.write_bytes(flipped)
            with pytest.raises(UserError, match=r"1/manifest\.json"):
                Bundle.load(model)
    file.write_bytes(content)
    Bundle.load(model)


def test_what_is_not_read_is_not_looked_at(model: Path) -> None:
    """What training goes on with is the most of a model, and answers do not need it; kg verify looks at all."""
    (model / "1" / "state" / "tensors.safetensors").write_bytes(b"damaged")
    assert Bundle.load(model).state == {}
    with pytest.raises(UserError, match=r"state/tensors\.safetensors is damaged"):
        Bundle.load(model, state=True)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(model: Path, name: str) -> None:
    (model / "1" / name).unlink()
    with pytest.raises(UserError, match=f"1/{name}"):
        Bundle.load(model, state=True)


def test_no_model(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UserError, match="is no model"):
            Bundle.load(path)


def test_another_format_is_said(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "_READABLE", (1, 99))
    with pytest.raises(UserError, match="model format 2, this version reads 1 and 99"):
        Bundle.load(model)


def test_nothing_is_pickled(model: Path, fit: Descent, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError("a pickle")

    for module, name in ((torch, "load"), (torch, "save"), (pickle, "load"), (pickle, "loads"), (pickle, "dumps")):
        monkeypatch.setattr(module, name, refuse)
    save(model, fit, dataset)
    Bundle.load(model)
    assert {Path(name).suffix for name in files_of(model / "2")} == {".json", ".safetensors", ".md"}
    for name in FILES:
        with (model / "2" / name).open("rb") as file, pytest.raises(pickle.UnpicklingError):
            pickle.Unpickler(file).load()


# Written by someone else: checksums are right


NESTED = b"[" * 50_000 + b"]" * 50_000


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".json")])
@pytest.mark.parametrize("content", [NESTED, b"\x80\x04}q\x00.", b"[]", b"3", b"null", b"{}", b'{"a": NaN}'])
def test_json_that_no_training_wrote(model: Path, name: str, content: bytes) -> None:
    if name == "manifest.json":
        (model / "1" / name).write_bytes(content)
    else:
        replaced(model, name, content)
    if (name, content) == ("schema.json", b"{}"):
        assert Bundle.load(model, state=True).dataset.schema == Schema()
        return
    with pytest.raises(UserError, match=f"1/{name}") as caught:
        Bundle.load(model, state=True)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".safetensors")])
@pytest.mark.parametrize(
    "content", [b"", b"\x80\x04}q\x00.", b"\xff" * 8 + b"{", (10).to_bytes(8, "little") + b'{"a":{}}  ', b"PK\x03\x04"]
)
def test_bytes_named_safetensors(model: Path, name: str, content: bytes) -> None:
    replaced(model, name, content)
    with pytest.raises(UserError, match=f"1/{name} is no safetensors file: ") as caught:
        Bundle.load(model, state=True)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("part", "line"),
    [
        (torch.tensor([[0, 0, 3]]), "tails of train must hold numbers from 0 to 2: it holds 3 to 3"),
        (torch.tensor([[-1, 0, 2]]), "heads of train must hold numbers from 0 to 2"),
        (torch.tensor([[0, 2, 2]]), "relations of train must hold numbers from 0 to 1"),
        (torch.tensor([[0, 0, 2]]).int(), "train must be rows of three of int64"),
        (torch.tensor([0, 0, 2]), "train must be rows of three"),
        (torch.tensor([[0, 0]]), "train must be rows of three"),
    ],
)
def test_facts_that_are_none(model: Path, part: torch.Tensor, line: str) -> None:
    with_arrays(model, "dataset.safetensors", train=part)
    with pytest.raises(UserError, match=rf"1/dataset\.safetensors holds what no training wrote: {line}"):
        Bundle.load(model)


def test_names_that_are_none(model: Path) -> None:
    names = json.loads((model / "1" / "vocabulary.json").read_text())
    for entities in (["a", "a", "b"], ["a", "", "b"], ["a", "b\nc", "d"], ["a", 1, "b"], "abc", None, {"a": 1}):
        with_values(model, "vocabulary.json", entities=entities)
        with pytest.raises(UserError, match=r"1/vocabulary\.json holds what no training wrote"):
            Bundle.load(model)
    with_values(model, "vocabulary.json", **{**names, "entities": names["entities"][:2]})
    with pytest.raises(UserError, match=r"1/dataset\.safetensors"):
        Bundle.load(model)


@pytest.mark.parametrize(
    ("name", "value"),
    [("labels", {"a": 1}), ("labels", []), ("domain", {"a": "b"}), ("domain", {"a": [1]}), ("symmetric", {"a": "b"})],
)
def test_a_schema_that_is_none(model: Path, name: str, value: Any) -> None:
    with_values(model, "schema.json", **{name: value})
    with pytest.raises(UserError, match=rf"1/schema\.json holds what no training wrote: {name} must be"):
        Bundle.load(model)


@pytest.mark.parametrize("temperature", [0, -1.0, "1", True, 1e-300, 1e300, [1.0]])
def test_a_temperature_that_is_none(model: Path, temperature: Any) -> None:
    with_values(model, "calibration.json", temperature=temperature)
    with pytest.raises(UserError, match=r"1/calibration\.json holds what no training wrote: the temperature must be"):
        Bundle.load(model)


@pytest.mark.parametrize(
    "changed",
    [
        {"finished": 1},
        {"epochs": "2"},
        {"history": [{}]},
        {"history": [{"epoch": 1, "seconds": "long"}]},
        {"valid": {"mrr": "high"}},
        {"valid": {"hits_at_1": 1.0}},
        {"valid": [1]},
    ],
)
def test_metrics_that_are_none(model: Path, changed: dict[str, Any]) -> None:
    with_values(model, "metrics.json", **changed)
    with pytest.raises(UserError, match=r"1/metrics\.json holds what no training wrote"):
        Bundle.load(model)


def test_a_state_that_is_none(model: Path) -> None:
    for items in ([["scorer", {"tensor": "no"}]], [["scorer"]], [[{}, 1]], 3, [["a", {"float": "x"}]]):
        with_values(model, "state/state.json", items=items)
        with pytest.raises(UserError, match=r"1/state/state\.json holds what no training wrote"):
            Bundle.load(model, state=True)


@pytest.mark.parametrize(
    ("made", "line"),
    [
        ({"name": "rescal", "arguments": {"dim": 2}}, "model.safetensors holds what .* diagonal.weight is none of its"),
        ({"name": "complex", "arguments": {"dim": 3, "tied": True}}, r"table.weight must be \(3, 6\) of float32"),
        ({"name": "complex", "arguments": {"dim": 2}}, r"diagonal.weight must be \(4, 4\) of float32: it is \(2, 4\)"),
        ({"name": "conve", "arguments": {"dim": 3}}, "config.json holds what no training wrote: ConvE folds dim"),
        (
            {"name": "rgcn", "arguments": {"num_layers": 10**8}},
            "config.json holds .* num_layers must be a whole number",
        ),
        ({"name": "rescal", "arguments": {"dim": 2**31 - 1}}, "config.json holds .* overflow"),
        ({"name": "gated", "arguments": {}}, "config.json holds .* missing a required argument"),
        ({"name": "path_ranking", "arguments": {"num_paths": 2**31 - 1}}, "bias is missing"),
    ],
)
def test_a_scorer_that_the_weights_are_not_of(model: Path, made: dict[str, Any], line: str) -> None:
    with_values(model, "config.json", run={**RUN.to_json(), "scorer": made})
    with pytest.raises(UserError, match=line):
        Bundle.load(model)


def test_nothing_is_allocated_that_the_weights_are_not_of(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"name": "complex", "arguments": {"dim": 1 << 30}}  # 48 GiB
    with_values(model, "config.json", run={**RUN.to_json(), "scorer": made})
    real = torch.empty

    def empty(*shape: Any, **given: Any) -> torch.Tensor:
        made: torch.Tensor = real(*shape, **given)
        assert made.is_meta
        return made

    monkeypatch.setattr(torch, "empty", empty)
    with pytest.raises(UserError, match=r"must be \(3, 2147483648\) of float32: it is \(3, 4\)"):
        Bundle.load(model)


def test_to_load_draws_nothing(model: Path) -> None:
    before = torch.get_rng_state()
    Bundle.load(model)
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_are_no_longer_those_of_the_file(model: Path) -> None:
    read, file = Bundle.load(model), model / "1" / "model.safetensors"
    before = {name: value.clone() for name, value in read.scorer.state_dict().items()}
    with file.open("r+b") as content:
        content.truncate(0)  # what is mapped to memory would be gone, and the process with it
    assert all(torch.equal(value, before[name]) for name, value in read.scorer.state_dict().items())
    assert all(value.requires_grad for value in read.scorer.parameters())


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite(model: Path, number: float) -> None:
    weights = Bundle.load(model).scorer.state_dict()["table.weight"]
    weights[1, 2] = number
    with_arrays(model, "model.safetensors", table__weight=weights)
    with pytest.raises(
        UserError, match=r"1/model\.safetensors holds .* table.weight holds a number that is not finite"
    ):
        Bundle.load(model)


# Generations


def test_a_new_generation_carries_what_does_not_change(model: Path, fit: Descent, dataset: Dataset) -> None:
    save(model, fit, dataset, metrics={**METRICS, "epochs": 2})
    assert (model / "CURRENT").read_text() == "2\n"
    assert Bundle.load(model).metrics["epochs"] == 2
    same = {name for name in FILES if (model / "1" / name).samefile(model / "2" / name)}
    assert same == {"vocabulary.json", "schema.json", "dataset.safetensors", "index.safetensors"}


def test_a_save_that_fails_leaves_the_model(model: Path, fit: Descent, dataset: Dataset) -> None:
    with pytest.raises(ValueError, match="JSON"):
        save(model, fit, dataset, metrics={**METRICS, "epochs": float("nan")})
    assert Bundle.load(model).metrics == METRICS
    assert sorted(entry.name for entry in model.iterdir()) == ["1", "CURRENT", "LOCK"]


KILLED = """
import os, signal, sys
from pathlib import Path
from kg import bundle, generations, manifest
from kg.bundle import Bundle

module, name = {"generations": generations, "bundle": bundle, "manifest": manifest}[sys.argv[2]], sys.argv[3]
real = getattr(module, name)

def dying(*arguments, **named):
    real(*arguments, **named)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(module, name, dying)
read = Bundle.load(sys.argv[1], state=True)
bundle.save(
    sys.argv[1], dataset=read.dataset, run=read.run, weights=read.scorer.state_dict(), state=read.state,
    metrics={**read.metrics, "epochs": 2},
)
"""


@pytest.mark.parametrize(
    ("module", "name", "survivor"),
    [("bundle", "save_file", 1), ("manifest", "write_manifest", 1), ("generations", "_publish", 2)],
)
def test_killed_at_any_moment_a_whole_model_is_left(
    model: Path, fit: Descent, dataset: Dataset, module: str, name: str, survivor: int
) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(model), module, name])
    assert killed.returncode == -signal.SIGKILL
    assert Bundle.load(model).metrics["epochs"] == survivor
    save(model, fit, dataset, metrics={**METRICS, "epochs": 3})
    assert Bundle.load(model).metrics["epochs"] == 3
    assert not list(model.glob("*.draft"))
