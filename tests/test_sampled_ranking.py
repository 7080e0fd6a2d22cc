"""Sampled ranks by hand, where the draw leaves no choice; then what is drawn, and how often."""

import math

import pytest
import torch
from torch import Tensor

from kg.evaluation.sampled_ranking import sampled_ranks


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def none_known() -> Tensor:
    return torch.zeros(2, 0, dtype=torch.long)


def test_sampled_ranks_by_hand() -> None:
    scores = torch.tensor([[3.0, 2.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0], [0.0, 5.0, 7.0, 5.0]])
    tail, known = torch.tensor([1, 0, 1]), torch.tensor([[0, 0, 1, 2, 2], [1, 3, 0, 1, 0]])
    before = scores.clone()
    # row 0: two are left to draw, one above; row 1: all tie; row 2: one above, one ties
    rank, candidates = sampled_ranks(scores, tail, known, 2, seeded())
    assert rank.tolist() == [2, 2, 2.5] and candidates.tolist() == [3, 3, 3]
    assert torch.equal(scores, before)


def test_where_there_are_fewer_candidates_the_rank_is_among_those_there_are() -> None:
    """Row 0 has three rivals, row 1 one, row 2 none: what is known is no rival, however high its score."""
    scores = torch.tensor([[1.0, 2.0, 0.0, 3.0], [9.0, 1.0, 9.0, 2.0], [9.0, 9.0, 0.0, 9.0]])
    tail, known = torch.tensor([0, 1, 2]), torch.tensor([[0, 1, 1, 1, 2, 2, 2, 2], [0, 0, 1, 2, 0, 1, 2, 3]])
    for num_negatives in (3, 9):
        rank, candidates = sampled_ranks(scores, tail, known, num_negatives, seeded())
        assert rank.tolist() == [3, 2, 1] and candidates.tolist() == [4, 2, 1]


def test_a_perfect_scorer_is_first_and_a_constant_one_in_the_middle() -> None:
    tail = torch.arange(20)
    assert bool((sampled_ranks(torch.eye(20, 80), tail, none_known(), 50, seeded())[0] == 1).all())
    assert bool((sampled_ranks(-torch.eye(20, 80), tail, none_known(), 50, seeded())[0] == 51).all())
    assert bool((sampled_ranks(torch.zeros(20, 80), tail, none_known(), 50, seeded())[0] == 26).all())


def test_every_candidate_is_as_likely_and_no_known_one_is_drawn() -> None:
    """A single rival outscores the target if it is one of 4 in 10; the known ones would always."""
    rows = 20_000
    scores = torch.cat([torch.zeros(1), torch.ones(4), -torch.ones(6), torch.full((2,), 9.0)]).expand(rows, 13)
    row = torch.arange(rows)
    known = torch.stack([row.repeat(2), torch.tensor([11, 12]).repeat_interleave(rows)])
    found = sampled_ranks(scores, torch.zeros_like(row), known, 1, seeded())[0]
    share = (found == 2).double().mean().item()
    assert bool(((found == 1) | (found == 2)).all())
    assert abs(share - 0.4) < 4 * math.sqrt(0.24 / rows)
    many = sampled_ranks(scores, torch.zeros_like(row), known, 10, seeded())[0]  # all of them, each once
    assert bool((many == 5).all())


def test_draws_follow_the_generator() -> None:
    scores = torch.rand(30, 100, generator=seeded(9))
    first, same, other = (sampled_ranks(scores, torch.arange(30), none_known(), 20, seeded(i))[0] for i in (1, 1, 2))
    assert torch.equal(first, same) and not torch.equal(first, other)


def test_nan_is_an_error() -> None:
    with pytest.raises(ValueError, match="NaN"):
        sampled_ranks(torch.tensor([[math.nan, 0.0]]), torch.tensor([0]), none_known(), 1, seeded())
