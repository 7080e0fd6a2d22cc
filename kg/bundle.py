"""A trained model on disk: everything needed to evaluate it, go on training it, and ask it, and nothing pickled."""

import json
import math
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

import kg
from kg import generations
from kg.belief import (
    believing,
    check_metrics,
    check_run,
    check_temperature,
    checked_shares,
    metadata_of,
    not_believed,
    tensors_of,
    texts,
)
from kg.card import card
from kg.errors import UserError, one_line, visible
from kg.graph.dataset import PARTS, Dataset, StoreState, check_facts
from kg.graph.index import Index, arrays_of
from kg.graph.schema import Schema
from kg.graph.vocabulary import Vocabulary
from kg.manifest import MANIFEST, first_damage, manifest_sha256, read_manifest, sha256
from kg.models import from_description
from kg.models.declaration import declared
from kg.models.scorer import Scorer

FORMAT = 2
_READABLE = (1, 2)  # 1: its run is of another form, which nothing reads but for its scorer and its seed
_HELD = ("matrix", "matrices")  # weights that stood in a scorer itself in format 1: now in RelationWeights
CALIBRATION = "calibration.json"
_STATE = "state/"
_SOURCES = ("vocabulary.json", "schema.json", "dataset.safetensors")  # the same in every generation of a training ...
_INDEX = "index.safetensors"  # ... and what follows from them; models of kg 0.3 and older have none


@dataclass(frozen=True, eq=False)
class Bundle:
    """A model folder, read.

    run: the Run that trained it, as JSON. temperature: what scores are divided by before the softmax (None: not
    fitted). calibration: from scores to probabilities, as JSON that kg.probability.calibration reads (None: there were
    no valid facts, or it was not fitted yet: `kg calibrate` fits it). metrics: figures on valid, and the course of
    training. state: what resuming needs; {} where that was not read.
    """

    path: Path
    scorer: Scorer
    dataset: Dataset
    run: dict[str, Any]
    temperature: float | None
    metrics: dict[str, Any]
    state: dict[str, Any]
    manifest: dict[str, Any]
    calibration: dict[str, Any] | None = None

    @classmethod
    def load(cls, path: Path | str, device: torch.device | str = "cpu", *, state: bool = False) -> "Bundle":
        """The published generation of a model folder. state: with what a training goes on with, which is larger than
        all the rest.

        UserError if this is no model, a file is damaged (it is named; of those that are read), or another version of
        the format wrote it.
        """
        root = Path(path)
        with generations.Reader(root, noun="model") as reader:
            manifest = read_manifest(reader.path)
            names = (name for name in manifest["files"] if state or not name.startswith(_STATE))
            if line := first_damage(reader.path, manifest, names):
                raise UserError(line)
            if "config.json" not in manifest["files"]:
                raise UserError(f"{root} is no model: it holds no config.json")
            if manifest.get("format") not in _READABLE:
                readable = " and ".join(map(str, _READABLE))
                raise UserError(
                    f"{root}: model format {one_line(str(manifest.get('format')))[:80]}, this version reads {readable}"
                )
            return cls._read(root, reader.path, manifest, torch.device(device), state)

    @classmethod
    def _read(
        cls, root: Path, folder: Path, manifest: dict[str, Any], device: torch.device, with_state: bool
    ) -> "Bundle":
        """Nothing is believed that was not checked: a sha256 tells damage, not who wrote the file."""
        dataset = _dataset(folder, manifest)
        with believing(folder / "config.json") as config:
            run = config["run"]
            check_run(run, manifest["format"])
            bare = declared(from_description(run["scorer"]), dataset.num_entities, dataset.num_relations)
        scorer = _with_weights(bare, folder / "model.safetensors", manifest["format"], device)
        with believing(folder / CALIBRATION) as calibration:
            temperature, probability = calibration["temperature"], calibration.get("probability")
            check_temperature(temperature)
            if not isinstance(probability, dict | None):
                raise ValueError(f"expected a calibration: got {one_line(str(probability))[:80]}")
        with believing(folder / "metrics.json") as metrics:
            check_metrics(metrics)
        state = _state(folder) if with_state else {}
        return cls(root, scorer.eval(), dataset, run, temperature, metrics, state, manifest, probability)

    @classmethod
    def load_for(cls, dataset: Dataset, path: Path | str, what: str) -> "Bundle":
        """A model to be `what` of another, its base or a part: UserError where it was trained on other facts."""
        trained = cls.load(path)
        if trained.dataset.digest() != dataset.digest():
            raise UserError(f"{path} was trained on other facts: it cannot be the {what} here")
        return trained

    def start(self, scorer: Scorer, what: str) -> None:
        """Give a scorer, `what` of another, the weights of this one; UserError where it is declared otherwise."""
        declared = f"{self.path} is not what the {what} is declared as"
        if type(self.scorer) is not type(scorer):  # whose weights may be of the same shapes
            raise UserError(f"{declared}: {type(self.scorer).__name__}, not {type(scorer).__name__}")
        try:
            scorer.load_state_dict(self.scorer.state_dict())
        except RuntimeError as error:
            raise UserError(f"{declared}: {' '.join(str(error).split())}") from error

    def store(self) -> Path:
        """Where the store lies that it was trained on: as it lay from the model's folder then, if the store that is
        there has the identity that was recorded. No other path is followed: a copied model does not reach into a store
        that it has left behind. UserError where there is none such."""
        recorded = self.manifest.get("store")
        if recorded is None:
            raise UserError(f"{self.path} was not trained on a store that has an identity")
        found: Path = (self.path.resolve() / recorded["path"]).resolve()
        if Path(recorded["path"]).is_absolute():
            raise UserError(f"{self.path} names its store by the absolute path {found}, which is not followed")
        try:
            identity = read_manifest(generations.current(found)).get("id")
        except UserError as error:
            raise UserError(f"what {self.path} was trained on is not where it was: {error}") from None
        if identity != recorded["id"]:
            raise UserError(f"{found} is not the store that {self.path} was trained on")
        return found

    @property
    def sha256(self) -> str:
        """Of its manifest, which lists the sha256 of every file: the same for two copies of a model only."""
        return manifest_sha256(self.manifest)


