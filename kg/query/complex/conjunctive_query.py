"""Questions of several facts at once: `(?x, borders, France) & (?x, memberOf, NATO)`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kg.errors import UserError
from kg.query.pattern import Pattern, check_length, parse, shown, terms

_MOST = 3  # facts
_QUOTED = re.compile(r'"[^"]*"|<[^<>]*>')
_AND = re.compile(r"\)\s*&\s*\(")
_ASKED = re.compile(r"\)\s*->(.*)$", re.DOTALL)
_VARIABLE = re.compile(r"\?\w+")
_EXPECTED = "expected (subject, predicate, object) & ..., variables as ?x in place of a subject or an object"


@dataclass(frozen=True)
class Shape:
    """How a variable is reached: by one fact from each source, a given entity (None) or another variable.

    Facts are numbered from left to right, those that reach a source before the one that leaves it.
    """

    sources: tuple["Shape | None", ...]

    def __len__(self) -> int:
        """How many facts."""
        return sum(1 + (0 if source is None else len(source)) for source in self.sources)


_1P, _2I = Shape((None,)), Shape((None, None))
_2P = Shape((_1P,))
# By their names in the literature: p a projection, i an intersection. No other tree of up to three facts has given
# entities for all its leaves.
SHAPES = {
    "1p": _1P,
    "2p": _2P,
    "3p": Shape((_2P,)),
    "2i": _2I,
    "3i": Shape((None, None, None)),
    "ip": Shape((_2I,)),
    "pi": Shape((_1P, None)),
}
_ANSWERED = (
    "answered are chains from an entity to the variable asked for (1p, 2p, 3p), entities that meet in it (2i, 3i), "
    "two that meet before it (ip), a chain and an entity that meet in it (pi)"
)


@dataclass(frozen=True)
class Hop:
    """A fact as it is walked: from what is given (None: a variable), by a predicate, to a variable.

    inverse: whether it is walked from its object to its subject.
    """

    given: str | None
    predicate: str
    inverse: bool


@dataclass(frozen=True)
class Conjunction:
    """Facts that must hold together, and the variable asked for. hops: numbered as in the shape. Names as written."""

    asked: str
    shape: Shape
    hops: tuple[Hop, ...]


@dataclass(frozen=True)
class _Atom:
    subject: str
    predicate: str
    object: str

    def other(self, variable: str) -> str:
        return self.object if self.subject == variable else self.subject


def parse_question(text: str) -> Pattern | Conjunction:
    """A pattern with one '?' (kg.query.pattern), or facts with variables: `(France, borders, ?x) & (?x, currency, ?y)`.

    `-> ?x` at the end says which variable is asked for. Without it that is the one that is never a subject, or the only
    one. Names are written as in a pattern. UserError for all that is neither, or of none of the SHAPES.
    """
    check_length(text)
    atoms, asked = _split(text)
    if len(atoms) > _MOST:
        raise UserError(f"{shown(text)}: {len(atoms)} facts, at most {_MOST} are answered together")
    if len(atoms) == 1 and asked is None and not any(map(_is_variable, atoms[0].strip(" \t\n()").split(","))):
        return parse(text)
    read = list(dict.fromkeys(map(_atom, atoms)))  # to say it twice makes it no less likely
    asked = _asked_for(read, asked)
    left = list(read)
    found = _reached(asked, left)
    if found is None or left:
        raise UserError(f"{shown(text)}: cannot be walked to {asked}; {_ANSWERED}")
    return Conjunction(asked, found[0], tuple(found[1]))


def _split(text: str) -> tuple[list[str], str | None]:
    """The facts, and what stands after the arrow. Signs inside of quotes and IRIs are letters like any other."""
    plain = _QUOTED.sub(lambda found: "x" * len(found[0]), text)
    arrow = _ASKED.search(plain)
    end = len(text) if arrow is None else arrow.start() + 1
    found = list(_AND.finditer(plain, 0, end))
    starts, ends = [0, *(cut.end() - 1 for cut in found)], [*(cut.start() + 1 for cut in found), end]
    atoms = [text[first:last] for first, last in zip(starts, ends, strict=True)]
    return atoms, None if arrow is None else arrow[1].strip()


def _is_variable(name: str) -> bool:
    return bool(_VARIABLE.fullmatch(name.strip()))


def _atom(text: str) -> _Atom:
    names = terms(text, _EXPECTED)
    if len(names) != 3 or "" in names:
        raise UserError(f"{shown(text)}: got {len(names)} terms; {_EXPECTED}")
    atom = _Atom(*names)
    if "?" in names:
        raise UserError(f"{shown(text)}: a variable among several facts needs a name, such as ?x")
    if _is_variable(atom.predicate):
        raise UserError(f"{shown(text)}: a predicate is asked for by (subject, ?, object) alone; {_EXPECTED}")
    if atom.subject == atom.object or not any(_variables(atom)):
        raise UserError(f"{shown(text)}: one variable, or two that differ, are needed in each fact; {_EXPECTED}")
    return atom


def _variables(atom: _Atom) -> Iterator[str]:
    return filter(_is_variable, (atom.subject, atom.object))


def _asked_for(atoms: list[_Atom], asked: str | None) -> str:
    variables = list(dict.fromkeys(name for atom in atoms for name in _variables(atom)))
    if asked is not None:
        if asked not in variables:
            raise UserError(f"-> {shown(asked)}: expected one of {', '.join(variables)}")
        return asked
    last = [name for name in variables if all(atom.subject != name for atom in atoms)]
    for choice in (variables, last):
        if len(choice) == 1:
            return choice[0]
    raise UserError(f"say which variable is asked for: end with {' or '.join(f'-> {name}' for name in variables)}")


def _reached(variable: str, left: list[_Atom]) -> tuple[Shape, list[Hop]] | None:
    """How the variable is reached by facts of `left`, which are taken out of it; None if it hangs on no entity."""
    sources: list[tuple[Shape | None, list[Hop]]] = []
    own = [atom for atom in left if variable in _variables(atom)]
    left[:] = [atom for atom in left if atom not in own]
    for atom in own:
        other = atom.other(variable)
        before: tuple[Shape | None, list[Hop]] | None = (None, [])
        if _is_variable(other):
            before = _reached(other, left)
        if before is None:
            return None
        hop = Hop(other if before[0] is None else None, atom.predicate, inverse=atom.subject == variable)
        sources.append((before[0], [*before[1], hop]))
    sources.sort(key=lambda source: source[0] is None)  # pi: the chain first
    shape = Shape(tuple(source[0] for source in sources))
    return (shape, [hop for _, hops in sources for hop in hops]) if sources else None
