"""What people decided, in what is known: at once, without a generation, and in everything that offers candidates."""

import random
from dataclasses import replace
from pathlib import Path

import pyoxigraph as ox
import pytest
import torch

from kg.bundle import Bundle
from kg.decisions.journal import Decision, Journal, Undo, Verdict
from kg.decisions.verdicts import Verdicts
from kg.errors import UserError
from kg.graph.from_store import dataset_from_store
from kg.models.distmult import DistMult
from kg.namespaces import OWL, RDF
from kg.query.change import Change
from kg.query.complex import cqd
from kg.query.complex.conjunctive_query import Conjunction, parse_question
from kg.query.knowledge import Knowledge
from kg.query.plausibility import Plausibility
from kg.query.predictor import Predictor
from kg.query.review import Precision, Review, Wanted, fact_of
from kg.store.store import Store

EX = "http://example.org/"
FACTS = ["a p b", "b p c", "c p d", "d p a", "a q c", "b q d"]


def iris(fact: str) -> tuple[str, ...]:
    return tuple(EX + name for name in fact.split())


def say(store: Path, fact: str, verdict: Verdict, person: str = "Ann", id_: str = "") -> str:
    id_ = id_ or f"{person} {verdict} {fact}"
    Journal(store).append([Decision(id_, *iris(fact), verdict, person)])
    return id_


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with Store(tmp_path / "graph.kg", create=True) as made:
        made.add(ox.Triple(*map(ox.NamedNode, iris(fact))) for fact in FACTS)  # type: ignore[arg-type]
    return made.path


@pytest.fixture
def predictor(store: Path) -> Predictor:
    with Store(store) as opened:
        data = dataset_from_store(opened, valid=0, test=0)
        torch.manual_seed(0)
        scorer = DistMult(data.num_entities, data.num_relations, dim=4, init=1.0).eval()
        bundle = Bundle(store.parent / "m", scorer, data, {}, 1.0, {}, {}, {})
        return Predictor(bundle, Knowledge.of_store(bundle, opened))


def offered(predictor: Predictor) -> set[tuple[str, str, str]]:
    return {fact_of(each) for each in predictor.complete(types="off")}


def test_an_accepted_fact_is_known_at_once(store: Path, predictor: Predictor) -> None:
    fact = iris("a p d")
    assert fact in offered(predictor)
    before = predictor.knowledge
    say(store, "a p d", "accept")
    assert predictor.refresh() == Change(1, decisions=1)
    assert fact not in offered(predictor) and len(predictor.knowledge.facts) == len(before.facts) + 1
    (answer,) = [each for each in predictor.tails("a", "p") if each.object == fact[2]]
    assert answer.known and answer.note == "accepted by Ann"
    assert fact[2] not in {each.object for each in predictor.tails("a", "p", new_only=True)}
    with Store(store) as opened:
        assert opened.generation == 1 and "1 facts that people decided on" in predictor.knowledge.facts_from


def test_a_rejected_fact_is_offered_by_nothing(store: Path, predictor: Predictor) -> None:
    fact = iris("a p d")
    say(store, "a p d", "reject")
    say(store, "a p b", "reject")  # which is stated: it stays known
    predictor.refresh()
    assert fact not in offered(predictor)
    for new_only in (False, True):
        assert fact[2] not in {each.object for each in predictor.tails("a", "p", new_only=new_only)}
        assert fact[0] not in {each.subject for each in predictor.heads("p", "d", new_only=new_only)}
        assert fact[1] not in {each.predicate for each in predictor.relations("a", "d", new_only=new_only)}
    (stated,) = [each for each in predictor.tails("a", "p") if each.object == EX + "b"]
    assert stated.known and stated.note == "rejected by Ann"
    assert "rejected by Ann" in predictor.explain(*fact).against
    assert "rejected by Ann" not in predictor.explain("a", "p", "c").against


def test_what_is_rejected_is_not_offered_turned_round_either(store: Path, predictor: Predictor) -> None:
    """Of a symmetric predicate, and by the inverse of one."""
    assert {iris("c p a"), iris("d q a")} <= offered(predictor)
    with Store(store) as opened:
        kind, symmetric = ox.NamedNode(RDF + "type"), ox.NamedNode(OWL + "SymmetricProperty")
        opened.add([ox.Triple(ox.NamedNode(EX + "p"), kind, symmetric)])
        opened.add([ox.Triple(*map(ox.NamedNode, (EX + "p", OWL + "inverseOf", EX + "q")))])
    say(store, "a p c", "reject")
    say(store, "a p d", "reject")
    predictor.refresh()
    assert not {iris("a p c"), iris("c p a"), iris("d q a"), iris("d p a")} & offered(predictor)


