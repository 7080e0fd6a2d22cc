"""What was said of candidates in groups, by hand; and files that hold none."""

from typing import Any

import pytest
import torch

from kg.probability.bins import Bin, bins, bins_from_json, bins_of_relations, bins_to_json
from kg.query.held_out import Stated


def test_as_many_facts_are_expected_in_each() -> None:
    probability = torch.tensor([0.8, 0.2, 0.2, 0.4]).double()
    is_true = torch.tensor([True, False, True, False])
    found = bins(probability, is_true, torch.ones(4).double(), 2)
    low, high = found
    assert (low.predicted, low.observed) == pytest.approx((0.8 / 3, 1 / 3)) and (low.candidates, low.facts) == (3, 1)
    assert (high.predicted, high.observed, high.candidates, high.facts) == pytest.approx((0.8, 1.0, 1, 1))


def test_each_relation_has_its_own_where_there_are_facts_enough() -> None:
    """Relation 0: 40 candidates at 1/4 of which 10 are facts, 20 at 3/4 of which 15 are; half of all were held out for
    another purpose. Relation 1: 19 facts. Relation 2: none."""
    probability = torch.cat([torch.full((40,), 0.25), torch.full((20,), 0.75), torch.full((19,), 0.5)]).double()
    is_true = torch.cat([torch.arange(40) < 10, torch.arange(20) < 15, torch.ones(19, dtype=torch.bool)])
    relation = torch.tensor([0] * 60 + [1] * 19)
    weight = torch.ones(79).double()
    found = bins_of_relations(probability, is_true, weight, relation, 0.0, 3)
    assert found == ((Bin(0.25, 0.25, 40, 10), Bin(0.75, 0.75, 20, 15)), (), ())
    twice = bins_of_relations(probability, is_true, weight, relation, 0.5, 3)
    assert twice[0] == (Bin(0.25, 0.5, 40, 10), Bin(0.75, 1.0, 20, 15))


def test_bounds_by_hand() -> None:
    """9 facts: Rao's interval of a Poisson mean is 4.735 to 17.107; of 90 candidates, each fact for two."""
    found = Stated.of(Bin(0.3, 0.2, 90, 9))
    assert found.bounds == pytest.approx((4.735 / 45, 17.107 / 45), abs=1e-3)
    assert (found.stated, found.share, found.candidates, found.facts) == (0.3, 0.2, 90, 9)
    none, sure = Stated.of(Bin(0.01, 0.0, 100, 0)), Stated.of(Bin(0.9, 1.0, 10, 10))
    assert none.bounds == pytest.approx((0, 3.8415 / 100), abs=1e-4) and sure.bounds[1] == 1.0


def test_json_there_and_back() -> None:
    given = ((Bin(0.25, 0.5, 40.0, 10.0),), ())
    assert bins_from_json(bins_to_json(given), 2) == given


@pytest.mark.parametrize(
    "stored",
    [
        3,
        "x",
        {},
        [[]],
        [[], [], []],
        [[], None],
        [[], [[0.1, 0.2, 3.0]]],
        [[], [[0.1, 0.2, 3.0, "x"]]],
        [[], [[0.1, 0.2, 3.0, True]]],
        [[], [[1.1, 0.2, 3.0, 1]]],
        [[], [[0.1, -0.2, 3.0, 1]]],
        [[], [[0.1, 0.2, 1e30, 1]]],
        [[], [[0.1, float("nan"), 3.0, 1]]],
        [[], [[0.1, 0.2, 3.0, 1]] * 16],
    ],
)
def test_what_is_none(stored: Any) -> None:
    with pytest.raises(ValueError, match="bin"):
        bins_from_json(stored, 2)
