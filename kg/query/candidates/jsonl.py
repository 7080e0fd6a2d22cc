"""Candidates as JSON lines: an object of COLUMNS a line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import final

from kg.query.candidates.candidate import Candidate, Candidates
from kg.query.candidates.format import COLUMNS, LineFormat, refused_at


@final
class JsonLines(LineFormat):
    def lines(self, candidates: Candidates, path: Path) -> Iterator[str]:
        for each in candidates:
            yield json.dumps({name: getattr(each, name) for name in COLUMNS}, ensure_ascii=False, allow_nan=False)
        if not candidates:
            yield ""  # none is not the same as an empty file, which may be half of one

    def candidates(self, lines: Iterator[tuple[int, str]]) -> Iterator[Candidate]:
        for number, line in lines:
            if line.strip():
                with refused_at(number):
                    yield _from_json(line)


def _from_json(line: str) -> Candidate:
    try:
        row = json.loads(line)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(row, dict):
        raise ValueError("expected a JSON object")
    return Candidate.from_json(row)