def test_what_is_contested_or_taken_back_is_a_candidate(store: Path, predictor: Predictor) -> None:
    fact = iris("a p d")
    first = say(store, "a p d", "reject")
    predictor.refresh()
    assert fact not in offered(predictor)
    second = say(store, "a p d", "accept", "Ben")
    assert predictor.refresh().decisions == 1 and fact in offered(predictor)
    Journal(store).undo(Undo("1", second, "Ben"))
    predictor.refresh()
    assert fact not in offered(predictor)
    Journal(store).undo(Undo("2", first, "Ann"))
    predictor.refresh()
    assert fact in offered(predictor) and predictor.refresh() == Change(1)


def test_the_same_as_if_read_from_nothing(store: Path, predictor: Predictor) -> None:
    """After decisions and another generation; and a decision on what nobody knows changes nothing."""
    say(store, "a p d", "accept")
    say(store, "x p d", "accept")
    say(store, "c q a", "reject")
    predictor.refresh()
    with Store(store) as opened:
        opened.add([ox.Triple(*map(ox.NamedNode, iris("d q b")))])  # type: ignore[arg-type]
        say(store, "b q a", "accept")
        change = predictor.refresh()
        anew = Knowledge.of_store(predictor.bundle, opened)
    assert (change.generation, change.facts_added, change.decisions) == (2, 1, 1)
    now = predictor.knowledge
    assert torch.equal(now.facts, anew.facts) and torch.equal(now.graph.offsets, anew.graph.offsets)
    assert now.rejected is not None and anew.rejected is not None
    assert torch.equal(now.rejected.questions, anew.rejected.questions) and now.facts_from == anew.facts_from


def test_decided_step_by_step_as_if_read_from_nothing(store: Path, predictor: Predictor) -> None:
    """Two people decide, several facts at once too, and take back: verdicts, known and rejected facts, what follows."""
    with Store(store) as opened:
        opened.add([ox.Triple(ox.NamedNode(EX + "p"), *map(ox.NamedNode, (RDF + "type", OWL + "SymmetricProperty")))])
        opened.add([ox.Triple(ox.NamedNode(EX + "q"), *map(ox.NamedNode, (RDF + "type", OWL + "TransitiveProperty")))])
    journal, draw, standing = Journal(store), random.Random(0), list[tuple[str, str]]()
    predictor.refresh()
    for step in range(30):
        assert len(predictor.plausibility.eligible.policy.relations) == 2  # what is kept of it, is
        if standing and draw.random() < 0.3:
            journal.undo(Undo(f"u{step}", *standing.pop(draw.randrange(len(standing)))))
        else:
            person, verdict = draw.choice(("Ann", "Ben")), draw.choice(("accept", "accept", "reject", "unsure"))
            facts = [iris(f"{draw.choice('abcd')} {draw.choice('pq')} {draw.choice('abcd')}") for _ in range(2)]
            batch = [Decision(f"{step} {i}", *fact, verdict, person, str(step)) for i, fact in enumerate(facts)]  # type: ignore[call-arg,arg-type]
            journal.append(batch)
            standing.append((str(step), person))
        predictor.refresh()
        now, verdicts = predictor.knowledge, Verdicts.of(journal.decisions())
        with Store(store) as opened:
            anew = Knowledge.of_store(predictor.bundle, opened)
        assert now.decided is not None and anew.decided is not None
        for found in (now.decided.verdicts, anew.decided.verdicts):
            assert (found.by_fact, found.standings, found.batches) == (
                verdicts.by_fact,
                verdicts.standings,
                verdicts.batches,
            )
            assert found.counts() == verdicts.counts() and found.counts(EX + "p") == verdicts.counts(EX + "p")
        follows = [
            each.eligible.policy.entailed for each in (predictor.plausibility, Plausibility(predictor.bundle, anew))
        ]
        pairs = [(now.known, anew.known), (now.decided.rejected, anew.decided.rejected), follows]
        for one, other in pairs:
            assert (one is None) == (other is None)
            assert one is None or other is None or torch.equal(one.facts(), other.facts())
        said = [verdicts.last_of(person) for person in ("Ann", "Ben")]
        assert [each and each[0].batch for each in said] == [
            next((each.batch for each in reversed(journal.decisions()) if each.person == person), None)
            for person in ("Ann", "Ben")
        ]


