"""Candidates as files, out and in: TSV, JSON lines, and RDF in every syntax of kg.store.syntaxes."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyoxigraph import DefaultGraph, NamedNode, Quad

from kg.errors import UserError, one_line
from kg.files import COMPRESSIONS, suffix_of, write_lines
from kg.namespaces import PREDICTIONS
from kg.progress import Progress
from kg.query.candidates.annotations import PREFIXES, Origin, annotations, read_annotations
from kg.query.candidates.candidate import Candidate, Candidates
from kg.store import sandbox
from kg.store.content import blocks, check_utf8
from kg.store.guard import Refused
from kg.store.reading import read
from kg.store.syntaxes import SYNTAXES, syntax_of
from kg.store.writing import write

COLUMNS = ("subject", "predicate", "object", "probability", "score", "rank", "known")  # of TSV; then note, if any
_TABLES = (".tsv", ".jsonl")
_RDF = tuple(  # .json may be a list of anything
    suffix for syntax in SYNTAXES.values() if syntax.literals for suffix in syntax.suffixes if suffix != ".json"
)


def write_candidates(
    candidates: Candidates,
    path: str | Path,
    run: Origin,
    rdf11: bool = False,
    evidence: Mapping[tuple[str, str, str], int] | None = None,
) -> None:
    """Write candidates in what the suffix says, compressed where one more says so, whole or not at all.

    .tsv: COLUMNS under a heading. .jsonl: the same, an object a line. The rest is RDF, which annotates the facts
    without stating them (kg.query.candidates.annotations): with RDF 1.2 reifiers, or `rdf11` with rdf:Statement. In
    syntaxes with named graphs all of it is in PREDICTIONS, so that a store takes none of it for something to learn; the
    others have no graph, and `kg load --graph urn:kg:predictions` gives them that.

    evidence: for RDF, how many things speak for a fact. UserError: an unknown suffix, a syntax without triple terms
    (JSON-LD, N3) unless `rdf11`, a term or text that the file cannot hold, or no place to write.
    """
    out = Path(path)
    suffix = check_writable(out, rdf11)
    if suffix in _TABLES:
        write_lines(out, _tsv(candidates, out) if suffix == ".tsv" else _jsonl(candidates))
        return
    syntax = syntax_of(out)
    graph = NamedNode(PREDICTIONS) if syntax.graphs else DefaultGraph()
    said = annotations(candidates, run, rdf11, evidence)
    write((Quad(each.subject, each.predicate, each.object, graph) for each in said), out, prefixes=PREFIXES)


def check_writable(path: Path, rdf11: bool = False) -> str:
    """The suffix. UserError where candidates cannot be written so, or there: now, not after the search for them."""
    suffix = _suffix(path)
    if suffix in _TABLES:
        if rdf11:
            raise UserError(f"{path}: RDF 1.1 was asked for, and {suffix} is no RDF: expected one of {' '.join(_RDF)}")
    elif not syntax_of(path).triple_terms and not rdf11:
        name = syntax_of(path).name
        raise UserError(f"{path}: {name} has no RDF 1.2 reifiers: ask for RDF 1.1, or for .trig or .nq")
    if not path.parent.is_dir():
        raise UserError(f"{path}: no directory {path.parent}")
    return suffix


def is_rdf(path: Path) -> bool:
    """Whether candidates are written there as RDF. UserError where its suffix says nothing."""
    return _suffix(path) not in _TABLES


def read_candidates(path: str | Path) -> Candidates:
    """What write_candidates wrote, or another hand, in either way of reification. Labels are not in files.

    UserError: an unknown suffix, or what is wrong with the file, with the line where there is one.
    """
    return read_with_origin(path)[0]


def read_with_origin(path: str | Path) -> tuple[Candidates, Origin | None]:
    """The same, and the run that RDF tells of."""
    file = Path(path)
    suffix = _suffix(file)
    if suffix not in _TABLES:
        return _read_rdf(file)
    try:
        rows = _lines(file)
        return Candidates(tuple(_of_tsv(rows) if suffix == ".tsv" else _of_jsonl(rows))), None
    except Refused as refused:
        raise UserError(f"{file}:{refused.line}: {one_line(refused.reason)}") from None


def _suffix(path: Path) -> str:
    suffix, known = suffix_of(path), (*_TABLES, *_RDF)
    if suffix not in known:
        raise UserError(
            f"{path}: the suffix says no way to write candidates: expected {' '.join(known)}, each also with "
            f"{' '.join(COMPRESSIONS)}"
        )
    return suffix


# Out


def _tsv(candidates: Candidates, out: Path) -> Iterator[str]:
    columns = (*COLUMNS, "note") if any(each.note for each in candidates) else COLUMNS
    yield "\t".join(columns)
    for each in candidates:
        cells = [_cell(getattr(each, name)) for name in columns]
        if any(mark in cell for cell in cells for mark in "\t\n\r"):
            raise UserError(f"{out}: a tab or a line break in candidate {one_line(str(cells))}: write .jsonl or RDF")
        yield "\t".join(cells)


def _cell(value: str | float | bool | None) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)  # repr: the number itself comes back


def _jsonl(candidates: Candidates) -> Iterator[str]:
    for each in candidates:
        row = {name: getattr(each, name) for name in COLUMNS} | ({} if each.note is None else {"note": each.note})
        yield json.dumps(row, ensure_ascii=False, allow_nan=False)
    if not candidates:
        yield ""  # none is not the same as an empty file, which may be half of one


# In


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """(number, text) of each line, without its end. Refused: one is longer than a parser takes, or not UTF-8."""
    for block in blocks(file):
        check_utf8(block)
        lines = block.data.decode().removesuffix("\n").split("\n")
        yield from ((number, line.removesuffix("\r")) for number, line in enumerate(lines, block.line))


def _of_tsv(lines: Iterator[tuple[int, str]]) -> Iterator[Candidate]:
    number, heading = next(lines)
    columns = heading.split("\t")
    if sorted(columns) not in (sorted(COLUMNS), sorted((*COLUMNS, "note"))):
        raise Refused(f"expected the columns {' '.join(COLUMNS)}, and maybe note; got {heading[:200]!r}", number, 1)
    for number, line in lines:
        cells = line.split("\t")
        if len(cells) != len(columns):
            raise Refused(f"expected {len(columns)} cells between tabs, got {len(cells)}", number, 1)
        with _at(number):
            yield Candidate.from_text({name: cell for name, cell in zip(columns, cells, strict=True) if cell})


def _of_jsonl(lines: Iterator[tuple[int, str]]) -> Iterator[Candidate]:
    for number, line in lines:
        if line.strip():
            with _at(number):
                yield _from_json(line)


def _from_json(line: str) -> Candidate:
    try:
        row = json.loads(line)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(row, dict):
        raise ValueError("expected a JSON object")
    return Candidate.from_json(row)


@contextmanager
def _at(number: int) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise Refused(str(error), number, 1) from None


def _read_rdf(file: Path) -> tuple[Candidates, Origin | None]:
    """In a worker: a parser may die of what it is given."""
    found = sandbox.run(
        f"{__name__}:rows",
        {"path": str(file)},
        timeout_seconds=None,
        memory_bytes=sandbox.load_memory(),
    )
    origin = found["origin"]
    return Candidates(tuple(Candidate(*row) for row in found["rows"])), origin and Origin.from_json(origin)


def rows(progress: Progress, path: str) -> dict[str, Any]:
    """What the worker does: the candidates and the run of an RDF file, as JSON."""
    try:
        candidates, origin = read_annotations(read(path, keep_labels=True))
    except ValueError as error:
        raise UserError(f"{path}: {one_line(str(error))}") from None
    return {"rows": [list(each.to_json().values()) for each in candidates], "origin": origin and origin.to_json()}
