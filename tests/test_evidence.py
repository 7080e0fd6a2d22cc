"""Why a fact is given: by hand, in step with what the scorer goes by, and in terms."""

import importlib
import json
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from horn import Brute, everything, graph_of, random_facts
from paper import fill, no_facts
from torch import Tensor

import kg.rules.evidence
from kg.bundle import Bundle
from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.graph.graph import Graph
from kg.graph.schema import Schema
from kg.graph.vocabulary import Vocabulary
from kg.models.combined import Combined
from kg.models.complex import ComplEx
from kg.models.distmult import DistMult
from kg.models.frequency import Frequency
from kg.models.neighbourhood import NeighbourhoodTransformer
from kg.models.path_network import PathNetwork
from kg.models.rules import RuleScorer
from kg.models.scorer import Queries, Scorer
from kg.probability.calibration import Calibration
from kg.query.explain.evidence import explain
from kg.query.knowledge import Knowledge
from kg.query.predictor import Predictor
from kg.rules.evidence import evidence, joining_rules
from kg.rules.mining import mine
from kg.rules.prediction import answers, index_of
from kg.rules.rule import Atom, Rule, Rules
from kg.walks.edges import edges_of

NEXT, IN = 0, 1  # 2 and 3 are their inverses
FACTS = [(0, NEXT, 1), (0, NEXT, 2), (0, NEXT, 3), (1, IN, 5), (2, IN, 5), (3, IN, 5), (0, IN, 5), (4, NEXT, 4)]


@pytest.fixture
def rules() -> Rules:
    """next(X,Z) & in(Z,Y) => in(X,Y); next(X,2) => in(X,5), and in(X,Z) => next(0,X), of the inverse."""
    return Rules(
        np.array([[IN, NEXT, IN, -1], [IN, NEXT, NEXT, IN]], np.int32),
        np.array([[3, 5, 5], [9, 10, 10]], np.int64),
        np.array([False, True]),
        np.array([[IN, 5, NEXT, 2], [NEXT + 2, 0, IN, -1], [IN, 5, -1, -1]], np.int32),
        np.array([[5, 5, 5], [4, 9, 9], [4, 5, 4]], np.int32),
        np.array([3, 4], np.int32),
    )


def test_rules_and_groundings_by_hand(rules: Rules) -> None:
    graph = graph_of(FACTS, 6, 2)
    found = evidence(rules, graph, 0, IN, 5)
    assert [(rule.confidence, rule.support) for rule, _ in found] == [(0.5, 5), (0.3, 3)]
    assert found[0] == (rules[2], [(Atom(NEXT, 0, 2),)])
    assert found[1] == (rules[0], [(Atom(NEXT, 0, i), Atom(IN, i, 5)) for i in (1, 2, 3)])
    assert evidence(rules, graph, 5, IN + 2, 0) == found  # the same fact
    assert evidence(rules, graph, 0, IN, 5, top=1) == found[:1]
    assert evidence(rules, graph, 0, IN, 5, paths=2)[1][1] == found[1][1][:2]
    assert [groundings for _, groundings in evidence(rules, graph, 0, IN, 5, paths=0)] == [[], []]
    # next(0, 1), as 1 is in something; the head of that rule is written next(0, X)
    ((rule, groundings),) = evidence(rules, graph, 0, NEXT, 1)
    assert rule.head == Atom(NEXT, 0, "X") and groundings == [(Atom(IN, 1, 5),)]


def test_what_no_rule_gives(rules: Rules) -> None:
    graph = graph_of(FACTS, 6, 2)
    assert evidence(rules, graph, 4, IN, 5) == []  # it is next to itself alone
    assert evidence(rules, graph, 5, IN, 5) == [] and evidence(rules, graph, 4, NEXT, 4) == []
    assert evidence(Rules.none(2), graph, 0, IN, 5) == []
    assert evidence(rules, no_facts(6, 2), 0, IN, 5) == []