def test_of_several_facts_a_rejected_one_is_no_link(store: Path, predictor: Predictor) -> None:
    asked = parse_question(f"(<{EX}a>, <{EX}p>, ?x) & (?x, <{EX}q>, ?y)")
    assert isinstance(asked, Conjunction)
    calibrated = replace_calibration(predictor)
    before = {fact for each in cqd.answers(calibrated.plausibility, asked, 20) for fact in each.facts}
    used = next(fact for fact in before if not fact.known and fact.subject == EX + "a")
    say(store, " ".join(term.removeprefix(EX) for term in (used.subject, used.predicate, used.object)), "reject")
    calibrated.refresh()
    after = {fact for each in cqd.answers(calibrated.plausibility, asked, 20) for fact in each.facts}
    wanted = used.subject, used.predicate, used.object
    assert wanted not in {(each.subject, each.predicate, each.object) for each in after if each.probability > 0}


def replace_calibration(predictor: Predictor) -> Predictor:
    from kg.probability.calibration import Calibration

    calibration = Calibration.shared(predictor.knowledge.num_relations, {"mean_score": 1.0}).to_json()
    return Predictor(replace(predictor.bundle, calibration=calibration), predictor.knowledge)


# The queue


def test_the_queue_by_order_and_wish(store: Path, predictor: Predictor) -> None:
    review = Review(predictor)
    every = [fact_of(each) for each in review.candidates]
    assert [fact_of(each) for each in review.queue("Ann", Wanted(order="surest"))] == every
    grouped = [(each.predicate, each.subject) for each in review.queue("Ann")]
    groups = list(dict.fromkeys(grouped))
    assert grouped == sorted(grouped, key=groups.index) and len(groups) < len(grouped)
    assert {each.predicate for each in review.queue("Ann", Wanted(relation=EX + "q"))} == {EX + "q"}
    assert review.queue("Ann", Wanted(type=EX + "Thing")) == []
    with pytest.raises(UserError, match="expected bounds"):
        Wanted(at_least=0.5, at_most=0.2)


def test_what_was_decided_leaves_the_queue(store: Path, predictor: Predictor) -> None:
    review = Review(predictor)
    first, second, third = review.queue("Ann")[:3]
    journal = Journal(store)
    made = review.decision(first, "accept", "Ann", "1")
    assert (made.fact, made.model, made.probability) == (fact_of(first), "m", first.probability)
    journal.append([made, review.decision(second, "unsure", "Ann", "2"), review.decision(third, "reject", "Ann", "3")])
    predictor.refresh()
    left = [{fact_of(each) for each in review.queue(person)} for person in ("Ann", "Ben")]
    assert not {fact_of(first), fact_of(second), fact_of(third)} & left[0]
    assert {fact_of(first), fact_of(second), fact_of(third)} & left[1] == {fact_of(second)}  # nobody has settled it
    assert review.precision() == Precision(1, 1) and review.precision().share == 0.5


def test_the_queue_holds_candidates_alone(store: Path, predictor: Predictor) -> None:
    """What was loaded since is none, nor is the mirror of what was rejected."""
    with Store(store) as opened:
        opened.add([ox.Triple(ox.NamedNode(EX + "p"), *map(ox.NamedNode, (RDF + "type", OWL + "SymmetricProperty")))])
    predictor.refresh()
    review = Review(predictor)
    queue = {fact_of(each) for each in review.queue("Ann", Wanted(order="surest"))}
    assert {iris("a q d"), iris("b q c")} <= queue
    mirrored = next(fact for fact in queue if fact[1] == EX + "p" and (fact[2], fact[1], fact[0]) in queue)
    say(store, " ".join(term.removeprefix(EX) for term in mirrored), "reject")
    with Store(store) as opened:
        opened.add([ox.Triple(*map(ox.NamedNode, iris("a q d")))])  # type: ignore[arg-type]
    predictor.refresh()
    left = {fact_of(each) for each in review.queue("Ben")}
    assert queue - left == {mirrored, (mirrored[2], mirrored[1], mirrored[0]), iris("a q d")}


def test_wilsons_interval_by_hand() -> None:
    """9 of 10: (.9 + .19208 -+ 1.96 sqrt(.009 + .0096)) / 1.38416, from .596 to .982 (Wilson, 1927)."""
    low, high = Precision(9, 1).bounds
    assert (low, high) == pytest.approx((0.5958, 0.9821), abs=1e-3)
    assert Precision(0, 0).bounds == (0.0, 1.0) and Precision(0, 0).share is None


def test_without_a_store_there_is_nowhere_to_keep_them(predictor: Predictor) -> None:
    own = Predictor(predictor.bundle, Knowledge.of_model(predictor.bundle))
    with pytest.raises(UserError, match="answers without a store"):
        Review(own)
