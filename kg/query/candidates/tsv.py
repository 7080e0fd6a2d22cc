"""Candidates as a table: COLUMNS under a heading, between tabs."""

from collections.abc import Iterator
from pathlib import Path
from typing import final

from kg.errors import UserError, one_line
from kg.query.candidates.candidate import Candidate, Candidates
from kg.query.candidates.format import COLUMNS, LineFormat, refused_at
from kg.store.guard import Refused


@final
class Tsv(LineFormat):
    def lines(self, candidates: Candidates, path: Path) -> Iterator[str]:
        columns = (*COLUMNS, "note") if any(each.note for each in candidates) else COLUMNS
        yield "\t".join(columns)
        for each in candidates:
            cells = [_cell(getattr(each, name)) for name in columns]
            if any(mark in cell for cell in cells for mark in "\t\n\r"):
                raise UserError(
                    f"{path}: a tab or a line break in candidate {one_line(str(cells))}: write .jsonl or RDF"
                )
            yield "\t".join(cells)

    def candidates(self, lines: Iterator[tuple[int, str]]) -> Iterator[Candidate]:
        number, heading = next(lines)
        columns = heading.split("\t")
        if sorted(columns) not in (sorted(COLUMNS), sorted((*COLUMNS, "note"))):
            raise Refused(f"expected the columns {' '.join(COLUMNS)}, and maybe note; got {heading[:200]!r}", number, 1)
        for number, line in lines:
            cells = line.split("\t")
            if len(cells) != len(columns):
                raise Refused(f"expected {len(columns)} cells between tabs, got {len(cells)}", number, 1)
            with refused_at(number):
                yield Candidate.from_text({name: cell for name, cell in zip(columns, cells, strict=True) if cell})


def _cell(value: str | float | bool | None) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)  # repr: the number itself comes back
