"""What may be a candidate at all: in the search, in answers, and where it is named."""

from pathlib import Path

import torch

from kg.bundle import Bundle
from kg.graph.dataset import Dataset
from kg.graph.known import KnownAnswers
from kg.graph.schema import Schema
from kg.graph.vocabulary import Vocabulary
from kg.models.distmult import DistMult
from kg.namespaces import DCTERMS, OWL, SHACL
from kg.query.knowledge import Knowledge
from kg.query.predictor import Predictor
from kg.search.policy import Policy

SOURCE = DCTERMS + "source"
NAMES = Vocabulary(["a", "b", "c", "_:x", "shape"], ["near", SOURCE, SHACL + "path"])
SCHEMA = Schema(types={"shape": (SHACL + "PropertyShape",)})
FACTS = torch.tensor([[0, 0, 1], [1, 0, 3], [0, 1, 2], [4, 2, 0]])

KNOWN = KnownAnswers.from_triples(FACTS, 3)


def predictor(facts: torch.Tensor = FACTS, names: Vocabulary = NAMES, schema: Schema = SCHEMA) -> Predictor:
    torch.manual_seed(0)
    dataset = Dataset(facts, facts[:0], facts[:0], names, schema)
    scorer = DistMult(len(names.entities), len(names.relations), dim=4, init=1.0).eval()
    bundle = Bundle(Path("m"), scorer, dataset, {}, None, {}, {}, {})
    return Predictor(bundle, Knowledge.of_facts(names, facts, schema, "these"))


def found(**asked: object) -> set[tuple[str, str, str]]:
    candidates = predictor().complete(types="off", **asked)  # type: ignore[arg-type]
    return {(each.subject, each.predicate, each.object) for each in candidates}


def test_entities_and_predicates_of_the_graph_alone_are_offered() -> None:
    of_near = {("a", "near", "c"), ("b", "near", "a"), ("b", "near", "c"), ("c", "near", "a"), ("c", "near", "b")}
    assert found() == of_near


def test_what_is_named_is_offered() -> None:
    assert {predicate for _, predicate, _ in found(relations=[SOURCE])} == {SOURCE}
    assert {predicate for _, predicate, _ in found(relations=[SHACL + "path"])} == {SHACL + "path"}
    of_blank = found(entity="_:x")
    assert ("a", "near", "_:x") in of_blank and all("_:x" in (s, o) for s, _, o in of_blank)
    assert all("shape" not in fact for fact in of_blank)


def test_answers_are_of_the_graph_or_known() -> None:
    given = predictor()
    assert {each.object for each in given.tails("b", "near")} == {"a", "c", "_:x"}
    assert {each.object for each in given.tails("b", "near", new_only=True)} == {"a", "c"}
    assert {each.predicate for each in given.relations("a", "c")} == {"near", SOURCE}  # which is known
    assert {each.predicate for each in given.relations("a", "b")} == {"near"}


def test_predicates_named_at_training_are_offered_and_annotations_where_there_is_nothing_else() -> None:
    assert Policy.of(NAMES, SCHEMA, KNOWN).relations.tolist() == [True, False, False]
    assert Policy.of(NAMES, SCHEMA, KNOWN, named=[SOURCE]).relations.tolist() == [True, True, False]
    books = Vocabulary(["a"], [SOURCE, DCTERMS + "creator", OWL + "members"])
    assert Policy.of(books, SCHEMA, KnownAnswers.from_triples(FACTS[:0], 3)).relations.tolist() == [True, True, False]


def test_what_follows_from_known_facts_is_no_discovery() -> None:
    names = Vocabulary(["a", "b", "c", "d"], ["p"])
    facts = torch.tensor([[0, 0, 1], [1, 0, 2]])
    given = predictor(facts, names, Schema(symmetric=("p",)))
    new = {(each.subject, each.object) for each in given.complete(types="off")}
    assert new == {(x, y) for x in "abcd" for y in "abcd" if x != y} - {("a", "b"), ("b", "a"), ("b", "c"), ("c", "b")}
    assert {each.object for each in given.tails("b", "p")} == {"a", "c", "d"}
    assert {each.object for each in given.tails("b", "p", new_only=True)} == {"d"}
    assert {each.subject for each in given.heads("p", "a", new_only=True)} == {"c", "d"}
    assert not len(given.relations("b", "a", new_only=True)) and len(given.relations("b", "a")) == 1


def test_of_what_follows_it_is_said_from_what() -> None:
    names = Vocabulary(["a", "b", "c", "d"], ["p"])
    facts = torch.tensor([[0, 0, 1], [1, 0, 2]])
    given = predictor(facts, names, Schema(types={"p": (OWL + "TransitiveProperty",)}, labels={"a": "Ann"}))
    said = "follows from (Ann, p, b) and (b, p, c)"
    assert {each.object: each.note for each in given.tails("a", "p")} == {"b": None, "c": said, "d": None}
    assert [each.note for each in given.relations("a", "c")] == [said]
    found = given.explain("a", "p", "c")
    assert found.follows_from == (("a", "p", "b"), ("b", "p", "c"))
    assert str(found).startswith("(Ann, p, c): not known\n    follows from (Ann, p, b)\n    follows from (b, p, c)\n")
    assert given.explain("a", "p", "b").follows_from == given.explain("c", "p", "a").follows_from == ()


def test_what_another_predicate_says_already_is_said_to_restate_it() -> None:
    """All pairs of p are among those of q turned round; r has none of them."""
    names = Vocabulary([f"e{i}" for i in range(8)], ["p", "q", "r"])
    both = [(0, 1), (1, 2), (2, 3), (3, 4)]
    rows = [[h, 0, t] for h, t in both] + [[t, 1, h] for h, t in [*both, (4, 5)]] + [[4, 2, 6]]
    given = predictor(torch.tensor(rows), names, Schema(labels={"q": "quotes"}))
    notes = {each.predicate: each.note for each in given.relations("e4", "e5")}
    assert notes == {"p": "restates (e5, quotes, e4)", "q": None, "r": None}
    rows = [[h, 0, t] for h, t in (*both, (6, 7), (7, 0))] + [[t, 1, h] for h, t in [*both, (4, 5)]]  # 4 of 5: no more
    given = predictor(torch.tensor(rows), names)
    assert {each.note for each in given.relations("e4", "e5")} == {None}