def exists(path: Path | str) -> bool:
    """Whether a model has been saved here. UserError where something else lies, and none could be."""
    generations.check_root(Path(path), noun="model")
    return generations.is_begun(Path(path))


def save(
    path: Path | str,
    *,
    dataset: Dataset,
    run: dict[str, Any],
    weights: Mapping[str, Tensor],
    state: dict[str, Any],
    metrics: dict[str, Any],
    temperature: float | None = None,
) -> None:
    """Write the next generation of a model folder, whole or not at all.

    weights: the scorer's parameters to answer with; state: tensors and plain values to resume with. It gives no
    probabilities until `save_calibration`.
    """
    with generations.write(Path(path), noun="model") as draft:
        folder = draft.path
        files = draft.before.get("files", {})
        for name in (*_SOURCES, _INDEX) if draft.previous else ():
            if name != _INDEX or name in files:
                draft.carry(name)
        if not draft.previous:
            _save_dataset(folder, dataset)
        if _INDEX not in files:
            _save_index(folder, dataset)
        _save_tensors(_contiguous(weights), folder / "model.safetensors")
        (folder / "state").mkdir()
        tensors: dict[str, Tensor] = {}
        _write_json(folder / "state" / "state.json", _split(state, "", tensors))
        _save_tensors(_contiguous(tensors), folder / "state" / "tensors.safetensors")
        _write_json(folder / "config.json", {"run": run})
        _save_calibration(folder, temperature, None)
        _write_json(folder / "metrics.json", metrics)
        (folder / "README.md").write_text(card(dataset, run, metrics, kg.__version__), encoding="utf-8")
        store = draft.before["store"] if "store" in draft.before else _store_of(dataset, Path(path))
        draft.finish({**_provenance(dataset), "store": store, "seed": run["seed"]})


def save_calibration(bundle: Bundle, calibration: dict[str, Any]) -> None:
    """Write the next generation of a model's folder: as it is, its format too, but for its calibration.

    UserError where the folder holds another generation by now: the calibration is of other weights.
    """
    with generations.write(bundle.path, noun="model") as draft:
        before = draft.before
        if before != bundle.manifest:
            raise UserError(f"{bundle.path} has changed since it was read: calibrate it again")
        for name in before["files"]:
            if name != CALIBRATION:
                draft.carry(name)
        _save_calibration(draft.path, bundle.temperature, calibration)
        written = datetime.now(UTC).isoformat(timespec="seconds")
        draft.finish({**before, "written": written})


def _save_calibration(folder: Path, temperature: float | None, calibration: dict[str, Any] | None) -> None:
    _write_json(folder / CALIBRATION, {"temperature": temperature, "probability": calibration})


def _save_dataset(folder: Path, dataset: Dataset) -> None:
    names = {"entities": tuple(dataset.vocabulary.entities), "relations": dataset.vocabulary.relations}
    _write_json(folder / "vocabulary.json", names)
    _write_json(folder / "schema.json", dataset.schema.to_json())
    _save_tensors({name: dataset.part(name).contiguous() for name in PARTS}, folder / "dataset.safetensors")


def _save_index(folder: Path, dataset: Dataset) -> None:
    facts = torch.cat([dataset.part(name) for name in PARTS])
    of = {name: sha256(folder / name) for name in _SOURCES}
    _save_tensors(arrays_of(dataset.vocabulary, dataset.schema, facts), folder / _INDEX, of)


def _index(folder: Path, files: Mapping[str, str]) -> Index | None:
    """None where there is none, or it is of other files than those that lie beside it."""
    if _INDEX not in files or metadata_of(folder / _INDEX) != {name: files.get(name) for name in _SOURCES}:
        return None
    try:
        return Index.of_arrays(tensors_of(folder / _INDEX))
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise not_believed(folder / _INDEX, error) from None


