"""Mined rules: planted ones, and all of them against counting in plain Python."""

from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import torch
from horn import Brute, Counts, everything, graph_of, random_facts
from paper import no_facts
from runs import Noted, Stopping

from kg.bundle import Bundle
from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.graph.graph import Graph
from kg.interruption import Interrupted
from kg.models.distmult import DistMult
from kg.models.rules import RuleScorer
from kg.rules import mining
from kg.rules.mining import Miner, mine
from kg.rules.rule import SMOOTHING, Rules
from kg.training.algorithms.mining import Mining
from kg.training.recipes import default_run
from kg.training.run import Run
from kg.training.train import resume, train


def closed(rules: Rules) -> Counts:
    """r, b1, b2, ... -> support, body, PCA body."""
    found = {}
    for row, counts in zip(rules.closed.tolist(), rules.closed_counts.tolist(), strict=True):
        found[tuple(x for x in row if x >= 0)] = tuple(counts)
    assert len(found) == len(rules.closed)
    return found


def constant(rules: Rules) -> Counts:
    """r, c, b, d -> the same."""
    found = dict(zip(map(tuple, rules.constant.tolist()), map(tuple, rules.constant_counts.tolist()), strict=True))
    assert len(found) == len(rules.constant)
    return found


@pytest.mark.parametrize("seed", range(8))
def test_all_rules_with_their_counts(seed: int) -> None:
    num_entities, num_relations = (6, 2) if seed % 2 else (9, 3)
    facts = random_facts(seed, 16 + 2 * seed, num_entities, num_relations)
    rules = everything(graph_of(facts, num_entities, num_relations))
    brute = Brute(facts, num_entities, num_relations)
    assert closed(rules) == brute.closed(3)
    assert constant(rules) == brute.constant()
    assert not rules.sampled.any() and len(rules.closed) > 10 and len(rules.constant) > 10


@pytest.mark.parametrize("length", [4, 5])
def test_long_bodies(length: int) -> None:
    facts = random_facts(3, 14, 8, 1)
    assert closed(everything(graph_of(facts, 8, 1), length)) == Brute(facts, 8, 1).closed(length)


BORN, CITIZEN, CITY, PARENT, CHILD, SPEAKS = range(6)


@pytest.fixture
def planted() -> Graph:
    """Ten families and five countries. Of family i: parent 10 + i, child 20 + i; country 3 + i % 2, or 5 for the last.

    A child is a citizen where the parent is, but for one without papers (family 0); the last parent was born elsewhere.
    """
    facts = []
    for i in range(10):
        country = 3 + i % 2 if i < 9 else 5
        facts += [(20 + i, PARENT, 10 + i), (10 + i, CHILD, 20 + i), (10 + i, CITIZEN, country)]
        facts += [(10 + i, BORN, 30 + i), (30 + i, CITY, country if i < 9 else 3), (10 + i, SPEAKS, 6 + i % 2)]
        if i > 0:
            facts.append((20 + i, CITIZEN, country))
    return graph_of(facts, 40, 6)


def test_planted_rules_are_found(planted: Graph) -> None:
    rules = mine(planted, 3)
    found = closed(rules)
    assert found[PARENT, CHILD + 6] == found[CHILD, PARENT + 6] == (10, 10, 10)  # length 1, by the inverse
    assert found[CITIZEN, PARENT, CITIZEN] == (9, 10, 9)  # child 20 is a citizen of nothing
    assert found[CITIZEN, CHILD, CITIZEN] == (9, 9, 9)
    assert found[CITIZEN, BORN, CITY] == (9, 10, 10)
    assert found[CITIZEN, PARENT, BORN, CITY] == (8, 10, 9)  # but for families 0 and 9
    assert (CITIZEN, CITIZEN) not in found
    exact = constant(rules)
    # Those who speak 6 are parents 10, 12, ... 18, all citizens of 3; those who speak 7 are of 4, but for the last.
    assert exact[CITIZEN, 3, SPEAKS, 6] == (5, 5, 5)
    assert exact[CITIZEN, 4, SPEAKS, 7] == (4, 5, 5)
    assert exact[SPEAKS, 6, CITIZEN, 3] == (5, 9, 5)
    # Of ten parents five speak 6, of 39 others five: to have a child says something
    assert exact[SPEAKS, 6, CHILD, -1] == (5, 10, 10) and exact[SPEAKS, 6, -1, -1] == (5, 39, 10)
    assert rules.relation_size.tolist() == [10, 19, 10, 10, 10, 10]


