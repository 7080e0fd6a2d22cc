"""Candidates as files, out and in, by their suffix."""

from pathlib import Path

from kg.errors import UserError
from kg.files import COMPRESSIONS, suffix_of
from kg.query.candidates.annotations import Origin
from kg.query.candidates.candidate import Candidates
from kg.query.candidates.format import Format
from kg.query.candidates.jsonl import JsonLines
from kg.query.candidates.rdf import SUFFIXES, Rdf
from kg.query.candidates.tsv import Tsv

FORMATS: dict[str, Format] = {".tsv": Tsv(), ".jsonl": JsonLines(), **dict.fromkeys(SUFFIXES, Rdf())}


def write_candidates(
    candidates: Candidates,
    path: str | Path,
    run: Origin,
    rdf11: bool = False,
) -> None:
    """Write candidates in what the suffix says, compressed where one more says so, whole or not at all.

    UserError: an unknown suffix, a syntax without triple terms (JSON-LD, N3) unless `rdf11`, a term or text that the
    file cannot hold, or no place to write.
    """
    out = Path(path)
    check_writable(out, rdf11)
    format_of(out).write(candidates, out, run, rdf11)


def check_writable(path: Path, rdf11: bool = False) -> None:
    """UserError where candidates cannot be written so, or there: now, not after the search for them."""
    format_of(path).check_writable(path, rdf11)
    if not path.parent.is_dir():
        raise UserError(f"{path}: no directory {path.parent}")


def read_candidates(path: str | Path) -> Candidates:
    """What write_candidates wrote, or another hand, in either way of reification.

    UserError: an unknown suffix, or what is wrong with the file, with the line where there is one.
    """
    return read_with_origin(path)[0]


def read_with_origin(path: str | Path) -> tuple[Candidates, Origin | None]:
    """The same, and the run that RDF tells of."""
    return format_of(Path(path)).read(Path(path))


def format_of(path: Path) -> Format:
    """What the suffix says, that of a compression aside. UserError where it says nothing."""
    found = FORMATS.get(suffix_of(path))
    if found is None:
        raise UserError(
            f"{path}: the suffix says no way to write candidates: expected {' '.join(FORMATS)}, each also with "
            f"{' '.join(COMPRESSIONS)}"
        )
    return found
