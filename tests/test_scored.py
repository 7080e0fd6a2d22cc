"""A store asked with a model at hand, through its worker; and what hostile queries leave behind: one line."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyoxigraph import Literal, NamedNode, Quad
from test_sandbox import gone
from typer.testing import CliRunner

from kg.cli.app import app
from kg.errors import UserError
from kg.query.pattern import parse
from kg.query.predictor import Predictor
from kg.query.sparql import functions
from kg.query.sparql.scored import ScoredStore
from kg.store import sandbox
from kg.store.sparql import Solutions
from kg.store.store import Store

EX = "http://example.org/"
EVERY = f"SELECT ?o (kg:score(<{EX}e0>, <{EX}next>, ?o) AS ?score) {{ ?o <{EX}next> ?x }} ORDER BY DESC(?score)"
CROSS_PRODUCT = "{ ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l . ?m ?n1 ?o . ?p ?q ?r }"


def fact(subject: int, object: int) -> Quad:
    return Quad(NamedNode(f"{EX}e{subject}"), NamedNode(EX + "next"), NamedNode(f"{EX}e{object}"))


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A ring of forty, and a model of it."""
    folder = tmp_path_factory.mktemp("scored")
    with Store(folder / "ring.kg", create=True) as store:
        store.add(fact(i, (i + step) % 40) for i in range(40) for step in (1, 2))
    arguments = ["train", folder / "ring.kg", folder / "model", "--model", "distmult", "--dim", 4, "--epochs", 1]
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.stderr
    return folder / "ring.kg", folder / "model"


@pytest.fixture
def store(paths: tuple[Path, Path]) -> Iterator[Store]:
    with Store(paths[0]) as store:
        yield store


def rows(found: Any) -> list[tuple[Any, ...]]:
    assert isinstance(found, Solutions)
    return found.rows


def test_what_the_predictor_says_and_one_worker_for_many_queries(store: Store, paths: tuple[Path, Path]) -> None:
    with ScoredStore(store, paths[1]) as scored:
        first = scored.answer(EVERY, timeout_seconds=1)  # to import torch alone takes longer
        assert not first.notes
        found = {str(term.value): float(score.value) for term, score in rows(first.results())}
        ranked = Predictor.load(paths[1], paths[0]).ask(parse(f"(<{EX}e0>, <{EX}next>, ?)"), top=100)
        assert len(ranked) == 39 and len(found) == 40  # an entity is no candidate for itself
        assert {each.object: each.score for each in ranked} == pytest.approx(
            {term: score for term, score in found.items() if term != EX + "e0"}
        )
        process = scored._worker._process
        known = f"SELECT (kg:known(<{EX}e0>, <{EX}next>, <{EX}e9>) AS ?known) {{}}"
        assert rows(scored.sparql(known)) == [(Literal(False),)]
        unknown = scored.answer(f"SELECT (kg:known(<{EX}e0>, <{EX}next>, <{EX}e40>) AS ?known) {{}}")
        assert rows(unknown.results()) == [(None,)] and unknown.notes[0].endswith(f"does not know <{EX}e40>")
        with pytest.raises(UserError, match="takes a subject, a predicate and an object: got 1 arguments"):
            scored.sparql("SELECT (kg:score(1) AS ?x) {}")
        store.add([fact(0, 9)])
        try:
            assert rows(scored.sparql(known)) == [(Literal(True),)]  # the worker reads the new generation
        finally:
            store.remove([fact(0, 9)])
        assert scored._worker._process is process


def test_the_model_knows_the_generation_of_the_store_that_asks(store: Store, paths: tuple[Path, Path]) -> None:
    """Though it be published no more."""
    head, tail = f"{EX}e0", f"{EX}e9"
    try:
        with Store(paths[0]) as other:
            other.add([fact(0, 9)])
            for asking, known in ((store, False), (other, True)):
                values = functions._values(str(paths[1]), str(paths[0]), asking.generation)
                ids = values.knowledge.vocabulary.entity_ids
                assert values.known(ids[head], 0, ids[tail]) is known
    finally:
        with Store(paths[0]) as other:
            other.remove([fact(0, 9)])


