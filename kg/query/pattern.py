"""Questions as people write them: `(Germany, borders, ?)`."""

import re
from dataclasses import dataclass

from kg.errors import UserError

_LONGEST = 10_000  # characters of a question: a few names and some brackets
_TERM = re.compile(r'\s*(?:<([^<>]*)>\s*|"([^"]*)"\s*|([^,"<>]+))(?:,|$)')


@dataclass(frozen=True)
class Pattern:
    """Names as they were written; the one that is asked for is None."""

    subject: str | None
    predicate: str | None
    object: str | None


def parse(text: str) -> Pattern:
    """`(subject, predicate, ?)` with the `?` in any one place; the brackets may be left out.

    A name is an IRI (in <> or not), prefix:name, or a label, in quotes where it holds a comma. UserError otherwise.
    """
    names = _names(text, 1, "expected (subject, predicate, object) with one of them '?'")
    subject, predicate, object_ = (None if name == "?" else name for name in names)
    return Pattern(subject, predicate, object_)


def parse_fact(text: str) -> tuple[str, str, str]:
    """`(subject, predicate, object)`, written as in a pattern. UserError otherwise."""
    subject, predicate, object_ = _names(text, 0, "expected (subject, predicate, object) without '?'")
    return subject, predicate, object_


def check_length(text: str) -> None:
    """UserError for what is too long to be a question."""
    if len(text) > _LONGEST:
        raise UserError(f"a question of {len(text):,} characters: at most {_LONGEST:,} are read")


def terms(text: str, expected: str) -> list[str]:
    """The names between the commas. UserError where one cannot be read; `expected` ends its line."""
    check_length(text)
    inner = text.strip()
    if inner.startswith("(") and inner.endswith(")"):
        inner = inner[1:-1]
    names, at = [], 0
    inner = f"{inner} " if inner.endswith(",") else inner  # so that a name is missed after the last comma
    while at < len(inner):
        found = _TERM.match(inner, at)
        if not found:
            raise UserError(f"{shown(text)}: cannot read {inner[at:].strip()[:40]!r}; {expected}")
        names.append(next(name for name in found.groups() if name is not None).strip())
        at = found.end()
    return names


def shown(text: str) -> str:
    """The beginning of a question, for messages: on one line."""
    beginning = " ".join(text[:100].split())
    return beginning if len(text) < 100 else f"{beginning}..."


def _names(text: str, open_places: int, expected: str) -> list[str]:
    """Three names, so many of them '?'."""
    names = terms(text, expected)
    if len(names) != 3 or "" in names or names.count("?") != open_places:
        raise UserError(f"{shown(text)}: got {len(names)} terms, {names.count('?')} of them '?'; {expected}")
    return names
