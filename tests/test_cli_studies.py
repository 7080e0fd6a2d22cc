"""`kg bench` and `kg tune`."""

import json
import re
from pathlib import Path

import pytest
from commands import PRESET, done, run


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(PRESET)
    return tmp_path / "mine.py"


def test_bench(country_store: Path, preset: Path, tmp_path: Path) -> None:
    arguments = ("bench", country_store, "--out", tmp_path / "b", "--preset")
    results = json.loads(done(*arguments, preset, "--seeds", 1, "--json"))
    assert [(row["preset"], row["seed"], row["epochs"]) for row in results["rows"]] == [("small", 0, 2)]
    table = run(*arguments, f"{preset}:small", "--seeds", 2)
    assert re.search(r"small +2 +0\.\d{3} ± ", table.stdout), table.stderr
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == [
        "cost.png",
        "results.json",
        "results.md",
        "results.png",
        "small-0",
        "small-1",
    ]


def test_tune(country_store: Path, tmp_path: Path) -> None:
    arguments = ("tune", country_store, tmp_path / "t", "--model", "distmult", "--epochs", 2)
    first = json.loads(done(*arguments, "--trials", 1, "--json"))
    assert first["complete"] == 1 and first["best"]["scorer"]["name"] == "distmult"
    more = run(*arguments, "--trials", 2)
    assert "2 of 2, trial 1: valid MRR 0." in more.stderr, more.stderr
    command = re.search(r"best of 2 trials.*\ntrain it: kg train (\S+) MODEL --preset (\S+)\n", more.stdout)
    assert command and (command[1], command[2]) == (str(country_store), f"{tmp_path / 't' / 'best.py'}:best")