def test_the_fact_is_no_reason_for_itself() -> None:
    """Known or not, it is given by the same rules; not even by one that goes to and fro over it."""
    facts = [(0, 0, 1), (2, 0, 3), (0, 0, 3)]
    turning = Rules(
        np.array([[0, 0, 1, 0], [0, 1, -1, -1]], np.int32),
        np.array([[3, 4, 4], [2, 2, 2]], np.int64),
        np.zeros(2, bool),
        np.array([[0, 1, 0, -1], [1, 0, 1, -1]], np.int32),
        np.array([[3, 3, 3], [3, 3, 3]], np.int32),
        np.array([3], np.int32),
    )
    assert [rule for rule, _ in evidence(turning, graph_of(facts, 4, 1), 0, 0, 1)] == [turning[2]]
    ((_, groundings),) = evidence(turning, graph_of(facts, 4, 1), 0, 0, 1)
    assert groundings == [(Atom(0, 0, 3),)]  # something other than 1
    found = evidence(turning, graph_of([*facts, (2, 0, 1)], 4, 1), 0, 0, 1)
    assert (turning[0], [(Atom(0, 0, 3), Atom(0, 2, 3), Atom(0, 2, 1))]) in found


@pytest.mark.parametrize("seed", range(3))
def test_the_confidences_are_those_that_answers_go_by(seed: int) -> None:
    """For every fact there could be, and every depth; and each grounding is one."""
    num, num_relations = 7, 2
    facts = random_facts(seed, 20, num, num_relations)
    rules = everything(graph_of(facts, num, num_relations))
    with_body = rules.constant[:, 2] >= 0
    rules = Rules(
        rules.closed,
        rules.closed_counts,
        rules.sampled,
        rules.constant[with_body],
        rules.constant_counts[with_body],
        rules.relation_size,
    )
    graph = graph_of(facts[4:] + random_facts(seed + 9, 4, num, num_relations), num, num_relations)
    index = index_of(rules, num)
    edges = set(map(Atom, graph.relation.tolist(), graph.head().tolist(), graph.tail.tolist()))
    fired = 0
    for depth in (2, 50):
        for head in range(num):
            for relation in range(2 * num_relations):
                asked = np.array([head]), np.array([relation])
                _, entities, confidences = answers(edges_of(graph), index, *asked, depth)
                expected = dict(zip(entities.tolist(), confidences, strict=True))
                for tail in range(num):
                    found = evidence(rules, graph, head, relation, tail, top=depth, paths=2)
                    sure = np.zeros(depth, np.float32)
                    sure[: len(found)] = [rule.confidence for rule, _ in found]
                    assert np.array_equal(sure, expected.get(tail, np.zeros(depth))), (head, relation, tail)
                    for rule, groundings in found:
                        check(edges, rule, groundings, Atom(relation, head, tail).upright(num_relations))
                    fired += len(found)
    assert fired > 1000


def check(edges: set[Atom], rule: Rule, groundings: list[tuple[Atom, ...]], given: Atom) -> None:
    """Each grounding is the rule's body with entities for variables, all distinct; facts of the graph, not this one."""
    assert 1 <= len(groundings) <= 2 and len(set(groundings)) == len(groundings)
    for grounding in groundings:
        value: dict[str | int, str | int] = {}
        for atom, stands in zip((rule.head, *rule.atoms), (given, *grounding), strict=True):
            assert atom.relation == stands.relation
            for term, entity in ((atom.left, stands.left), (atom.right, stands.right)):
                assert value.setdefault(term, entity) == entity if isinstance(term, str) else term == entity
        assert len(set(value.values())) == len(value)
        assert edges.issuperset(grounding) and given not in grounding


def test_entities_that_came_after_the_mining(rules: Rules) -> None:
    graph = graph_of([*FACTS, (7, NEXT, 2), (7, NEXT, 8), (8, IN, 6)], 9, 2)
    assert [rule for rule, _ in evidence(rules, graph, 7, IN, 5)] == [rules[2], rules[0]]
    assert [rule for rule, _ in evidence(rules, graph, 7, IN, 6)] == [rules[0]]


def test_mined_rules_explain_what_they_give(random_dataset: Dataset) -> None:
    """Also where counts are of a sample, and of many rules: as many reasons as are asked for."""
    graph = random_dataset.graph()
    rules = mine(graph)
    found = evidence(rules, graph, *random_dataset.train[0].tolist(), top=20)
    assert len(found) == 20
    sure = [(-rule.confidence, -rule.support) for rule, _ in found]
    assert sure == sorted(sure)


# Rules that are measured for one fact


