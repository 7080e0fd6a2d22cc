"""The sample of candidates: taken whole by hand, then in parts that must stand for the whole."""

import math
from itertools import product

import pytest
import torch
from tabled import Tabled
from torch import Tensor

from kg.graph.dataset import Dataset
from kg.graph.graph import Graph
from kg.graph.known import KnownAnswers
from kg.graph.vocabulary import Vocabulary
from kg.probability import candidate_sample as module
from kg.probability.candidate_sample import CandidateSample, sample_candidates
from kg.probability.features import features
from kg.probability.query_scores import QueryScores
from kg.search.eligibility import Eligibility

Fact = tuple[int, int, int]
NONE: list[Fact] = []


def tensor(facts: list[Fact]) -> Tensor:
    return torch.tensor(facts, dtype=torch.long).reshape(-1, 3)


def query_scores(known: list[Fact], entities: int, relations: int) -> QueryScores:
    """Both directions score a fact (h, r, t) by its number, (r N + h) N + t, which so tells it apart."""
    number = torch.arange(relations * entities**2).float().view(relations, entities, entities)
    scorer = Tabled(torch.cat([number, number.transpose(1, 2)]))
    graph = Graph.from_triples(tensor(known), entities, relations)
    return QueryScores(scorer, graph, KnownAnswers.from_triples(tensor(known), relations), 1.0)


def eligible(known: list[Fact], entities: int, relations: int) -> Eligibility:
    """What is not known. (h, r, h) is a candidate where such a fact is known."""
    names = Vocabulary([f"e{i}" for i in range(entities)], [f"r{i}" for i in range(relations)])
    given = Dataset(tensor(known), tensor(NONE), tensor(NONE), names)
    return Eligibility.of_training(given, "train")


