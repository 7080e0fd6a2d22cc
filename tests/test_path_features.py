"""Walks by hand, against matrix products, and with a fact's own edge hidden."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from kg.graph.dataset import Dataset
from kg.graph.graph import Graph
from kg.rules.path_features import Examples, ends, examples, path_types, slopes, success, walkable

R = 3
PATHS = np.array(  # of every relation alike; two begin in the same way
    [[[0, -1, -1], [0, 1, -1], [0, 1, 3], [4, -1, -1], [5, 5, 1], [-1, -1, -1]]] * (2 * R)
)


def graph(*facts: tuple[int, int, int], entities: int = 6) -> Graph:
    return Graph.from_triples(torch.tensor(facts).view(-1, 3), entities, R)


def walked(where: Graph, head: int, path: Sequence[int]) -> dict[int, float]:
    """Where a walk along one path ends, and how likely."""
    paths = np.full((2 * R, 1, 3), -1)
    paths[:, 0, : len(path)] = path
    one = np.ones((2 * R, 1), np.float32)
    _, entity, chance = ends(walkable(where), paths, one, np.array([head]), np.array([0]))
    return dict(zip(entity.tolist(), chance.tolist(), strict=True))


def test_chances_by_hand() -> None:
    where = graph((0, 0, 1), (0, 0, 2), (1, 1, 3), (1, 1, 4), (2, 1, 4), (4, 2, 5), (5, 2, 5))
    assert walked(where, 0, [0]) == {1: 0.5, 2: 0.5}
    assert walked(where, 0, [0, 1]) == {3: 0.25, 4: 0.75}
    assert walked(where, 0, [0, 1, 2]) == {5: 0.75}  # from 3 there is no way on
    assert walked(where, 4, [4]) == {1: 0.5, 2: 0.5}  # relation 1 backwards
    assert walked(where, 1, [1, 4]) == {1: 0.75, 2: 0.25}  # back where it came from
    assert walked(where, 5, [2]) == {5: 1.0}  # round a loop
    assert walked(where, 3, [0]) == {}


def test_sums_over_paths_by_hand() -> None:
    where = graph((0, 0, 1), (0, 0, 2), (1, 1, 3), (1, 1, 4), (2, 1, 4), (4, 1, 0))
    weight = np.array([[2.0, 4.0, -3.0, 10.0, 100.0, 1000.0]] * (2 * R), np.float32)
    offsets, entity, sums = ends(walkable(where), PATHS, weight, np.array([0, 5, 0]), np.array([0, 1, 5]))
    # 0 leads to 1 and 2; on to 3 and 4, from where no edge of relation 0 leads back; relation 1 backwards leads to 4
    expected = {1: 1.0, 2: 1.0, 3: 1.0, 4: 13.0}
    assert offsets.tolist() == [0, 4, 4, 8]
    assert dict(zip(entity[:4].tolist(), sums[:4].tolist(), strict=True)) == expected
    assert sums[4:].tolist() == sums[:4].tolist()


def product(where: Graph, path: Sequence[int]) -> Tensor:
    """(N, N): the same chances as products of matrices, whose rows are edges shared out."""
    chances = torch.eye(where.num_entities)
    for relation in path:
        step = torch.zeros(where.num_entities, where.num_entities)
        of = where.relation == relation
        step[where.head()[of], where.tail[of]] = 1
        chances = chances @ (step / step.sum(1, keepdim=True).clamp(min=1))
    return chances


def test_walks_are_matrix_products(random_dataset: Dataset) -> None:
    where = random_dataset.graph()
    generator = np.random.default_rng(0)
    paths = np.stack([PATHS[0], *generator.integers(0, 6, (5, 6, 3))])
    weight = generator.normal(size=paths.shape[:2]).astype(np.float32)
    heads, relations = (x.reshape(-1) for x in np.meshgrid(np.arange(50), np.arange(6)))
    offsets, entity, sums = ends(walkable(where), paths, weight, heads, relations)
    found = np.zeros((len(heads), 50))
    found[np.repeat(np.arange(len(heads)), np.diff(offsets)), entity] = sums
    expected = [
        sum(float(weight[r, k]) * product(where, [b for b in paths[r, k] if b >= 0])[h] for k in range(6 if r else 5))
        for h, r in zip(heads.tolist(), relations.tolist(), strict=True)
    ]
    assert np.allclose(found, torch.stack(expected).numpy(), atol=1e-5)


def test_slopes_are_those_of_the_sums(random_dataset: Dataset) -> None:
    """The sums are linear in the weights: each slope is what one more of a weight changes."""
    edges = walkable(random_dataset.graph())
    heads, relations = np.array([0, 7, 7, 49]), np.array([2, 0, 0, 5])
    nothing = np.zeros(PATHS.shape[:2], np.float32)
    offsets, entity, _ = ends(edges, PATHS, nothing, heads, relations)
    slope = np.random.default_rng(0).normal(size=len(entity)).astype(np.float32)
    found = slopes(edges, PATHS, heads, relations, offsets, entity, slope)
    for relation, k in np.ndindex(*nothing.shape):
        more = nothing.copy()
        more[relation, k] = 1
        assert found[relation, k] == pytest.approx((slope * ends(edges, PATHS, more, heads, relations)[2]).sum())
    assert found[[0, 2, 5]].any() and not found[[1, 3, 4]].any()


# A fact cannot support itself


def test_a_fact_is_asked_for_as_if_it_were_not_there(random_dataset: Dataset) -> None:
    """Features of answers are those in the graph without the fact, denominators included."""
    loops = torch.tensor([[7, 0, 7], [8, 1, 8]])
    where = Graph.from_triples(torch.cat([random_dataset.train[:150], loops]), 50, R)
    paths = np.array([[0, -1, -1], [0, 3, 0], [0, 1, 0], [3, 3, 1], [1, -1, -1], [5, 0, -1]])
    for relation in (0, 3, 4):
        of = where.relation == relation
        facts = torch.stack([where.head()[of], where.tail[of]], 1).numpy()
        expected = np.zeros(len(paths))
        for head, tail in facts.tolist():
            left = where.hide(torch.tensor([[head, relation, tail]]))
            rows = [walked(left, head, [b for b in path.tolist() if b >= 0]).get(tail, 0.0) for path in paths]
            expected += np.array(rows) / len(facts)
            one = examples(walkable(where), paths, relation, np.array([[head, tail]]))
            assert one.answer[0] == 1 or not any(rows)
            assert one.features[0] == pytest.approx(rows) or not any(rows)
        assert success(walkable(where), paths, relation, facts) == pytest.approx(expected)
        assert expected.any()


def test_the_only_way_to_an_answer_is_not_its_own_edge() -> None:
    where = graph((0, 0, 1), (2, 0, 3))
    for path in ([0, -1, -1], [0, 3, 0]):
        assert success(walkable(where), np.array([path]), 0, np.array([[0, 1], [2, 3]])).tolist() == [0]
        assert success(walkable(where), np.array([path]), 0, np.array([[0, 3]])).tolist() == [0]
    assert walked(where, 0, [0, 3, 0]) == {1: 1}


# Examples


def test_examples_by_hand() -> None:
    """0 leads by 1 to 1 ... 5, with 1/5 each; 1 and 2 are answers, so that the first and third wrong are 3 and 5."""
    where = graph((0, 0, 1), (0, 0, 2), *((0, 1, t) for t in range(1, 6)), entities=12)
    seen = examples(walkable(where), np.array([[1, -1]]), 0, np.array([[0, 1], [0, 2]]))
    assert seen.answer.tolist() == [1, 0, 0, 1, 0, 0, 1, 0]
    assert seen.features[:, 0] == pytest.approx([0.2] * 6 + [0, 0])
    # of 10 wrong entities those in places 1, 3, 6 and 10 are taken: two of each fact's are out of reach
    assert seen.weight.tolist() == [1] * 6 + [0, 4]


def test_the_likeliest_wrong_entities_come_first() -> None:
    where = graph((0, 0, 1), (0, 1, 2), (0, 1, 3), (0, 2, 3), (0, 2, 4), (0, 2, 5))
    seen = examples(walkable(where), np.array([[1, -1], [2, -1]]), 0, np.array([[0, 1]]))
    # 3 by both paths, then 2, then 4 and 5; the answer itself is out of reach
    expected = [[1 / 2, 1 / 3], [0, 1 / 3], [0, 0], [0, 0]]
    assert seen.features.tolist() == [pytest.approx(row) for row in expected]
    assert seen.answer.tolist() == [0, 0, 1, 0] and seen.weight.tolist() == [1, 1, 1, 0]


def test_another_answer_is_no_wrong_one() -> None:
    """Entity 2 is likelier than 3 for the fact of 1, by a second path, but it is an answer, too."""
    where = graph((0, 0, 1), (0, 0, 2), (0, 1, 1), (0, 1, 2), (0, 1, 3), (0, 2, 2), entities=4)
    seen = examples(walkable(where), np.array([[1, -1], [2, -1]]), 0, np.array([[0, 1]]))
    wrong = seen.features[(seen.answer == 0) & (seen.weight == 1)]
    assert wrong.tolist()[0] == pytest.approx([1 / 3, 0]) and 1 not in wrong[:, 1].tolist()


def test_no_paths_and_no_facts() -> None:
    edges, none = walkable(graph((0, 0, 1))), np.full((2, 3), -1)
    assert success(edges, none, 0, np.array([[0, 1]])).tolist() == [0, 0]
    seen: Examples = examples(edges, none, 0, np.array([[0, 1]]))
    assert seen.answer.tolist() == [1, 0] and seen.weight.tolist() == [1, 2] and not seen.features.any()
    assert len(examples(edges, none, 0, np.zeros((0, 2), np.int64)).answer) == 2


# Path types


def test_path_types_of_both_directions() -> None:
    """Relation 0 is relation 1 followed by relation 2; relation 2 alone joins one fact by chance."""
    chains = [fact for x in range(0, 18, 3) for fact in ((x, 1, x + 1), (x + 1, 2, x + 2), (x, 0, x + 2))]
    where = graph(*chains, (0, 2, 2), (0, 2, 1), entities=18)
    facts = np.array([[x, x + 2] for x in range(0, 18, 3)])
    forth, back = path_types(where, 0, facts, 3, 3)
    assert [1, 2, -1] in forth.tolist() and [2, -1, -1] in forth.tolist()
    assert [5, 4, -1] in back.tolist() and [5, -1, -1] in back.tolist()
    only, _ = path_types(where, 0, facts, 1, 3)
    assert only.tolist() == [[1, 2, -1]]
    assert path_types(where, 0, facts, 1, 1)[0].tolist() == [[2]]


def test_types_are_sorted_and_filled_up(random_dataset: Dataset) -> None:
    where = random_dataset.graph()
    facts = random_dataset.train[random_dataset.train[:, 1] == 0][:, [0, 2]].numpy()
    for own, types in zip((0, 3), path_types(where, 0, facts, 400, 2), strict=True):
        filled = [row for row in types.tolist() if row[0] >= 0]
        assert types.shape == (400, 2) and filled == sorted(filled) == types.tolist()[: len(filled)]
        assert 10 < len({tuple(row) for row in filled}) == len(filled) <= 6 + 36
        assert [own, -1] not in filled  # the fact's own edge
