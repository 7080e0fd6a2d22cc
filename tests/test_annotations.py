"""Candidates as RDF: the triples by hand, both ways of reification, and what is refused of other hands."""

from datetime import UTC, datetime

import pyoxigraph as ox
import pytest

from kg.files import shipped
from kg.namespaces import KG
from kg.query.candidates.annotations import PREFIXES, Origin, annotations, fact, node, read_annotations
from kg.query.candidates.candidate import Candidate, Candidates

EX = "http://example.org/"
STARTED, ENDED = datetime(2026, 1, 2, 3, 4, 5, 678, UTC), datetime(2026, 1, 2, 3, 5, tzinfo=UTC)
ORIGIN = Origin("world-complex", "ab" * 32, "world.kg", 7, STARTED, ENDED, {"top": 2, "types": True})
FOUND = Candidates(
    (
        Candidate(
            *(EX + "a", EX + "p", EX + "b", 1, 0.1 + 0.2, False, 1e-05, 'a "second"\ncapital'),
            *("A", "is at", "B", 28, 3, "q(a,b)"),
        ),
        Candidate("_:x1", EX + "p", EX + "b", 2, -1.5e300, True),
    )
)
HEADING = f"""
@prefix : <{EX}> . @prefix kg: <{KG}> . @prefix rdf: <{PREFIXES["rdf"]}> . @prefix prov: <{PREFIXES["prov"]}> .
@prefix rdfs: <{PREFIXES["rdfs"]}> .
"""


def parsed(turtle: str) -> list[ox.Quad]:
    return list(ox.parse(HEADING + turtle, ox.RdfFormat.TURTLE))


def read(turtle: str) -> Candidates:
    return read_annotations(parsed(turtle))[0]


def said(rdf11: bool = False, origin: Origin = ORIGIN, found: Candidates = FOUND) -> list[ox.Quad]:
    return [ox.Quad(each.subject, each.predicate, each.object) for each in annotations(found, origin, rdf11)]


def about(quads: list[ox.Quad], ending: str) -> dict[str, str]:
    """predicate -> object, both short, of the one node whose IRI ends so."""
    return {
        each.predicate.value.removeprefix(KG): str(each.object) for each in quads if each.subject.value.endswith(ending)
    }


def test_one_candidate_by_hand() -> None:
    found = about(said(), "-1")
    assert found[PREFIXES["rdf"] + "reifies"] == f"<{EX}a> <{EX}p> <{EX}b>"
    double = f"^^<{PREFIXES['xsd']}double>"
    assert (found["score"], found["probability"]) == (f'"0.30000000000000004"{double}', f'"1e-05"{double}')
    assert found["rank"] == f'"1"^^<{PREFIXES["xsd"]}integer>'
    assert found["known"] == f'"false"^^<{PREFIXES["xsd"]}boolean>'
    assert found["note"] == '"a \\"second\\"\\ncapital"' and found["evidence"].startswith('"3"')
    assert [found[f"{place}Label"] for place in ("subject", "predicate", "object")] == ['"A"', '"is at"', '"B"']
    assert found["because"] == '"q(a,b)"' and found["alike"].startswith('"28"')
    assert found["model"].endswith("-model>")
    assert found[PREFIXES["prov"] + "generatedAtTime"].startswith('"2026-01-02T03:05:00+00:00"')
    second = about(said(), "-2")
    assert "probability" not in second and "note" not in second and "evidence" not in second


def test_a_fact_is_not_stated() -> None:
    for rdf11 in (False, True):
        assert not [each for each in said(rdf11) if each.predicate.value == EX + "p"]


