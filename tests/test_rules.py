"""Rules as text and as tables, and what answers by them: by hand, then against following them in plain Python."""

import json
import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from horn import Brute, everything, graph_of, random_facts
from paper import no_facts

from kg.bundle import Bundle
from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.graph.schema import Schema
from kg.graph.vocabulary import Vocabulary
from kg.models.rules import NEVER, RuleScorer, noisy_or
from kg.models.scorer import Queries
from kg.query.explain.rules import COLUMNS, RuleNames, ranked, write_rules
from kg.rules.prediction import answers, index_of, lexicographic
from kg.rules.rule import Rule, Rules, inverse_bodies
from kg.training.recipes import default_run
from kg.training.train import train
from kg.walks.edges import edges_of

BORDERS, MEMBER = 0, 1  # 2 and 3 are their inverses
EU, ANN, BEN = 0, 1, 2


def rules_of(
    closed: dict[tuple[int, ...], tuple[int, int, int]], constant: dict[tuple[int, ...], tuple[int, int, int]]
) -> Rules:
    """Rules for two relations with 100 and 10 facts; the last closed one was counted from a sample."""
    rows = [[*rule, *[-1] * (4 - len(rule))] for rule in closed]
    return Rules(
        np.array(rows, np.int32).reshape(-1, 4),
        np.array(list(closed.values()), np.int64).reshape(-1, 3),
        np.arange(1, len(closed) + 1) == len(closed),
        np.array(list(constant), np.int32).reshape(-1, 4),
        np.array(list(constant.values()), np.int32).reshape(-1, 3),
        np.array([100, 10], np.int32),
    )


@pytest.fixture
def rules() -> Rules:
    closed = {
        (BORDERS, BORDERS + 2): (40, 50, 45),
        (MEMBER, BORDERS + 2, BORDERS, MEMBER): (5, 15, 8),
        (MEMBER, BORDERS, MEMBER): (5, 15, 10),
    }
    constant = {
        (MEMBER, EU, BORDERS, ANN): (3, 4, 4),
        (MEMBER, EU, BORDERS + 2, -1): (2, 5, 3),
        (BORDERS + 2, ANN, MEMBER + 2, BEN): (1, 1, 1),
        (MEMBER, EU, -1, -1): (4, 30, 6),
        (MEMBER + 2, EU, -1, -1): (4, 30, 6),
    }
    return rules_of(closed, constant)


@pytest.fixture
def names() -> RuleNames:
    vocabulary = Vocabulary(["http://e/EU", "http://e/ann", "_:b"], ["http://e/borders", "http://e/memberOf"])
    return RuleNames(vocabulary, Schema(labels={"http://e/ann": "Ann\tof  Green\nGables"}))


# Text and figures


def test_rules_as_people_read_them(rules: Rules, names: RuleNames) -> None:
    assert [names.text(rules[number]) for number in range(len(rules))] == [
        "borders(Y,X) => borders(X,Y)",
        "borders(Z1,X) & borders(Z1,Z2) & memberOf(Z2,Y) => memberOf(X,Y)",
        "borders(X,Z) & memberOf(Z,Y) => memberOf(X,Y)",
        "borders(X,Ann of Green Gables) => memberOf(X,EU)",
        "borders(Z,X) => memberOf(X,EU)",
        "memberOf(_:b,X) => borders(Ann of Green Gables,X)",
        "=> memberOf(X,EU)",
        "=> memberOf(EU,X)",
    ]


def test_rules_as_sparql_reads_them(rules: Rules, names: RuleNames) -> None:
    assert names.pattern(rules[2].atoms) == "?X <http://e/borders> ?Z . ?Z <http://e/memberOf> ?Y"
    assert names.pattern(rules[5].atoms) == "_:b <http://e/memberOf> ?X"
    assert names.terms(rules[5].head) == ("<http://e/ann>", "<http://e/borders>", "?X")