P, Q, GIVES = 0, 1, 2
CHAINS = [(i, P, 10 + i) for i in range(10)] + [(10 + i, Q, 20 + i) for i in range(10)]
CHAINS += [(i, GIVES, 20 + i) for i in range(1, 9)]  # as the path leads, but for the first and the last


def test_a_path_by_hand() -> None:
    """p(X,Z) & q(Z,Y) => gives(X,Y): right 8 times of 9, the pair asked about not counted; 8 / (9 + 5) > 2 * 8 / 64."""
    rules, complete = joining_rules(graph_of(CHAINS, 30, 3), 0, GIVES, 20)
    assert complete and rules.closed.tolist() == [[GIVES, P, Q, -1]]
    assert rules.closed_counts.tolist() == [[8, 9, 8]] and rules.sampled.tolist() == [False]
    assert rules.closed_confidence.tolist() == [8 / 14] and rules.relation_size.tolist() == [10, 10, 8]
    ((rule, groundings),) = evidence(rules, graph_of(CHAINS, 30, 3), 0, GIVES, 20)
    assert rule == rules[0] and groundings == [(Atom(P, 0, 10), Atom(Q, 10, 20))]


def test_where_nothing_leads_there() -> None:
    graph = graph_of([*CHAINS, (0, GIVES, 21)], 31, 3)
    for pair in ((0, 29), (0, 30), (30, 0), (5, 5)):  # no path, no edge, itself
        rules, complete = joining_rules(graph, pair[0], GIVES, pair[1])
        assert len(rules) == 0 and complete
    with pytest.raises(IndexError, match="from 0 to 30"):
        joining_rules(graph, 0, GIVES, 31)
    with pytest.raises(UserError, match="bodies of 3 atoms are too many"):
        joining_rules(no_facts(3, 2_000_000), 0, 0, 1)


@pytest.mark.parametrize(("extra", "kept"), [(0, True), (10, True), (11, False)])
def test_what_any_plausible_pair_would_show_is_no_evidence(extra: int, kept: bool) -> None:
    """With n more facts among the same heads and tails the base rate is (8 + n) / 64; 8 / 14 is to be twice that.

    2 * (8 + 10) / 64 = .563, 2 * (8 + 11) / 64 = .594, 8 / 14 = .571.
    """
    between = [(i, GIVES, 20 + j) for i in range(1, 9) for j in range(1, 9) if i != j][:extra]
    rules, _ = joining_rules(graph_of(CHAINS + between, 30, 3), 0, GIVES, 20)
    assert ([GIVES, P, Q, -1] in rules.closed.tolist()) == kept


def test_a_rule_that_was_right_once_is_an_anecdote() -> None:
    others = [(30 + i, GIVES, 90 + i) for i in range(60)]  # so that hardly any plausible pair is a fact
    for right, count in ((1, 0), (2, 1)):
        facts = CHAINS[:20] + [(i, GIVES, 20 + i) for i in range(1, 1 + right)]
        assert len(joining_rules(graph_of(facts + others, 150, 3), 0, GIVES, 20)[0]) == count


@pytest.mark.parametrize("seed", range(4))
def test_all_paths_are_found_and_counted_as_in_plain_python(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("LIFT", 0.0), ("_MIN_SUPPORT", 1), ("_MEASURED", 10**6)):
        monkeypatch.setattr(kg.rules.evidence, name, value)
    num, num_relations = 7, 2
    facts = random_facts(seed, 18, num, num_relations)
    pairs = [(h, r, t) for h in range(num) for r in range(num_relations) for t in range(num) if h != t]
    compared = 0
    for head, relation, tail in pairs[seed % 2 :: 2]:
        without = [fact for fact in facts if fact != (head, relation, tail)]
        brute = Brute(without, num, num_relations)
        expected = {
            rule: (support, body - 1)
            for rule, (support, body, _) in brute.closed(3).items()
            if rule[0] == relation and tail in brute.ends([head], rule[1:])
        }
        rules, complete = joining_rules(graph_of(without, num, num_relations), head, relation, tail)
        bodies = [tuple(x for x in row if x >= 0) for row in rules.closed.tolist()]
        assert complete and len(set(bodies)) == len(bodies)
        assert dict(zip(bodies, map(tuple, rules.closed_counts[:, :2].tolist()), strict=True)) == expected
        compared += len(expected)
    assert compared > 100


