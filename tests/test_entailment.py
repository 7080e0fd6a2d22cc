"""What follows from known facts, against what is worked out by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kg.graph import entailment
from kg.graph.entailment import Entailment
from kg.graph.known import KnownAnswers
from kg.graph.schema import Schema
from kg.graph.vocabulary import Vocabulary
from kg.namespaces import OWL, RDF, RDFS, SKOS

CHAIN = "a p b, b p c, c p d, d p e, e p f, f p g, g q h"
SUBCLASS, TYPE = RDFS + "subClassOf", RDF + "type"


def read(facts: str) -> tuple[Vocabulary, KnownAnswers]:
    """Facts like "a p b, b p c"."""
    rows = [fact.split() for fact in facts.split(", ")]
    names = Vocabulary(dict.fromkeys(e for h, _, t in rows for e in (h, t)), dict.fromkeys(r for _, r, _ in rows))
    hrt = torch.tensor([[names.entity_ids[h], names.relation_ids[r], names.entity_ids[t]] for h, r, t in rows])
    return names, KnownAnswers.from_triples(hrt, len(names.relations))


def entailed(facts: str, restrictions: bool = False, **schema: object) -> str:
    """What follows from facts, written as they are, in order."""
    names, known = read(facts)
    found, cut = Entailment(names, Schema(**schema), restrictions).facts(known)  # type: ignore[arg-type]
    if found is None:
        return "cut" if cut else ""
    head, relation = (each.repeat_interleave(found.offsets.diff()) for each in found.heads_and_relations())
    triples = zip(head.tolist(), relation.tolist(), found.tails.tolist(), strict=True)
    said = [
        (names.entities[h], names.relations[r], names.entities[t]) for h, r, t in triples if r < len(names.relations)
    ]
    return ", ".join(" ".join(fact) for fact in sorted(said)) + (" cut" if cut else "")


def is_a(kind: str, *terms: str) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(terms, (OWL + kind,))


@pytest.mark.parametrize(
    ("facts", "schema", "follows"),
    [
        ("a p b, b p c", {}, ""),
        ("a p b, b p c, c p d", {"types": is_a("TransitiveProperty", "p")}, "a p c, a p d, b p d"),
        ("a p b, b p c, a p c", {"types": is_a("TransitiveProperty", "p")}, ""),
        ("a p b, b p a", {"types": is_a("TransitiveProperty", "p")}, "a p a, b p b"),
        ("a p b, b p c", {"types": is_a("TransitiveProperty", "q"), "inverse": {"p": ("q",)}}, "a p c"),
        ("a p b", {"symmetric": ("p",)}, "b p a"),
        ("a p b, c q d", {"inverse": {"p": ("q",), "q": ("p",)}}, "b q a, d p c"),
        ("a p b, c q d", {"subproperty_of": {"p": ("q",)}}, "a q b"),
        ("a p b, c q d", {"subproperty_of": {"p": ("between",), "between": ("q",)}}, "a q b"),
        ("a p b, c q d", {"subproperty_of": {"p": ("q",), "q": ("p",)}}, "a q b, c p d"),
        ("a p b, c q d", {"subproperty_of": {"p": ("between",)}, "inverse": {"between": ("q",)}}, "b q a"),
        ("a p b, c q d", {"subproperty_of": {"p": ("q",)}, "symmetric": ("q",)}, "a q b, b q a, d q c"),
        (
            "a p b, b q c",
            {"subproperty_of": {"p": ("q",)}, "types": is_a("TransitiveProperty", "q")},
            "a q b, a q c",
        ),
    ],
)
def test_what_is_said_of_predicates(facts: str, schema: dict[str, object], follows: str) -> None:
    assert entailed(facts, **schema) == follows


@pytest.mark.parametrize(
    ("facts", "schema", "follows"),
    [
        (f"A {SUBCLASS} B, B {SUBCLASS} C", {}, f"A {SUBCLASS} C"),
        (f"a {TYPE} A, b {TYPE} B", {"subclass_of": {"A": ("M",), "M": ("B",)}}, f"a {TYPE} B"),
        # What the schema says of the hierarchy is not asked where that is learnt, and a part of it held out.
        (f"a {TYPE} A, b {TYPE} B, A {SUBCLASS} C", {"subclass_of": {"A": ("B", "C")}}, f"a {TYPE} C"),
        (
            f"a p b, c {TYPE} A, d {TYPE} B",
            {"domain": {"p": ("A",)}, "range": {"p": ("B",)}},
            f"a {TYPE} A, b {TYPE} B",
        ),
        (f"a {SKOS}broader b", {}, ""),
        (f"a {SKOS}broader b, c {SKOS}narrower d", {}, f"b {SKOS}narrower a, d {SKOS}broader c"),
        (f"p {RDFS}domain A, A {SUBCLASS} B", {}, f"p {RDFS}domain B"),
        (f"p {RDFS}range A, q {RDFS}range B", {"subproperty_of": {"q": ("p",)}}, f"q {RDFS}range A"),
        (
            f"A {OWL}disjointWith B, C {SUBCLASS} B",
            {},
            f"A {OWL}disjointWith C, B {OWL}disjointWith A, C {OWL}disjointWith A",
        ),
    ],
)
def test_what_the_languages_say_of_their_words(facts: str, schema: dict[str, object], follows: str) -> None:
    assert entailed(facts, **schema) == follows


def test_facts_of_classes_are_handed_down_and_not_turned_round() -> None:
    """A restriction holds of each class below, and of the classes above what it names; that every A has a part B does
    not say that every B is part of an A."""
    facts, below = "A p B, Sub p X, Up p X", {"Sub": ("A",), "B": ("Up",)}
    of_parts = {"subclass_of": below, "inverse": {"p": ("p",)}, "types": is_a("Class", "X")}
    assert entailed(facts, restrictions=True, **of_parts) == "A p Up, B p X, Sub p B, Sub p Up"
    assert entailed(facts, **of_parts) == "B p A, X p Sub, X p Up"
    typed = {"domain": {"p": ("C",)}, "types": is_a("Class", "A", "B")}
    assert entailed(f"A p B, a p b, x {TYPE} C", restrictions=True, **typed) == f"a {TYPE} C"
    assert entailed("a p b, A p B", restrictions=True, symmetric=("p",), types=is_a("Class", "A", "B")) == "b p a"


def test_a_closure_without_end_is_cut_and_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entailment, "_MOST", 6)
    chain = "a p b, b p c, c p d, d p e, e p f"
    assert entailed(chain, types=is_a("TransitiveProperty", "p")) == "a p c, b p d, c p e, d p f cut"
    assert entailed("a p b, b p c", types=is_a("TransitiveProperty", "p")) == "a p c"
    monkeypatch.setattr(entailment, "_MOST", 20)
    monkeypatch.setattr(entailment, "_MOST_WORK", 20)
    assert entailed(chain, types=is_a("TransitiveProperty", "p")).endswith("cut")


@pytest.mark.parametrize(
    ("facts", "restrictions", "schema"),
    [
        (CHAIN, False, {"types": is_a("TransitiveProperty", "p")}),
        (CHAIN, False, {"types": is_a("TransitiveProperty", "p"), "inverse": {"p": ("q",), "q": ("p",)}}),
        (CHAIN, False, {"types": is_a("TransitiveProperty", "p", "q"), "subproperty_of": {"p": ("q",)}}),
        (
            f"{CHAIN}, a {SUBCLASS} k, c {SUBCLASS} l, k p b, d p l, l {SUBCLASS} m, m p n, a {SUBCLASS} o, o q g",
            True,
            {"types": is_a("TransitiveProperty", "p", "q"), "subproperty_of": {"q": ("p",)}},
        ),
        (f"a {SUBCLASS} b, b {SUBCLASS} c, c {OWL}disjointWith z, x {SUBCLASS} y, y {SUBCLASS} z", False, {}),
    ],
)
def test_many_products_of_few_facts_are_no_reason_to_stop(
    facts: str, restrictions: bool, schema: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every limit from which on the result is not said to be cut it is whole; and some are below the products."""
    whole = entailed(facts, restrictions, **schema)
    tried = []
    for most in range(1, 80):
        monkeypatch.setattr(entailment, "_MOST", most)
        tried.append(entailed(facts, restrictions, **schema))
    assert {each for each in tried if not each.endswith("cut")} == {whole}
    if not restrictions:
        assert len([each for each in tried if each.endswith("cut")]) < 30