def test_figures(rules: Rules) -> None:
    assert rules.support.tolist() == [40, 5, 5, 3, 2, 1, 4, 4]
    assert rules.confidence.tolist() == [40 / 55, 5 / 20, 5 / 20, 3 / 9, 2 / 10, 1 / 6, 4 / 35, 4 / 35]
    assert rules.head_coverage.tolist() == [0.4, 0.5, 0.5, 0.3, 0.2, 0.01, 0.4, 0.4]
    assert rules.pca_confidence.tolist() == [40 / 45, 5 / 8, 5 / 10, 3 / 4, 2 / 3, 1, 4 / 6, 4 / 6]
    assert rules.has_body.tolist() == [True] * 6 + [False] * 2
    assert [rules[i].sampled for i in range(8)] == [i == 2 for i in range(8)]
    for number in range(len(rules)):
        one = rules[number]
        assert one.confidence == rules.confidence[number] and one.support == rules.support[number]
        assert one.head_coverage == rules.head_coverage[number] and one.pca_confidence == rules.pca_confidence[number]
        assert one.body == [50, 15, 15, 4, 5, 1, 30, 30][number]


def test_bodies_read_backwards() -> None:
    forward = np.array([[0, 3, 1], [2, -1, -1], [1, 0, -1]])
    assert inverse_bodies(forward, 2).tolist() == [[3, 1, 2], [0, -1, -1], [2, 3, -1]]
    assert np.array_equal(inverse_bodies(inverse_bodies(forward, 2), 2), forward)


def texts(found: Iterator[tuple[str, Rule]]) -> list[str]:
    return [text for text, _ in found]


def test_the_surest_first(rules: Rules, names: RuleNames) -> None:
    order = texts(ranked(rules, names))
    # the second and the third tie in confidence and support: the text decides; those without a body are left out
    assert order == [names.text(rules[number]) for number in (0, 3, 2, 1, 4, 5)]
    assert texts(ranked(rules, names, [BORDERS])) == [names.text(rules[number]) for number in (0, 5)]
    assert texts(ranked(rules, names, [])) == []
    nothing_else = rules_of({}, {(MEMBER, EU, -1, -1): (4, 30, 6)})
    assert texts(ranked(nothing_else, names)) == ["=> memberOf(X,EU)"]
    assert texts(ranked(Rules.none(2), names)) == []
    for text, rule in ranked(rules, names):
        assert names.text(rule) == text


def test_support_decides_between_the_equally_sure(names: RuleNames) -> None:
    rules = rules_of({(MEMBER, BORDERS): (1, 5, 5), (MEMBER, BORDERS + 2): (2, 15, 5)}, {})
    assert rules.confidence.tolist() == [0.1, 0.1]
    assert texts(ranked(rules, names)) == ["borders(Y,X) => memberOf(X,Y)", "borders(X,Y) => memberOf(X,Y)"]


def test_rules_are_written(rules: Rules, names: RuleNames, tmp_path: Path) -> None:
    assert write_rules(ranked(rules, names), names, tmp_path / "rules.tsv") == 6
    lines = [line.split("\t") for line in (tmp_path / "rules.tsv").read_text().splitlines()]
    assert tuple(lines[0]) == COLUMNS and {len(line) for line in lines} == {len(COLUMNS)}
    assert lines[2] == [
        "borders(X,Ann of Green Gables) => memberOf(X,EU)",
        "0.333333",
        "3",
        "4",
        "0.3",
        "0.75",
        "no",
        "?X <http://e/borders> <http://e/ann>",
        "?X <http://e/memberOf> <http://e/EU>",
    ]
    assert lines[3][6] == "yes"
    json.dumps([names.row(*found) for found in ranked(rules, names)], allow_nan=False)


def test_what_cannot_be_written_leaves_nothing(rules: Rules, names: RuleNames, tmp_path: Path) -> None:
    def breaking() -> Iterator[tuple[str, Rule]]:
        yield from ranked(rules, names)
        raise KeyboardInterrupt

    (tmp_path / "rules.tsv").write_text("before")
    with pytest.raises(KeyboardInterrupt):
        write_rules(breaking(), names, tmp_path / "rules.tsv")
    assert [path.name for path in tmp_path.iterdir()] == ["rules.tsv"]
    assert (tmp_path / "rules.tsv").read_text() == "before"
    with pytest.raises(UserError, match="No such file"):
        write_rules(ranked(rules, names), names, tmp_path / "nowhere" / "rules.tsv")