def test_rules_that_are_held_keep_their_counts() -> None:
    graph = graph_of(CHAINS, 30, 3)
    held = replace(
        Rules.none(3, 4),
        closed=np.array([[GIVES, P, Q, -1, -1], [P, P, Q, -1, -1], [GIVES, P, Q, Q, Q]], np.int32),
        closed_counts=np.array([[70, 80, 75], [9, 9, 9], [9, 9, 9]], np.int64),
        sampled=np.array([True, False, False]),
    )
    rules, _ = joining_rules(graph, 0, GIVES, 20, held)
    assert rules.closed.tolist() == [[GIVES, P, Q, -1]] and rules.sampled.tolist() == [True]
    assert rules.closed_counts.tolist() == [[70, 80, 75]]
    other = replace(held, closed=held.closed[1:], closed_counts=held.closed_counts[1:], sampled=held.sampled[1:])
    assert joining_rules(graph, 0, GIVES, 20, other)[0].closed_counts.tolist() == [[8, 9, 8]]
    row, counts = np.array([[GIVES, P]], np.int32), np.array([[9, 9, 9]])
    short = replace(Rules.none(3, 1), closed=row, closed_counts=counts, sampled=np.array([False]))
    assert joining_rules(graph, 0, GIVES, 20, short)[0].closed.tolist() == [[GIVES, P, Q, -1]]


def test_what_is_too_much_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    hubs = [(0, r, z) for r in range(3) for z in range(2, 40)] + [(z, r, 1) for r in range(3) for z in range(2, 40)]
    hubs += [(z, 3, z + 40) for z in range(2, 12)] + [(2, 0, 42), (3, 0, 43)]
    graph = graph_of(hubs, 80, 4)
    assert joining_rules(graph, 0, 3, 1)[1]
    monkeypatch.setattr(kg.rules.evidence, "_TRIED", 3)
    assert not joining_rules(graph, 0, 3, 1)[1]
    monkeypatch.undo()
    monkeypatch.setattr(kg.rules.evidence, "_MEETING_BUDGET", 20)
    assert not joining_rules(graph, 0, 3, 1)[1]


def test_counts_of_large_bodies_are_of_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    for budget in ("_TRIAL_BUDGET", "BODY_BUDGET"):
        monkeypatch.setattr(kg.rules.evidence, budget, 10)
    rules, _ = joining_rules(graph_of(CHAINS, 30, 3), 0, GIVES, 20)
    assert rules.sampled.tolist() == [True] and rules.closed_counts[0, 1] == 10  # the pair may not be in the part


# In terms

E = "http://e/"


def predictor_of(
    facts: list[tuple[int, int, int]],
    scorer: Callable[[int, int], Scorer],
    relations: tuple[str, ...] = ("p", "q", "gives"),
    **schema: Any,
) -> Predictor:
    """Entities e0, e1, ... as many as the facts have."""
    hrt = torch.tensor(facts)
    num = int(hrt[:, [0, 2]].max()) + 1
    names = Vocabulary([f"{E}e{i}" for i in range(num)], [E + relation for relation in relations])
    torch.manual_seed(0)
    dataset = Dataset(hrt, hrt[:0], hrt[:0], names, Schema(**schema))
    bundle = Bundle(Path("models/mine"), scorer(num, len(relations)).eval(), dataset, {}, 1.0, {}, {}, {})
    return Predictor(bundle, Knowledge.of_model(bundle))


def edge(subject: str, predicate: str, object_: str) -> tuple[str, str, str]:
    return E + subject, E + predicate, E + object_


PLAIN = partial(ComplEx, dim=2)


def test_a_path_in_terms_and_labels() -> None:
    predictor = predictor_of(CHAINS, PLAIN, labels={E + "e0": "Ann", E + "gives": "gives\nto"})
    found = predictor.explain("Ann", "gives\nto", "e20")
    (path,) = found.paths
    assert (path.rule, path.text) == ("p(X,Z) & q(Z,Y) => gives to(X,Y)", "p(Ann,e10) & q(e10,e20)")
    assert path.facts == (edge("e0", "p", "e10"), edge("e10", "q", "e20"))
    assert (path.confidence, path.support, path.body, path.sampled) == (8 / 14, 8, 9, False)
    assert not found.known and found.complete and found.features == found.attended == found.nearest == ()
    assert found.count == 1 and found.label(E + "gives") == "gives to"
    assert str(found).splitlines()[:4] == [
        "(Ann, gives to, e20): not known",
        "paths",
        "    p(X,Z) & q(Z,Y) => gives to(X,Y)  0.57  (8/9)",
        "        p(Ann,e10) & q(e10,e20)",
    ]
    told = json.loads(json.dumps(found.to_json()))
    assert (told["subject"], told["predicate"], told["object"]) == edge("e0", "gives", "e20")
    assert told["count"] == 1 and told["paths"][0]["facts"][0] == list(edge("e0", "p", "e10"))


