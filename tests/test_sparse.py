"""Sparse patterns against Yun's three conditions, and their attention against dense masked attention."""

from itertools import count, pairwise, permutations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.utils._python_dispatch import TorchDispatchMode

from kg.attention.sparse import Expander, Star
from kg.errors import UserError

H, D = 2, 4
STAR, WIDE_STAR, EXPANDER, SMALL_EXPANDER = Star(H, D), Star(H, D, window=3), Expander(H, D), Expander(H, D, 1)
each = pytest.mark.parametrize("attend", [STAR, WIDE_STAR, EXPANDER, SMALL_EXPANDER], ids=str)


def pattern(*rows: str) -> Tensor:
    return torch.tensor([[mark == "x" for mark in row] for row in rows])


def attends_to_itself(linked: Tensor) -> bool:
    """The first condition, of every token."""
    return bool(linked.diagonal().all())


def the_line_is_a_path(linked: Tensor) -> bool:
    """The second condition (a Hamiltonian path), met by the order 0, 1, ...: each token attends to the one before."""
    return bool(linked.diagonal(-1).all())


def has_path(linked: Tensor) -> bool:
    """The second condition, by trying all orders."""
    orders = permutations(range(len(linked)))
    return any(all(linked[after, before] for before, after in pairwise(order)) for order in orders)


def steps(linked: Tensor) -> int | None:
    """The third condition's s: so many layers until every token has heard from every other. None: it never does."""
    heard = torch.eye(len(linked), dtype=torch.bool)
    for s in count(1):
        more = linked.float() @ heard.float() > 0
        if more.all():
            return s
        if torch.equal(more, heard):
            return None
        heard = more
    raise AssertionError


def test_a_star_by_hand() -> None:
    by_hand = pattern("xxxxxx", "xxx...", "xxxx..", "x.xxx.", "x..xxx", "x...xx")
    assert torch.equal(STAR.pattern(6), by_hand)


@each
def test_the_three_conditions(attend: Star | Expander) -> None:
    for n in [*range(1, 40), 64, 100, 257]:
        linked = attend.pattern(n)
        assert attends_to_itself(linked) and the_line_is_a_path(linked)
        assert steps(linked) == (1 if linked.all() else 2)
        assert torch.equal(linked, linked.T)
        assert n < 3 or not linked.all() or n <= 8


def test_patterns_that_do_not_meet_them() -> None:
    only_a_hub = pattern("xxxxx", "xx...", "x.x..", "x..x.", "x...x")
    assert attends_to_itself(only_a_hub) and steps(only_a_hub) == 2
    assert not has_path(only_a_hub) and not the_line_is_a_path(only_a_hub)
    assert has_path(STAR.pattern(5))
    only_a_window = STAR.pattern(20)
    only_a_window[0, 2:] = only_a_window[2:, 0] = False
    assert attends_to_itself(only_a_window) and the_line_is_a_path(only_a_window) and steps(only_a_window) == 19
    one_way = torch.ones(5, 5, dtype=torch.bool).tril()
    assert attends_to_itself(one_way) and the_line_is_a_path(one_way) and steps(one_way) is None
    assert not attends_to_itself(~torch.eye(4, dtype=torch.bool))


@pytest.mark.parametrize(("attend", "most"), [(STAR, 4), (WIDE_STAR, 8), (EXPANDER, 8), (SMALL_EXPANDER, 6)], ids=str)
def test_the_links_of_a_token_do_not_grow_in_number(attend: Star | Expander, most: int) -> None:
    """Itself, 2 window along the line, 2 num_permutations across, and the hub."""
    of_tokens = attend.pattern(300).sum(1)[1:]
    assert of_tokens.max() == most and of_tokens.float().mean() > 0.97 * most


def across(attend: Expander, n: int) -> Tensor:
    """(n, 2 num_permutations): the links that are not along the line."""
    return attend.links(torch.arange(n)[None])[0, :, 4:]


