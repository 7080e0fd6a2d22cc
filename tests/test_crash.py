"""Killed at any moment, the store is the old one or the new one, whole, and the next write cleans up."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from kg.store.store import Store

EX = "http://example.org/"
OLD, NEW = 1, 2  # generations

# The writer: Store.load, remove_files or replace_files as anyone would call it, in which one named call ends a process
# with SIGKILL.
VICTIM = '''
import itertools, os, signal, sys, time
from pathlib import Path
import numpy
from pyoxigraph import Quad
from kg import generations, manifest
from kg.store import comparison, draft, facts, revision, sandbox, store

def kill():
    victims = {"worker": [os.getpid()], "parent": [os.getppid()], "both": [os.getppid(), os.getpid()]}
    for victim in victims[os.environ.get("VICTIM", "worker")]:
        os.kill(victim, signal.SIGKILL)
    time.sleep(60)  # as the orphan of a killed parent: the worker must leave by itself

def arm():
    """Replaces `module.name` by one that kills before or after its n-th call."""
    owner, name = os.environ["AT"].rsplit(".", 1)
    owner = eval(owner)
    original, calls, wanted = getattr(owner, name), itertools.count(1), int(os.environ["CALL"])
    def deadly(*arguments, **options):
        last = next(calls) == wanted
        if last and os.environ["WHEN"] == "before":
            kill()
        result = original(*arguments, **options)
        if last:
            kill()
        return result
    setattr(owner, name, deadly)

def stepped(quads):
    for quad in quads:
        step()
        yield quad

def step():
    """Called for every fact on its way from the parser into the database and the arrays."""

def work(**arguments):
    """Runs in the worker process, in place of draft.load, revision.remove or revision.replace."""
    draft.SMALL = 100
    insert, remove = draft.StoreDraft.insert, draft.StoreDraft.remove
    draft.StoreDraft.insert = lambda self, quads: insert(self, stepped(quads))
    draft.StoreDraft.remove = lambda self, quads, *missing: remove(self, stepped(quads), *missing)
    if os.environ["IN"] == "worker":
        arm()
    return (draft.load if WHAT == "load" else getattr(revision, WHAT))(**arguments)

WHAT = os.environ.get("WHAT", "load")

def main():
    run = sandbox.run
    def redirected(target, *arguments, **options):
        return run("victim:work", *arguments, **options)
    sandbox.run = redirected
    if os.environ["IN"] == "parent":
        arm()
    with store.Store(sys.argv[1]) as opened:
        getattr(opened, {"load": "load", "remove": "remove_files", "replace": "replace_files"}[WHAT])(sys.argv[2])
'''

STEP = "sys.modules[__name__].step"


@dataclass(frozen=True)
class Kill:
    """`victim` dies when the process `within` is about to make (or has made) its n-th call of `at`."""

    stage: str
    within: str
    when: str
    at: str
    outcome: int
    call: int = 1
    victim: str = "worker"
    what: str = "load"

    def __str__(self) -> str:
        return f"{self.what}-{self.stage}-{self.victim}-{self.when}-{self.at.rsplit('.', 1)[1]}-{self.call}"


IN_THE_WORKER = [
    ("parse", "before", STEP, 1),
    ("parse", "before", STEP, 50),  # among the first, which are held back
    ("database", "before", STEP, 900),  # within the bulk load
    ("database", "before", STEP, 2000),
    ("database", "before", "draft.FactsDraft.write", 1),
    ("arrays", "before", "numpy.save", 1),
    ("arrays", "after", "numpy.save", 1),
    ("arrays", "after", "facts.FactsDraft._write_terms", 1),
    ("checks", "before", "manifest.damage", 3),
    ("manifest", "before", "Path.write_text", 1),
    ("manifest", "before", "manifest.write_manifest", 1),
    ("manifest", "after", "manifest.write_manifest", 1),
]
IN_THE_PARENT = [
    ("before CURRENT", "before", "generations._publish", 1, OLD),
    ("before CURRENT", "before", "generations.to_disk", 5, OLD),
    ("before CURRENT", "before", "Path.rename", 1, OLD),
    ("before CURRENT", "after", "Path.rename", 1, OLD),
    ("before CURRENT", "before", "Path.replace", 1, OLD),
    ("after CURRENT", "after", "Path.replace", 1, NEW),
    ("after CURRENT", "after", "generations._publish", 1, NEW),
    ("after CURRENT", "before", "store.Store._open", 2, NEW),
]
REVISING = [
    ("parse", "before", STEP, 1),
    ("database", "before", STEP, 500),
    ("database", "before", STEP, 2001),  # what was there before, of a new version
    ("database", "before", "draft.FactsDraft.write", 1),
    ("arrays", "after", "numpy.save", 1),
    ("manifest", "before", "Path.write_text", 1),
    ("manifest", "after", "manifest.write_manifest", 1),
]
KILLS = [
    *(Kill(stage, "worker", when, at, OLD, call) for stage, when, at, call in IN_THE_WORKER),
    *(Kill(stage, "worker", when, at, OLD, call, "parent") for stage, when, at, call in IN_THE_WORKER[1::3]),
    *(Kill(stage, "worker", when, at, OLD, call, "both") for stage, when, at, call in IN_THE_WORKER[2::3]),
    *(Kill(stage, "parent", when, at, outcome, call) for stage, when, at, call, outcome in IN_THE_PARENT),
    *(Kill(stage, "worker", when, at, OLD, call, what="replace") for stage, when, at, call in REVISING),
    *(
        Kill(stage, "worker", when, at, OLD, call, "both", "remove")
        for stage, when, at, call in REVISING
        if call < 2001
    ),
    Kill("database", "worker", "after", "comparison.each_line", OLD, what="replace"),
    *(
        Kill(stage, "parent", when, at, outcome, call, what=what)
        for stage, when, at, call, outcome in IN_THE_PARENT[3:]
        for what in ("remove", "replace")
    ),
]
# facts and rows of a generation
FACTS = {
    "load": {OLD: (2, 2), NEW: (2002, 1802)},
    "remove": {OLD: (2002, 1802), NEW: (2, 2)},
    "replace": {OLD: (2, 2), NEW: (2000, 1800)},
}


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of one generation, a file of 2,000 facts to add, a tenth of them literals, and a store of both."""
    ground = tmp_path_factory.mktemp("ground")
    (ground / "victim.py").write_text(VICTIM)
    (ground / "old.nt").write_text(f"<{EX}a> <{EX}p> <{EX}b> .\n_:x <{EX}p> <{EX}b> .\n")
    lines = (
        f'<{EX}e{i}> <{EX}p{i % 3}> "{i}" .' if i % 10 == 0 else f"<{EX}e{i}> <{EX}p{i % 3}> <{EX}e{i + 7}> ."
        for i in range(2000)
    )
    (ground / "new.nt").write_text("\n".join(lines) + "\n")
    with Store(ground / "a.kg", create=True) as store:
        store.load(ground / "old.nt")
    with Store(ground / "both.kg", create=True) as store:
        store.load([ground / "old.nt", ground / "new.nt"])
    return ground


