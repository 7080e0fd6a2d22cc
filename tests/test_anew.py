"""A model trained anew in its own folder: as it was trained, on what there is now, and never half."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyoxigraph as ox
import pytest
import torch
from commands import EX, done, refused
from stored import named, store_of

from kg import generations
from kg.api import trained_anew
from kg.bundle import Bundle
from kg.decisions.journal import Decision, Journal
from kg.errors import UserError
from kg.query.predictor import Predictor
from kg.store.store import Store
from kg.training.anew import in_its_place, minutes_of, read_as

QUICK = ("--model", "distmult", "--dim", 4, "--epochs", 2)


@pytest.fixture
def ground(country_store: Path, tmp_path: Path) -> Path:
    """A folder with a store, graph.kg, and a model of it."""
    shutil.copytree(country_store, tmp_path / "graph.kg")
    done("train", tmp_path / "graph.kg", tmp_path / "m", *QUICK, "--seed", 5, "--valid", 0.2, "--test", 0.05)
    return tmp_path


def test_on_the_same_facts_it_is_the_same_model(ground: Path) -> None:
    before = Bundle.load(ground / "m")
    after = trained_anew(ground / "graph.kg", ground / "m")
    assert after.run == before.run and after.calibration == before.calibration
    assert after.dataset.digest() == before.dataset.digest() and after.dataset.shares == (0.2, 0.05)
    ours, theirs = after.scorer.state_dict(), before.scorer.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert after.store() == (ground / "graph.kg").resolve()
    assert done("verify", ground / "m") and not list((ground / "m").glob("*.draft"))


def test_what_people_accepted_trains(ground: Path) -> None:
    fact = (EX + "c0", EX + "borders", EX + "c7")
    Journal(ground / "graph.kg").append([Decision("1", *fact, "accept", "Ann")])
    before = Bundle.load(ground / "m").dataset
    after = trained_anew(ground / "graph.kg", ground / "m").dataset
    assert len(after.everything[0].tail) == len(before.everything[0].tail) + 2  # an edge each way
    assert fact in set().union(*(named(after, part) for part in ("train", "valid", "test")))
    assert Predictor.load(ground / "m", ground / "graph.kg").explain(*fact).known


def test_what_was_chosen_of_a_store_is_chosen_again(tmp_path: Path) -> None:
    trig = "GRAPH :g { :a :p :b . :b :p :c . :c :p :a . :a :q :c . :b :q :a } :x :p :y ."
    store_of(tmp_path, trig).close()
    chosen = ("--graph", "http://x.example/g", "--relation", "http://x.example/p", "--valid", 0, "--test", 0)
    done("train", tmp_path / "facts.kg", tmp_path / "m", *QUICK, *chosen)
    with Store(tmp_path / "facts.kg") as store:
        store.add([ox.Quad(*(ox.NamedNode(f"http://x.example/{each}") for each in ("a", "p", "d", "g")))])  # type: ignore[arg-type]
    after = trained_anew(tmp_path / "facts.kg", tmp_path / "m").dataset
    assert named(after, "train") == {("a", "p", "b"), ("b", "p", "c"), ("c", "p", "a"), ("a", "p", "d")}


def test_of_classes_as_nobody_asked(tmp_path: Path) -> None:
    """An ontology is seen to be one again; who chose otherwise has chosen."""
    owl = " ".join(f":C{i} a owl:Class ; rdfs:subClassOf :C{i // 2} ." for i in range(1, 30))
    store_of(tmp_path, owl).close()
    done("train", tmp_path / "facts.kg", tmp_path / "m", *QUICK)
    data = Bundle.load(tmp_path / "m").dataset
    assert data.restrictions and read_as(data)["restrictions"] is None and "relations" not in read_as(data)
    assert trained_anew(tmp_path / "facts.kg", tmp_path / "m").dataset.digest() == data.digest()
    of_people = replace(data, restrictions=False, shares=None, test=data.test[:0])
    assert read_as(of_people)["restrictions"] is False
    assert (read_as(of_people)["valid"], read_as(of_people)["test"]) == (0.1, 0.0)
    assert read_as(replace(data, generation=None)) == {}


def test_as_long_as_the_clock_gave(ground: Path) -> None:
    old = Bundle.load(ground / "m")
    cut = {"cut_short": {"minutes": 0.5, "step": 1, "steps": 2}}
    found = [minutes_of(replace(old, metrics=old.metrics | each)) for each in (cut, {"cut_short": 3}, {})]
    assert found == [0.5, None, None]


@pytest.fixture
def before(ground: Path) -> Iterator[str]:
    """That the model is as it was, and nothing is left of what came to no end, when the next write is done."""
    sha256 = Bundle.load(ground / "m").sha256
    yield sha256
    assert Bundle.load(ground / "m").sha256 == sha256
    done("calibrate", ground / "m")
    assert sorted(each.name for each in (ground / "m").iterdir() if each.suffix == ".draft") == []


def test_what_fails_leaves_the_model(ground: Path, before: str) -> None:
    with pytest.raises(UserError, match="nowhere"):
        trained_anew(ground / "nowhere", ground / "m")
    with pytest.raises(UserError, match="epochs"):
        trained_anew(
            ground / "graph.kg", ground / "m", vary=lambda run: replace(run, algorithm=run.algorithm.with_epochs(0))
        )
    with pytest.raises(ZeroDivisionError), in_its_place(ground / "m") as folder:
        folder.mkdir()
        raise ZeroDivisionError
    with pytest.raises(UserError, match="is no model"), in_its_place(ground / "m"):
        pass


KILLED = """
import os, signal, sys
from pathlib import Path
from kg import api
from kg.progress import Progress

