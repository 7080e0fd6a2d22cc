"""What terms are called in the graph."""

import os
import re
from collections.abc import Callable, Iterable, Mapping

from kg.errors import UserError
from kg.namespaces import RDFS, SKOS

PREDICATES = (RDFS + "label", SKOS + "prefLabel")

_TAG = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")

Texts = Callable[[str], Iterable[tuple[str, str, str | None]]]  # predicate -> (term, text, language) of its facts


def labels(texts: Texts, language: str | None = None) -> dict[str, str]:
    """term -> its label: in this language (None: the environment's), else rdfs:label before skos:prefLabel, English
    first, then without a language, then the least. UserError: `language` is no tag."""
    if language is not None and not _TAG.fullmatch(language):
        raise UserError(f"language is a tag such as de or pt-BR: got {language[:80]!r}", "language")
    wanted = preferred(language)
    best: dict[str, tuple[bool, int, int, str]] = {}
    for rank, predicate in enumerate(PREDICATES):
        for subject, value, tag in texts(predicate):
            preference = _primary(tag) != wanted, rank, _language_rank(tag), value
            best[subject] = min(best.get(subject, preference), preference)
    return {term: value for term, (*_, value) in best.items()}


def preferred(language: str | None) -> str:
    """The language that labels are looked for in first: this one (None: the environment's, or English)."""
    return _primary(language or language_of_environment(os.environ) or "en") or "en"


def language_of_environment(environment: Mapping[str, str]) -> str | None:
    """`de` of `de_AT.UTF-8`, from the first that is set of LC_ALL, LC_MESSAGES and LANG; of `C` and `POSIX` none."""
    locale = next((environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)), "C")
    name = re.split(r"[._@]", locale)[0]
    return None if name in ("C", "POSIX") else name


def _primary(tag: str | None) -> str | None:
    """`de` of `de-AT`."""
    return tag and tag.lower().split("-")[0]


def _language_rank(tag: str | None) -> int:
    if tag is None:
        return 1
    return 0 if _primary(tag) == "en" else 2
