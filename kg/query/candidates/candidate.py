"""Candidate: a fact that the graph may be missing; Candidates: ranked ones, as notebooks show them."""

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from html import escape
from typing import Any, final, overload

PLACES = ("subject", "predicate", "object")
LABELS = tuple(f"{place}_label" for place in PLACES)


@dataclass(frozen=True)
class Candidate:
    """A fact that the graph may be missing, or has: terms as the vocabulary writes them.

    rank: 1 is the most plausible of the candidates asked for. score: the scorer's own, higher is more plausible; it
    compares answers to one question, not questions. known: whether the fact is in the graph. probability: that the
    fact is true although it was not trained on (kg.probability.calibration says what that means); None where the model
    gives none, or none of this predicate. note: what it follows from or restates, if it does, and what speaks against
    it. alike: how many others a page leaves out for it (kg.search.page). evidence: how many things speak for it, and
    because: the first of them, in words; None where nobody looked. The labels are those of its terms; None where they
    are what the terms say.
    """

    subject: str
    predicate: str
    object: str
    rank: int
    score: float
    known: bool
    probability: float | None = None
    note: str | None = None
    subject_label: str | None = None
    predicate_label: str | None = None
    object_label: str | None = None
    alike: int = 0
    evidence: int | None = None
    because: str | None = None

    @property
    def names(self) -> tuple[str, str, str]:
        """Subject, predicate and object as they are called."""
        return (
            self.subject_label or self.subject,
            self.predicate_label or self.predicate,
            self.object_label or self.object,
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> "Candidate":
        """What to_json gave, or another hand wrote: all after `known` may be missing. ValueError: what is wrong."""
        for name in row:
            if name not in _FIELDS:
                raise ValueError(f"{name[:80]!r} says nothing of a candidate: expected {', '.join(_FIELDS)}")
        for name, (said, fits) in _FIELDS.items():
            value = row.get(name)
            if value is None and name in _OPTIONAL:
                continue
            if name not in row:
                raise ValueError(f"the {name} is missing")
            if not fits(value):
                raise ValueError(f"the {name} {str(value)[:80]!r}: expected {said}")
        given = {name: value for name, value in row.items() if value is not None}
        return cls(**given | {name: float(row[name]) for name in _NUMBERS if name in given})

    @classmethod
    def from_text(cls, row: Mapping[str, str]) -> "Candidate":
        """from_json, of what a file without types says."""
        return cls.from_json({name: _typed(name, text) for name, text in row.items()})


def _is_text(value: Any) -> bool:
    """Not empty, and without halves of characters, which no file can hold."""
    return isinstance(value, str) and value != "" and not _HALF.search(value)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


_HALF = re.compile("[\ud800-\udfff]")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")  # as xsd:double has it
_WHOLE = re.compile(r"\+?[0-9]{1,18}")
_FIELDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "subject": ("a term", _is_text),
    "predicate": ("a term", _is_text),
    "object": ("a term", _is_text),
    "probability": ("a number from 0 to 1", lambda value: _is_number(value) and 0 <= value <= 1),
    "score": ("a finite number", _is_number),
    "rank": ("a whole number from 1", lambda value: type(value) is int and 1 <= value < 2**63),
    "known": ("true or false", lambda value: isinstance(value, bool)),
    "note": ("a text", _is_text),
    **dict.fromkeys(LABELS, ("a text", _is_text)),
    "alike": ("a whole number from 0", lambda value: type(value) is int and 0 <= value < 2**63),
    "evidence": ("a whole number from 0", lambda value: type(value) is int and 0 <= value < 2**63),
    "because": ("a text", _is_text),
}
_NUMBERS = ("score", "probability")
_OPTIONAL = ("probability", "note", *LABELS, "alike", "evidence", "because")


def _typed(name: str, text: str) -> str | int | float | bool:
    """The value that a text stands for; the text itself where it stands for none, to be refused."""
    if name == "known" and text in ("true", "false"):
        return text == "true"
    if name in ("rank", "alike", "evidence") and _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if name in _NUMBERS and _NUMBER.fullmatch(text) else text


@final
@dataclass(frozen=True)
class Candidates(Sequence[Candidate]):
    """Ranked candidates: `print` and notebooks show them as a table.

    restated: how many others a page left out, as they restate known facts by another predicate. unasked: how many
    questions a search that ended before its end did not come to, though some of the best may answer them.
    """

    items: tuple[Candidate, ...]
    restated: int = 0
    unasked: int = 0

    @overload
    def __getitem__(self, at: int) -> Candidate: ...
    @overload
    def __getitem__(self, at: slice) -> "Candidates": ...
    def __getitem__(self, at: int | slice) -> "Candidate | Candidates":
        return replace(self, items=self.items[at]) if isinstance(at, slice) else self.items[at]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self.items)

    def at_least(self, probability: float) -> "Candidates":
        """Those that are so probable, or of which that is not known."""
        kept = (each for each in self.items if each.probability is None or each.probability >= probability)
        return replace(self, items=tuple(kept))

    def rows(self) -> list[tuple[str, ...]]:
        """What is shown of each: HEADINGS, the terms by their names."""
        return [
            (
                str(each.rank),
                *each.names,
                "-" if each.probability is None else f"{each.probability:.3f}",
                f"{each.score:.3f}",
                "known" if each.known else "new",
                str(each.alike or ""),
                each.because or "",
                each.note or "",
            )
            for each in self.items
        ]

    def __str__(self) -> str:
        lines = [HEADINGS, *self.rows()]
        widths = [max(len(line[i]) for line in lines) for i in range(len(HEADINGS))]
        padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
        return "\n".join("  ".join(cells).rstrip() for cells in padded)

    def _repr_html_(self) -> str:
        def row(cells: tuple[str, ...], tag: str) -> str:
            return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

        body = "".join(row(cells, "td") for cells in self.rows())
        return f"<table><thead>{row(HEADINGS, 'th')}</thead><tbody>{body}</tbody></table>"


HEADINGS = ("rank", *PLACES, "probability", "score", "known", "alike", "because", "note")