def facts_of(sample: CandidateSample, entities: int) -> list[Fact]:
    numbers = [round(number) for number in sample.features[:, 0].tolist()]
    return [(n // entities**2, n // entities % entities, n % entities) for n in numbers]


def turned(facts: list[Fact]) -> set[Fact]:
    return {(r, h, t) for h, r, t in facts}


def candidates(entities: int, relations: int, left_out: list[Fact], reflexive: list[bool]) -> set[Fact]:
    every = product(range(relations), range(entities), range(entities))
    return {(r, h, t) for r, h, t in every if h != t or reflexive[r]} - turned(left_out)


KNOWN = [(0, 0, 1), (0, 0, 2), (3, 0, 3), (4, 1, 2)]
TRUE = [(0, 0, 3), (1, 1, 0)]
REFLEXIVE = [True, False]


def test_a_small_graph_is_taken_whole() -> None:
    """Of 5 x 5 x 2 = 50 triples 4 are known, and 5 are reflexive of a relation that has none: 41, two of them true."""
    sample = sample_candidates(query_scores(KNOWN, 5, 2), tensor(TRUE), eligible(KNOWN, 5, 2))
    found = facts_of(sample, 5)
    assert len(found) == len(set(found)) == 41 == sample.size
    assert set(found) == candidates(5, 2, KNOWN, REFLEXIVE)
    assert sample.weight.tolist() == [1] * 41
    true = {fact for fact, is_true in zip(found, sample.is_true.tolist(), strict=True) if is_true}
    assert true == turned(TRUE)
    assert sample.relation.tolist() == [relation for relation, _, _ in found]


def test_what_else_is_left_out() -> None:
    others = [(2, 0, 0), (0, 1, 4), (0, 0, 1)]  # one of them is known besides
    sample = sample_candidates(query_scores(KNOWN, 5, 2), tensor(TRUE), eligible(KNOWN + others, 5, 2))
    assert set(facts_of(sample, 5)) == candidates(5, 2, KNOWN + others, REFLEXIVE) and sample.size == 39


def test_a_true_fact_that_is_no_candidate_is_none() -> None:
    """One that training had as well, and a loop of a relation that has none; nor is one counted twice."""
    sample = sample_candidates(
        query_scores(KNOWN, 5, 2), tensor([(0, 0, 1), (2, 1, 2), (2, 0, 2)]), eligible(KNOWN, 5, 2)
    )
    found = facts_of(sample, 5)
    assert len(found) == len(set(found)) == sample.size == 41
    assert [fact for fact, is_true in zip(found, sample.is_true.tolist(), strict=True) if is_true] == [(0, 2, 2)]


def test_nothing_known_and_everything_known() -> None:
    sample = sample_candidates(query_scores(NONE, 3, 1), tensor([(0, 0, 1)]), eligible(NONE, 3, 1))
    assert sample.size == 6 and sample.is_true.sum() == 1
    every = [(h, 0, t) for h, t in product(range(3), range(3)) if h != t]
    sample = sample_candidates(query_scores(every[1:], 3, 1), tensor(every[:1]), eligible(every[1:], 3, 1))
    assert sample.size == 1 and sample.is_true.tolist() == [True]


def test_features_by_hand() -> None:
    """The fact (1, 0, 0) of three entities: numbers are h 3 + t, of the known facts (0, 0, 1), (0, 0, 2), (1, 0, 2)."""
    asked = query_scores([(0, 0, 1), (0, 0, 2), (1, 0, 2)], 3, 1)
    asked.scorer.scores[1] += 1  # of the other direction
    forward = asked.block(0, torch.tensor([2, 1]), torch.tensor([0]))
    backward = asked.block(1, torch.tensor([0]), torch.tensor([2, 1]))
    (found,) = features(forward, backward, torch.tensor([1]), torch.tensor([0])).tolist()
    # (1, 0, ?) scores 3 0, 4 and 5 of which 4 and 5 answer the relation; (0, 1, ?) scores 1, 4, 7, of which 1 and 4 do.
    there = 3 - math.log(math.exp(4) + math.exp(5))
    back = 4 - math.log(math.exp(1) + math.exp(4))
    assert found == pytest.approx([3.5, there, back, math.log(2), 0, 1, 0])


def test_of_many_true_facts_some_are_looked_at_and_none_is_taken_for_false(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TRUE", 2)
    monkeypatch.setattr(module, "_ALL", 0)
    true = [(h, 0, (h + 3) % 5) for h in range(5)] + [(1, 1, 0)]
    sample = sample_candidates(query_scores(KNOWN, 5, 2), tensor(true), eligible(KNOWN, 5, 2))
    assert sample.weight[sample.is_true].tolist() == [3, 3]
    false = {fact for fact, is_true in zip(facts_of(sample, 5), sample.is_true.tolist(), strict=True) if not is_true}
    assert false == candidates(5, 2, KNOWN + true, REFLEXIVE)
    assert sample.size == len(candidates(5, 2, KNOWN, REFLEXIVE))


def test_parts_stand_for_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """24 heads and tails of 40, some 120 of their pairs, and 8 (h, r, h): on average the sums over all candidates come
    out, and for how many (h, r, h) there are whatever is drawn."""
    monkeypatch.setattr(module, "_QUESTIONS", 96)
    monkeypatch.setattr(module, "_ALL", 0)
    monkeypatch.setattr(module, "_HUBS", 4)
    monkeypatch.setattr(module, "_LOOPS", 8)
    generator = torch.Generator().manual_seed(0)
    facts = torch.unique(torch.stack([torch.randint(0, n, (260,), generator=generator) for n in (30, 2, 20)], 1), dim=0)
    facts = facts[torch.randperm(len(facts), generator=generator)]
    reflexive = [True, False]
    triples = [(h, r, t) for h, r, t in facts.tolist() if h != t or reflexive[r]]
    known, true = triples[20:], triples[:20]
    asked = query_scores(known, 40, 2)
    every = candidates(40, 2, known, reflexive)
    num_loops = sum(h == t for _, h, t in every)

    def values(found: list[Fact]) -> Tensor:
        rows = torch.tensor(found, dtype=torch.float64)
        ones = torch.ones(len(rows), dtype=torch.float64)
        return torch.stack([ones, rows[:, 0], (rows[:, 1] < 10), (rows[:, 2] - 20).abs(), (rows[:, 1] == 35)], 1)

    sums = []
    for seed in range(100):
        sample = sample_candidates(asked, tensor(true), eligible(known, 40, 2), seed, rows=240)
        found = facts_of(sample, 40)
        assert len(found) == len(set(found)) <= 2 * 160 + 8 + len(true) and set(found) <= every
        is_loop = torch.tensor([h == t for _, h, t in found])
        assert sample.weight[is_loop].sum().item() == pytest.approx(num_loops)
        assert sample.is_true.sum() == len(true) and (sample.weight[sample.is_true] == 1).all()
        sums.append(sample.weight.double() @ values(found))
    drawn = torch.stack(sums)
    exact = values(sorted(every)).sum(0)
    error = drawn.std(0) / len(drawn) ** 0.5
    assert bool(((drawn.mean(0) - exact).abs() < 4 * error).all()), (drawn.mean(0), exact, error)
    assert bool((error < 0.1 * exact).all())  # so that the line above says something


def test_a_function_of_the_seed() -> None:
    asked = query_scores(KNOWN, 5, 2)
    first, again, other = (
        sample_candidates(asked, tensor(TRUE), eligible(KNOWN, 5, 2), seed, rows=16) for seed in (1, 1, 2)
    )
    assert torch.equal(first.features, again.features) and torch.equal(first.weight, again.weight)
    assert sorted(facts_of(first, 5)) != sorted(facts_of(other, 5))


def test_the_most_plausible_are_always_there() -> None:
    """Here those with the highest numbers are, but for what normalises them: the best of each relation stays."""
    for seed in range(5):
        sample = sample_candidates(query_scores(NONE, 5, 2), tensor(TRUE), eligible(NONE, 5, 2), seed, rows=16)
        found = dict(zip(facts_of(sample, 5), sample.weight.tolist(), strict=True))
        assert all(found[fact] == 1 for fact in [(0, 4, 3), (0, 4, 2), (1, 4, 3), (1, 4, 2)])
        assert len(found) < 30 and max(found.values()) > 3  # some of the others, for all of them


def test_no_entity_that_the_model_lacks() -> None:
    """Two entities came later, and one of them is known as an answer."""
    before = query_scores(KNOWN, 5, 2)
    facts = tensor([*KNOWN, (0, 0, 6), (5, 1, 0)])
    later = QueryScores(before.scorer, Graph.from_triples(facts, 7, 2), KnownAnswers.from_triples(facts, 2), 1.0)
    few = eligible(KNOWN, 5, 2)
    of_seven = Eligibility(
        later.known, 7, few.answerable, few._declared, few._learned_from, eligible(KNOWN, 7, 2).policy
    )
    sample = sample_candidates(later, tensor(TRUE), of_seven)
    assert set(facts_of(sample, 5)) == candidates(5, 2, KNOWN, REFLEXIVE) and sample.size == 41


def test_a_part_of_it() -> None:
    sample = sample_candidates(query_scores(KNOWN, 5, 2), tensor(TRUE), eligible(KNOWN, 5, 2))
    part = sample.of(sample.relation == 1, weight=2.0)
    assert len(part.weight) == len(part.features) == 19 and part.size == 38
    assert part.is_true.sum() == 1 and bool((part.relation == 1).all())


@pytest.mark.parametrize("seed", range(3))
def test_the_entities_with_most_answers_are_looked_at_though_no_fact_held_out_is_theirs(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Two parents of thirty children each, forty of one; what is held out has other parents. Of 16 that are drawn the
    two would be among them one time in forty."""
    monkeypatch.setattr(module, "_ALL", 0)
    monkeypatch.setattr(module, "_DRAWN", 16)
    monkeypatch.setattr(module, "_HUBS", 2)
    known = [(100 + i, 0, i % 2) for i in range(60)] + [(160 + i, 0, 2 + i) for i in range(40)]
    true = [(100 + i, 0, 2 + i) for i in range(4)]
    sample = sample_candidates(query_scores(known, 200, 1), tensor(true), eligible(known, 200, 1), seed)
    negatives = sample.hrt[~sample.is_true]
    assert {0, 1} <= set(negatives[:, 2].tolist())
    assert float(sample.weight[(sample.hrt[:, 2] == 0) & ~sample.is_true].sum()) > 20
