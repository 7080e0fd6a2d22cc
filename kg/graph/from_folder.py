"""A dataset from a folder of files: train, valid and test, as the benchmarks come."""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from kg.columns import Columns
from kg.errors import UserError
from kg.files import COMPRESSIONS, chunks
from kg.graph.dataset import PARTS, Dataset
from kg.graph.schema import Schema
from kg.graph.vocabulary import Vocabulary
from kg.progress import SILENT, Progress


def dataset_from_folder(path: Path | str, progress: Progress = SILENT) -> Dataset:
    """train, valid and test as .tsv or .txt (plain, .gz, .bz2, .xz or .zst): tab-separated head, relation, tail.

    valid and test may be missing. Entities that only valid or test has stay: they count, and are ranked. Labels are
    read from entity_labels and relation_labels where these files lie beside them (name, label, ...). A part may begin
    with a header that names the columns (kg/columns.py); progress is told of one.

    Raises UserError with file and line where a line has not three columns.
    """
    folder = Path(path)
    parts = {name: _part_file(folder, name) for name in PARTS}
    if parts["train"] is None:
        raise UserError(f"{folder}: no train.tsv or train.txt (or .gz) here, and no store either")
    entity_ids: dict[str, int] = {}
    relation_ids: dict[str, int] = {}
    ids = {name: _ids(_lines(file, progress) if file else (), entity_ids, relation_ids) for name, file in parts.items()}
    if not len(ids["train"]):
        raise UserError(f"{parts['train']}: the file is empty")
    vocabulary = Vocabulary(entity_ids, relation_ids)
    labels = {**_label_file(folder, "entity_labels"), **_label_file(folder, "relation_labels")}
    train, valid, test = (torch.from_numpy(ids[name]) for name in PARTS)
    return Dataset(train, valid, test, vocabulary, Schema(labels=labels), str(folder.resolve()))


def facts_named(vocabulary: Vocabulary, folder: Path, name: str) -> Int[Tensor, "T 3"]:
    """The distinct facts of a file of this name, read as a part is, as ids of this vocabulary.

    UserError where there is no such file, or it names what the vocabulary lacks.
    """
    file = _part_file(folder, name)
    if file is None:
        raise UserError(f"{folder}: no {name}.tsv or {name}.txt (or .gz) here")
    entities, relations = vocabulary.entity_ids, vocabulary.relation_ids
    rows: dict[tuple[int, int, int], None] = {}
    for head, relation, tail in _lines(file, SILENT):
        for term, ids in ((head, entities), (relation, relations), (tail, entities)):
            if term not in ids:
                raise UserError(f"{file}: {term} is not among the names that the model knows")
        rows[entities[head], relations[relation], entities[tail]] = None
    return torch.tensor(list(rows), dtype=torch.long).reshape(-1, 3)


def _part_file(folder: Path, name: str) -> Path | None:
    for suffix in (".tsv", ".txt"):
        for packed in ("", *COMPRESSIONS):
            file = folder / f"{name}{suffix}{packed}"
            if file.is_file():
                return file
    return None


def _rows(file: Path) -> Iterator[tuple[int, list[str]]]:
    """(line number, cells) of every line that is not blank."""
    for number, line in enumerate(b"".join(chunks(file)).split(b"\n"), 1):
        try:
            text = line.decode().rstrip("\r")
        except UnicodeDecodeError as error:
            raise UserError(f"{file}:{number}: not UTF-8: {error.reason}") from None
        if text:
            yield number, text.split("\t")


def _lines(file: Path, progress: Progress) -> Iterator[tuple[str, str, str]]:
    """The facts of a part. A header (kg/columns.py) is none, and said to the progress."""
    rows = _rows(file)
    first = next(rows, None)
    if first is None:
        return
    line, cells = first
    try:
        columns = Columns.of(cells)
        if columns.heading:
            progress.note(f"{file}:{line}: {columns.described()}")
        for number, cells in rows if columns.heading else chain([first], rows):
            line = number
            columns.check(cells, "\t")
            head, relation, tail = (cells[place] for place in columns.places)
            if not (head and relation and tail):
                raise ValueError("expected head, relation and tail; got an empty cell")
            yield head, relation, tail
    except ValueError as error:
        raise UserError(f"{file}:{line}: {error}") from None


def _ids(
    lines: Iterable[tuple[str, str, str]], entity_ids: dict[str, int], relation_ids: dict[str, int]
) -> Int[np.ndarray, "T 3"]:
    """Distinct facts in order of their first line; names get the next free id."""
    rows = dict.fromkeys(
        (
            entity_ids.setdefault(head, len(entity_ids)),
            relation_ids.setdefault(relation, len(relation_ids)),
            entity_ids.setdefault(tail, len(entity_ids)),
        )
        for head, relation, tail in lines
    )
    return np.array(list(rows), dtype=np.int64).reshape(-1, 3)


def _label_file(folder: Path, name: str) -> dict[str, str]:
    file = _part_file(folder, name)
    return {cells[0]: cells[1] for _, cells in _rows(file) if len(cells) > 1} if file else {}
