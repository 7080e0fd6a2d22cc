"""What terms are called."""

import pytest

from kg.errors import UserError
from kg.namespaces import RDFS, SKOS
from kg.store.labels import labels, language_of_environment

TEXTS = {
    RDFS + "label": [
        *(("de", "Deutschland", "de"), ("de", "Germany", "en"), ("fr", "Francia", "it"), ("fr", "FR", None)),
        ("at", "Österreich", "de"),
    ],
    SKOS + "prefLabel": [
        *(("de", "Federal Republic", "en"), ("ch", "Switzerland", "en-GB"), ("ch", "Schweiz", None)),
        ("at", "Austria", "en"),
    ],
}


def test_rdfs_before_skos_then_english_then_without_language() -> None:
    assert labels(lambda predicate: TEXTS[predicate]) == {
        "de": "Germany",
        "fr": "FR",
        "ch": "Switzerland",
        "at": "Austria",
    }


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        # then as without: rdfs:label, and of these English, no language, any
        ("de", {"de": "Deutschland", "fr": "FR", "ch": "Switzerland", "at": "Österreich"}),
        ("it-CH", {"de": "Germany", "fr": "Francia", "ch": "Switzerland", "at": "Österreich"}),
        ("en", {"de": "Germany", "fr": "FR", "ch": "Switzerland", "at": "Austria"}),
    ],
)
def test_the_language_that_is_asked_for_comes_first(
    language: str, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert labels(lambda predicate: TEXTS[predicate], language) == expected
    monkeypatch.setenv("LC_ALL", language.replace("-", "_") + ".UTF-8")
    assert labels(lambda predicate: TEXTS[predicate]) == expected


def test_a_language_is_a_tag() -> None:
    with pytest.raises(UserError, match="language is a tag"):
        labels(lambda predicate: TEXTS[predicate], "German!")


def test_the_language_of_the_environment() -> None:
    assert language_of_environment({"LANG": "de_AT.UTF-8"}) == "de"
    assert language_of_environment({"LANG": "de_AT.UTF-8", "LC_ALL": "", "LC_MESSAGES": "sr@latin"}) == "sr"
    assert language_of_environment({"LANG": "de", "LC_ALL": "C.UTF-8"}) is None
    assert language_of_environment({}) is None
