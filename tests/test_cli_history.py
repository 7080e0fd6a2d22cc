"""The states that a store had, at the command line."""

import json
from pathlib import Path

import pytest
from commands import EX, done, refused, run


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A store of two facts in the default graph, and of one in another."""
    (tmp_path / "two.nt").write_text(f"<{EX}a> <{EX}p> <{EX}b> .\n<{EX}b> <{EX}p> <{EX}c> .\n")
    (tmp_path / "one.nt").write_text(f"<{EX}a> <{EX}p> <{EX}b> .\n")
    done("load", tmp_path / "two.kg", tmp_path / "two.nt")
    done("load", tmp_path / "two.kg", tmp_path / "one.nt", "--graph", f"{EX}g")
    return tmp_path / "two.kg"


def test_history_diff_and_restore(two: Path) -> None:
    done("remove", two, "--graph", f"{EX}g")
    found = json.loads(done("history", two, "--json"))
    assert [each["by"] for each in found["generations"]] == ["remove", "load", "load"] and found["dropped"] == []
    table = done("history", two)
    assert "load one.nt" in table and "load two.nt" in table and f"remove {EX}g" in table
    fact = f"<{EX}a> <{EX}p> <{EX}b> <{EX}g> ."
    assert done("diff", two, 2) == f"{two}: from generation 2 to 3 0 facts came, 1 went and 2 stayed\n- {fact}\n"
    differs = json.loads(done("diff", two, 3, 2, "--added", two.parent / "came.nq", "--json"))
    counts = {"path": str(two), "old": 3, "new": 2, "added": 1, "removed": 0, "unchanged": 2}
    assert differs == counts | {"first_added": [fact], "first_removed": []}
    assert (two.parent / "came.nq").read_text() == fact + "\n"
    done("restore", two, 1)
    assert json.loads(done("info", two, "--json"))["facts"] == 2
    assert json.loads(done("history", two, "--keep", 1, "--json"))["dropped"] == [3, 2, 1]
    assert done("history", two, "--keep", 1).endswith(f"{two}: 0 generations are gone\n")
    assert refused("diff", two, 1).startswith(f"error: {two}/1 is not there any more")
    assert refused("history", two, "--keep", 0) == "error: --keep must be at least 1, the published generation: got 0"


def test_a_long_difference_is_cut_and_said(two: Path) -> None:
    many = two.parent / "many.nt"
    many.write_text("".join(f"<{EX}e{i}> <{EX}p> <{EX}b> .\n" for i in range(12)))
    done("load", two, many)
    said = run("diff", two, 2)
    assert said.stdout.count("\n+ ") == 10 and said.stderr == "+ 2 more\n"