def test_the_run_is_told_in_prov() -> None:
    quads, prov = said(), PREFIXES["prov"]
    run = about(quads, about(quads, "-1")[prov + "wasGeneratedBy"].strip("<>").removeprefix("urn:kg:run"))
    assert run[prov + "startedAtTime"].startswith('"2026-01-02T03:04:05.000678+00:00"')
    assert run["settings"] == f'"{{\\"top\\": 2, \\"types\\": true}}"^^<{PREFIXES["rdf"]}JSON>'
    assert sum(each.predicate.value == prov + "used" for each in quads) == 2
    assert about(quads, "-model")[PREFIXES["rdfs"] + "label"] == '"world-complex"'
    assert about(quads, "-data")["generation"].startswith('"7"')


@pytest.mark.parametrize("rdf11", [False, True])
def test_what_is_written_is_read(rdf11: bool) -> None:
    assert read_annotations(said(rdf11)) == (FOUND, ORIGIN)
    folder = Origin("m", "", "codex", None, STARTED, ENDED)
    assert read_annotations(said(rdf11, folder, Candidates(()))) == (Candidates(()), folder)


def test_plain_names_come_back() -> None:
    first = Candidate("/m/0 2<", "capital#of", "urn:x:y", 1, 0.0, False)
    names = Candidates((first, Candidate("é", "p", "<a:b>", 2, 0.0, True)))
    folder = Origin("m", "", "codex", None, STARTED, ENDED, plain_names=True)
    quads = said(origin=folder, found=names)
    assert any("<urn:kg:/m/0%202%3C> <urn:kg:capital%23of>" in str(each.object) for each in quads)
    assert read_annotations(quads) == (names, folder)
    iris = Candidates((Candidate("urn:kg:a", "mailto:p", "urn:kg:b", 1, 0.0, False),))  # a store's: as they stand
    assert read_annotations(said(found=iris))[0] == iris


def test_terms_that_rdf_does_not_have() -> None:
    for term in ("Berlin", "http://a b", "_:no label", ""):
        with pytest.raises(ValueError, match=r"^the candidate \("):
            fact(Candidate(term, EX + "p", EX + "b", 1, 0.0, False))
    with pytest.raises(ValueError, match="a blank node is no predicate"):
        fact(Candidate(EX + "a", "_:p", EX + "b", 1, 0.0, False))
    with pytest.raises(ValueError, match="stands for an IRI that is written 'http://a'"):
        node("<http://a>", plain_names=True)


def test_the_same_says_the_same_and_another_run_does_not() -> None:
    assert said() == said()
    later = Origin("world-complex", "ab" * 32, "world.kg", 8, STARTED, ENDED, {"top": 2, "types": True})
    assert not {each.subject for each in said()} & {each.subject for each in said(origin=later)}


OF_DECISIONS = ("Decision", "Undo", "verdict", "person", "batch", "number")


def test_every_term_is_defined() -> None:
    """Those that are written, and no others: each with a label, a comment, and properties with domain and range."""
    written = {
        term.value
        for rdf11 in (False, True)
        for each in said(rdf11)
        for term in (each.predicate, each.object)
        if isinstance(term, ox.NamedNode) and term.value.startswith(KG)
    }
    defined: dict[str, set[str]] = {}
    types: dict[str, str] = {}
    for each in ox.parse(shipped("vocabulary.ttl").read_bytes(), ox.RdfFormat.TURTLE):
        if each.subject.value.startswith(KG):
            defined.setdefault(each.subject.value, set()).add(each.predicate.value)
            if each.predicate.value == PREFIXES["rdf"] + "type":
                types[each.subject.value] = each.object.value
    assert set(defined) == written | {KG + name for name in OF_DECISIONS}  # see test_decisions.py
    rdfs = PREFIXES["rdfs"]
    for term, predicates in defined.items():
        assert {rdfs + "label", rdfs + "comment"} <= predicates, term
        if types[term] == PREFIXES["rdf"] + "Property":
            assert {rdfs + "domain", rdfs + "range"} <= predicates, term


