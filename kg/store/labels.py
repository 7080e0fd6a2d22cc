"""What a term is called: its label, else the last part of its IRI."""

import re
from typing import TYPE_CHECKING

from kg.store.tables import BASE, name_of

if TYPE_CHECKING:
    from kg.store.store import Store

_PREDICATES = ("http://www.w3.org/2000/01/rdf-schema#label", "http://www.w3.org/2004/02/skos/core#prefLabel")


def labels(store: "Store") -> dict[str, str]:
    """term -> its label: rdfs:label before skos:prefLabel, English first, then without a language, then the least."""
    best: dict[str, tuple[int, int, str]] = {}
    for rank, predicate in enumerate(_PREDICATES):
        for subject, value, language in store.texts(predicate):
            preference = rank, _language_rank(language), value
            best[subject] = min(best.get(subject, preference), preference)
    return {term: value for term, (_, _, value) in best.items()}


def _language_rank(language: str | None) -> int:
    if language is None:
        return 1
    return 0 if language.lower().split("-")[0] == "en" else 2


def local_name(term: str) -> str:
    """`http://example.org/x#Berlin` -> `Berlin`; a blank node or a plain name, also one of a table, stays as it is."""
    if term.startswith(BASE):
        return name_of(term)
    if "://" not in term and not term.startswith("urn:"):
        return term
    return re.split(r"[/#:]", term.rstrip("/#"))[-1] or term
