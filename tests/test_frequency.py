"""Frequency by hand: candidates of every form, known to the counts and not."""

import math
from functools import partial

import pytest
import torch
from paper import fill, no_facts, score
from torch.optim import Adam

from kg.errors import UserError
from kg.models.frequency import Frequency
from kg.models.scorer import Queries
from kg.training.gradient_descent import GradientDescent

COUNTS = [[0, 2, 1], [3, 0, 0]]  # of one relation and its inverse, over three entities


def counted() -> Frequency:
    scorer = Frequency(3, 1)
    fill(scorer.counts, COUNTS)
    return scorer


def test_frequency_by_hand() -> None:
    scorer = counted()
    for head in range(3):  # which is of no account
        assert score(scorer, head, 0, 0) == 0
        assert score(scorer, head, 0, 1) == pytest.approx(math.log(3))
        assert score(scorer, head, 1, 0) == pytest.approx(math.log(4))
    probabilities = scorer.score_tails(Queries(torch.tensor([2]), torch.tensor([0]), no_facts(3, 1))).softmax(1)
    torch.testing.assert_close(probabilities, torch.tensor([[1.0, 3.0, 2.0]]) / 6)  # add-one smoothing


def test_what_came_after_the_training_scores_as_what_never_answered() -> None:
    queries = Queries(torch.tensor([4, 0]), torch.tensor([0, 1]), no_facts(5, 1))  # head 4 is unknown, too
    expected = torch.tensor([[0.0, 2.0, 1.0, 0.0, 0.0], [3.0, 0.0, 0.0, 0.0, 0.0]]).log1p()
    scorer = counted()
    torch.testing.assert_close(scorer.score_tails(queries), expected)
    for tails in (slice(1, 4), slice(4, 5), slice(3, 9), slice(2, 2), torch.tensor([4, 0, 1, 1])):
        torch.testing.assert_close(scorer.score_tails(queries, tails), expected[:, tails])
    own = torch.tensor([[4, 2], [3, 0]])
    torch.testing.assert_close(scorer.score_tails(queries, own), expected.gather(1, own))


def test_a_gradient_has_nothing_to_move() -> None:
    scorer = counted()
    assert scorer.factors(Queries(torch.tensor([0]), torch.tensor([0]), no_facts(3, 1)), torch.tensor([1])) == ()
    assert scorer.is_finite() and scorer.device.type == "cpu"
    with pytest.raises(UserError, match="Adam: optimizer got an empty parameter list"):
        GradientDescent(partial(Adam, lr=0.1)).new_optimizer(list(scorer.parameters()))