def test_none_found_is_said() -> None:
    found = predictor_of(CHAINS, PLAIN).explain("e0", "gives", "e19")
    assert found.count == 0 and str(found).count("none found") == 3
    with pytest.raises(UserError, match="top must be at least 1: got 0"):
        predictor_of(CHAINS, PLAIN).explain("e0", "gives", "e19", top=0)
    with pytest.raises(UserError, match="no entity 'nobody'"):
        predictor_of(CHAINS, PLAIN).explain("nobody", "gives", "e19")


def test_the_probability_is_told_where_there_is_one() -> None:
    predictor = grown(predictor_of(CHAINS, PLAIN), edge("new", "p", "e14"))
    assert predictor.explain("e0", "gives", "e20").probability is None
    calibration = Calibration.shared(3, {"constant": 2.0}).to_json()
    predictor = Predictor(replace(predictor.bundle, calibration=calibration), predictor.knowledge)
    found = predictor.explain("e0", "gives", "e20")
    assert found.probability == pytest.approx(1 / (1 + math.exp(-2)))
    assert str(found).startswith("(e0, gives, e20): not known, probability 0.881\n")
    assert predictor.explain("new", "gives", "e24").probability is None  # whom ComplEx cannot be asked about


INVERSE = {E + "gives": (E + "given",), E + "given": (E + "gives",)}
GIVEN = 3  # the inverse of gives; each fact is stated both ways, and so is its mirror: the surest rules would be these
TWICE = [(*ends, r) for h, _, t in CHAINS[20:] for ends in ((h, t), (t, h)) for r in (GIVES, GIVEN)]
TWICE = CHAINS[:20] + [(h, r, t) for h, t, r in TWICE]
RESTATED = {
    "itself": [(0, GIVES, 20)],
    "its inverse": [(20, GIVEN, 0)],
    "its mirror": [(20, GIVES, 0)],
    "the inverse of its mirror": [(0, GIVEN, 20)],
    "all": [(0, GIVES, 20), (20, GIVEN, 0), (20, GIVES, 0), (0, GIVEN, 20)],
}


@pytest.mark.parametrize("what", RESTATED)
def test_a_fact_is_no_evidence_for_itself(what: str) -> None:
    """Whatever says it again changes nothing of its evidence, and on no path is any of it."""
    names = ("p", "q", "gives", "given")
    without = predictor_of(TWICE, PLAIN, names, inverse=INVERSE).explain("e0", "gives", "e20")
    predictor = predictor_of(TWICE + RESTATED[what], PLAIN, names, inverse=INVERSE)
    found = predictor.explain("e0", "gives", "e20")
    assert found.known == (what in ("itself", "all"))
    assert bool(found.follows_from) == (what == "its inverse")  # which is stated, and counts for nothing
    assert found.count == without.count and found.paths
    assert replace(found, known=False, follows_from=(), labels=without.labels) == without
    ends = {E + "e0", E + "e20"}
    assert not any({fact[0], fact[2]} == ends for path in found.paths for fact in path.facts)


@pytest.mark.parametrize("what", [name for name in RESTATED if name != "itself"])
def test_without_the_guard_the_fact_would_speak_for_itself(what: str) -> None:
    """What the test above would miss if it could not fail. The edge itself is no path of any rule for it."""
    graph = predictor_of(TWICE + RESTATED[what], PLAIN, ("p", "q", "gives", "given"), inverse=INVERSE).knowledge.graph
    (first, _), *_ = evidence(joining_rules(graph, 0, GIVES, 20)[0], graph, 0, GIVES, 20, top=1)
    assert len(first.atoms) == 1 and first.confidence > 8 / 14