class Dies(Progress):
    def at(self, what, done, total=None, figures=None):
        if what == sys.argv[3] and done:
            os.kill(os.getpid(), signal.SIGKILL)

api.trained_anew(Path(sys.argv[1]), Path(sys.argv[2]), progress=Dies())
"""


@pytest.mark.parametrize("moment", ["training", "trying the probabilities"])
def test_killed_it_leaves_the_model(ground: Path, before: str, moment: str) -> None:
    line = [sys.executable, "-c", KILLED, str(ground / "graph.kg"), str(ground / "m"), moment]
    assert subprocess.run(line).returncode == -signal.SIGKILL
    assert len(list((ground / "m").glob("*.draft"))) == 1


def test_nobody_else_writes_meanwhile(ground: Path) -> None:
    number = generations.number(generations.current(ground / "m"))
    with in_its_place(ground / "m") as folder:
        assert "the model is in use by process" in refused("calibrate", ground / "m")
        assert "the model is in use by process" in refused("train", ground / "graph.kg", ground / "m", "--anew")
        assert Bundle.load(ground / "m").run["seed"] == 5
        shutil.copytree(ground / "m", folder, ignore=shutil.ignore_patterns("*.draft", "LOCK"))
    assert generations.number(generations.current(ground / "m")) == number + 1


def test_the_command(ground: Path) -> None:
    line = ("train", ground / "graph.kg", ground / "m", "--anew")
    assert "a model is trained anew as what it is" in refused(*line, "--model", "rescal")
    assert "--resume goes on with a training, --anew begins it again" in refused(*line, "--resume")
    assert "no such directory" in refused("train", ground / "graph.kg", ground / "nowhere", "--anew")
    trained = json.loads(done(*line, "--epochs", 3, "--seed", 6, "--valid", 0.1, "--json"))
    after = Bundle.load(ground / "m")
    assert trained["epochs"] == 3 and after.run["seed"] == 6 and after.dataset.shares == (0.1, 0.05)
    assert after.run["scorer"]["arguments"]["dim"] == 4


INTERRUPTED = """
import os, signal
from kg.cli import app, progress_bar

def at(self, what, done, total=None, figures=None):
    if what == "training" and done == 3:
        os.kill(os.getpid(), signal.SIGINT)

progress_bar.ConsoleProgress.at = at
app.main()
"""


def test_stopped_the_command_says_that_nothing_changed(ground: Path, before: str) -> None:
    line = [sys.executable, "-c", INTERRUPTED, "train", ground / "graph.kg", ground / "m", "--anew", "--epochs", "100"]
    ran = subprocess.run(list(map(str, line)), capture_output=True, text=True, timeout=300)
    assert ran.returncode == 130 and ran.stderr.splitlines()[-1] == f"Stopped: {ground / 'm'} is as it was"
