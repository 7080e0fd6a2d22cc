"""`kg decide`, `kg decisions` and `kg review`."""

import json
from pathlib import Path

import pyoxigraph as ox
import pytest
from commands import done, run
from typer.testing import CliRunner

from kg.cli.app import app
from kg.decisions.journal import Journal
from kg.store.store import Store

EX = "http://example.org/"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with Store(tmp_path / "graph.kg", create=True) as made:
        facts = ("a p b", "b p c", "c p d", "d p a", "a q c", "b q d")
        made.add(ox.Triple(*(ox.NamedNode(EX + name) for name in each.split())) for each in facts)  # type: ignore[arg-type]
    return made.path


def test_decide_and_take_back(store: Path) -> None:
    assert done("decide", store, "accept", "a", "p", "d", "--by", "Ann", "--note", "seen") == "Ann: accept (a, p, d)\n"
    done("decide", store, "reject", EX + "a", "p", "d", "--by", "Ben")
    listed = json.loads(done("decisions", store, "--json"))
    assert [(each["verdict"], each["person"], each["note"]) for each in listed["decisions"]] == [
        ("accept", "Ann", "seen"),
        ("reject", "Ben", None),
    ]
    assert listed["facts"] == {"accepted": 0, "rejected": 0, "contested": 1, "unsure": 0}
    assert done("decide", store, "undo", "--by", "Ben") == "Ben takes back: reject (a, p, d)\n"
    assert "1 accepted" in done("decisions", store)
    done("decisions", store, "-o", store.parent / "all.csv")
    assert (store.parent / "all.csv").read_text().splitlines()[1].startswith(f"accept,{EX}a,{EX}p,{EX}d,Ann,")
    for line, message in (
        (("undo", "--by", "Ben"), "Ben has nothing to take back"),
        (("accept", "a", "p"), "expected SUBJECT PREDICATE OBJECT: got 2 names"),
        (("accept", "a", "p", "nobody"), "no entity 'nobody'"),
        (("undo", "a", "p", "d"), "it takes neither a fact nor a note"),
    ):
        ran = run("decide", store, *line)
        assert ran.code == 1 and message in ran.stderr


def test_a_load_takes_them_into_the_store(store: Path) -> None:
    done("decide", store, "accept", "a", "p", "d")
    (store.parent / "more.nt").write_text(f"<{EX}d> <{EX}q> <{EX}b> .\n")
    assert "generation 3" in done("load", store, store.parent / "more.nt")
    with Store(store) as opened:
        assert opened.sparql(f"ASK {{ GRAPH <urn:kg:accepted> {{ <{EX}a> <{EX}p> <{EX}d> }} }}")


def test_review_by_keys(country_store: Path, country_model: Path, tmp_path: Path) -> None:
    """Accept, take it back, reject, unsure, a key that is none, and the end."""
    with Store(country_store) as opened, Store(tmp_path / "graph.kg", create=True) as made:
        made.add(opened.match())
    line = ["review", str(country_model), "--store", str(tmp_path / "graph.kg"), "--by", "Ann", "--top", "10"]
    ran = CliRunner().invoke(app, line, input="a\nz\nx\n\ny\nq\n", prog_name="kg")
    assert ran.exit_code == 0, ran.output
    assert [each.verdict for each in Journal(tmp_path / "graph.kg").decisions()] == ["reject", "unsure"]
    assert "Country" in ran.output and "no such key: y" in ran.output and "1 rejected" in ran.output
    again = CliRunner().invoke(app, line, input="a\n" * 20, prog_name="kg")
    assert "nothing is left to decide on" in again.output
    made_ = len(Journal(tmp_path / "graph.kg").decisions())
    assert 6 < made_ <= 11  # of ten others: what was rejected is none any more, nor the mirror of what was accepted