def test_ways_of_saying_the_same_are_one_path() -> None:
    """p is symmetric and stated both ways, q2 the inverse of q: one path of the eight that there are."""
    facts = CHAINS + [(t, P, h) for h, r, t in CHAINS if r == P] + [(t, 3, h) for h, r, t in CHAINS if r == Q]
    names = ("p", "q", "gives", "q2")
    assert len(predictor_of(facts, PLAIN, names).explain("e0", "gives", "e20", top=9).paths) == 4
    inverse = {E + "q": (E + "q2",), E + "q2": (E + "q",)}
    said = {"inverse": inverse, "symmetric": (E + "p",)}
    (path,) = predictor_of(facts, PLAIN, names, **said).explain("e0", "gives", "e20").paths
    assert path.rule == "p(X,Z) & q(Z,Y) => gives(X,Y)"


# Models that hold rules


def with_rules(rules: Rules) -> Callable[[int, int], Scorer]:
    def scorer(num_entities: int, num_relations: int) -> Scorer:
        made = Combined(num_entities, num_relations, [Frequency, RuleScorer, PLAIN])
        (answering,) = (part for part in made.scorers() if isinstance(part, RuleScorer))
        answering.learn(rules)
        return made

    return scorer


def test_a_model_with_rules_tells_their_confidence_and_features(rules: Rules) -> None:
    predictor = predictor_of(FACTS, with_rules(rules), ("next", "in"), labels={E + "e0": "Ann", E + "in": "is in"})
    found = predictor.explain("Ann", "is in", "e5")
    assert found.known and found.paths == ()  # 3 / (5 + 5) is not twice 3 / (3 * 1), the chance of a plausible pair
    (feature,) = found.features
    assert (feature.rule, feature.confidence, feature.support, feature.body) == ("next(X,e2) => is in(X,e5)", 0.5, 5, 5)
    assert feature.facts == (edge("e0", "next", "e2"),) and feature.text == "next(Ann,e2)"
    assert "features\n    next(X,e2) => is in(X,e5)  0.50  (5/5)\n        next(Ann,e2)\n" in str(found)


def test_a_path_has_the_confidence_that_the_model_gives_it() -> None:
    held = Rules.none(3, 2)
    held = replace(
        held,
        closed=np.array([[GIVES, P, Q]], np.int32),
        closed_counts=np.array([[90, 95, 95]], np.int64),
        sampled=np.array([True]),
    )
    (path,) = predictor_of(CHAINS, with_rules(held)).explain("e0", "gives", "e20").paths
    assert (path.confidence, path.support, path.body, path.sampled) == (0.9, 90, 95, True)


# Like facts


def test_like_facts_by_vectors() -> None:
    """e1 points where e0 does, e2 nearly, e3 to the side, e4 away; of tails, e6 is like e5."""
    facts = [(i, 0, 5) for i in (0, 1, 2, 3, 4)] + [(0, 0, 6), (7, 0, 7)]
    predictor = predictor_of(facts, partial(DistMult, dim=2), ("r",))
    table = predictor.bundle.scorer.get_submodule("table")
    fill(table.weight, [[2.0, 0], [1, 0], [4, 3], [0, 1], [-1, 0], [0, 2], [3, 4], [1, 1]])
    found = predictor.explain("e0", "r", "e5")
    assert [(near.fact, near.end, near.by) for near in found.nearest] == [
        (edge("e1", "r", "e5"), "subject", "vectors"),
        (edge("e2", "r", "e5"), "subject", "vectors"),
        (edge("e0", "r", "e6"), "object", "vectors"),
    ]
    assert [near.similarity for near in found.nearest] == pytest.approx([1.0, 0.8, 0.8])
    assert "    (e2, r, e5)  e2 is like e0: 0.80 by vectors\n" in str(found)


def test_like_facts_by_shared_edges_are_at_most_three() -> None:
    """e0 has edges to e6, e7, e8 beside the fact; the others have so many of these and the fact with e9."""
    facts = [(0, 0, 9)] + [(0, 1, i) for i in (6, 7, 8)]
    for other, shared in ((1, 1), (2, 3), (3, 2), (4, 0), (5, 1)):
        facts += [(other, 0, 9)] + [(other, 1, 6 + i) for i in range(shared)]
    found = predictor_of(facts, Frequency, ("r", "s")).explain("e0", "r", "e9")
    assert [near.fact[0] for near in found.nearest] == [E + "e2", E + "e3", E + "e1"]
    assert [near.similarity for near in found.nearest] == pytest.approx([3 / 4, 2 / 4, 1 / 4])
    assert {near.by for near in found.nearest} == {"edges"}


