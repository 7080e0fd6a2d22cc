"""Where each part ranks a candidate, and the weighted sum of that: on paper, with ties, and without vectors."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from paper import Table, fill, no_facts

from kg.errors import UserError
from kg.models.complex import ComplEx
from kg.models.distmult import DistMult
from kg.models.rank_ensemble import RankEnsemble, mean_ranks
from kg.models.scorer import WORST, Queries


def test_mean_ranks() -> None:
    scores = torch.tensor([[3.0, -1.0, 7.0, -1.0, 0.5], [WORST, 2.0, 2.0, WORST, 2.0], [4.0] * 5, [WORST] * 5])
    assert mean_ranks(scores).tolist() == [[2, 4.5, 1, 4.5, 3], [4.5, 2, 2, 4.5, 2], [3] * 5, [3] * 5]
    assert mean_ranks(scores[:, :1]).tolist() == [[1]] * 4
    infinite = torch.tensor([[-torch.inf, WORST, torch.inf, 0.0, -0.0]])
    assert mean_ranks(infinite).tolist() == [[5, 4, 1, 2.5, 2.5]]
    assert mean_ranks(scores[:0]).shape == (0, 5)


def test_mean_ranks_count_who_is_above_and_half_of_who_ties() -> None:
    torch.manual_seed(0)
    scores = torch.randint(0, 20, (30, 7)).float().T  # not contiguous
    against, own = scores[:, None, :], scores[:, :, None]
    expected = (against > own).sum(2) + (against == own).sum(2) / 2 + 0.5
    assert torch.equal(mean_ranks(scores), expected)


def of_ranks(*scores: Any, weight: list[float], sharpness: float = 1.0) -> RankEnsemble:
    """Tables of the scores of one relation, both ways."""
    scorer = RankEnsemble(len(scores[0]), 1, [partial(Table)] * len(scores))
    for part, row in zip(scorer.scorers(), scores, strict=True):
        fill(part.scores, [row, [0.0] * len(row)])
    fill(scorer.weight, weight)
    scorer.sharpness.fill_(sharpness)
    return scorer


def ask(relations: list[int], entities: int) -> Queries:
    return Queries(torch.zeros(len(relations), dtype=torch.long), torch.tensor(relations), no_facts(entities, 1))


def test_by_hand() -> None:
    # ranks 1, 2.5, 2.5, 4 and 4, 2, 1, 3
    scorer = of_ranks([9.0, 5.0, 5.0, -2.0], [0.1, 0.3, 0.4, 0.2], weight=[0.75, 0.25], sharpness=2.0)
    scores = scorer.score_tails(ask([0, 1], 4))
    odds = torch.tensor([1 * 4, 2.5**3 * 2, 2.5**3 * 1, 4**3 * 3]).pow(-2 / 4)
    torch.testing.assert_close(scores[0].exp(), odds / odds.sum())
    torch.testing.assert_close(scores[1].exp(), torch.full((4,), 0.25))  # backwards nobody says anything


def test_only_the_order_of_a_part_matters() -> None:
    torch.manual_seed(0)
    rows = torch.randn(2, 8)
    plain = of_ranks(*rows.tolist(), weight=[0.3, 0.7]).score_tails(ask([0], 8))
    bent = of_ranks(rows[0].exp().tolist(), (5 * rows[1] - 3).tolist(), weight=[0.3, 0.7]).score_tails(ask([0], 8))
    assert torch.equal(plain, bent)


def test_a_candidate_without_a_vector_ties_last() -> None:
    """Also where the part that knows the others does not count."""
    for weight in ([0.5, 0.5], [1.0, 0.0]):
        scores = of_ranks([2.0, 1.0, 1.0], [5.0, 5.0, 5.0], weight=weight).score_tails(ask([0], 5))[0]
        odds = torch.tensor([1, 2.5, 2.5]).pow(-weight[0]) * torch.tensor(2.0).pow(-weight[1])
        beyond = 2 * 4.5**-1.0
        torch.testing.assert_close(scores[:3].exp(), odds / (odds.sum() + beyond))
        assert bool((scores[3:] == WORST).all())
    everything = of_ranks([2.0, 1.0, WORST], [5.0, 4.0, WORST], weight=[0.0, 1.0]).score_tails(ask([0], 3))[0]
    assert everything[0] > everything[1] > everything[2] == WORST


def test_at_first_every_part_counts_the_same() -> None:
    scorer = RankEnsemble(5, 2, [partial(ComplEx, dim=3), partial(DistMult, dim=4)])
    queries = Queries(torch.arange(4), torch.arange(4), no_facts(5, 2))
    ranks = [mean_ranks(part.score_tails(queries)) for part in scorer.scorers()]
    torch.testing.assert_close(scorer.score_tails(queries), (-(ranks[0] * ranks[1]).log() / 2).log_softmax(1))
    assert scorer.weight.sum() == 1 and not any(weight.requires_grad for weight in scorer.parameters())
    assert math.isclose(scorer.sharpness, 1)


def test_an_ensemble_of_nothing_is_an_error() -> None:
    with pytest.raises(UserError, match="at least one part"):
        RankEnsemble(3, 1, [])