# Answers


def given(rules: Rules, facts: list[tuple[int, int, int]], num: int, head: int, r: int) -> dict[int, list[float]]:
    """The confidences of all rules that give each answer."""
    graph = graph_of(facts, num, rules.num_relations)
    asked = np.array([head]), np.array([r])
    offsets, entities, confidences = answers(edges_of(graph), index_of(rules, num), *asked, 400)
    assert offsets.tolist() == [0, len(entities)] and (np.diff(entities) > 0).all()
    assert (confidences[:, -1] == 0).all()
    return {int(e): [x for x in row.tolist() if x > 0] for e, row in zip(entities, confidences, strict=True)}


def followed(rules: Rules, brute: Brute, head: int, r: int) -> dict[int, list[float]]:
    """The same, one candidate and rule after the other."""
    back = rules.num_relations
    turned = (r + back) % (2 * back)
    found = {}
    for t in brute.entities:
        if t == head:
            continue
        sure = []
        for row, confidence in zip(rules.closed.tolist(), rules.closed_confidence, strict=True):
            body = tuple(b for b in row[1:] if b >= 0)
            x, y = (head, t) if r < back else (t, head)
            if row[0] == r % back and y in brute.ends([x], body):
                sure.append(confidence)
        with_constants = list(zip(rules.constant.tolist(), rules.constant_confidence, strict=True))
        for row, confidence in with_constants:
            for x, c, directed in ((head, t, r), (t, head, turned)):
                if row[:2] == [directed, c] and row[2] >= 0 and brute.holds(x, tuple(row)):
                    sure.append(confidence)
        if sure:
            sure += [confidence for row, confidence in with_constants if row == [r, t, -1, -1]]
            found[t] = sorted(np.array(sure, np.float32).tolist(), reverse=True)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_all_answers(seed: int) -> None:
    facts = random_facts(seed, 22, 8, 2)
    rules = everything(graph_of(facts, 8, 2))
    other = facts[5:] + random_facts(seed + 10, 4, 8, 2)  # questions are asked of the graph of the day
    brute = Brute(other, 8, 2)
    for head in range(8):
        for r in range(4):
            assert given(rules, other, 8, head, r) == followed(rules, brute, head, r), (head, r)


def scorer_of(rules: Rules, num_entities: int, **settings: object) -> RuleScorer:
    scorer = RuleScorer(num_entities, rules.num_relations, **settings)  # type: ignore[arg-type]
    scorer.learn(rules)
    return scorer


def scores(scorer: RuleScorer, facts: list[tuple[int, int, int]], num: int, head: int, r: int) -> list[float]:
    graph = graph_of(facts, num, scorer.num_relations)
    found: list[float] = scorer.score_tails(Queries(torch.tensor([head]), torch.tensor([r]), graph))[0].tolist()
    return found


