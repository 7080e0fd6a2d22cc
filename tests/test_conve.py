"""ConvE on paper."""

import math

import pytest
import torch
from paper import fill, no_facts, score

from kg.errors import UserError
from kg.models.conve import ConvE
from kg.models.scorer import Queries

WITHOUT_NORM = math.sqrt(1 / (1 + 1e-5))  # what a fresh normalisation multiplies by


def test_conve_by_hand() -> None:
    """dim 6: images of 2 x 3, stacked 4 x 3, so that a filter finds two numbers a map."""
    scorer = ConvE(2, 1, dim=6, channels=1)
    fill(scorer.table.weight, [[1.0, 0.0, 0.0, 0.0, 2.0, 0.0, 9.0], [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.5]])
    fill(scorer.relation.weight, [[0.0, 0.0, 3.0, 4.0, 0.0, 0.0], [-9.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    # The stack of entity 0 and relation 0: (1 0 0), (0 2 0), (0 0 3), (4 0 0).
    fill(scorer.filters.weight, [[[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]]])
    # The filter finds 1 + 2 + 3 at the top, 0 + 0 + 4 below. The projection: (6, 4) -> (6, 4, 2, -2, 0, 0).
    fill(scorer.projection.weight, [[1.0, 0.0], [0.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [0.0, 0.0], [0.0, 0.0]])
    assert score(scorer, 0, 0, 1) == pytest.approx(WITHOUT_NORM**3 * (6 + 4) + 0.5)
    assert score(scorer, 0, 0, 0) == pytest.approx(WITHOUT_NORM**3 * (6 + 0) + 9)  # -2 is cut off at 0
    # Relation 1: (1 0 0), (0 2 0), (-9 0 0), (0 0 0): 1 + 2 - 9 is cut off, and 0 + 0 + 0 below.
    assert score(scorer, 0, 1, 1) == 0.5


@pytest.mark.parametrize(("dim", "image"), [(200, (20, 20)), (6, (4, 3)), (16, (8, 4)), (288, (32, 18))])
def test_vectors_are_folded_as_square_as_they_can(dim: int, image: tuple[int, int]) -> None:
    assert ConvE(2, 1, dim=dim, channels=1).image == image


@pytest.mark.parametrize("dim", [1, 4, 7])
def test_what_cannot_be_folded_is_an_error(dim: int) -> None:
    with pytest.raises(UserError, match=f"at least 2 x 3: got {dim}"):
        ConvE(2, 1, dim=dim)


def test_a_whole_map_is_dropped() -> None:
    torch.manual_seed(0)
    scorer = ConvE(2, 1, dim=12, channels=8, feature_map_dropout=0.5)
    seen = []
    scorer.projection.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].view(2, 8, -1)))
    with torch.no_grad():
        scorer.norms[1].bias.fill_(100.0)  # no number is cut off
    queries = Queries(torch.tensor([0, 1]), torch.tensor([0, 1]), no_facts(2, 1), torch.Generator().manual_seed(0))
    scorer.encode(queries)
    dropped = seen[0] == 0
    assert torch.equal(dropped.all(2), dropped.any(2)) and 0 < dropped.all(2).sum() < 16


def test_half_precision() -> None:
    torch.manual_seed(0)
    scorer = ConvE(4, 1, dim=6, channels=4)
    queries = Queries(torch.arange(4), torch.tensor([0, 1, 0, 1]), no_facts(4, 1), torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        scores = scorer.score_tails(queries)
        scores.float().square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in scorer.parameters())