def test_links_across_are_permutations_both_ways() -> None:
    for n in (1, 2, 3, 10, 200):
        one, other, back, back_of_other = across(EXPANDER, n).T
        assert torch.equal(one[back], torch.arange(n)) and torch.equal(other[back_of_other], torch.arange(n))


def test_the_permutations_are_the_same_everywhere() -> None:
    """In another run, version or machine: a trained model was trained with these."""
    assert across(EXPANDER, 8)[:, :2].T.tolist() == [[0, 7, 4, 2, 1, 6, 3, 5], [6, 4, 2, 7, 1, 5, 3, 0]]


def test_the_links_across_make_an_expander() -> None:
    """A random 4-regular graph's second eigenvalue is nearly always below 2 sqrt(3) + epsilon (Friedman, 2003)."""
    n = 256
    links = across(EXPANDER, n)
    adjacency = torch.zeros(n, n).index_put((torch.arange(n)[:, None].expand_as(links), links), torch.ones(()), True)
    values = torch.linalg.eigvalsh(adjacency)
    assert values[-1].item() == pytest.approx(4, abs=1e-4)
    assert max(values[-2].item(), -values[0].item()) < 2 * 3**0.5 + 0.2
    without_hub = torch.zeros(n, n, dtype=torch.bool).scatter(1, EXPANDER.links(torch.arange(n)[None])[0, :, 1:], True)
    assert steps(without_hub) == 5  # the line alone: 255


def test_a_star_without_preferences_takes_means() -> None:
    """q = 0: all links count alike."""
    v = torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0]).view(1, 1, 5, 1)
    out = Star(1, 1)(torch.zeros_like(v), torch.ones_like(v), v, torch.ones(1, 5, dtype=torch.bool))
    torch.testing.assert_close(out.flatten(), torch.tensor([31 / 5, 7 / 3, 15 / 4, 29 / 4, 25 / 3]))


@each
def test_is_dense_attention_under_the_pattern_of_the_valid_tokens(attend: Star | Expander) -> None:
    generator = torch.Generator().manual_seed(0)
    mask = torch.rand(6, 30, generator=generator) < torch.tensor([0.0, 0.1, 0.4, 0.8, 1.0, 0.5])[:, None]
    mask[:, 0] = True
    mask[5] = False
    drawn = torch.randn(3, 6, H, 30, D, dtype=torch.float64, generator=generator)
    q, k, v = (x.requires_grad_() for x in drawn.masked_fill(~mask[:, None, :, None], torch.nan))
    out = attend(q, k, v, mask)
    expected = torch.zeros_like(drawn[0])
    for row, there in enumerate(mask[:5]):
        own = (x[row, :, there] for x in (q, k, v))
        expected[row, :, there] = scaled_dot_product_attention(*own, attn_mask=attend.pattern(int(there.sum())))
    torch.testing.assert_close(out, expected)
    gradients = [torch.autograd.grad(x.square().sum(), (q, k, v)) for x in (out, expected)]
    torch.testing.assert_close(*gradients)


class Elements(TorchDispatchMode):
    """How many numbers all operations inside give together."""

    total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        self.total += out.numel() if isinstance(out, Tensor) else 0
        return out


@each
def test_twice_the_tokens_take_twice_the_memory(attend: Star | Expander) -> None:
    totals = []
    for n in (500, 1000):
        x = torch.zeros(1, H, n, D, requires_grad=True)
        with Elements() as elements:
            attend(x, x, x, torch.ones(1, n, dtype=torch.bool)).sum().backward()
        totals.append(elements.total)
    assert totals[1] == pytest.approx(2 * totals[0], rel=0.01)


def test_what_is_refused() -> None:
    x, mask = torch.zeros(1, H, 3, D), torch.ones(1, 3, dtype=torch.bool)
    with pytest.raises(ValueError, match="of the same length"):
        STAR(x[:, :, :1], x, x, mask)
    with pytest.raises(UserError, match="window must be at least 1: got 0"):
        Star(H, D, window=0)
