"""Average precision on paper."""

import pytest
import torch

from kg.evaluation.average_precision import average_precision


def precision(scores: list[float], labels: list[int]) -> float:
    return average_precision(torch.tensor(scores), torch.tensor(labels, dtype=torch.bool))


@pytest.mark.parametrize(
    ("scores", "labels", "expected"),
    [
        ([3.0, 2.0, 1.0], [1, 1, 0], 1.0),
        ([3.0, 2.0, 1.0], [0, 0, 1], 1 / 3),
        ([4.0, 3.0, 2.0, 1.0], [1, 0, 1, 0], (1 / 1 + 2 / 3) / 2),
        ([1.0, 3.0, 2.0, 4.0], [0, 0, 1, 1], (1 / 1 + 2 / 3) / 2),  # in no order
        ([2.0, 2.0, 1.0, 1.0], [1, 0, 1, 0], (1 / 2 + 2 / 4) / 2),  # two ties
        ([3.0, 2.0, 2.0, 2.0], [0, 1, 1, 0], 2 / 4),
        ([0.0, 0.0, 0.0, 0.0, 0.0], [0, 1, 0, 1, 0], 2 / 5),  # a constant gets the base rate
        ([float("inf"), 0.0, float("-inf")], [0, 1, 0], 1 / 2),
        ([-1.0], [1], 1.0),
    ],
)
def test_average_precision_by_hand(scores: list[float], labels: list[int], expected: float) -> None:
    assert precision(scores, labels) == pytest.approx(expected, rel=1e-12)


def test_the_order_of_rows_does_not_matter() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randint(0, 20, (300,), generator=generator).float()  # many alike
    labels = torch.rand(300, generator=generator) < 0.2
    order = torch.randperm(300, generator=generator)
    assert average_precision(scores, labels) == average_precision(scores[order], labels[order])
    assert average_precision(scores.sort().values, labels.sort().values) > average_precision(scores, labels)


def test_a_weight_is_as_many_rows() -> None:
    """By hand: 1 true of 1, then 2 false and 1 true alike (precision 2 / 4), then 1 true (3 / 5), of 3 true in all."""
    scores, labels = torch.tensor([4.0, 3.0, 3.0, 1.0]), torch.tensor([True, False, True, True])
    weight = torch.tensor([1.0, 2.0, 1.0, 1.0])
    found = average_precision(scores, labels, weight)
    assert found == pytest.approx((1 / 1 + 2 / 4 + 3 / 5) / 3, rel=1e-12)
    order = torch.tensor([1, 3, 0, 2])
    assert found == average_precision(scores[order], labels[order], weight[order])
    often = torch.tensor([0, 1, 1, 2, 3])
    assert found == average_precision(scores[often], labels[often])


def test_what_has_no_precision_is_an_error() -> None:
    with pytest.raises(ValueError, match="without a true label"):
        precision([1.0, 2.0], [0, 0])
    with pytest.raises(ValueError, match="without a true label"):
        precision([], [])
    with pytest.raises(ValueError, match="NaN"):
        precision([1.0, float("nan")], [0, 1])
