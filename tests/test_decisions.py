"""The journal of decisions, what it comes to, and as facts of the store."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pyoxigraph as ox
import pytest

from kg.decisions.folding import fold, unfold
from kg.decisions.journal import Decision, Journal, Undo, Verdict
from kg.decisions.verdicts import Verdicts
from kg.errors import UserError
from kg.graph.from_store import dataset_from_store
from kg.namespaces import ACCEPTED, DECISIONS, KG, OWL, RDFS
from kg.store.store import Store

EX = "http://example.org/"


def said(id_: str, verdict: Verdict, fact: str = "a p b", person: str = "Ann", batch: str = "") -> Decision:
    subject, predicate, object_ = (EX + name for name in fact.split())
    return Decision(id_, subject, predicate, object_, verdict, person, batch)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


def test_nothing_is_made_by_reading(journal: Journal) -> None:
    assert journal.number == 0 and journal.decisions() == [] and not list(journal.path.parent.iterdir())


def test_what_was_appended_is_read_by_another(journal: Journal) -> None:
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    whole = replace(said("1", "accept"), at=at, model="m", model_sha256="0f", probability=0.25, evidence="e", note="n")
    assert journal.append([whole, said("2", "reject")]) == 2
    first, second = Journal(journal.path.parent).decisions()
    assert first == replace(whole, batch="1")
    assert second.at is not None and abs((datetime.now(UTC) - second.at).total_seconds()) < 60
    assert Journal(journal.path.parent).number == 2


def test_a_request_that_is_sent_again_counts_once(journal: Journal) -> None:
    assert journal.append([said("1", "accept")]) == 1
    assert journal.append([said("1", "accept")]) == 0
    assert journal.number == 1
    for other in (said("1", "reject"), said("1", "accept", "a p c"), said("1", "accept", person="Ben")):
        with pytest.raises(UserError, match="the id 1 is that of another decision"):
            journal.append([said("2", "accept"), other])
    assert journal.number == 1  # all or none


def test_taking_back_a_batch(journal: Journal) -> None:
    journal.append([said("1", "reject")])
    journal.append([said("2", "accept", batch="b"), said("3", "accept", "c p d", batch="b")])
    journal.append([said("4", "accept", "c p d", "Ben", batch="b")])
    assert [each.id for each in journal.undo(Undo("u", "b", "Ann"))] == ["2", "3"]
    assert [each.id for each in journal.decisions()] == ["1", "4"]  # what she had said before counts again
    assert [each.id for each in Journal(journal.path.parent).decisions()] == ["1", "4"]
    assert journal.undo(Undo("u", "b", "Ann")) == [] and journal.number == 5  # sent again
    with pytest.raises(UserError, match="Ann has nothing to take back of b"):
        journal.undo(Undo("v", "b", "Ann"))
    with pytest.raises(UserError, match="Cid has nothing"):
        journal.undo(Undo("w", "b", "Cid"))


def test_what_another_process_wrote_since_is_read(journal: Journal) -> None:
    assert journal.decisions() == []
    Journal(journal.path.parent).append([said("1", "accept")])
    assert [each.id for each in journal.decisions()] == ["1"]
    Journal(journal.path.parent).undo(Undo("u", "1", "Ann"))
    assert journal.decisions() == []


def test_of_several_undos_at_once_one_takes_it(tmp_path: Path) -> None:
    """Each of a thread, and by a journal of its own: none claims what another has taken back."""
    Journal(tmp_path).append([said("1", "accept", batch="b"), said("2", "accept", "c p d", batch="b")])
    taken, refused, ready = list[list[str]](), list[UserError](), threading.Barrier(8)

    def undo(number: int) -> None:
        journal = Journal(tmp_path)
        journal.decisions()
        ready.wait()
        try:
            taken.append([each.id for each in journal.undo(Undo(f"u{number}", "b", "Ann"))])
        except UserError as error:
            refused.append(error)

    threads = [threading.Thread(target=undo, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taken == [["1", "2"]] and len(refused) == 7 and Journal(tmp_path).number == 3


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"subject": "_:b0"}, "a blank node has no name"),
        ({"object": "no IRI"}, "is no fact of RDF"),
        ({"id": " "}, "id: expected a text"),
        ({"person": ""}, "person: expected a text"),
        ({"note": "x" * 4001}, "note has 4,001 characters"),
        ({"note": "\ud800"}, "half a character"),
        ({"probability": 1.5}, "probability must be from 0 to 1"),
    ],
)
def test_what_is_no_decision(changed: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        replace(said("1", "accept"), **changed)  # type: ignore[arg-type]


def test_of_another_kind(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.path.write_bytes(b"no database, but long enough to look like one" * 100)
    with pytest.raises(UserError, match=r"decisions\.sqlite: the journal of decisions cannot be used"):
        journal.decisions()
    journal.path.unlink()
    with sqlite3.connect(journal.path) as other:
        other.execute("CREATE TABLE decision (number)")
    for use in (journal.decisions, lambda: journal.append([said("1", "accept")])):
        with pytest.raises(UserError, match="is no journal of decisions that this version reads"):
            use()
    with pytest.raises(UserError, match="is no store"):
        Journal(tmp_path / "nowhere").append([said("1", "accept")])


def test_a_file_that_is_just_being_made_has_no_lines(journal: Journal) -> None:
    """As a kill between making the file and its table would leave it."""
    journal.path.write_bytes(b"")
    assert journal.number == 0 and journal.decisions() == []
    assert journal.append([said("1", "accept")]) == 1


def test_threads_that_begin_at_once(tmp_path: Path) -> None:
    """Writers, none of which finds a journal, and one object that all read by: nothing is lost, nothing fails."""
    for round_ in range(5):
        shared = Journal(tmp_path / str(round_))
        shared.path.parent.mkdir()
        failed: list[Exception] = []

        def work(name: str, shared: Journal = shared, failed: list[Exception] = failed) -> None:
            try:
                for i in range(10):
                    shared.append([said(f"{name}{i}", "accept", person=name)])
                    if i % 2:
                        shared.undo(Undo(f"{name}u{i}", f"{name}{i}", name))
                    shared.decisions()
            except Exception as error:
                failed.append(error)

        threads = [threading.Thread(target=work, args=(name,)) for name in ("Ann", "Ben", "Cid")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed, failed
        assert len(shared.decisions()) == len(Journal(shared.path.parent).decisions()) == 15


def test_a_line_that_is_none(journal: Journal) -> None:
    journal.append([said("1", "accept")])
    with sqlite3.connect(journal.path) as opened:
        opened.execute("UPDATE decision SET at = 'yesterday'")
    with pytest.raises(UserError, match="a line is none of a journal"):
        Journal(journal.path.parent).decisions()


WRITER = """
import sys
from pathlib import Path
from kg.decisions.journal import Decision, Journal
journal = Journal(sys.argv[1])
for i in range(100000):
    journal.append([Decision(f"{sys.argv[2]}-{i}", "urn:a", "urn:p", f"urn:{i}", "accept", sys.argv[2])])
    print(i, flush=True)
