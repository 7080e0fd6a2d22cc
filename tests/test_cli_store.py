"""What goes into a store and out of it, and what it holds."""

import json
from pathlib import Path

import pytest
from commands import EX, done, refused, run


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


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A store of two facts in the default graph, and of one in another."""
    (tmp_path / "two.nt").write_text(f"<{EX}a> <{EX}p> <{EX}b> .\n<{EX}b> <{EX}p> <{EX}c> .\n")
    (tmp_path / "one.nt").write_text(f"<{EX}a> <{EX}p> <{EX}b> .\n")
    done("load", tmp_path / "two.kg", tmp_path / "two.nt")
    done("load", tmp_path / "two.kg", tmp_path / "one.nt", "--graph", f"{EX}g")
    return tmp_path / "two.kg"


def test_remove(two: Path) -> None:
    file = two.parent / "two.nt"
    removed = json.loads(done("remove", two, file, "--graph", f"{EX}g", "--json"))
    counts = {"path": str(two), "read": 2, "removed": 1, "missing": 1, "generation": 3}
    assert removed == counts | {"seconds": removed["seconds"]}
    said = run("remove", two, file, file)
    assert said.stdout.startswith(f"{two}: 2 facts removed in ") and said.stdout.endswith(
        " s, 0 were not there; generation 4\n"
    )
    said = run("remove", two, file)
    assert said.stdout.endswith(", 2 were not there; generation 4\n")


def test_remove_says_where_else_a_fact_is(two: Path) -> None:
    done("remove", two, two.parent / "one.nt")
    said = run("remove", two, two.parent / "one.nt")
    assert said.stderr == f"<{EX}a> <{EX}p> <{EX}b> is not in the default graph, but in the graph <{EX}g>\n"


def test_remove_a_graph(two: Path) -> None:
    said = done("remove", two, "--graph", f"{EX}g")
    assert said.startswith(f"{two}: 1 facts removed in ") and said.endswith(" s; generation 3\n")
    assert refused("remove", two, "--graph", f"{EX}g") == f"error: {two} has no graph <{EX}g>"
    assert refused("remove", two) == "error: expected files of facts, or the --graph to remove"
    assert "there is no such directory" in refused("remove", two.parent / "none.kg", two.parent / "one.nt")


def test_load_a_new_version(two: Path) -> None:
    file = two.parent / "one.nt"
    file.write_text(f"<{EX}b> <{EX}p> <{EX}c> .\n<{EX}c> <{EX}p> <{EX}d> .\n<{EX}d> <{EX}p> <{EX}d> .\n")
    replaced = json.loads(done("load", two, file, "--replace", "--json"))
    counts = {"read": 3, "added": 2, "removed": 1, "unchanged": 1, "generation": 3}
    assert replaced == counts | {"seconds": replaced["seconds"]}
    said = done("load", two, file, "--replace")
    assert said.startswith(f"{two}: 3 facts read in ")
    assert said.endswith(" s; 0 are new, 0 are removed, 3 were there; generation 3\n")
    line = refused("load", two, file, "--replace", "--quarantine", two.parent / "bad.txt")
    assert line == "error: --quarantine: what is left out of a new version would be removed"
    assert not (two.parent / "bad.txt").exists()
