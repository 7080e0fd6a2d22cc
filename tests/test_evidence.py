"""Why a fact is given: by hand, in step with what the scorer goes by, and in terms."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from horn import everything, graph_of, random_facts
from paper import no_facts

from kg.bundle import Bundle
from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.graph.schema import Schema
from kg.graph.vocabulary import Vocabulary
from kg.models.combined import Combined
from kg.models.complex import ComplEx
from kg.models.frequency import Frequency
from kg.models.rules import RuleScorer
from kg.models.scorer import Scorer
from kg.query.predictor import Predictor
from kg.rules.edges import edges_of
from kg.rules.evidence import evidence
from kg.rules.mining import mine
from kg.rules.prediction import answers, index_of
from kg.rules.rule import Atom, Rule, Rules

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


# In terms


def predictor_of(scorer: Scorer, dataset: Dataset, path: str = "models/mine") -> Predictor:
    bundle = Bundle(Path(path), scorer.eval(), dataset, {}, 1.0, {}, {}, {})
    return Predictor._from_bundle(bundle)


@pytest.fixture
def countries() -> Dataset:
    names = Vocabulary(
        ["http://e/a", "http://e/b", "http://e/c", "http://e/d", "http://e/e", "http://e/f"],
        ["http://e/next", "http://e/in"],
    )
    facts = torch.tensor(FACTS)
    return Dataset(facts, facts[:0], facts[:0], names, Schema(labels={"http://e/a": "Ann", "http://e/in": "is in"}))


def test_reasons_in_terms_and_labels(rules: Rules, countries: Dataset) -> None:
    scorer = RuleScorer(6, 2)
    scorer.learn(rules)
    predictor = predictor_of(scorer, countries)
    first, second = predictor.evidence("Ann", "is in", "f")
    assert (first.rule, first.confidence, first.support, first.body) == ("next(X,c) => is in(X,f)", 0.5, 5, 5)
    assert first.groundings == ((("http://e/a", "http://e/next", "http://e/c"),),)
    assert first.texts == ("next(Ann,c)",)
    assert second.rule == "next(X,Z) & is in(Z,Y) => is in(X,Y)" and len(second.groundings) == 3
    assert second.texts[0] == "next(Ann,b) & is in(b,f)"
    assert [reason.rule for reason in predictor.evidence("Ann", "is in", "f", top=1)] == [first.rule]
    with pytest.raises(UserError, match="--top must be at least 1: got 0"):
        predictor.evidence("Ann", "is in", "f", top=0)
    with pytest.raises(UserError, match="no entity 'nobody'"):
        predictor.evidence("nobody", "is in", "f")


def test_a_combination_explains_by_its_part(rules: Rules, countries: Dataset) -> None:
    parts = [Frequency, RuleScorer, partial(ComplEx, dim=2)]
    scorer = Combined(6, 2, parts)
    (answering,) = (part for part in scorer.scorers() if isinstance(part, RuleScorer))
    answering.learn(rules)
    assert len(predictor_of(scorer, countries).evidence("Ann", "is in", "f")) == 2


def test_a_model_without_rules_says_what_to_do(rules: Rules, countries: Dataset) -> None:
    predictor = predictor_of(ComplEx(6, 2, dim=2), countries)
    with pytest.raises(UserError, match=r"models/mine answers without rules.*--model rules"):
        predictor.evidence("Ann", "is in", "f")
    assert len(predictor.evidence("Ann", "is in", "f", rules=rules)) == 2
    assert predictor.evidence("Ann", "is in", "f", rules=Rules.none(2)) == []


def test_mined_rules_explain_what_they_give(random_dataset: Dataset) -> None:
    """Also where counts are of a sample, and of many rules: as many reasons as are asked for."""
    graph = random_dataset.graph()
    rules = mine(graph)
    found = evidence(rules, graph, *random_dataset.train[0].tolist(), top=20)
    assert len(found) == 20
    sure = [(-rule.confidence, -rule.support) for rule, _ in found]
    assert sure == sorted(sure)
