"""`kg train`, and `kg calibrate` after it."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import EX, PRESET, done, refused, run

from kg.query.candidates.files import read_candidates

INTERRUPTED = """
import os, signal
from kg.cli import app, progress_bar

def at(self, what, done, total=None, figures=None):
    if what == "training" and done == 3:
        os.kill(os.getpid(), signal.SIGINT)

progress_bar.ConsoleProgress.at = at
app.main()
"""


def test_resume_and_interrupt(country_store: Path, tmp_path: Path) -> None:
    """Ctrl-C in the third step, in a process of its own."""
    arguments = ("train", country_store, tmp_path / "m", "--dim", "4", "--batch-size", "16", "--epochs")
    command = [sys.executable, "-c", INTERRUPTED, *map(str, arguments), "1000"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 130 and ran.stdout == ""
    assert ran.stderr.splitlines()[-1].startswith("Stopped and saved: kg train") and "--resume" in ran.stderr
    assert "--resume goes on with it" in refused(*arguments, 5)
    resumed = run("train", country_store, tmp_path / "m", "--resume", "--epochs", 1, "--json")
    assert resumed.code == 0 and json.loads(resumed.stdout)["epochs"] == 1


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(PRESET)
    return tmp_path / "mine.py"


def test_train_a_preset(country_store: Path, preset: Path, tmp_path: Path) -> None:
    varied = ("--epochs", 1, "--dim", 8, "--lr", 0.5, "--precision", "bf16")
    trained = run("train", country_store, tmp_path / "m", "--preset", f"{preset}:small", *varied)
    assert "distmult, 1 epochs" in trained.stdout, trained.stderr
    config = json.loads((tmp_path / "m" / "2" / "config.json").read_text())["run"]
    assert config["scorer"] == {"name": "distmult", "arguments": {"dim": 8}}
    settings = config["algorithm"]["arguments"]
    assert settings["optimizer"]["arguments"] == {"lr": 0.5} and settings["precision"] == "bf16"
    assert (settings["batch_size"], config["seed"]) == (64, 7)  # the preset's own
    resumed = run(
        "train", country_store, tmp_path / "m", "--resume", "--preset", f"{preset}:small", "--model", "rescal"
    )
    assert resumed.stderr.splitlines()[-2:] == [
        "--model rescal was not used: the model goes on with distmult",
        f"--preset {preset}:small was not used: the model keeps its own settings",
    ]


def test_a_preset_that_is_none(country_store: Path, preset: Path, tmp_path: Path) -> None:
    for given, said in (("large", "no preset 'large': it has small"), ("small,small", "name one preset")):
        assert said in refused("train", country_store, tmp_path / "m", "--preset", f"{preset}:{given}")
    both = ("--preset", f"{preset}:small", "--model", "complex")
    assert "leave --model out" in refused("train", country_store, tmp_path / "m", *both)
    assert not (tmp_path / "m").exists()


def test_train_for_some_time(country_store: Path, tmp_path: Path) -> None:
    """A hundredth of a second is over in the first epochs of a thousand."""
    arguments = ("--dim", 4, "--epochs", 1000, "--minutes", 0.01 / 60)
    trained = run("train", country_store, tmp_path / "m", *arguments)
    assert trained.code == 0 and re.search(
        r"m: complex, \d+ epochs( and \d+ of \d+ steps)?, best at \d+", trained.stdout
    )
    before = json.loads((tmp_path / "m" / "CURRENT").read_text())
    metrics = json.loads((tmp_path / "m" / str(before) / "metrics.json").read_text())
    assert metrics["finished"] and metrics["epochs"] < 1000 and metrics["cut_short"]["minutes"] == 0.01 / 60
    assert (tmp_path / "m" / str(before) / "calibration.json").exists()
    assert "--minutes must be above 0" in refused("train", country_store, tmp_path / "n", "--minutes", 0)
    once = run("train", country_store, tmp_path / "n", "--minutes", 1, "--model", "frequency").stderr.splitlines()[-1]
    assert "Counting passes over the facts once" in once and "--minutes cannot be chosen" in once
    parts = ("--model", "combine", "--parts", "frequency", "--minutes", 1)
    assert "--minutes: a combination has no such setting" in refused("train", country_store, tmp_path / "n", *parts)


def test_train_against_some_entities(country_store: Path, tmp_path: Path) -> None:
    done("train", country_store, tmp_path / "m", "--dim", 4, "--epochs", 1, "--negatives", 3, "--batch-size", 16)
    settings = json.loads((tmp_path / "m" / "2" / "config.json").read_text())["run"]["algorithm"]["arguments"]
    assert settings["objective"]["arguments"]["num_negatives"] == 3 and settings["batch_size"] == 16
    resumed = run("train", country_store, tmp_path / "m", "--resume", "--negatives", 5)
    assert resumed.stderr.splitlines()[-1] == "--negatives 5 was not used: the model goes on with 3"


def test_a_model_without_valid_facts_tells_no_probabilities(country_store: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    done("train", country_store, plain, "--valid", 0, "--test", 0, "--dim", 4, "--epochs", 1)
    assert "gives no probabilities" in refused("complete", plain, "--min-probability", 0.5)
    assert "there is nothing to calibrate it on" in refused("calibrate", plain)
    found = run("complete", plain, "--top", 3, "-o", tmp_path / "best.tsv", "--json")
    assert [each["probability"] for each in json.loads(found.stdout)] == [None] * 3, found.stderr
    assert "without probabilities: it was trained without valid facts" in found.stderr
    assert [each.probability for each in read_candidates(tmp_path / "best.tsv")] == [None] * 3


def test_calibrate_gives_what_training_gave(country_model: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(country_model, again)
    before = done("complete", again, "--top", 5, "--json")
    assert re.search(r"calibrated on \d+ valid facts", done("calibrate", again))
    assert done("complete", again, "--top", 5, "--json") == before


def test_train_a_combination(country_model: Path, country_store: Path, tmp_path: Path) -> None:
    (tmp_path / "facts.tsv").write_text("\n".join(f"a{i % 15}\tr\tb{i % 4}" for i in range(60)))
    other = tmp_path / "other.kg"
    done("load", other, tmp_path / "facts.tsv")
    arguments = ("train", country_store, tmp_path / "m", "--seed", 3)
    together = "--model combine or --model rank_ensemble and --parts go together"
    assert together in refused(*arguments, "--parts", "frequency")
    assert together in refused(*arguments, "--model", "rank_ensemble")
    combine = (*arguments, "--model", "combine", "--parts")
    assert "--lr: a combination has no such setting" in refused(*combine, "frequency", "--lr", 0.1)
    foreign = refused("train", other, tmp_path / "m", "--model", "combine", "--parts", country_model)
    assert f"{country_model} was trained on other facts: it cannot be the part here" in foreign
    assert not (tmp_path / "m").exists() and not (tmp_path / "m-frequency").exists()
    trained = run(*combine, f"{country_model},frequency")
    said = r"m: combine, 1 epochs, best at 1, valid MRR 0\.\d+ \(each half by weights of the other\)\n"
    assert re.search(said, trained.stdout), trained.stderr
    assert f"frequency: trained first, in {tmp_path / 'm-frequency'}" in trained.stderr
    assert "frequency, 1 epochs" not in trained.stdout
    ranks = run(
        "train", country_store, tmp_path / "n", "--seed", 3, "--model", "rank_ensemble", "--parts", country_model
    )
    assert re.search(said.replace("m: combine", "n: rank_ensemble"), ranks.stdout), ranks.stderr
    relations = json.loads(done("ask", tmp_path / "m", "(Country 3, ?, Country 4)", "--json"))
    assert {each["predicate"]: each["known"] for each in relations} == {EX + "borders": True, EX + "memberOf": False}


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("a\tr\tb\n")
    for option in (("--relation", "r"), ("--graph", ""), ("--valid", "0.1"), ("--restrictions",)):
        assert f"{option[0]} chooses from a store" in refused("train", tmp_path, tmp_path / "m", *option)


def test_a_named_graph_by_its_prefix(country_store: Path, tmp_path: Path) -> None:
    turtle = country_store.parent / "graph.ttl"
    done("load", tmp_path / "s.kg", turtle, "--graph", EX + "g")
    assert "no graph" in refused("train", tmp_path / "s.kg", tmp_path / "m", "--graph", "ex:other")
    arguments = ("--graph", "ex:g", "--dim", 4, "--epochs", 1)
    done("train", tmp_path / "s.kg", tmp_path / "m", *arguments)
