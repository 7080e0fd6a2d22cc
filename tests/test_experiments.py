"""experiments/: its README is made from the results, its presets are Runs, and nothing points out of the repository."""

import ast
import json
import re
from collections import Counter
from pathlib import Path

import benchmarks
import contents
import mutants
import pytest

from kg.studies.presets import presets

ROOT = Path(__file__).parents[1]
EXPERIMENTS = ROOT / "experiments"
PRESETS = sorted((EXPERIMENTS / "presets").glob("*.py"))
SCRIPTS = [path for room in contents.ROOMS for path in sorted((EXPERIMENTS / room).glob("*.py"))]


def test_the_readme_is_up_to_date() -> None:
    assert (EXPERIMENTS / "README.md").read_text(encoding="utf-8") == contents.contents(), (
        "run experiments/harness/contents.py"
    )


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_every_preset_is_a_run_and_its_file_says_where_the_data_are(path: Path) -> None:
    assert presets(str(path))
    assert "data/README.md" in (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "")


@pytest.mark.parametrize("path", [*PRESETS, *SCRIPTS], ids=lambda path: path.stem)
def test_nothing_points_outside_of_the_repository(path: Path) -> None:
    """What lies beside the checkout is found by harness/benchmarks.py alone."""
    assert not re.search(r"\.\./|/tmp\b|shared/datasets", path.read_text(encoding="utf-8"))


def test_every_mutant_can_be_put_in() -> None:
    """Code that was changed takes its mutants along."""
    every = mutants.mutants()
    names, sizes = {each.name for each in every}, Counter(each.list for each in every)
    assert len(names) == len(every) and names.issuperset(mutants.SURVIVED_AT_FIRST)
    assert sizes["mutants"] > 40 and sizes["mutants_fresh"] == 30
    for each in every:
        mutants.mutated(each)
        assert all((ROOT / tests).is_file() for tests in each.tests.split()), each.name


def test_every_path_named_in_a_text_is_there() -> None:
    texts = [ROOT / "README.md", ROOT / "data" / "README.md", *(ROOT / "docs").glob("*.md"), *EXPERIMENTS.rglob("*.py")]
    named = {
        (text.relative_to(ROOT).as_posix(), path)
        for text in texts
        for path in re.findall(r"\bexperiments/[\w/-]+\.(?:py|json|md|png|txt)\b", text.read_text(encoding="utf-8"))
    }
    named -= {("experiments/speed/growth.py", "experiments/results/growth.json")}  # not measured yet
    gone = {(text, path) for text, path in named if not (ROOT / path).exists() and "NAME" not in path}
    assert gone == set()


def test_benchmarks_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine" / "umls").mkdir(parents=True)
    monkeypatch.setenv("KG_DATA", str(tmp_path / "mine"))
    assert benchmarks.find("umls") == benchmarks.folder("umls") == tmp_path / "mine" / "umls"
    assert benchmarks.find(str(tmp_path / "mine")) == tmp_path / "mine"
    assert benchmarks.find("umls", data=tmp_path) is None
    with pytest.raises(SystemExit, match=r"umls: no such folder, here or in .*data/README\.md"):
        benchmarks.folder("umls", data=tmp_path)


def test_no_result_names_a_path_of_one_machine() -> None:
    """A command that was run elsewhere can be run here."""
    for path in sorted((EXPERIMENTS / "results").glob("*.json")):
        words = str(json.loads(path.read_text(encoding="utf-8")).get("command", "")).split()
        assert not [word for word in words if Path(word).is_absolute()], path.name