def test_scores_by_hand(rules: Rules) -> None:
    """3 borders 4, a member of 0; 3 borders 1. Of (3, memberOf, 0) speak: the neighbour (1/4), 1 itself (1/3), 4/35."""
    facts = [(3, BORDERS, 4), (4, MEMBER, EU), (3, BORDERS, 1)]
    one, two, three = 1 / 3, 1 / 4, 4 / 35
    p = 1 - (1 - one) * (1 - two) * (1 - three)
    found = scores(scorer_of(rules, 5, aggregation="noisy_or"), facts, 5, 3, MEMBER)
    assert found[0] == pytest.approx(math.log(p / (1 - p))) and found[1:] == [pytest.approx(NEVER)] * 4
    p = 1 - (1 - one) * (1 - two)
    found = scores(scorer_of(rules, 5, aggregation="noisy_or", num_rules=2), facts, 5, 3, MEMBER)
    assert found[0] == pytest.approx(math.log(p / (1 - p)))
    found = scores(scorer_of(rules, 5), facts, 5, 3, MEMBER)
    assert found[0] == pytest.approx(math.log(one / (1 - one)))
    # of 1 no rule with a body says what it is a member of: the frequent answer is left
    found = scores(scorer_of(rules, 5), [], 5, 1, MEMBER)
    assert found == [pytest.approx(math.log(three / (1 - three)))] + [pytest.approx(NEVER)] * 4
    assert scores(scorer_of(rules, 5), [], 5, EU, MEMBER) == [pytest.approx(NEVER)] * 5  # not of itself
    # who is a member of 0: by the rules read the other way, without the rule for (3, memberOf, ?) that has no body
    found = scores(scorer_of(rules, 5, aggregation="noisy_or"), facts, 5, EU, MEMBER + 2)
    p = 1 - (1 - one) * (1 - two)
    assert found[3] == pytest.approx(math.log(p / (1 - p)))


def test_ties_go_by_the_next_rule_and_never_by_a_sum() -> None:
    half = np.float32(0.5)
    rows = np.array(
        [
            [half, 0.19, 0.19, 0.19],  # a larger sum than the next row's
            [half, 0.2, 0, 0],
            [half, 0.2, 0, 0],
            [np.nextafter(half, np.float32(1)), 0, 0, 0],
            [half, 0.2, 1e-8, 0],  # no sum in single precision shows it
            [np.nextafter(half, np.float32(0)), 0.4, 0.4, 0.4],
            [half, 0, 0, 0],
        ],
        np.float32,
    )
    found = lexicographic(np.array([0, 7]), rows).tolist()
    assert found[3] > found[4] > found[1] == found[2] > found[0] > found[6] > found[5]
    assert found == pytest.approx([0.0] * 7, abs=1e-6)
    apart = np.concatenate([lexicographic(np.array([0, 1, 1, 7]), rows)])
    assert apart[0] == pytest.approx(0) and apart[1:].tolist() == lexicographic(np.array([0, 6]), rows[1:]).tolist()
    assert lexicographic(np.array([0]), rows[:0]).shape == (0,)


def test_rules_that_add_to_a_frequent_answer_put_it_first() -> None:
    """Frequent answers are scored by themselves; of equally frequent ones those that any rule gives come first."""
    frequent = lexicographic(np.array([0, 2]), np.float32([[0.1], [0.1]])).tolist()
    ruled = lexicographic(np.array([0, 3]), np.float32([[0.1, 0.02], [0.1, 0.05], [0.1, 0.05]])).tolist()
    assert frequent[0] == frequent[1] < ruled[0] < ruled[1] == ruled[2]
    assert lexicographic(np.array([0, 1]), np.float32([[0.1, 0]])).tolist() == frequent[:1]


def test_max_plus_is_the_order_of_rows() -> None:
    generator = np.random.default_rng(0)
    rows = -np.sort(-generator.choice(np.float32([0, 0.1, 0.2, 0.3]), (300, 3)), 1) + np.float32([0.1, 0, 0])
    found = lexicographic(np.array([0, 100, 300]), rows)
    for start, stop in ((0, 100), (100, 300)):
        order = sorted(range(start, stop), key=lambda i: tuple(rows[i]))
        assert (np.diff(found[order]) >= 0).all()
        same = [tuple(rows[i]) == tuple(rows[j]) for i, j in pairwise(order)]
        assert (np.diff(found[order]) == 0).tolist() == same


def test_many_sure_rules_have_finite_log_odds() -> None:
    sure = np.full((1, 40), 0.9999, np.float32)
    assert noisy_or(sure)[0] == pytest.approx(-40 * math.log(1e-4), rel=1e-2)
    assert noisy_or(np.float32([[1e-3, 0]]))[0] == pytest.approx(math.log(0.001 / 0.999), rel=1e-5)


