"""Which columns of a table hold its facts: the first three, or those that a header row names."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from kg.errors import one_line

ROLES: Final = ("head", "relation", "tail")
_ENDS: Final = (("head", "tail"), ("subject", "object"), ("source", "target"), ("subj", "obj"))
_RELATIONS: Final = ("relation", "predicate", "property", "pred", "rel")
_LETTERS: Final = (("h", "r", "t"), ("s", "p", "o"))  # in this order alone: any one of them may be a name
_MARKS = "?#"  # before the names, in what SPARQL answers and in tables whose header is a comment
_SEPARATORS: Final = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar", " ": "space", "\r": "carriage return"}


@final
@dataclass(frozen=True)
class Columns:
    """Where head, relation and tail stand among `count` cells. heading: the cells of the header row; () without one."""

    places: tuple[int, int, int] = (0, 1, 2)
    count: int = 3
    heading: tuple[str, ...] = ()

    @classmethod
    def of(cls, first: Sequence[str], header: bool | None = None) -> "Columns":
        """What the first row of a table, blank ones aside, says.

        header None: it is a header if it names all three, each once, in capitals or not: head and tail, subject and
        object, or source and target (beside one such pair, half of another is another column's name); relation,
        predicate or property; their usual short forms; or it begins h, r, t or s, p, o. True: it is one; of three cells
        that name none of these the order says which is which. False: it is a fact.

        ValueError: it names two of the three, or one of them twice, so that it is neither a fact nor a header to go by;
        or it is to be a header, and says too little.
        """
        if header is False:
            return cls()
        names = [cell.strip().lstrip(_MARKS).strip().casefold() for cell in first]
        if tuple(names[:3]) in _LETTERS:
            return cls(count=len(first), heading=tuple(first))
        pairs = [pair for pair in _ENDS if set(pair) <= set(names)] or _ENDS
        roles = [pair[0] for pair in pairs], _RELATIONS, [pair[1] for pair in pairs]
        found = [[place for place, name in enumerate(names) if name in role] for role in roles]
        named = sum(bool(places) for places in found)
        if all(len(places) == 1 for places in found):
            head, relation, tail = (places[0] for places in found)
            return cls((head, relation, tail), len(first), tuple(first))
        if header and not named and len(first) == 3:
            return cls(heading=tuple(first))
        if header or named > 1:
            raise ValueError(_unclear(found, first))
        return cls()

    def check(self, cells: Sequence[str], separator: str) -> None:
        """ValueError unless a row has as many cells as it should. separator: what it was cut by."""
        if len(cells) == self.count:
            return
        row = separator.join(cells)
        expected = "head, relation and tail" if self.count == 3 else f"{self.count} cells, as the header has"
        others = [
            f"{row.count(mark)} {name}{'s' * (row.count(mark) > 1)}"
            for mark, name in _SEPARATORS.items()
            if mark != separator and row.count(mark)
        ]
        instead = f" and {', '.join(others)}" if others and len(cells) < self.count else ""
        cell = "cell" if len(cells) == 1 else "cells"
        raise ValueError(f"expected {expected}, {_SEPARATORS[separator]}-separated; got {len(cells)} {cell}{instead}")

    def described(self) -> str:
        """What was made of the header, for a person."""
        names = [one_line(self.heading[place]) for place in self.places]
        others = [one_line(name) for place, name in enumerate(self.heading) if place not in self.places]
        aside = f"; not read: {', '.join(others)}" if others else ""
        read = ", ".join(f"{role} {name!r}" for role, name in zip(ROLES, names, strict=True))
        return f"a header, no fact: {read}{aside}"


def _unclear(found: Sequence[Sequence[int]], first: Sequence[str]) -> str:
    said = ", ".join(
        f"{role} by {' and '.join(repr(one_line(first[place])) for place in places) or 'none'}"
        for role, places in zip(ROLES, found, strict=True)
    )
    return f"a header, of head, relation and tail, names each once; this row names {said}"
