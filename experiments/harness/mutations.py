"""Models with one thing changed, their checksums right again, and what comes of asking them.

A mutation changes one array of a safetensors file (a number out of range, NaN, another dtype or shape ...), one value
of a JSON file (another type, a huge number, deep nesting, or nothing), or the bytes of a file. What asks such a model
gets a UserError that names a file of it, or well-formed answers: anything else is a finding.
"""

import copy
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor
from torch.optim import Adam

from kg import bundle, generations
from kg.bundle import Bundle
from kg.errors import UserError
from kg.evaluation.ranking import evaluate
from kg.graph.dataset import Dataset
from kg.graph.vocabulary import Vocabulary
from kg.manifest import write_manifest
from kg.models.are import ARE
from kg.models.combined import Combined
from kg.models.complex import ComplEx
from kg.models.neighbourhood import NeighbourhoodTransformer
from kg.models.path_ranking import PathRanking
from kg.models.rules import RuleScorer
from kg.probability.calibration import calibration_of
from kg.probability.fitting import calibrate
from kg.query.candidates.candidate import Candidates
from kg.query.knowledge import Knowledge
from kg.query.predictor import Predictor
from kg.training.algorithms.additive import Additive
from kg.training.algorithms.mining import Mining
from kg.training.algorithms.path_regression import PathRegression
from kg.training.ensembles.stacking import Stacking
from kg.training.gradient_descent import GradientDescent
from kg.training.run import Run
from kg.training.train import run_of, train, trainer_of

KINDS = ("rules", "complex", "neighbourhood", "are", "path_ranking", "combine")
FILES = (".json", ".safetensors", "state/", "model format")  # one of which is in an error that names a file
NUM_ENTITIES, NUM_RELATIONS = 20, 3


def small_dataset(seed: int = 0) -> Dataset:
    """20 entities, 3 relations: a ring, its steps of two, and a relation to a few."""
    drawn = random.Random(seed)
    every = [(i, 0, (i + 1) % NUM_ENTITIES) for i in range(NUM_ENTITIES)]
    every += [(i, 1, (i + 2) % NUM_ENTITIES) for i in range(NUM_ENTITIES)]
    every += [(i, 2, i % 3) for i in range(NUM_ENTITIES) if i % 3 != i]
    drawn.shuffle(every)
    facts = torch.tensor(every)
    names = Vocabulary([f"e{i}" for i in range(NUM_ENTITIES)], [f"r{i}" for i in range(NUM_RELATIONS)])
    return Dataset(facts[16:], facts[:8], facts[8:16], names, source="ring")


def make_models(folder: Path) -> dict[str, Path]:
    """A small trained and calibrated model of each of KINDS."""
    data = small_dataset()
    descent = GradientDescent(partial(Adam, lr=0.05), batch_size=16, epochs=2, valid_every=1, hide="exact")
    runs = {
        "rules": Run(partial(RuleScorer), Mining(max_length=2)),
        "complex": Run(partial(ComplEx, dim=2), descent),
        "neighbourhood": Run(partial(NeighbourhoodTransformer, dim=2, width=8, num_heads=2, num_layers=1), descent),
        "are": Run(partial(ARE, dim=2, num_paths=3, max_length=2), Additive(descent)),
        "path_ranking": Run(partial(PathRanking, num_paths=3, max_length=2), PathRegression()),
        "combine": Run(
            partial(Combined, parts=[partial(ComplEx, dim=2), partial(RuleScorer)]),
            Stacking((str(folder / "complex"), str(folder / "rules"))),
        ),
    }
    return {kind: calibrate(train(data, runs[kind], folder / kind)).path for kind in KINDS}


@dataclass(frozen=True)
class Mutation:
    """The new content of a file of a model, whose checksums are then right again."""

    file: str
    what: str
    content: Callable[[], bytes]

    def apply(self, model: Path) -> None:
        folder = generations.current(model)
        content = self.content()
        (folder / self.file).unlink()
        (folder / self.file).write_bytes(content)
        manifest = json.loads((folder / "manifest.json").read_bytes())
        if isinstance(manifest, dict):
            (folder / "manifest.json").unlink()
            write_manifest(folder, {k: v for k, v in manifest.items() if k not in ("files", "sha256")})


def drawn(model: Path, number: int, seed: int) -> list[Mutation]:
    """So many of a model: of each file in turn, so that no large one drives out the others."""
    by_file: dict[str, list[Mutation]] = {}
    for each in mutations(model):
        by_file.setdefault(each.file, []).append(each)
    for each in by_file.values():
        random.Random(seed).shuffle(each)
    turns = (each for turn in zip_longest(*by_file.values()) for each in turn if each)
    return list(islice(turns, number))


def mutations(model: Path) -> list[Mutation]:
    """All of a model, in one order."""
    folder, found = generations.current(model), []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".safetensors":
            found += _of_arrays(name, path.read_bytes())
        elif path.suffix == ".json":
            found += _of_json(name, path.read_bytes())
        if path.suffix in (".safetensors", ".json") and name != "manifest.json":
            found += _of_bytes(name, path.read_bytes())
    return found