@pytest.mark.parametrize(
    ("facts", "fact", "schema", "premises"),
    [
        ("a p b, b p c", "a p c", {"types": is_a("TransitiveProperty", "p")}, "a p b, b p c"),
        # By way of b, too, but that b p d only follows.
        ("a p b, b p c, c p d, a p c", "a p d", {"types": is_a("TransitiveProperty", "p")}, "a p c, c p d"),
        ("a p b", "b p a", {"symmetric": ("p",)}, "a p b"),
        # Turned round it is itself, from which it does not follow.
        ("a p b", "a p a", {"symmetric": ("p",), "types": is_a("TransitiveProperty", "p")}, "a p b, b p a"),
        ("a p b, c q d", "a q b", {"subproperty_of": {"p": ("q",)}}, "a p b"),
        (f"a {TYPE} A, b {TYPE} B", f"a {TYPE} B", {"subclass_of": {"A": ("B",)}}, f"a {TYPE} A, A {SUBCLASS} B"),
        (f"a p b, c {TYPE} A", f"a {TYPE} A", {"domain": {"p": ("A",)}}, "a p b"),
        (f"a p b, c {TYPE} A", f"b {TYPE} A", {"range": {"p": ("A",)}}, "a p b"),
    ],
)
def test_from_what_a_fact_follows(facts: str, fact: str, schema: dict[str, object], premises: str) -> None:
    names, known = read(facts)
    by = Entailment(names, Schema(**schema))  # type: ignore[arg-type]
    found, _ = by.facts(known)
    assert found is not None
    head, relation, tail = fact.split()
    ids = names.entity_ids[head], names.relation_ids[relation], names.entity_ids[tail]
    assert ", ".join(" ".join(each) for each in by.premises(*ids, known, found)) == premises


