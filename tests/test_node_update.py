"""States of nodes after a hop: blocks with a gradient written by hand, against PyTorch."""

import pytest
import torch
from torch import Tensor

from kg.walks import node_update
from kg.walks.node_update import Update, updated, updated_plainly


def given(num_nodes: int, num_old: int, dtype: torch.dtype = torch.float64) -> tuple[Update, Tensor]:
    torch.manual_seed(0)
    shapes = ((num_nodes, 5), (num_old, 5), (3, 5), (5, 5), (5, 5), (5,), (5,))
    return Update(*(torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes)), torch.randint(
        0, 3, (num_nodes,)
    )


@pytest.mark.parametrize(("num_nodes", "num_old"), [(11, 6), (11, 11), (8, 1), (3, 2)])
def test_blocks_and_their_gradient_are_those_of_autograd(
    monkeypatch: pytest.MonkeyPatch, num_nodes: int, num_old: int
) -> None:
    monkeypatch.setattr(node_update, "_BLOCK", 4)  # the old ones end in the middle of a block, or with one
    update, row = given(num_nodes, num_old)
    weights, found = torch.randn(num_nodes, 5, dtype=torch.float64), []
    for way in (updated, updated_plainly):
        new = way(update, row)
        found.append([new, *torch.autograd.grad((new * weights).sum(), list(update))])
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)
        assert bool(mine.any())


def test_the_gradient_is_the_slope() -> None:
    update, row = given(4, 2)
    assert torch.autograd.gradcheck(lambda *tensors: updated(Update(*tensors), row), tuple(update))


def test_what_was_reached_before_keeps_its_state() -> None:
    update, row = given(4, 2)
    nothing = update._replace(scale=torch.zeros(5), shift=torch.zeros(5))
    assert torch.equal(updated(nothing, row), torch.cat([update.state, torch.zeros(2, 5)]))


def test_the_same_bits_each_time() -> None:
    update, row = given(3000, 2000, torch.float32)
    assert torch.equal(updated(update, row), updated(update, row))
