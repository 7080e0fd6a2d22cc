"""A store where a model could stand: the pretrained network answers, and says that it is that."""

import json
from pathlib import Path

import pytest
from commands import refused, run

SMALL = """@prefix : <http://example.org/> .
:ann :knows :bob, :carl . :bob :knows :carl, :dan . :carl :knows :dan . :dan :knows :eve . :eve :knows :ann .
:ann :worksAt :acme . :bob :worksAt :acme . :carl :worksAt :acme . :dan :worksAt :bolt . :eve :worksAt :bolt .
:ann :livesIn :rome . :bob :livesIn :rome . :dan :livesIn :oslo .
"""


def store(tmp_path: Path) -> Path:
    (tmp_path / "small.ttl").write_text(SMALL)
    assert run("load", str(tmp_path / "s.kg"), str(tmp_path / "small.ttl")).code == 0
    return tmp_path / "s.kg"


def test_a_store_is_asked_without_any_training(tmp_path: Path) -> None:
    path = store(tmp_path)
    asked = run("ask", str(path), "(ann, livesIn, ?)", "--top", "3")
    assert asked.code == 0 and "nothing was trained" in asked.stderr
    assert "rome" in asked.stdout.splitlines()[1]  # the one known answer
    new = run("ask", str(path), "(ann, livesIn, ?)", "--new-only", "--top", "9")
    assert "rome" not in new.stdout and "oslo" in new.stdout
    assert sorted(each.name for each in tmp_path.iterdir()) == ["s.kg", "small.ttl"]  # nothing is left behind


def test_a_fact_is_explained_without_any_training(tmp_path: Path) -> None:
    found = run("explain", str(store(tmp_path)), "carl", "livesIn", "rome")
    assert found.code == 0 and "nothing was trained" in found.stderr
    assert "(bob, livesIn, rome)" in found.stdout


def test_a_graph_is_completed_without_any_training(tmp_path: Path) -> None:
    """Also where it is too small for probabilities; a page for people and rows for programs."""
    path = store(tmp_path)
    ran = run("complete", str(path), "--top", "5")
    assert ran.code == 0 and "nothing was trained" in ran.stderr and len(ran.stdout.splitlines()) > 5
    rows = json.loads(run("complete", str(path), "--top", "5", "--json").stdout)
    assert [each["rank"] for each in rows] == [1, 2, 3, 4, 5] and not any(each["known"] for each in rows)
    assert all(each["because"] for each in rows)
    line = refused("complete", str(path), "--minutes", "0")
    assert "minutes must be above 0" in line
    assert sorted(each.name for each in tmp_path.iterdir()) == ["s.kg", "small.ttl"]


@pytest.mark.parametrize("name", ["one fact", "literals alone"])
def test_hardly_a_graph_is_completed(tmp_path: Path, name: str) -> None:
    text = {"one fact": "<http://x/a> <http://x/b> <http://x/c> .", "literals alone": '<http://x/a> <http://x/b> "c" .'}
    (tmp_path / "few.ttl").write_text(text[name])
    assert run("load", str(tmp_path / "s.kg"), str(tmp_path / "few.ttl")).code == 0
    if name == "one fact":
        assert run("complete", str(tmp_path / "s.kg")).code == 0
    else:
        assert "no facts" in refused("complete", str(tmp_path / "s.kg"))


def test_a_question_with_variables_needs_a_model(tmp_path: Path) -> None:
    line = refused("ask", str(store(tmp_path)), "(?x, livesIn, rome) & (?x, worksAt, acme)")
    assert "needs probabilities, which a model has" in line


def test_a_model_is_trained_from_the_pretrained_weights(tmp_path: Path) -> None:
    path = store(tmp_path)
    tuned = run("train", str(path), str(tmp_path / "m"), "--model", "pretrained", "--fine-tune", "--epochs", "1")
    assert tuned.code == 0 and "pretrained, 1 epochs" in tuned.stdout
    line = refused("train", str(path), str(tmp_path / "n"), "--model", "complex", "--fine-tune")
    assert "fine-tune goes on from the weights of the model pretrained" in line
    line = refused("train", str(path), str(tmp_path / "n"), "--model", "pretrained", "--epochs", "3")
    assert "nothing is trained here" in line


def test_what_is_neither_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert "is no model" in refused("ask", str(tmp_path / "other"), "(a, b, ?)")