def _provenance(dataset: Dataset) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "source": visible(dataset.source),  # JSON holds no name of a file that is not UTF-8
        "generation": dataset.generation,
        "graphs": dataset.graphs,
        "restrictions": dataset.restrictions,
        "named": dataset.named,
        "shares": dataset.shares,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        **environment(),
    }


def _store_of(dataset: Dataset, root: Path) -> dict[str, Any] | None:
    """The store that a dataset was read from, by its identity and by where it lies from the model's folder, and what it
    then held. None: it was read from no store, or from one that has no identity."""
    if dataset.store_id is None:
        return None
    state = {} if dataset.store_state is None else asdict(dataset.store_state)
    return {"id": dataset.store_id, "path": os.path.relpath(dataset.source, root.resolve()), **state}


def environment() -> dict[str, Any]:
    """What a training's last bits depend on."""
    return {
        "kg": kg.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def _dataset(folder: Path, manifest: dict[str, Any]) -> Dataset:
    """UserError where facts, names or what is said of them are not of one another."""
    index = _index(folder, manifest["files"])
    if index is not None:
        vocabulary, schema = index.vocabulary, index.schema
    else:
        with believing(folder / "vocabulary.json") as names:
            vocabulary = Vocabulary(texts(names["entities"]), texts(names["relations"]))
        with believing(folder / "schema.json") as stored:
            schema = Schema.from_json(stored)
    with believing(folder / MANIFEST):
        source, generation, graphs = manifest["source"], manifest["generation"], manifest.get("graphs")
        if not isinstance(source, str) or not isinstance(generation, int | None):
            raise ValueError(f"expected a path and the number of a generation: got {source!r} and {generation!r}")
        of_graphs = None if graphs is None else tuple(texts(graphs))
        named = tuple(texts(manifest.get("named", [])))
        shares = checked_shares(manifest.get("shares"))
        store = manifest.get("store")
        store_id = None if store is None else texts([store["id"], store["path"]])[0]
        state = None
        if store is not None and "sha256" in store:
            sha, language = texts([store["sha256"], store["language"]])
            if not isinstance(store["left_out"], int):
                raise ValueError(f"expected a number of facts: got {one_line(str(store['left_out']))[:80]}")
            state = StoreState(sha, language, store["left_out"])
    file = folder / "dataset.safetensors"
    parts = tensors_of(file)
    try:
        for name in PARTS:
            check_facts(name, parts[name], vocabulary)
    except (KeyError, ValueError) as error:
        raise not_believed(file, error) from None
    train, valid, test = (parts[name] for name in PARTS)
    restrictions = manifest.get("restrictions") is True
    return Dataset(
        *(train, valid, test, vocabulary, schema, source, generation, of_graphs, restrictions, store_id, named, shares),
        store_state=state,
        index=index,
    )


def _state(folder: Path) -> dict[str, Any]:
    tensors = tensors_of(folder / "state" / "tensors.safetensors")
    with believing(folder / "state" / "state.json") as parted:
        state = _joined(parted, tensors)
        if not isinstance(state, dict):
            raise ValueError(f"expected what a training goes on with: got {one_line(str(state))[:80]}")
    return state


def _with_weights(bare: Scorer, file: Path, format: int, device: torch.device) -> Scorer:
    """The scorer that was declared, with a file's arrays: before anything is allocated they are compared with what
    it declares, and before anything is computed with them they are looked through.

    They are copied: those of the file change with it.
    """
    weights = tensors_of(file)
    weights = _renamed(weights) if format == 1 else weights
    try:
        bare.check_fit(weights)
        bare.load_state_dict({name: value.to(device, copy=True) for name, value in weights.items()}, assign=True)
        bare.check()
    except ValueError as error:
        raise not_believed(file, error) from None
    return bare


def _save_tensors(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    try:
        save_file(tensors, path, metadata)
    except SafetensorError as error:
        if "I/O error" not in str(error):
            raise
        raise OSError(str(error)) from None  # of which it says no number


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def _renamed(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of format 1 under the names that scorers give them now."""
    return {f"{name}.weight" if name.split(".")[-1] in _HELD else name: value for name, value in weights.items()}


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _split(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """The value as JSON, its tensors put aside under the path at which they stood."""
    if isinstance(value, Tensor):
        # Two names of one storage cannot be saved, and a 0-dimensional step counter is a tensor like any other.
        tensors[name] = value.detach().clone()
        return {"tensor": name}
    if isinstance(value, dict):  # pairs, since an optimizer's keys are integers
        return {"items": [[key, _split(item, f"{name}.{key}", tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [_split(item, f"{name}.{i}", tensors) for i, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):  # JSON has no infinity
        return {"float": str(value)}
    return value


def _joined(value: Any, tensors: dict[str, Tensor]) -> Any:
    """What `_split` took apart; tuples come back as lists."""
    if isinstance(value, dict):
        if "tensor" in value:
            return tensors[value["tensor"]]
        if "float" in value:
            return float(value["float"])
        return {key: _joined(item, tensors) for key, item in value["items"]}
    if isinstance(value, list):
        return [_joined(item, tensors) for item in value]
    return value
