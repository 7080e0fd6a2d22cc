"""Candidates as a table: COLUMNS under a heading, between tabs."""

from collections.abc import Iterator
from pathlib import Path
from typing import final

from kg.errors import UserError, one_line
from kg.query.candidates.candidate import Candidate, Candidates
from kg.query.candidates.format import COLUMNS, REQUIRED, LineFormat, refused_at
from kg.store.guard import Refused


@final
class Tsv(LineFormat):
    def lines(self, candidates: Candidates, path: Path) -> Iterator[str]:
        yield "\t".join(COLUMNS)
        for each in candidates:
            cells = _cells(each)
            if any(mark in cell for cell in cells for mark in "\t\n\r"):
                raise UserError(
                    f"{path}: a tab or a line break in candidate {one_line(str(cells))}: write .jsonl or RDF"
                )
            yield "\t".join(cells)

    def candidates(self, lines: Iterator[tuple[int, str]]) -> Iterator[Candidate]:
        number, heading = next(lines)
        columns = heading.split("\t")
        if len(set(columns)) < len(columns) or not set(REQUIRED) <= set(columns) <= set(COLUMNS):
            others = " ".join(COLUMNS[len(REQUIRED) :])
            raise Refused(
                f"expected the columns {' '.join(REQUIRED)}, and of {others}; got {heading[:200]!r}", number, 1
            )
        for number, line in lines:
            cells = line.split("\t")
            if len(cells) != len(columns):
                raise Refused(f"expected {len(columns)} cells between tabs, got {len(cells)}", number, 1)
            with refused_at(number):
                yield Candidate.from_text({name: cell for name, cell in zip(columns, cells, strict=True) if cell})


def rows(candidates: Candidates) -> Iterator[str]:
    """The lines of such a table for a console: a tab or a line break within a cell is \\t, \\n, \\r."""
    yield "\t".join(COLUMNS)
    for each in candidates:
        yield "\t".join(cell.translate(_ESCAPED) for cell in _cells(each))


_ESCAPED = str.maketrans({"\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _cells(candidate: Candidate) -> list[str]:
    return [_cell(getattr(candidate, name)) for name in COLUMNS]


def _cell(value: str | float | bool | None) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)  # repr: the number itself comes back
