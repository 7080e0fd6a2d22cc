"""From what people write to terms."""

import difflib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import final

from kg.errors import UserError
from kg.graph.schema import Schema
from kg.namespaces import local_name


@final
class Names:
    """From what a person writes to a term: of `terms` only, each a bare IRI, `_:label` or plain name.

    what: 'entity' or 'relation', for messages.
    """

    def __init__(self, terms: Sequence[str], schema: Schema, what: str) -> None:
        self._terms = frozenset(terms)
        self._schema = schema
        self._what = what
        self._by_label = _grouped((schema.label(term), term) for term in terms)
        self._by_folded = _grouped((label.casefold(), term) for label, all_ in self._by_label.items() for term in all_)
        self._by_local = _grouped((local_name(term), term) for term in terms)

    def changed(self, schema: Schema, gone: Iterable[str], came: Iterable[str]) -> "Names":
        """Without some terms and with others, whose labels are now those of this schema; a term with another label is
        among both. O(changed names), and a copy."""
        gone, came = list(gone), list(came)
        before, now = _labelled(gone, self._schema), _labelled(came, schema)
        made = Names((), schema, self._what)
        made._terms = self._terms.difference(gone).union(came)
        made._by_label = _regrouped(self._by_label, before, now)
        folded = ([(label.casefold(), term) for label, term in each] for each in (before, now))
        made._by_folded = _regrouped(self._by_folded, *folded)
        local = ([(local_name(term), term) for term in terms] for terms in (gone, came))
        made._by_local = _regrouped(self._by_local, *local)
        return made

    def term(self, name: str) -> str:
        """The term meant: an IRI (in <> or not), prefix:name or plain name, else a label, else the last part of an IRI.

        UserError for a name that fits none (the nearest are listed) or several.
        """
        name = name[1:-1] if name.startswith("<") and name.endswith(">") else name
        prefix, _, local = name.partition(":")
        for exact in (name, self._schema.prefixes.get(prefix, "\0") + local):
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


def _labelled(terms: Iterable[str], schema: Schema) -> list[tuple[str, str]]:
    return [(schema.label(term), term) for term in terms]


def _regrouped(
    groups: Mapping[str, list[str]], gone: Iterable[tuple[str, str]], came: Iterable[tuple[str, str]]
) -> dict[str, list[str]]:
    """The groups without some and with others; a group that changes is a new list."""
    made = dict(groups)
    for key, term in gone:
        made[key] = [each for each in made[key] if each != term]
        if not made[key]:
            del made[key]
    for key, term in came:
        made[key] = [*made.get(key, ()), term]
    return made


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for key, term in pairs:
        groups[key].append(term)
    return groups