def test_a_rule_that_hardly_ever_fails_is_not_infinitely_sure() -> None:
    often = rules_of({(MEMBER, BORDERS): (10**9, 10**9, 10**9)}, {})
    for aggregation in ("max_plus", "noisy_or"):
        found = scores(scorer_of(often, 3, aggregation=aggregation), [(0, BORDERS, 1)], 3, 0, MEMBER)
        assert 15 < found[1] < math.inf


def test_numbers_outside_of_the_graph_are_errors(rules: Rules) -> None:
    """Compiled loops check no bounds: they would read and write anywhere."""
    scorer, facts = scorer_of(rules, 5), [(3, BORDERS, 4)]
    for head, relation in ((5, 0), (-1, 0), (0, 4), (0, -1)):
        with pytest.raises(IndexError, match="expected numbers from 0 to"):
            scores(scorer, facts, 5, head, relation)
    with pytest.raises(ValueError, match="cannot answer in a graph of 4 and 2"):
        scores(scorer, [(0, BORDERS, 1)], 4, 0, MEMBER)
    with pytest.raises(ValueError, match="cannot answer in a graph of 5 and 3"):
        scorer.score_tails(Queries(torch.tensor([0]), torch.tensor([0]), no_facts(5, 3)))


def test_entities_that_came_after_the_mining(rules: Rules) -> None:
    """7 is new and borders 4, a member of 0; and 0 again borders 8, which closed rules alone can give."""
    facts = [(7, BORDERS, 4), (4, MEMBER, EU), (8, BORDERS, 7), (7, BORDERS, ANN)]
    scorer = scorer_of(rules, 5)
    found = scores(scorer, facts, 9, 7, MEMBER)
    assert found[0] == pytest.approx(math.log(1 / 2)) and found[1:] == [pytest.approx(NEVER)] * 8
    found = scores(scorer, facts, 9, 7, BORDERS)
    assert found[8] == pytest.approx(math.log(8 / 3))  # by symmetry
    assert len(scores(scorer, facts, 9, 8, MEMBER)) == 9


def test_no_rules_and_no_facts() -> None:
    scorer = RuleScorer(3, 2)
    assert scores(scorer, [(0, 0, 1)], 3, 0, 0) == [pytest.approx(NEVER)] * 3
    assert scorer.score_tails(Queries(torch.tensor([0]), torch.tensor([3]), no_facts(3, 2))).shape == (1, 3)
    empty = torch.zeros(0, dtype=torch.long)
    assert scorer.score_tails(Queries(empty, empty, no_facts(3, 2))).shape == (0, 3)
    with pytest.raises(UserError, match="num_rules must be at least 1"):
        RuleScorer(3, 2, num_rules=0)


def test_rules_are_trained_and_stored(tmp_path: Path, random_dataset: Dataset) -> None:
    run = default_run("rules")(random_dataset)
    trained = train(random_dataset, run, tmp_path / "model")
    stored = Bundle.load(tmp_path / "model")
    assert stored.run["algorithm"]["name"] == "mining" and isinstance(stored.scorer, RuleScorer)
    before, after = trained.scorer.rules, stored.scorer.rules  # type: ignore[operator, union-attr]
    assert len(after) > 10
    for name in vars(after):
        assert np.array_equal(getattr(before, name), getattr(after, name)), name
    head, relation, _ = random_dataset.test.unbind(1)
    queries = Queries(head, relation, random_dataset.graph())
    assert torch.equal(trained.scorer.score_tails(queries), stored.scorer.score_tails(queries))
    assert (stored.scorer.score_tails(queries) > NEVER).any()


def test_learning_other_rules_replaces_them(rules: Rules) -> None:
    facts = [(3, BORDERS, 4), (4, MEMBER, EU)]
    scorer = scorer_of(rules, 5)
    first = scores(scorer, facts, 5, 3, MEMBER)
    scorer.learn(Rules.none(2))
    assert scores(scorer, facts, 5, 3, MEMBER) == [pytest.approx(NEVER)] * 5
    scorer.load_state_dict(scorer_of(rules, 5).state_dict())
    assert scores(scorer, facts, 5, 3, MEMBER) == first
