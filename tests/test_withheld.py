"""The commands, where a model gives no probability of one predicate, or of all."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from commands import EX, done, refused, run

from kg import bundle as bundles
from kg.bundle import Bundle
from kg.probability.calibration import calibration_of


@pytest.fixture(params=["borders", "all"])
def withheld(request: pytest.FixtureRequest, country_model: Path, country_store: Path, tmp_path: Path) -> list[str]:
    """The predicates; the model is in tmp_path / 'model'."""
    shutil.copytree(country_model, tmp_path / "model")
    shutil.copytree(country_store, tmp_path / country_store.name)
    bundle = Bundle.load(tmp_path / "model")
    relations = bundle.dataset.vocabulary.relations
    chosen = [i for i, name in enumerate(relations) if request.param == "all" or name == EX + request.param]
    found = calibration_of(bundle)
    assert found is not None
    bundles.save_calibration(bundle, replace(found, withheld=tuple(chosen)).to_json())
    return [relations[each] for each in chosen]


def test_completed_without_them_unless_they_are_named(withheld: list[str], tmp_path: Path) -> None:
    model = tmp_path / "model"
    ran = run("complete", model, "--json", "--order", "probability")
    found = json.loads(ran.stdout)
    assert not {each["predicate"] for each in found} & set(withheld) and bool(found) == (len(withheld) == 1)
    assert "not offered unless named, as their probabilities did not hold" in ran.stderr
    ran = run("complete", model, "--relation", withheld[0], "--top", 5, "--json")
    assert [each["probability"] for each in json.loads(ran.stdout)] == [None] * 5
    assert "without probabilities: those of facts kept apart did not hold" in ran.stderr
    both = json.loads(done("complete", model, "--relation", EX + "borders", "--relation", EX + "memberOf", "--json"))
    is_given = [each["predicate"] not in withheld for each in both]
    assert is_given == sorted(is_given, reverse=True) and [each["probability"] is not None for each in both] == is_given
    said = refused("complete", model, "--relation", withheld[0], "--min-probability", 0.1)
    assert said.startswith("error: --min-probability: no probability is given of ")


def test_measured_without_them(withheld: list[str], tmp_path: Path) -> None:
    ran = run("evaluate", tmp_path / "model", "--json", "--plot", tmp_path / "plot.svg")
    assert ran.code == 0 and f"without {len(withheld)} withheld predicates, of " in ran.stderr
    is_measured = json.loads(ran.stdout)["probability"] is not None
    assert is_measured == (tmp_path / "plot.svg").exists() == ("was not drawn" not in ran.stderr)
    assert is_measured or len(withheld) > 1


def test_asked_and_explained(withheld: list[str], tmp_path: Path) -> None:
    pattern = f"({EX}c0, {EX}borders, ?)"
    answers = json.loads(done("ask", tmp_path / "model", pattern, "--json"))
    assert answers and all(each["probability"] is None for each in answers)
    assert done("explain", tmp_path / "model", EX + "c0", EX + "borders", EX + "c5")
