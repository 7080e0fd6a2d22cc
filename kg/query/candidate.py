"""Candidate: a fact that the graph may be missing; Candidates: ranked ones, as notebooks show them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any, final, overload


@dataclass(frozen=True)
class Candidate:
    """A fact that the graph may be missing, or has: terms as the vocabulary writes them.

    rank: 1 is the most plausible of the candidates asked for. score: the scorer's own, higher is more plausible; it
    compares answers to one question, not questions. known: whether the fact is in the graph. probability: that the
    fact is true although it was not trained on (kg.evaluation.calibration says what that means); None where the model
    has not been calibrated. note: what speaks against it, in words.
    """

    subject: str
    predicate: str
    object: str
    rank: int
    score: float
    known: bool
    probability: float | None = None
    note: str | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@final
@dataclass(frozen=True)
class Candidates(Sequence[Candidate]):
    """Ranked candidates, with the labels of their terms: `print` and notebooks show them as a table."""

    items: tuple[Candidate, ...]
    labels: Mapping[str, str] = field(default_factory=dict, repr=False)

    @overload
    def __getitem__(self, at: int) -> Candidate: ...
    @overload
    def __getitem__(self, at: slice) -> "Candidates": ...
    def __getitem__(self, at: int | slice) -> "Candidate | Candidates":
        return Candidates(self.items[at], self.labels) if isinstance(at, slice) else self.items[at]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self.items)

    def at_least(self, probability: float) -> "Candidates":
        """Those that are so probable, or of which that is not known."""
        kept = (each for each in self.items if each.probability is None or each.probability >= probability)
        return Candidates(tuple(kept), self.labels)

    def label(self, term: str) -> str:
        return self.labels.get(term, term)

    def rows(self) -> list[tuple[str, ...]]:
        """What is shown of each: COLUMNS, the terms in labels."""
        return [
            (
                str(each.rank),
                *(self.label(term) for term in (each.subject, each.predicate, each.object)),
                "-" if each.probability is None else f"{each.probability:.3f}",
                f"{each.score:.3f}",
                "known" if each.known else "new",
                each.note or "",
            )
            for each in self.items
        ]

    def __str__(self) -> str:
        lines = [COLUMNS, *self.rows()]
        widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
        padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
        return "\n".join("  ".join(cells).rstrip() for cells in padded)

    def _repr_html_(self) -> str:
        def row(cells: tuple[str, ...], tag: str) -> str:
            return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

        body = "".join(row(cells, "td") for cells in self.rows())
        return f"<table><thead>{row(COLUMNS, 'th')}</thead><tbody>{body}</tbody></table>"


COLUMNS = ("rank", "subject", "predicate", "object", "probability", "score", "known", "note")