def grown(predictor: Predictor, *facts: tuple[str, str, str]) -> Predictor:
    """With more facts known than the model was trained on; their entities may be new."""
    names = predictor.knowledge.vocabulary.extended(sorted({term for s, _, o in facts for term in (s, o)}))
    ids = [[names.entity_ids[s], names.relation_ids[p], names.entity_ids[o]] for s, p, o in facts]
    known = torch.cat([predictor.knowledge.facts, torch.tensor(ids)])
    return Predictor(predictor.bundle, Knowledge.of_facts(names, known, predictor.knowledge.schema, "more"))


def test_an_entity_that_is_new_to_the_model() -> None:
    predictor = grown(predictor_of(CHAINS, PLAIN), edge("new", "p", "e14"), edge("new", "gives", "e21"))
    found = predictor.explain("new", "gives", "e24")
    assert found.against == ("new is new to the model: it was not trained with it",)
    assert [path.text for path in found.paths] == ["p(new,e14) & q(e14,e24)"]
    assert {near.by for near in found.nearest if near.end == "subject"} == {"edges"}
    of_e1 = predictor.explain("e4", "gives", "e21")
    assert {near.by for near in of_e1.nearest} == {"vectors"}
    assert all(near.fact[0] != E + "new" for near in of_e1.nearest)  # which has no vector to compare


# Attention


def test_what_the_model_attended_to_but_for_the_fact_itself() -> None:
    names = ("p", "q", "gives", "given")
    scorer = partial(NeighbourhoodTransformer, dim=2, width=8, init=0.5)
    predictor = predictor_of(TWICE + RESTATED["all"], scorer, names, inverse=INVERSE)
    asked = torch.tensor([[0, 20], [GIVES, GIVES + 4]])
    looks = predictor.bundle.scorer.attention_weights(Queries(asked[0], asked[1], predictor.knowledge.graph))
    assert looks is not None and torch.bincount(looks.row, looks.share).tolist() == pytest.approx([1.0, 1.0])
    found = predictor.explain("e0", "gives", "e20")
    assert {(look.fact, look.end) for look in found.attended} == {
        (edge("e0", "p", "e10"), "subject"),
        (edge("e10", "q", "e20"), "object"),
    }
    share = {(r, t): share for r, t, share in zip(*(part.tolist() for part in looks[1:]), strict=True)}
    assert [look.share for look in found.attended] == pytest.approx([share[P, 10], share[Q + 4, 10]])
    assert f"(e0, p, e10)  {share[P, 10]:.2f} from e0\n" in str(found)


def test_at_most_five_edges_an_end_the_most_attended_first() -> None:
    facts = [(0, P, i) for i in range(1, 9)] + [(9, GIVES, 10)]
    scorer = partial(NeighbourhoodTransformer, dim=2, width=8, init=0.5)
    predictor = predictor_of(facts, scorer)
    found = predictor.explain("e0", "gives", "e10")
    of_subject = [look.share for look in found.attended if look.end == "subject"]
    assert len(of_subject) == 5 and of_subject == sorted(of_subject, reverse=True)
    assert grown(predictor, edge("x", "p", "y")).explain("x", "gives", "y").attended  # by their neighbours
    known = predictor.knowledge
    alone = Vocabulary([*known.vocabulary.entities, E + "z"], known.vocabulary.relations)
    nobody = Predictor(predictor.bundle, Knowledge.of_facts(alone, known.facts, known.schema, "more"))
    assert {look.end for look in nobody.explain("z", "gives", "e10").attended} == set()


# Against it

IFP = "http://www.w3.org/2002/07/owl#InverseFunctionalProperty"
ONE_OBJECT = "gives has one object for each subject, and e21 is known for e1"
ONE_SUBJECT = "gives has one subject for each object, and e2 is known for e22"


