"""Differentiable windows: the mask on paper and by enumeration, both modes against their formulas."""

from itertools import product

import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from kg.attention.window import DifferentiableWindow, between, from_first, to_last
from kg.errors import UserError

H, D = 2, 3
each_mode = pytest.mark.parametrize("mode", ["multiplicative", "additive"])


def pointers(n: int) -> tuple[Tensor, Tensor]:
    drawn = 3 * torch.randn(2, 4, n, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    first, second = drawn.softmax(-1)
    return first, second


def tokens(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    q, k, v = torch.randn(3, 2, H, 7, D, dtype=torch.float64, generator=generator)
    mask = torch.tensor([[True] * 7, [True, True, False, True, False, True, False]])
    return q, k, v, mask


def window(mode: str = "multiplicative", segment: int = 1) -> DifferentiableWindow:
    torch.manual_seed(0)
    return DifferentiableWindow(H, D, mode, segment).double()  # type: ignore[arg-type]


def test_between_by_hand() -> None:
    found = between(torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.0, 0.0, 1.0]))
    assert found.tolist() == [0.5, 1, 1]
    # (0, 0): .25 .. (1, 1): .25, one end each way .5: a key is left out only where both ends are the other one
    assert between(torch.tensor([0.5, 0.5]), torch.tensor([0.5, 0.5])).tolist() == [0.75, 0.75]


def test_certain_ends_give_a_box() -> None:
    n = 5
    for a, b in product(range(n), repeat=2):  # in either order, and the same
        ends = one_hot(torch.tensor([a, b]), n).float()
        box = [float(min(a, b) <= i <= max(a, b)) for i in range(n)]
        assert between(*ends).tolist() == box


def test_between_is_the_probability() -> None:
    first, second = pointers(6)
    expected = torch.zeros_like(first)
    for a, b in product(range(6), repeat=2):
        expected[:, min(a, b) : max(a, b) + 1] += (first[:, a] * second[:, b])[:, None]
    torch.testing.assert_close(between(first, second), expected)
    assert bool((expected.sum(-1) > 1).all())  # a window is never empty


def test_before_rises_and_after_falls() -> None:
    for pointer in (x.float() for n in (1, 6, 300) for x in pointers(n)):
        f, g = from_first(pointer), to_last(pointer)
        assert bool((f.diff() >= 0).all()) and bool((g.diff() <= 0).all())
        for x in (f, g, between(pointer, pointer)):
            assert x.min() >= 0 and x.max() <= 1 + 1e-6
        torch.testing.assert_close(f[:, -1], torch.ones(4))
        torch.testing.assert_close(f + g, 1 + pointer)


def test_segments_are_taken_in_whole() -> None:
    """Ends at the 2nd and 5th of seven valid tokens, three a segment: the first two segments."""
    attend = DifferentiableWindow(1, 1, segment=3)
    mask = torch.tensor([[True, True, False, True, True, False, True, True, True]])
    ends = one_hot(torch.tensor([1, 6]), 9).float().view(2, 1, 1, 1, 9)
    m = attend.window(ends[0], ends[1], mask)
    assert m[0, 0, 0, mask[0]].tolist() == [1, 1, 1, 1, 1, 1, 0]
    attend.segment = 1
    assert attend.window(ends[0], ends[1], mask)[0, 0, 0, mask[0]].tolist() == [0, 1, 1, 1, 1, 0, 0]
    attend.segment = 9
    assert attend.window(ends[0], ends[1], mask)[0, 0, 0, mask[0]].tolist() == [1] * 7


def test_a_multiplicative_window_by_hand() -> None:
    """Ends anywhere alike among three keys: m is 5/9, 7/9, 5/9; equal scores: the weights are 5, 7 and 5 of 17."""
    attend = DifferentiableWindow(1, 1)
    q, k = torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 4, 1)
    v = torch.tensor([17.0, 34.0, 0.0, 99.0]).view(1, 1, 4, 1)
    out = attend(q, k, v, torch.tensor([[True, True, True, False]]))
    assert out.item() == pytest.approx(5 + 2 * 7)


