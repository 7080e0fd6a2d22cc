"""The paired bootstrap by hand: of one or two facts every sample can be counted."""

import math
from dataclasses import replace

import pytest
import torch

from kg.evaluation.bootstrap import Difference, difference, in_order, part
from kg.evaluation.ranking import Ranking, evaluate
from kg.graph.dataset import Dataset
from kg.models.complex import ComplEx
from kg.models.scorer import Scorer

Entry = tuple[int, int, int, float]


def ranking(*entries: Entry, num_relations: int = 2) -> Ranking:
    """Of (head, relation, tail, rank)."""
    head, relation, tail = torch.tensor([entry[:3] for entry in entries], dtype=torch.long).reshape(-1, 3).unbind(1)
    rank = torch.tensor([float(entry[3]) for entry in entries])
    return Ranking(head, relation, tail, rank, torch.full_like(head, 9), torch.empty(0), num_relations)


def both(head: int, relation: int, tail: int, forward: float, backward: float) -> list[Entry]:
    """A fact's entries: the tail's rank, the head's."""
    return [(head, relation, tail, forward), (tail, relation + 2, head, backward)]


def found(a: Ranking, b: Ranking, seed: int = 0, **settings: float) -> Difference:
    return difference(a, b, torch.Generator().manual_seed(seed), **settings)  # type: ignore[arg-type]


def test_one_fact_leaves_nothing_to_chance() -> None:
    a, b = ranking(*both(0, 0, 1, 1, 2)), ranking(*both(0, 0, 1, 4, 2))
    assert found(a, b) == Difference(0.375, 0.375, 0.375)  # (1 - 1/4 + 1/2 - 1/2) / 2
    assert found(b, a) == Difference(-0.375, -0.375, -0.375)


def test_two_facts() -> None:
    """One gains 1/2 in both directions and one loses it: -1/2, 0, 0, 1/2 are equally probable."""
    a = ranking(*both(0, 0, 1, 1, 1), *both(1, 1, 2, 2, 2))
    b = ranking(*both(0, 0, 1, 2, 2), *both(1, 1, 2, 1, 1))
    assert found(a, b) == Difference(0.0, -0.5, 0.5)
    assert found(a, b, level=0.4) == Difference(0.0, 0.0, 0.0)
    # Directions drawn apart would give -1/2 one time in 16, and the tenth part of the samples would end at -1/4.
    assert found(a, b, level=0.8) == Difference(0.0, -0.5, 0.5)


def test_entries_are_told_by_what_they_rank() -> None:
    entries = [*both(0, 0, 1, 1, 5), *both(0, 1, 1, 2, 4), *both(1, 0, 0, 8, 10), *both(2, 0, 2, 3, 1)]
    plain, turned = ranking(*entries), ranking(*entries[::-1])
    assert found(plain, turned) == Difference(0.0, 0.0, 0.0)
    other = replace(plain, rank=plain.rank + 1)
    assert found(plain, other) == found(turned, other) == found(plain, in_order(other))
    assert [column.tolist() for column in (in_order(turned).head, in_order(turned).relation)] == [
        [0, 0, 0, 1, 1, 1, 2, 2],
        [0, 1, 2, 0, 2, 3, 0, 2],
    ]


def test_a_part_of_a_ranking() -> None:
    """A fact asked both ways weighs two entries, one asked once weighs one: (1/2 + 1/2 + 0) / 3."""
    a = ranking(*both(0, 0, 1, 1, 1), (1, 0, 2, 1.0))
    b = ranking(*both(0, 0, 1, 2, 2), (1, 0, 2, 1.0))
    both_drawn = found(a, b)
    assert both_drawn.mean == pytest.approx(1 / 3) and (both_drawn.low, both_drawn.high) == (0, 0.5)
    middle = found(a, b, level=0.4)  # in half of the samples each is drawn once
    assert middle.low == middle.high == pytest.approx(1 / 3)
    alone = part(a, torch.tensor([2]))
    assert (alone.head.tolist(), alone.rank.tolist(), len(alone.cross_entropy)) == ([1], [1.0], 0)


def test_many_facts_as_the_normal_law_has_it(random_dataset: Dataset, random_scorer: Scorer) -> None:
    torch.manual_seed(1)
    a, b = evaluate(random_scorer, random_dataset, "test"), evaluate(ComplEx(50, 3, dim=8), random_dataset, "test")
    got = found(a, b)
    assert got.mean == pytest.approx(a.metrics().mrr - b.metrics().mrr, abs=1e-12)
    a, b = in_order(a), in_order(b)
    gained = dict[tuple[int, int, int], float]()
    for h, r, t, one, two in torch.stack([a.head, a.relation, a.tail, a.rank, b.rank], 1).double().tolist():
        fact = (t, r - 3, h) if r >= 3 else (h, r, t)
        gained[fact] = gained.get(fact, 0.0) + (1 / one - 1 / two) / 2
    deviation = torch.tensor(list(gained.values())).std().item() / math.sqrt(len(random_dataset.test))
    assert got.low == pytest.approx(got.mean - 1.96 * deviation, abs=0.15 * deviation)
    assert got.high == pytest.approx(got.mean + 1.96 * deviation, abs=0.15 * deviation)


def test_the_generator_decides(monkeypatch: pytest.MonkeyPatch, random_dataset: Dataset, random_scorer: Scorer) -> None:
    a = evaluate(random_scorer, random_dataset, "test")
    b = replace(a, rank=a.rank.flip(0))
    whole = found(a, b, samples=300)
    assert whole == found(a, b, samples=300) != found(a, b, seed=1, samples=300)
    monkeypatch.setattr("kg.evaluation.bootstrap._DRAWS", 7 * len(random_dataset.test))
    assert found(a, b, samples=300) == whole  # 43 pieces, the last one short


def test_what_does_not_compare() -> None:
    a = ranking(*both(0, 0, 1, 1, 2), *both(1, 0, 2, 1, 2))
    for other in (ranking(*both(0, 0, 1, 1, 2)), ranking(*both(0, 0, 1, 1, 2), *both(1, 0, 3, 1, 2))):
        with pytest.raises(ValueError, match="not of the same facts"):
            found(a, other)
    with pytest.raises(ValueError, match="not of the same facts"):
        found(a, replace(a, num_relations=4))
    with pytest.raises(ValueError, match="not of the same facts"):  # (0, 0, 1) asked forward twice
        found(a, replace(a, relation=torch.tensor([0, 0, 0, 2]), head=torch.tensor([0, 0, 1, 2])))
    with pytest.raises(ValueError, match="no ranks"):
        found(ranking(), ranking())
    for settings in ({"samples": 0}, {"level": 1.0}, {"level": 0.0}):
        with pytest.raises(ValueError, match="samples must be"):
            found(a, a, **settings)
