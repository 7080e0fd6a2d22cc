"""HolE on paper, and as ComplEx in the Fourier domain."""

import pytest
import torch
from paper import fill, no_facts, score

from kg.models.complex import ComplEx
from kg.models.hole import HolE
from kg.models.scorer import Queries


def test_hole_by_hand() -> None:
    """(1, 2, 3) * (4, 5, 6): k = 0: 4 + 10 + 18; k = 1: 1 * 5 + 2 * 6 + 3 * 4; k = 2: 1 * 6 + 2 * 4 + 3 * 5."""
    tied = HolE(2, 1, dim=3, tied=True)
    fill(tied.table.weight, [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    for place, correlation in enumerate((32, 29, 29)):
        fill(tied.weight.weight, [[float(place == k) for k in range(3)]])
        assert score(tied, 0, 0, 1) == pytest.approx(correlation)
    fill(tied.table.weight, [[1.0, 2.0, 3.0], [4.0, 5.0, 0.0]])
    fill(tied.weight.weight, [[0.0, 1.0, 0.0]])
    assert score(tied, 0, 0, 1) == score(tied, 1, 1, 0) == pytest.approx(1 * 5 + 2 * 0 + 3 * 4)
    assert score(tied, 1, 0, 0) == score(tied, 0, 1, 1) == pytest.approx(4 * 2 + 5 * 3 + 0 * 1)
    own = HolE(2, 1, dim=3)
    fill(own.table.weight, [[1.0, 2.0, 3.0], [4.0, 5.0, 0.0]])
    fill(own.weight.weight, [[0.0, 1.0, 0.0], [1.0, 0.0, 2.0]])
    assert score(own, 0, 1, 1) == pytest.approx(14 + 2 * (1 * 0 + 2 * 4 + 3 * 5))
    scores = own.score_relations(torch.tensor([0]), torch.tensor([1]), no_facts(2, 1))
    torch.testing.assert_close(scores, torch.tensor([[17.0, 60.0]]))


@pytest.mark.parametrize("dim", [5, 6])
def test_hole_is_complex_in_the_fourier_domain(dim: int) -> None:
    torch.manual_seed(0)
    hole = HolE(4, 2, dim=dim, tied=True)
    transformed = ComplEx(4, 2, dim=dim, tied=True)
    for mine, theirs in ((hole.table, transformed.table), (hole.weight, transformed.diagonal)):
        numbers = torch.fft.fft(mine.weight.detach())
        fill(theirs.weight, torch.cat([numbers.real, numbers.imag], 1).tolist())
    everything = Queries(torch.arange(4).repeat(4), torch.arange(4).repeat_interleave(4), no_facts(4, 2))
    # Their query is h w against conj(t), and so is ours: Parseval's theorem divides by dim.
    torch.testing.assert_close(hole.score_tails(everything), transformed.score_tails(everything) / dim)


def test_half_precision() -> None:
    scorer = HolE(4, 1, dim=6, init=1.0)
    queries = Queries(torch.arange(4), torch.tensor([0, 1, 0, 1]), no_facts(4, 1))
    expected = scorer.score_tails(queries)
    with torch.autocast("cpu", torch.bfloat16):
        scores = scorer.score_tails(queries)
        scores.float().sum().backward()
    torch.testing.assert_close(scores.float(), expected, rtol=0.05, atol=0.2)