def test_the_command_says_what_had_no_value(paths: tuple[Path, Path]) -> None:
    query = f"SELECT (kg:known(<{EX}e0>, <{EX}next>, ?o) AS ?known) {{ VALUES ?o {{ <{EX}e1> 'e1' }} }}"
    arguments = ["sparql", str(paths[0]), query, "--model", str(paths[1]), "--format", "tsv"]
    result = CliRunner().invoke(app, arguments)
    assert (result.exit_code, result.stdout) == (0, "?known\ntrue\n\n")
    said = '1 call had no value: the first, as the model does not know "e1"\n'
    assert result.stderr == said


def test_a_model_that_is_none(store: Store, paths: tuple[Path, Path]) -> None:
    with ScoredStore(store, paths[0]) as scored, pytest.raises(UserError, match="no model"):
        scored.sparql("ASK {}")
    with ScoredStore(store, paths[1] / "nowhere") as scored, pytest.raises(UserError, match="no such directory"):
        scored.sparql("ASK {}")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ids of the workers that a test starts, all of them gone at its end."""
    pids: list[int] = []

    class Recorded(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            pids.append(self.pid)

    monkeypatch.setattr(sandbox.subprocess, "Popen", Recorded)
    return pids


DOUBLED = " ".join(f"BIND(CONCAT(?x{i}, ?x{i}) AS ?x{i + 1})" for i in range(28))  # 2.5 GiB
HOSTILE = {
    "size": ("SELECT * {" + " " * 10_000_000 + "}", "10000011 characters long: at most 1048576 are accepted"),
    "braces": ("SELECT * " + "{" * 5000 + "}" * 5000, "query:1:138: nested more than 128 deep"),
    "arguments": ("SELECT * { FILTER(kg:score(" + "(" * 5000 + ")" * 5000 + ")) }", "nested more than 128 deep"),
    "service": ("SELECT * { SERVICE <http://localhost:1/> { ?s ?p ?o } }", "SERVICE and LOAD are refused"),
    "load": ("LOAD <http://localhost:1/>", "SERVICE and LOAD are refused"),
    "time": (f"SELECT (COUNT(*) AS ?n) {CROSS_PRODUCT}", "stopped after 1 seconds, the limit"),
    "memory": (f"SELECT * {{ BIND('0123456789' AS ?x0) {DOUBLED} }}", "GiB of memory, the limit"),
}
BEFORE_A_WORKER = {"size", "braces", "arguments", "service", "load"}


def said(arguments: tuple[Path, ...], query: str, *options: str) -> str:
    """What the command prints of an error, which is one line."""
    seconds = "1" if CROSS_PRODUCT in query else "60"
    result = CliRunner().invoke(app, ["sparql", str(arguments[0]), query, "--timeout", seconds, *options])
    assert result.exit_code == 1 and result.stdout == ""
    assert len(result.stderr.splitlines()) == 1 and len(result.stderr) < 300
    return result.stderr


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_query_is_one_line_and_leaves_nothing(
    paths: tuple[Path, Path], started: list[int], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "QUERY_MEMORY", sandbox.GIB)
    assert HOSTILE[name][1] in said(paths, HOSTILE[name][0])
    assert len(started) == (name not in BEFORE_A_WORKER)
    assert all(gone(pid) for pid in started)


@pytest.mark.parametrize("name", HOSTILE)
def test_and_so_it_is_with_a_model(
    paths: tuple[Path, Path], started: list[int], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "QUERY_MEMORY", sandbox.GIB)
    monkeypatch.setattr(sandbox, "load_memory", lambda: sandbox.GIB)  # torch and this model take 0.7
    query, message = HOSTILE[name]
    query = query.replace("COUNT(*)", "SUM(kg:score(?a, ?b, ?c))")
    assert message in said(paths, query, "--model", str(paths[1]))
    assert len(started) == (name not in BEFORE_A_WORKER)
    assert all(gone(pid) for pid in started)


def test_a_function_needs_a_model(paths: tuple[Path, Path], started: list[int]) -> None:
    line = said(paths, "SELECT (kg:known(?s, ?p, ?o) AS ?x) { ?s ?p ?o }")
    assert line == "error: query: kg:score, kg:probability and kg:known need a model that answers them\n"
    assert started and all(gone(pid) for pid in started)