def test_a_fact_is_no_reason_for_itself() -> None:
    """Where r is all there is, and nobody has two of them, only walks back over the fact lead from X to Y."""
    assert len(everything(graph_of([(0, 0, 1), (2, 0, 3), (4, 0, 5)], 6, 1), 5).closed) == 0
    found = closed(everything(graph_of([(0, 0, 1), (0, 0, 3), (2, 0, 1)], 6, 1), 3))
    assert found == {}  # from 0 by r to 1, back to 2; but 2 leads nowhere else
    found = closed(everything(graph_of([(0, 0, 1), (0, 0, 3), (2, 0, 1), (2, 0, 3)], 6, 1), 3))
    assert found == {(0, 0, 1, 0): (4, 4, 4)}
    assert (0, 1, 0, 1) not in constant(everything(graph_of([(0, 0, 1), (2, 0, 1)], 3, 1)))


def test_loops_are_no_evidence() -> None:
    looped = [(x, r, x) for x in range(5) for r in range(2)]
    rules = everything(graph_of(looped, 5, 2))
    assert len(rules) == 0 and rules.relation_size.tolist() == [0, 0]
    facts = random_facts(1, 15, 7, 2)
    plain, more = (everything(graph_of(each, 7, 2)) for each in (facts, facts + [(x, 0, x) for x in range(7)]))
    assert closed(plain) == closed(more) and constant(plain) == constant(more)


def test_graphs_without_facts() -> None:
    for num_entities, num_relations in ((5, 2), (1, 1), (0, 1)):
        rules = mine(no_facts(num_entities, num_relations))
        assert len(rules) == 0 and rules.num_relations == num_relations and rules.closed.shape == (0, 4)
    facts = random_facts(2, 15, 7, 2)
    with_more = mine(graph_of([(h, 2 * r, t) for h, r, t in facts], 7, 4))  # relations 1 and 3 have none
    assert set(with_more.head_relation.tolist()) <= {0, 2, 4, 6} and with_more.relation_size[[1, 3]].tolist() == [0, 0]
    assert len(with_more) == len(mine(graph_of(facts, 7, 2)))


def test_what_is_asked_for_is_kept(random_dataset: Dataset) -> None:
    graph = random_dataset.graph()
    rules = mine(graph, 2, min_support=19, min_constant_support=4, min_confidence=0.05)
    assert rules.closed_counts[:, 0].min() == 19 and rules.closed_confidence.min() >= 0.05
    has_body = rules.constant[:, 2] >= 0
    assert rules.constant_counts[has_body, 0].min() == 4 and rules.constant_confidence[has_body].min() >= 0.05
    all_closed, all_constant = closed(everything(graph, 2)), constant(everything(graph, 2))
    assert closed(rules) == {
        rule: counts
        for rule, counts in all_closed.items()
        if counts[0] >= 19 and counts[0] / (counts[1] + SMOOTHING) >= 0.05
    }
    assert constant(rules) == {
        rule: counts
        for rule, counts in all_constant.items()
        if rule[2] < 0 or (counts[0] >= 4 and counts[0] / (counts[1] + SMOOTHING) > 0.05)
    }


def test_any_number_of_threads_gives_the_same(random_dataset: Dataset) -> None:
    first = mine(random_dataset.graph())
    torch.set_num_threads(2)
    try:
        second = mine(random_dataset.graph())
    finally:
        torch.set_num_threads(1)
    for name in vars(first):
        assert np.array_equal(getattr(first, name), getattr(second, name)), name


