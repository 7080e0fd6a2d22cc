"""The features of a candidate: names, columns, weights and what is stored of them agree."""

import json

import pytest
import torch

from kg.probability.calibration import Calibration, by_log_softmax
from kg.probability.features import FEATURES, ONE_WAY, features
from kg.probability.query_scores import ScoreBlock

WEIGHTS = ("constant", *FEATURES)

# Two heads and one tail of a relation, each number another.
FORWARD = ScoreBlock(torch.tensor([[5.0], [7.0]]), torch.tensor([1.0, 2.0]), torch.tensor([0, 3]), torch.zeros(2))
BACKWARD = ScoreBlock(torch.tensor([[11.0, 13.0]]), torch.tensor([4.0]), torch.tensor([2]), torch.zeros(1))
VALUES = {
    "constant": torch.tensor([1.0, 1.0]),
    "mean_score": torch.tensor([8.0, 10.0]),
    "forward_log_softmax": torch.tensor([4.0, 5.0]),
    "backward_log_softmax": torch.tensor([7.0, 9.0]),
    "forward_log_known": torch.tensor([0.0, 3.0]).log1p(),
    "backward_log_known": torch.tensor([2.0, 2.0]).log1p(),
    "forward_any_known": torch.tensor([0.0, 1.0]),
    "backward_any_known": torch.tensor([1.0, 1.0]),
}


def test_a_column_each() -> None:
    assert tuple(VALUES) == WEIGHTS
    found = features(FORWARD, BACKWARD, torch.tensor([0, 1]), torch.tensor([0, 0]))
    torch.testing.assert_close(found, torch.stack([VALUES[name] for name in FEATURES], 1))


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_weight_by_name_counts_its_feature(name: str) -> None:
    """In the logits of both directions, in the row of weights, and after it was stored."""
    only = Calibration.shared(2, {name: 3.0})
    again = Calibration.from_json(json.loads(json.dumps(only.to_json())))
    for each in (only, again):
        assert each.of_relation(1) == each.of_relation(3) == {other: 3.0 * (other == name) for other in WEIGHTS}
        torch.testing.assert_close(each.logits(1, FORWARD, BACKWARD)[:, 0], 3 * VALUES[name])
    assert only.weights[0].nonzero()[:, 0].tolist() == [WEIGHTS.index(name)]


def test_the_order_without_a_calibration() -> None:
    mean = (VALUES["forward_log_softmax"] + VALUES["backward_log_softmax"]) / 2
    torch.testing.assert_close(by_log_softmax(2).logits(0, FORWARD, BACKWARD)[:, 0], mean)


def test_what_is_stored_names_the_features() -> None:
    stored = Calibration.shared(2, {"constant": 1.0}).to_json()
    assert stored["features"] == list(WEIGHTS) and {len(row) for row in stored["weights"]} == {len(WEIGHTS)}
    unnamed = {key: value for key, value in stored.items() if key != "features"}  # as it was stored at first
    assert torch.equal(Calibration.from_json(unnamed).weights, Calibration.from_json(stored).weights)
    with pytest.raises(ValueError, match="it is of constant, luck, this version knows constant, mean_score"):
        Calibration.from_json({**stored, "features": ["constant", "luck"]})


# Asked (t, r + R, ?) of r1, and (h, r, ?) of r0.
ASKED = (0, 3)
NOT_ASKED = ScoreBlock(torch.zeros(2, 1), torch.zeros(2), torch.tensor([0, 3]), torch.tensor([-2.0, 0.0]), False)
ONE_VALUES = {
    "constant": torch.tensor([1.0, 1.0]),
    "asked_log_softmax": torch.tensor([7.0, 9.0]),
    "asked_log_known": torch.tensor([2.0, 2.0]).log1p(),
    "other_log_known": torch.tensor([0.0, 3.0]).log1p(),
    "asked_any_known": torch.tensor([1.0, 1.0]),
    "other_any_known": torch.tensor([0.0, 1.0]),
    "asked_log_fit": torch.tensor([0.0, 0.0]),
    "other_log_fit": torch.tensor([-2.0, 0.0]),
}


def test_a_column_each_of_a_scorer_that_is_asked_one_way() -> None:
    assert ("constant", *ONE_WAY) == tuple(ONE_VALUES)
    found = features(NOT_ASKED, BACKWARD, torch.tensor([0, 1]), torch.tensor([0, 0]))
    torch.testing.assert_close(found, torch.stack([ONE_VALUES[name] for name in ONE_WAY], 1))
    turned = features(BACKWARD, NOT_ASKED, torch.tensor([0, 0]), torch.tensor([0, 1]))
    torch.testing.assert_close(turned, found)  # by what is asked, not by which way


@pytest.mark.parametrize("name", ONE_VALUES)
def test_a_weight_by_name_of_one_way(name: str) -> None:
    only = Calibration.shared(2, {name: 3.0}, ASKED)
    again = Calibration.from_json(json.loads(json.dumps(only.to_json())))
    assert again.asked == ASKED
    for each in (only, again):
        torch.testing.assert_close(each.logits(1, NOT_ASKED, BACKWARD)[:, 0], 3 * ONE_VALUES[name])
        torch.testing.assert_close(each.logits(0, BACKWARD, NOT_ASKED)[0], 3 * ONE_VALUES[name])


@pytest.mark.parametrize("wrong", [[0], [0, 1, 1], [0, 2], ["0", 3], [0, None], 3, {"0": 3}, [0, 1.5]])
def test_which_way_is_asked_is_not_believed(wrong: object) -> None:
    stored = Calibration.shared(2, {"constant": 1.0}, ASKED).to_json()
    with pytest.raises(ValueError, match=r"asked must say of each|expected a list"):
        Calibration.from_json({**stored, "asked": wrong})
