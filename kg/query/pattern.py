"""Questions as people write them: `(Germany, borders, ?)`."""

import difflib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from kg.errors import UserError
from kg.graph.schema import Schema
from kg.namespaces import local_name

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


@final
class Names:
    """From what a person writes to a term: of `terms` only, each a bare IRI, `_:label` or plain name.

    what: 'entity' or 'relation', for messages.
    """

    def __init__(self, terms: Sequence[str], schema: Schema, what: str) -> None:
        self._terms = frozenset(terms)
        self._prefixes: Mapping[str, str] = schema.prefixes
        self._what = what
        self._by_label = _grouped((schema.label(term), term) for term in terms)
        self._by_folded = _grouped((label.casefold(), term) for label, all_ in self._by_label.items() for term in all_)
        self._by_local = _grouped((local_name(term), term) for term in terms)

    def term(self, name: str) -> str:
        """The term meant: an IRI, prefix:name or plain name, else a label, else the last part of an IRI.

        UserError for a name that fits none (the nearest are listed) or several.
        """
        prefix, _, local = name.partition(":")
        for exact in (name, self._prefixes.get(prefix, "\0") + local):
            if exact in self._terms:
                return exact
        for table, key in ((self._by_label, name), (self._by_folded, name.casefold()), (self._by_local, name)):
            found = table.get(key, [])
            if len(found) == 1:
                return found[0]
            if found:
                listed = ", ".join(f"<{term}>" for term in sorted(found)[:5])
                raise UserError(f"{name!r} is the name of {len(found)} {self._plural()}: say which of {listed}")
        raise UserError(f"no {self._what} {name!r}: {self._nearest(name)}")

    def _nearest(self, name: str) -> str:
        folded = name.casefold()
        near = difflib.get_close_matches(folded, self._within_reach(folded), n=3, cutoff=0.6)
        if not near:
            return f"none of the {len(self._terms):,} {self._plural()} has a name like it"
        labels = {label.casefold(): label for label in self._by_label}
        return "the nearest are " + ", ".join(labels[key] for key in near)

    def _within_reach(self, folded: str) -> list[str]:
        """Names that share a beginning or a word's beginning: comparing a million labels in full takes minutes."""
        if len(self._by_folded) <= 20_000:
            return list(self._by_folded)
        beginning = folded[:2]
        return [key for key in self._by_folded if any(word.startswith(beginning) for word in key.split())]

    def _plural(self) -> str:
        return "entities" if self._what == "entity" else f"{self._what}s"


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for key, term in pairs:
        groups[key].append(term)
    return groups