def test_a_type_that_does_not_fit() -> None:
    facts = [(0, 0, 1), (2, 0, 1)]
    schema = {"domain": {E + "r": (E + "Person",)}, "types": {E + "e0": (E + "City",), E + "e2": (E + "Person",)}}
    predictor = predictor_of(facts, PLAIN, ("r",), **schema)
    said = "e0 has no type that fits Person, which the subject of r is declared to be"
    assert predictor.explain("e0", "r", "e1").against == (said,)
    assert predictor.explain("e2", "r", "e1").against == ()


@pytest.mark.parametrize(
    ("schema", "against"),
    [
        ({}, []),
        ({"functional": (E + "gives",)}, [ONE_OBJECT]),
        ({"types": {E + "gives": (IFP,)}}, [ONE_SUBJECT]),
        ({"functional": (E + "gives",), "types": {E + "gives": ("other", IFP)}}, [ONE_OBJECT, ONE_SUBJECT]),
        ({"functional": (E + "given",), "inverse": INVERSE}, [ONE_SUBJECT]),
        ({"types": {E + "given": (IFP,)}, "inverse": INVERSE}, [ONE_OBJECT]),
        ({"functional": (E + "p",), "types": {E + "q": (IFP,)}, "inverse": INVERSE}, []),
    ],
)
@pytest.mark.parametrize("stated", [GIVES, GIVEN])
def test_another_value_where_there_is_one(schema: dict[str, Any], against: list[str], stated: int) -> None:
    """(e1, gives, e22): e1 gives e21 and e2 gives e22, said of gives itself or of its inverse."""
    facts = [fact for fact in CHAINS if fact[1] != GIVES]
    facts += [(1, GIVES, 21), (2, GIVES, 22)] if stated == GIVES else [(21, GIVEN, 1), (22, GIVEN, 2)]
    predictor = predictor_of(facts, PLAIN, ("p", "q", "gives", "given"), **schema)
    if stated == GIVEN and "inverse" not in schema:
        against = []  # nothing says that given is about gives
    found = predictor.explain("e1", "gives", "e22")
    assert list(found.against) == against
    assert str(found).endswith("against it\n    " + "\n    ".join(against or ["none found"]))
    assert predictor.explain("e1", "gives", "e21").against == ()


def test_three_of_many_values_are_named() -> None:
    facts = [(0, 0, i) for i in range(1, 7)]
    found = predictor_of(facts, PLAIN, ("r",), functional=(E + "r",)).explain("e0", "r", "e1")
    assert found.against == ("r has one object for each subject, and e2, e3, e4 and 2 more is known for e0",)


# A planted rule


def test_the_planted_path_is_named_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "experiments" / "quality")
    planted = importlib.import_module("planted_paths")
    assert planted.share_first(num_entities=60, kept=0.9, seed=0)["first"] >= 0.95


# Paths that a score was read off


def test_the_paths_that_carried_a_score_are_known_facts_and_its_fall_without_them() -> None:
    scorer = partial(PathNetwork, dim=8, num_layers=2)
    predictor = predictor_of(TWICE + RESTATED["all"], scorer, ("p", "q", "gives", "given"), inverse=INVERSE)
    found = predictor.explain("e0", "gives", "e20")
    known = predictor.knowledge
    model, graph = predictor.bundle.scorer, known.graph.hide(torch.tensor(RESTATED["all"]))

    def scores(graph: Graph) -> Tensor:
        return model.score_tails(Queries(torch.tensor([0]), torch.tensor([GIVES]), graph))[0].detach()

    before = scores(graph)
    assert found.carried and found.count >= len(found.carried)
    for path in found.carried:
        assert edge("e0", "gives", "e20") not in path.facts
        names = known.vocabulary
        facts = [[names.entity_ids[s], names.relation_ids[p], names.entity_ids[o]] for s, p, o in path.facts]
        after = scores(graph.hide(torch.tensor(facts)))[20]
        share = float((before[20] - after) / (before[20] - before.mean()))
        assert path.share is None or path.share == pytest.approx(share, rel=1e-3, abs=1e-3)
    assert "the score was read off\n    (e0, p, e10)" in str(found)
    brief = explain(predictor.plausibility, "e0", "gives", "e20", in_brief=True)
    assert brief.paths == found.paths and brief.because == found.because and not brief.carried
    alone = replace(found, paths=(), features=(), nearest=())
    assert alone.because.startswith("the score was read off (e0, p, e10)")
    assert predictor_of(CHAINS, PLAIN).explain("e4", "gives", "e21").carried == ()