@pytest.mark.parametrize(
    "turtle",
    [
        "_:r rdf:reifies <<( :a :p :b )>> ; kg:rank 2 ; kg:score 1 ; kg:known false .",
        "<< :a :p :b ~ :r >> kg:rank 2 ; kg:score 1.0 ; kg:known false .",
        "<< :a :p :b >> kg:rank 02 ; kg:score 1e0 ; kg:known false .",
        ":a :p :b {| kg:rank 2 ; kg:score 1 ; kg:known false |} .",
        ":a :p :b ~ :r {| kg:rank 2 ; kg:score 1 ; kg:known false |} .",
        ":r rdf:subject :a ; rdf:predicate :p ; rdf:object :b ; kg:rank 2 ; kg:score 1 ; kg:known false .",
    ],
)
def test_every_spelling(turtle: str) -> None:
    assert read(turtle) == Candidates((Candidate(EX + "a", EX + "p", EX + "b", 2, 1.0, False),))


def test_what_is_no_candidate_is_passed_over() -> None:
    assert read(
        """
        :a :p :b ~ :r {| :source "a book" ; prov:wasGeneratedBy :w |} . :a rdfs:label "A", "a" . << :a :p 1 >> :q 2 .
        :w a prov:Activity ; prov:startedAtTime "long ago" , "yesterday" .
        """
    ) == Candidates(())


@pytest.mark.parametrize(
    ("turtle", "reason"),
    [
        (":r rdf:reifies <<( :a :p :b )>> ; kg:rank 1 ; kg:known false .", "the score is missing"),
        (":r rdf:reifies <<( :a :p :b )>> ; kg:score 1 ; kg:known false .", "the rank is missing"),
        (":r kg:rank 1 ; kg:score 1 ; kg:known false .", "the subject is missing"),
        (":r rdf:reifies <<( :a :p :b )>>, <<( :a :p :c )>> ; kg:rank 1 .", "expected one reifies"),
        (":r rdf:reifies <<( :a :p :b )>> ; kg:rank 1, 2, 3 ; kg:score 1 ; kg:known false .", "expected one rank"),
        (":r rdf:reifies <<( :a :p 1 )>> ; kg:rank 1 ; kg:score 1 ; kg:known false .", "is between entities"),
        (":r rdf:reifies :a ; kg:rank 1 ; kg:score 1 ; kg:known false .", "which is no fact"),
        (":r rdf:reifies <<( :a :p :b )>> ; kg:rank 1 ; kg:score 'much' ; kg:known false .", "a finite number"),
        (":r rdf:reifies <<( :a :p :b )>> ; kg:rank 1 ; kg:score 'INF' ; kg:known false .", "a finite number"),
        (":r rdf:reifies <<( :a :p :b )>> ; kg:rank 1 ; kg:score :much ; kg:known false .", "a finite number"),
        (":r rdf:reifies <<( :a :p :b )>> ; kg:rank 0 ; kg:score 1 ; kg:known false .", "a whole number from 1"),
        (":r rdf:reifies <<( :a :p :b )>> ; kg:rank 1 ; kg:score 1 ; kg:known 'maybe' .", "true or false"),
        (":r kg:settings '{}' .", "the plain_names is missing"),
        (":r kg:settings '{}' ; kg:plainNames false ; kg:model :m ; kg:data :d .", "the label is missing"),
    ],
)
def test_what_is_wrong_is_named(turtle: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read(turtle)


def test_a_run_that_makes_no_sense() -> None:
    for settings, reason in (("[1]", "no JSON object"), ("[" * 100_000, "nested too deep"), ("x", "Expecting value")):
        quads = [each for each in said() if each.predicate.value != KG + "settings"]
        run = next(each.subject for each in quads if each.predicate.value == KG + "plainNames")
        with pytest.raises(ValueError, match=reason):
            read_annotations([*quads, ox.Quad(run, ox.NamedNode(KG + "settings"), ox.Literal(settings))])


def test_of_several_runs_none_is_the_origin() -> None:
    later = Origin("other", "cd" * 32, "world.kg", 8, STARTED, ENDED)
    found, origin = read_annotations([*said(), *said(origin=later)])
    assert len(found) == 4 and origin is None