def _of_bytes(name: str, content: bytes) -> Iterator[Mutation]:
    for what, changed in (
        ("nothing", b""),
        ("a pickle", b"\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00\x8c\x08builtins\x94."),
        ("its first half", content[: len(content) // 2]),
        ("zeros", bytes(len(content))),
        ("a huge header", b"\xff" * 7 + b"\x7f" + content),
        ("deep nesting", b"[" * 100_000 + b"]" * 100_000),
    ):
        yield Mutation(name, what, lambda changed=changed: changed)


def _of_arrays(name: str, content: bytes) -> Iterator[Mutation]:
    arrays = load(content)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    saved = partial(save, metadata=header.get("__metadata__"))
    for key, array in arrays.items():
        for what, changed in _changed(array):
            yield Mutation(name, f"{key}: {what}", lambda key=key, x=changed: saved(arrays | {key: x.contiguous()}))
        without = {other: x for other, x in arrays.items() if other != key}
        yield Mutation(name, f"{key}: missing", lambda without=without: saved(without))
    yield Mutation(name, "another array", lambda: saved(arrays | {"another": torch.zeros(2)}))


def _changed(array: Tensor) -> Iterator[tuple[str, Tensor]]:
    """The array with one number at a place that its own numbers decide, or with another dtype or shape."""
    dtypes = {torch.float32, torch.float64, torch.int64, torch.int32, torch.bool} - {array.dtype}
    yield from ((f"as {dtype}", array.to(dtype)) for dtype in sorted(dtypes, key=str))
    yield "an axis more", array[..., None]
    if array.ndim:
        yield from (("empty", array[:0]), ("a row less", array[:-1]), ("a row more", torch.cat([array, array[-1:]])))
        yield "flat", array.reshape(-1)
    if array.ndim > 1:
        yield from (("transposed", array.transpose(0, 1)), ("a column less", array[:, :-1]))
    if array.is_floating_point():
        numbers: list[Any] = [torch.nan, torch.inf, -torch.inf]
        yield from (("zeros", torch.zeros_like(array)), ("negated", -array))
    elif array.dtype == torch.bool:
        numbers = []
    else:
        ends = [NUM_ENTITIES, NUM_RELATIONS, 2 * NUM_RELATIONS]
        numbers = [-1, -2, -5000, 2_000_000_000, -(2**31), *(end - 1 for end in ends), *ends, 2**31 - 1]
        numbers += [2**40, -(2**62), 2**63 - 1] if array.dtype == torch.int64 else []
        kind = torch.iinfo(array.dtype)
        numbers = [each for each in numbers if kind.min <= each <= kind.max]
    if array.numel():
        for number in numbers:
            for place in sorted({0, array.numel() // 2, array.numel() - 1, *range(min(4, array.numel()))}):
                changed = array.clone()
                changed.view(-1)[place] = number
                yield f"{number} at {place}", changed
            yield f"{number} throughout", torch.full_like(array, number)


_VALUES: tuple[Any, ...] = (
    *("\ud800", None, True, "text", "", 0, -1, 3, 1.5, 1e300, 10**30, [], [1], {}, {"a": 1}, "a\nb"),
    [[["deep"]]],
)


def _of_json(name: str, content: bytes) -> Iterator[Mutation]:
    whole = json.loads(content)
    deep = b"[" * 20_000 + b"]" * 20_000
    for path in _paths(whole):
        if name == "manifest.json" and (not path or path[0] in ("files", "crc32", "sha256")):
            continue  # these are written anew
        for value in _VALUES[name == "manifest.json" :]:
            yield Mutation(name, f"{_called(path)}: {value!r:.20}", lambda p=path, v=value: _dumped(_with(whole, p, v)))
        if path:
            yield Mutation(name, f"{_called(path)}: missing", lambda p=path: _dumped(_without(whole, p)))
        if path and name != "manifest.json":
            marked = partial(_with, whole, path, "@")
            yield Mutation(name, f"{_called(path)}: deep", lambda x=marked: _dumped(x()).replace(b'"@"', deep))


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The value itself, and all within it; of a list the first, the second and the last."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from _paths(value[key], (*path, key))
    elif isinstance(value, list):
        for i in sorted({0, 1, len(value) - 1} & {*range(len(value))}):
            yield from _paths(value[i], (*path, i))


def _called(path: tuple[Any, ...]) -> str:
    return ".".join(map(str, path)) or "all of it"


def _with(whole: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    made = copy.deepcopy(whole)
    _within(made, path)[path[-1]] = value
    return made


def _without(whole: Any, path: tuple[Any, ...]) -> Any:
    made = copy.deepcopy(whole)
    del _within(made, path)[path[-1]]
    return made


def _within(made: Any, path: tuple[Any, ...]) -> Any:
    for key in path[:-1]:
        made = made[key]
    return made


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


def outcome(model: Path) -> str:
    """`refused`: a UserError in one line that names a file. `answered`: all answers are well-formed. Else an
    AssertionError, or what was raised."""
    try:
        use(model)
    except UserError as error:
        line = str(error)
        assert line.isprintable() and any(name in line for name in FILES), f"names no file: {line}"
        return "refused"
    return "answered"


def use(model: Path) -> None:
    """Ask, rank, explain and complete; and read what a resume needs."""
    read = Bundle.load(model, state=True)
    calibration_of(read)
    data, predictor = read.dataset, Predictor(read, Knowledge.of_model(read))
    head, tail = data.vocabulary.entities[0], data.vocabulary.entities[-1]
    relation = data.vocabulary.relations[0]
    for found in (
        predictor.tails(head, relation, 5),
        predictor.heads(relation, tail, 5),
        predictor.relations(head, tail, 2),
        predictor.complete(5, types="off"),
    ):
        _check(found)
    predictor.explain(head, relation, tail, 2)
    for part in ("valid", "test"):
        if len(data.part(part)):
            metrics = evaluate(read.scorer, data, part, temperature=read.temperature).metrics()
            assert 0 < metrics.mrr <= 1 and metrics.perplexity >= 0.9, metrics
    if read.manifest["format"] == bundle.FORMAT and len(data.valid):
        trainer_of(read, run_of(read))


def _check(found: Candidates) -> None:
    for each in found:
        assert abs(each.score) <= 3.5e38, each  # what has no vector scores the lowest number
        assert each.probability is None or 0 <= each.probability <= 1 + 1e-6, each