def begun(ground: Path, root: Path, what: str) -> None:
    shutil.copytree(ground / ("both.kg" if what == "remove" else "a.kg"), root)


def victim(ground: Path, root: Path, **environment: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", "import victim; victim.main()", str(root), str(ground / "new.nt")],
        env={**os.environ, "PYTHONPATH": str(ground), **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def generation_of_whole(root: Path, what: str = "load") -> int:
    """Which generation a crash left: every part of it is looked at."""
    with Store(root) as store:
        generation = store.generation
        facts, rows = FACTS[what][generation]
        assert store.count() == len(list(store.match())) == facts
        assert len(store.facts()) == rows
        assert len(store.terms()) == len(set(store.terms())) > store.facts()[:, :3].max()
        store.verify()
    return generation


def the_next_write_cleans_up(root: Path, generation: int, ground: Path, what: str = "load") -> None:
    with Store(root) as store:
        added = store.load(ground / "new.nt").added
        assert added == (2000 if (what == "remove") == (generation == NEW) else 0)
        assert store.generation == generation + 1
    assert {entry.name for entry in root.iterdir()} == {"CURRENT", "LOCK", *map(str, range(1, generation + 2))}
    assert not list(root.rglob("bulk-*"))


@pytest.mark.parametrize("kill", KILLS, ids=str)
def test_killed_at_a_known_moment(kill: Kill, ground: Path, tmp_path: Path) -> None:
    root = tmp_path / "a.kg"
    begun(ground, root, kill.what)
    environment = {"WHAT": kill.what, "IN": kill.within, "AT": kill.at, "WHEN": kill.when, "CALL": str(kill.call)}
    with victim(ground, root, VICTIM=kill.victim, **environment) as process:
        said = process.communicate()[1].decode()
    parent_dies = kill.within == "parent" or kill.victim != "worker"
    assert process.returncode == (-signal.SIGKILL if parent_dies else 1), said
    assert parent_dies or "UserError: " in said, said
    assert generation_of_whole(root, kill.what) == kill.outcome
    the_next_write_cleans_up(root, kill.outcome, ground, kill.what)


def test_both_outcomes_occur_and_every_stage_is_hit() -> None:
    assert {kill.outcome for kill in KILLS} == {OLD, NEW}
    stages = {"parse", "database", "arrays", "checks", "manifest", "before CURRENT", "after CURRENT"}
    assert {kill.stage for kill in KILLS} == stages


def test_killed_while_adding(ground: Path, tmp_path: Path) -> None:
    """add() and remove() write in the calling process."""
    outcomes = set()
    for at in ("draft.StoreDraft.finish", "generations._publish", "generations._sweep"):
        root = tmp_path / at
        shutil.copytree(ground / "a.kg", root)
        script = (
            "import victim; from victim import store; from pyoxigraph import NamedNode, Triple; victim.arm(); "
            "import sys; n = NamedNode('a:a'); store.Store(sys.argv[1]).add([Triple(n, n, n)])"
        )
        call = "2" if at.endswith("_sweep") else "1"
        environment = {"AT": at, "WHEN": "before", "CALL": call, "PYTHONPATH": str(ground)}
        code = subprocess.run([sys.executable, "-c", script, str(root)], env={**os.environ, **environment}, check=False)
        assert code.returncode == -signal.SIGKILL
        with Store(root) as store:
            outcomes.add(store.generation)
            assert store.count() == len(list(store.match())) == len(store.facts()) == store.generation + 1
            store.verify()
        with Store(root) as store:
            store.add(store.match())
            assert len(list(root.iterdir())) == 2 + store.generation
    assert outcomes == {OLD, NEW}


@pytest.mark.parametrize("seed", range(10))
def test_killed_at_a_random_moment(seed: int, ground: Path, tmp_path: Path) -> None:
    root, what = tmp_path / "a.kg", list(FACTS)[seed % 3]
    begun(ground, root, what)
    with victim(ground, root, WHAT=what, IN="nobody") as process:
        time.sleep(random.Random(seed).uniform(0.1, 1.2))
        process.kill()
        process.communicate()
    generation = generation_of_whole(root, what)
    the_next_write_cleans_up(root, generation, ground, what)