"""


def test_killed_and_beside_another(tmp_path: Path) -> None:
    """Two writers, one of which is killed: every decision that was acknowledged is there, none twice."""
    start = [sys.executable, "-c", WRITER, str(tmp_path)]
    killed, other = (subprocess.Popen([*start, name], stdout=subprocess.PIPE, text=True) for name in ("Ann", "Ben"))
    assert killed.stdout and other.stdout
    for _ in range(20):
        killed.stdout.readline()
        other.stdout.readline()
    time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    os.kill(other.pid, signal.SIGKILL)
    seen = {name: 20 + len(each.communicate()[0].splitlines()) for name, each in (("Ann", killed), ("Ben", other))}
    found = [each.id for each in Journal(tmp_path).decisions()]
    assert len(set(found)) == len(found)
    for name, count in seen.items():
        assert {f"{name}-{i}" for i in range(count)} <= set(found)


# What it comes to


def test_of_a_person_the_newest_counts_and_of_several_the_majority() -> None:
    def standing(*verdicts: tuple[str, Verdict]) -> str | None:
        rows = [said(str(i), verdict, person=person) for i, (person, verdict) in enumerate(verdicts)]
        return Verdicts.of(rows).standing(rows[0].fact) if rows else Verdicts.of(()).standing(("a", "b", "c"))

    assert standing() is None
    assert standing(("Ann", "accept")) == "accepted"
    assert standing(("Ann", "accept"), ("Ann", "reject")) == "rejected"
    assert standing(("Ann", "accept"), ("Ben", "reject")) == "contested"
    assert standing(("Ann", "accept"), ("Ben", "reject"), ("Cid", "reject")) == "rejected"
    assert standing(("Ann", "accept"), ("Ben", "reject"), ("Ben", "unsure")) == "accepted"
    assert standing(("Ann", "unsure")) == "unsure"


def test_agreement_by_hand() -> None:
    """Four facts and two people: aa, aa, ar, rr. Of 8 answers 5 accept and 3 reject; disagreement 2 of 8, by chance
    2 * 5 * 3 / 7 = 4.2857 of 8: alpha = 1 - 2 / 4.2857 = .5333."""
    rows = [
        said(f"{i}{person}", verdict, f"a p {i}", person)
        for i, both in enumerate(
            [("accept", "accept"), ("accept", "accept"), ("accept", "reject"), ("reject", "reject")]
        )
        for person, verdict in zip(("Ann", "Ben"), both, strict=True)
    ]
    verdicts = Verdicts.of([*rows, said("x", "accept", "a p alone"), said("y", "unsure", "a p 0", "Cid")])
    assert verdicts.agreement() == pytest.approx(1 - 2 / (2 * 5 * 3 / 7))
    assert Verdicts.of(rows[:4]).agreement() is None  # chance would not disagree either
    assert Verdicts.of(rows[:1]).agreement() is None


def test_three_people_by_hand() -> None:
    """Units of m answers weigh 1 / (m - 1): aar gives 2 * 2 * 1 / 2 = 2, rr nothing; of 5 answers 2 and 3."""
    rows = [said(str(i), verdict, "a p b", str(i)) for i, verdict in enumerate(("accept", "accept", "reject"))]  # type: ignore[arg-type]
    rows += [said(str(i), "reject", "a p c", str(i)) for i in (3, 4)]
    assert Verdicts.of(rows).agreement() == pytest.approx(1 - 2 / (2 * 2 * 3 / 4))


# As facts of the store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "graph.kg", create=True)
    names = [ox.NamedNode(EX + name) for name in "abcdef"]
    made.add(ox.Triple(left, ox.NamedNode(EX + "p"), right) for left, right in pairwise(names))
    return made


def graph(store: Store, name: str) -> set[str]:
    return {str(quad.triple) for quad in store.match(graph=name)}


def test_folded_once_and_again_after_more(store: Store) -> None:
    journal = Journal(store.path)
    assert fold(store) is None and store.generation == 1
    journal.append([said("1", "accept", "a p d"), said("2", "reject", "a p e"), said("3", "accept", "b p e")])
    assert fold(store) == 2 and store.generation == 2
    assert graph(store, ACCEPTED) == {str(ox.Triple(*(ox.NamedNode(EX + n) for n in f))) for f in ("apd", "bpe")}
    assert len(list(store.match(None, KG + "verdict", None, DECISIONS))) == 3
    assert fold(store) is None and store.generation == 2
    journal.undo(Undo("u", "3", "Ann"))
    assert fold(store) == 1 and len(graph(store, ACCEPTED)) == 1
    assert len(list(store.match(None, KG + "number", None, DECISIONS))) == 4  # what was taken back is told, too
    journal.undo(Undo("v", "1", "Ann"))
    assert fold(store) == 0 and graph(store, ACCEPTED) == set()


def test_what_is_taken_back_is_stated_by_nothing_of_ours(store: Store) -> None:
    fact = said("1", "accept", "a p d").fact
    Journal(store.path).append([said("1", "accept", "a p d")])
    unfold(store.path, [fact])
    assert Store(store.path).generation == 1  # it was in no graph
    fold(store)
    unfold(store.path, [fact])
    assert Store(store.path).generation == 2  # it is accepted still
    Journal(store.path).undo(Undo("u", "1", "Ann"))
    unfold(store.path, [fact])
    with Store(store.path) as now:
        assert now.generation == 3 and graph(now, ACCEPTED) == set()


def test_what_is_accepted_trains_and_the_journal_does_not(store: Store) -> None:
    Journal(store.path).append([said("1", "accept", "a p d"), said("2", "reject", "f p a")])
    before, counted = dataset_from_store(store, valid=0, test=0), store.counts()
    fold(store)
    after = dataset_from_store(store, valid=0, test=0)
    assert len(after.train) == len(before.train) + 1 and after.vocabulary.relations == before.vocabulary.relations
    assert store.counts()["facts"] == counted["facts"] + 1
    assert not store.sparql(f"ASK {{ ?s <{KG}verdict> ?o }}")
    assert store.sparql(f"ASK {{ GRAPH <{DECISIONS}> {{ ?s <{KG}verdict> ?o }} }}")
    with pytest.raises(UserError, match="nothing is trained on it"):
        dataset_from_store(store, graphs=[DECISIONS])


def test_a_restriction_is_written_back_as_one(store: Store) -> None:
    fact = replace(said("1", "accept", "a p d"), restriction=True)
    Journal(store.path).append([fact])
    fold(store)
    (axiom,) = store.match(EX + "a", RDFS + "subClassOf", None, ACCEPTED)
    assert {str(quad.predicate.value): quad.object for quad in store.match(axiom.object, None, None, ACCEPTED)}[
        OWL + "someValuesFrom"
    ] == ox.NamedNode(EX + "d")
    data = dataset_from_store(store, [EX + "p"], valid=0, test=0, restrictions=True)
    names = data.vocabulary
    row = [names.entity_ids[EX + "a"], names.relation_ids[EX + "p"], names.entity_ids[EX + "d"]]
    assert row in data.train.tolist()


def test_two_large_graphs_are_replaced_at_once(tmp_path: Path) -> None:
    """Where most of a store goes, it is made anew of what stays: of neither graph anything may stay."""
    store = Store(tmp_path / "graph.kg", create=True)
    nodes = [ox.NamedNode(f"{EX}{i}") for i in range(40)]
    for name in ("one", "two"):
        store.add(ox.Quad(nodes[0], ox.NamedNode(EX + name), each, ox.NamedNode(EX + name)) for each in nodes)
    store.add([ox.Triple(nodes[1], ox.NamedNode(EX + "p"), nodes[2])])
    assert store.replace({EX + "one": [], EX + "two": []}) == 80
    assert store.count() == 1 and len(store.facts()) == 1
    store.check()