SAID: list[dict[str, object]] = [
    {"types": is_a("TransitiveProperty", "p", "q")},
    {"symmetric": ("p",), "subproperty_of": {"p": ("q",)}, "types": is_a("TransitiveProperty", "q")},
    {"inverse": {"p": ("q",), "q": ("p",)}, "types": is_a("TransitiveProperty", "p")},
    {"domain": {"p": ("a",)}, "range": {"q": ("b",)}, "subclass_of": {"a": ("c",), "c": ("d",)}},
    {"subclass_of": {"a": ("b",), "b": ("c",)}, "disjoint": {"b": ("d",)}, "symmetric": ("p",)},
]
TERMS = [f"{h} {r} {t}" for h in "abcd" for r in ("p", "q", TYPE, OWL + "disjointWith") for t in "abcd"]


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(SAID), st.booleans(), st.sets(st.sampled_from(TERMS), min_size=1, max_size=12), st.integers(0, 12)
)
def test_what_is_added_as_if_all_were_followed_anew(
    schema: dict[str, object], restrictions: bool, facts: set[str], count: int
) -> None:
    """Fact by fact, then all at once."""
    names = Vocabulary("abcd", ("p", "q", TYPE, OWL + "disjointWith"))
    by = Entailment(names, Schema(**schema), restrictions)  # type: ignore[arg-type]
    hrt = torch.tensor(names.numbered(tuple(fact.split()) for fact in sorted(facts)))  # type: ignore[misc]
    count = min(count, len(hrt) - 1)
    known = [KnownAnswers.from_triples(hrt[:stop], 4) for stop in range(count, len(hrt) + 1)]
    found = first = by.facts(known[0])[0]
    for i, each in enumerate(known[1:], count):
        found = by.more(each, found, hrt[i : i + 1])
    wanted, _ = by.facts(known[-1])
    for each in (found, by.more(known[-1], first, hrt[count:])):
        assert (each is None) == (wanted is None)
        assert each is None or wanted is None or torch.equal(each.facts(), wanted.facts())