def test_a_query_attends_where_it_points() -> None:
    """Keys that are unit vectors, a query that is one more, and weights that send it to the keys 1 and 3."""
    attend = DifferentiableWindow(1, 6)
    with torch.no_grad():
        attend.query.zero_()
        attend.query[0, 0, 0, 5, 3] = attend.query[1, 0, 0, 5, 1] = 1000
        attend.key.copy_(torch.eye(6).expand_as(attend.key))
    k, q = torch.eye(6)[:5].view(1, 1, 5, 6), torch.eye(6)[5].view(1, 1, 1, 6)
    v = torch.tensor([1.0, 10.0, 20.0, 60.0, 1000.0]).view(1, 1, 5, 1).expand(1, 1, 5, 6)
    for third_is_there, mean in ((True, 30.0), (False, 35.0)):
        out = attend(q, k, v, torch.tensor([[True, True, third_is_there, True, True]]))
        torch.testing.assert_close(out, torch.full_like(out, mean), rtol=1e-4, atol=0)


@each_mode
@pytest.mark.parametrize("segment", [1, 2, 20])
def test_is_its_formula(mode: str, segment: int) -> None:
    attend = window(mode, segment)
    q, k, v, mask = tokens()
    out = attend(q, k, v, mask)
    for row, head in product(range(2), range(H)):
        there = mask[row]
        own_k, own_v = k[row, head, there], v[row, head, there]

        def scores(which: int, own_k: Tensor = own_k, row: int = row, head: int = head) -> Tensor:
            query, key = attend.query[which, 0, head], attend.key[which, 0, head]
            return (q[row, head] @ query) @ (own_k @ key).T / D**0.5

        n = int(there.sum())
        alike = torch.arange(n) // segment
        blocks = (alike[:, None] == alike[None]).double()
        ends = [scores(which).softmax(-1) @ blocks for which in (0, 1)]  # each segment's mass at all of its tokens
        starts = torch.arange(0, n, segment)  # one token stands for its segment
        m = between(*(x[:, starts] for x in ends))[:, alike]
        plain = q[row, head] @ own_k.T / D**0.5
        if mode == "multiplicative":
            weights = plain.softmax(-1) * m
            weights = weights / weights.sum(-1, keepdim=True)
        else:
            weights = (plain + m * scores(2)).softmax(-1)
        torch.testing.assert_close(out[row, head], weights @ own_v)


@each_mode
def test_a_few_queries_get_what_they_get_among_all(mode: str) -> None:
    attend = window(mode, segment=2)
    q, k, v, mask = tokens()
    out = attend(q, k, v, mask)
    torch.testing.assert_close(attend(q[:, :, :1], k, v, mask), out[:, :, :1])
    torch.testing.assert_close(attend(q[:, :, [3, 0, 0]], k, v, mask), out[:, :, [3, 0, 0]])


@each_mode
def test_padding_has_no_mass(mode: str) -> None:
    """Equal values come out as they went in, whatever the pointers would rather point at."""
    attend = window(mode)
    q, k, v, mask = tokens()
    k = torch.where(mask[:, None, :, None], k, 1e3 * q)
    out = attend(q, k, torch.where(mask[:, None, :, None], torch.ones_like(v), 1e6), mask)
    torch.testing.assert_close(out, torch.ones_like(out))


@each_mode
def test_attention_that_is_all_outside_the_window(mode: str) -> None:
    attend = window(mode).float()
    q, k, v, mask = (x if x.dtype == torch.bool else x.float() for x in tokens())
    leaves = [x.mul(factor).requires_grad_() for x, factor in ((q, 1e3), (k, 1e3), (v, 1))]
    out = attend(*leaves, mask)
    out.square().sum().backward()
    assert bool(out.isfinite().all())
    for x in [*leaves, *attend.parameters()]:
        assert x.grad is not None and bool(x.grad.isfinite().all())


def test_a_window_is_summed_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sums of 300 bfloat16 numbers of 1/300 would end at 1/2."""
    seen = []

    def spied(first: Tensor, second: Tensor) -> Tensor:
        seen.append((first.dtype, second.dtype))
        return between(first, second)

    monkeypatch.setattr("kg.attention.window.between", spied)
    q, k, v, mask = tokens()
    out = window().bfloat16()(*(x.bfloat16() for x in (q, k, v)), mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        window().float()(*(x.float() for x in (q, k, v)), mask)
    assert out.dtype == torch.bfloat16 and seen == 2 * [(torch.float32, torch.float32)]


def test_weights_are_what_the_mode_needs() -> None:
    assert window().query.shape == window().key.shape == (2, 1, H, D, D)
    assert window("additive").query.shape == (3, 1, H, D, D)


def test_what_is_refused() -> None:
    with pytest.raises(UserError, match="segment must be at least 1: got 0"):
        window(segment=0)
