"""What goes into a country_store, and what it holds."""

import json
from pathlib import Path

from commands import done


def test_info(country_store: Path) -> None:
    info = json.loads(done("info", country_store, "--json"))
    counts = {"facts": 24 * 3 + 96 + 2, "entities": 28, "relations": 3, "literals": 49, "predictions": 0}
    assert info == counts | {"generation": 1}
    assert "facts" in done("info", country_store)


def test_load_again_adds_nothing(country_store: Path) -> None:
    again = json.loads(done("load", country_store.parent / "again.kg", country_store.parent / "graph.ttl", "--json"))
    assert again["added"] == again["read"] == 170
    again = json.loads(done("load", country_store.parent / "again.kg", country_store.parent / "graph.ttl", "--json"))
    assert again["added"] == 0
