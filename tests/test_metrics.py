"""What ranks come to, by hand; of no ranks, and without a cross-entropy, what cannot be measured is null."""

import math

import pytest
import torch

from kg.evaluation.metrics import Metrics, figures

NONE = torch.zeros(0)


def test_by_hand() -> None:
    found = figures(
        torch.tensor([1.0, 2.5, 4.0, 20.0]), torch.tensor([9, 9, 9, 29]), torch.tensor([0.0, 1.0, 2.0, 3.0])
    )
    assert found.mrr == pytest.approx((1 + 1 / 2.5 + 1 / 4 + 1 / 20) / 4)
    assert (found.mean_rank, found.num_ranks) == (6.875, 4)
    assert found.amri == pytest.approx(1 - 5.875 / 6.5)  # at random the ranks are 5, 5, 5 and 15 in the mean: 7.5
    assert (found.hits_at_1, found.hits_at_3, found.hits_at_10) == (0.25, 0.5, 0.75)
    assert found.perplexity == pytest.approx(math.exp(1.5))


def test_a_tie_at_the_border_of_the_first_k_is_not_among_them() -> None:
    """Rank 1.5 is that of two candidates who share places 1 and 2."""
    found = figures(torch.tensor([1.5, 3.5, 10.5]), torch.full((3,), 20), NONE)
    assert (found.hits_at_1, found.hits_at_3, found.hits_at_10) == pytest.approx((0, 1 / 3, 2 / 3))


def test_what_cannot_be_measured() -> None:
    nothing = figures(NONE, NONE.long(), NONE)
    assert nothing.num_ranks == 0 and math.isnan(nothing.mrr)
    alone = figures(torch.ones(2), torch.ones(2).long(), NONE)
    assert alone.mrr == 1 and math.isnan(alone.amri) and math.isnan(alone.perplexity)
    stored = Metrics(**vars(alone), by_side={"head": nothing}, by_relation={}).to_json()
    assert stored["mrr"] == 1 and stored["amri"] is None and stored["by_side"]["head"]["mrr"] is None


def test_a_perplexity_beyond_all_numbers_is_a_large_one() -> None:
    assert figures(torch.ones(1), torch.ones(1).long(), torch.tensor([1e4])).perplexity == math.exp(700)
