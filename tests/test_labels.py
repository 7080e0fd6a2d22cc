"""What terms are called."""

from kg.namespaces import RDFS, SKOS
from kg.store.labels import labels

TEXTS = {
    RDFS + "label": [("de", "Deutschland", "de"), ("de", "Germany", "en"), ("fr", "Francia", "it"), ("fr", "FR", None)],
    SKOS + "prefLabel": [("de", "Federal Republic", "en"), ("ch", "Switzerland", "en-GB"), ("ch", "Schweiz", None)],
}


def test_rdfs_before_skos_then_english_then_without_language() -> None:
    assert labels(lambda predicate: TEXTS[predicate]) == {"de": "Germany", "fr": "FR", "ch": "Switzerland"}
