"""From what people write to terms."""

import difflib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import final

from kg.errors import UserError
from kg.graph.packed import Order, equal_to
from kg.graph.schema import Schema
from kg.graph.vocabulary import Vocabulary
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
        name = _unbracketed(name)
        exact = next((each for each in _exact(name, self._schema) if each in self._terms), None)
        tables = (self._by_label, name), (self._by_folded, name.casefold()), (self._by_local, name)
        found = exact or _only_one(name, (table.get(key, []) for table, key in tables), self._plural())
        if found is None:
            raise UserError(f"no {self._what} {name!r}: {self._nearest(name)}")
        return found

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
        return _plural(self._what)


@final
class SortedNames:
    """The same of the entities of a packed vocabulary, found by bisection: nothing is built but where a name is none.

    by_label: the ids in the order of their labels (or last parts of IRIs), case folded; by_local: of the last parts.
    """

    def __init__(self, vocabulary: Vocabulary, schema: Schema, by_label: Order, by_local: Order) -> None:
        self._vocabulary, self._schema = vocabulary, schema
        self._by_label, self._by_local = by_label, by_local

    def term(self, name: str) -> str:
        """As Names.term."""
        name = _unbracketed(name)
        exact = next((each for each in _exact(name, self._schema) if each in self._vocabulary.entity_ids), None)
        found = exact or _only_one(name, self._lookups(name), _plural("entity"))
        found = found or self._built().term(name)  # which lists the nearest, and raises
        if found not in self._vocabulary.entity_ids:  # to look that through at each start would cost more than all else
            raise UserError(f"index.safetensors of the model holds what no training wrote: {found!r} is out of order")
        return found

    def changed(self, schema: Schema, gone: Iterable[str], came: Iterable[str]) -> Names:
        """As Names.changed. O(N log N)."""
        return self._built().changed(schema, gone, came)

    def _built(self) -> Names:
        return Names(self._vocabulary.entities, self._schema, "entity")

    def _lookups(self, name: str) -> Iterator[list[str]]:
        terms, folded = self._vocabulary.entities, name.casefold()
        label = self._schema.label
        alike = [terms[i] for i in equal_to(folded, self._by_label, lambda i: label(terms[i]).casefold())]
        yield [term for term in alike if label(term) == name]
        yield alike
        yield [terms[i] for i in equal_to(name, self._by_local, lambda i: local_name(terms[i]))]


def _unbracketed(name: str) -> str:
    return name[1:-1] if name.startswith("<") and name.endswith(">") else name


def _exact(name: str, schema: Schema) -> tuple[str, str]:
    """The terms that a name may be as it stands, or by its prefix."""
    prefix, _, local = name.partition(":")
    return name, schema.prefixes.get(prefix, "\0") + local


def _only_one(name: str, lookups: Iterable[Sequence[str]], plural: str) -> str | None:
    """The one term of the first look-up that finds any. UserError where it finds several."""
    found = next((each for each in lookups if each), [])
    if len(found) > 1:
        listed = ", ".join(f"<{term}>" for term in sorted(found)[:5])
        raise UserError(f"{name!r} is the name of {len(found)} {plural}: say which of {listed}")
    return found[0] if found else None


def _plural(what: str) -> str:
    return "entities" if what == "entity" else f"{what}s"


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