def test_counts_of_a_part_are_scaled_up(random_dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = random_dataset.graph()
    full = closed(mine(graph, 2, 1, 1, 0))
    monkeypatch.setattr(mining, "BODY_BUDGET", 40)
    part = mine(graph, 2, 1, 1, 0)
    short = (part.closed >= 0).sum(1) == 2
    assert part.sampled[~short].mean() > 0.9 and len(part.sampled) == len(part.closed)
    exact = np.array([full[rule] for rule in closed(part)])
    assert (part.closed_counts[part.sampled] != exact[part.sampled]).any()
    assert np.array_equal(part.closed_counts[~part.sampled], exact[~part.sampled])
    assert part.closed_counts[part.sampled, 1].mean() == pytest.approx(exact[part.sampled, 1].mean(), rel=0.2)
    monkeypatch.setattr(mining, "_FACTS_BUDGET", 0)  # one fact a relation
    joined = closed(mine(graph, 1, 1, 1, 0))
    assert joined.keys() < full.keys()


def test_a_body_counted_from_some_heads() -> None:
    """Ten heads with two b each; one of the two is r. After one head the budget is spent."""
    facts = [(x, 1, y) for x in range(10) for y in (20 + x, 40 + x)] + [(x, 0, 20 + x) for x in range(10)]
    graph = graph_of(facts, 60, 2)
    edges = mining.edges_of(graph)
    one, zero = np.array([[1]]), np.array([0, 1])
    counts, followed = mining.measured(edges, one, zero, np.array([0]), 0)
    assert counts.tolist() == [[1, 2, 2]] and followed.tolist() == [1]
    counts, followed = mining.measured(edges, one, zero, np.array([0]), 10**6)
    assert counts.tolist() == [[10, 20, 20]] and followed.tolist() == [10]


def test_counts_above_what_32_bits_hold(random_dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    real = mining.measured

    def large(*arguments: object) -> tuple[np.ndarray, np.ndarray]:
        counts, followed = real(*arguments)  # type: ignore[arg-type]
        return counts * np.array([1, 2**31, 2**31]), followed

    monkeypatch.setattr(mining, "measured", large)
    assert (mine(random_dataset.graph(), 1, 1, 1, 0).closed_counts[:, 1] >= 2**31).all()


def test_time_is_up(random_dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = random_dataset.graph()
    full = mine(graph)
    nothing = mine(graph, seconds=1e-9)
    assert len(nothing) == 0 and nothing.closed.shape == (0, 4) and nothing.relation_size.sum() > 0
    clock = iter(range(10**6))
    monkeypatch.setattr(mining.time, "monotonic", lambda: next(clock))
    part = mine(graph, seconds=8)
    assert 0 < len(part.closed) < len(full.closed)
    assert closed(part).items() <= closed(full).items() and constant(part).items() <= constant(full).items()


def test_progress_is_told(random_dataset: Dataset) -> None:
    progress = Noted()
    mine(random_dataset.graph(), 2, progress=progress)
    stages = {what: [step[1:] for step in steps] for what, steps in groupby(progress.steps, key=lambda step: step[0])}
    names = ["mining bodies of 1", "counting bodies of 1", "mining bodies of 2", "counting bodies of 2"]
    assert list(stages) == ["mining constants", *names]
    for told in stages.values():
        assert told == [(done, len(told)) for done in range(1, len(told) + 1)]


@pytest.mark.parametrize("number", [1, 2, 4, 5, 6, 9])
def test_a_stopped_mining_goes_on(random_dataset: Dataset, number: int) -> None:
    """After each kind of piece: what is mined is the same, and no piece is mined twice."""
    graph, arguments = random_dataset.graph(), (2, 2, 2, 0.001, None)
    whole, first, second = (Miner(graph, *arguments) for _ in range(3))
    told = list(whole)
    begun = [piece for _, piece in zip(range(number), first, strict=False)]
    second.load_state_dict(first.state_dict())
    assert begun + list(second) == told and len(told) == 9
    for name, value in vars(whole.rules()).items():
        assert np.array_equal(getattr(second.rules(), name), value), name


@pytest.mark.parametrize("number", [1, 5])
def test_a_signal_saves_what_was_mined(random_dataset: Dataset, tmp_path: Path, number: int) -> None:
    run = Run(partial(RuleScorer), Mining(2))
    whole = Noted()
    expected = train(random_dataset, run, tmp_path / "whole", progress=whole)
    with pytest.raises(Interrupted):
        train(random_dataset, run, tmp_path / "model", progress=Stopping(number=number))
    assert not Bundle.load(tmp_path / "model").metrics["finished"]
    rest = Noted()
    resumed = resume(tmp_path / "model", progress=rest)
    assert rest.steps == whole.steps[number:]
    for name, value in expected.scorer.state_dict().items():
        assert torch.equal(resumed.scorer.state_dict()[name], value), name
    assert resumed.metrics["valid"] == expected.metrics["valid"]


def test_bodies_that_one_number_cannot_hold() -> None:
    with pytest.raises(ValueError, match="max_length must be from 1 to 5: got 6"):
        mine(no_facts(2, 1), 6)
    with pytest.raises(UserError, match="bodies of 5 atoms are too many with 5,000 relations"):
        mine(no_facts(2, 5000), 5)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"max_length": 0}, "max_length must be from 1 to 5: got 0"),
        ({"max_length": 6}, "max_length must be from 1 to 5: got 6"),
        ({"min_support": 0}, "min_support must be at least 1: got 0"),
        ({"min_constant_support": 0}, "min_constant_support must be at least 1: got 0"),
        ({"min_confidence": 1.0}, "min_confidence must be at least 0 and below 1: got 1.0"),
        ({"min_confidence": float("nan")}, "min_confidence must be at least 0 and below 1: got nan"),
        ({"seconds": 0.0}, "seconds must be above 0: got 0.0"),
    ],
)
def test_what_cannot_be_mined_is_an_error(setting: dict[str, float], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Mining(**setting)  # type: ignore[arg-type]


def test_what_mining_cannot_use_is_an_error(random_dataset: Dataset) -> None:
    run = default_run("rules")(random_dataset)
    with pytest.raises(UserError, match="mining is for RuleScorer, not DistMult"):
        replace(run, scorer=partial(DistMult, dim=2)).trainer(random_dataset)
