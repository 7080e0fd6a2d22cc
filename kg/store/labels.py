"""What terms are called in the graph."""

from collections.abc import Callable, Iterable

from kg.namespaces import RDFS, SKOS

PREDICATES = (RDFS + "label", SKOS + "prefLabel")

Texts = Callable[[str], Iterable[tuple[str, str, str | None]]]  # predicate -> (term, text, language) of its facts


def labels(texts: Texts) -> dict[str, str]:
    """term -> its label: rdfs:label before skos:prefLabel, English first, then without a language, then the least."""
    best: dict[str, tuple[int, int, str]] = {}
    for rank, predicate in enumerate(PREDICATES):
        for subject, value, language in texts(predicate):
            preference = rank, _language_rank(language), value
            best[subject] = min(best.get(subject, preference), preference)
    return {term: value for term, (_, _, value) in best.items()}


def _language_rank(language: str | None) -> int:
    if language is None:
        return 1
    return 0 if language.lower().split("-")[0] == "en" else 2
