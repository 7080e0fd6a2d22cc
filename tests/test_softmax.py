"""Softmax attention on paper, against the softmax written out, and its ragged form against the padded one."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

from kg.attention import softmax
from kg.attention.softmax import Softmax, query_attention, segment_softmax
from kg.graph.graph import Neighbours

H, D = 2, 4
CAUSAL = Softmax(H, D, causal=True)


def drawn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def everywhere(k: Tensor) -> Tensor:
    return torch.ones(len(k), k.shape[2], dtype=torch.bool)


# Of every token


def test_softmax_by_hand() -> None:
    """Of size 4, q . k is halved: log 3 and 0 weigh 3 : 1, and the third key is masked."""
    q, k = torch.zeros(1, 1, 1, 4), torch.zeros(1, 1, 3, 4)
    q[..., 0], k[..., 0] = 2, torch.tensor([math.log(3), 0.0, 9.0])
    v = torch.tensor([4.0, 8.0, 100.0]).view(1, 1, 3, 1).expand_as(k)
    out = Softmax(1, 4)(q, k, v, torch.tensor([[True, True, False]]))
    torch.testing.assert_close(out, torch.full((1, 1, 1, 4), 5.0))


def test_softmax_is_the_softmax_written_out() -> None:
    q, k, v = drawn(3, 2, H, 5, D)
    mask = torch.tensor([[True, True, False, True, True], [True, False, False, False, False]])
    logits = torch.einsum("bhmd,bhnd->bhmn", q, k) / math.sqrt(D)
    expected = logits.masked_fill(~mask[:, None, None], -torch.inf).softmax(-1) @ v
    torch.testing.assert_close(Softmax(H, D)(q, k, v, mask), expected)


def test_causal_by_hand() -> None:
    """Without preferences means: of all tokens for token 0, of 1 ... i for token i."""
    v = torch.tensor([1.0, 2.0, 4.0, 9.0]).view(1, 1, 4, 1)
    mask = everywhere(v)
    out = Softmax(1, 1, causal=True)(torch.zeros_like(v), torch.ones_like(v), v, mask)
    assert out.flatten().tolist() == pytest.approx([4, 2, 3, 5])
    mask[0, 2] = False
    out = Softmax(1, 1, causal=True)(torch.zeros_like(v), torch.ones_like(v), v, mask)
    assert out.flatten()[[0, 1, 3]].tolist() == pytest.approx([4, 2, 5.5])


def test_causal_tokens_hang_on_those_before_them_alone() -> None:
    q, k, v = (x.requires_grad_() for x in drawn(3, 1, H, 6, D))
    out = CAUSAL(q, k, v, everywhere(k))
    for token in range(6):
        (grad,) = torch.autograd.grad(out[:, :, token].square().sum(), v, retain_graph=True)
        seen = grad.abs().sum((0, 1, 3)).nonzero()[:, 0].tolist()
        assert seen == (list(range(6)) if token == 0 else list(range(1, token + 1)))


def test_causal_masks_pads_and_nothing_at_all() -> None:
    q, k, v = drawn(3, 3, H, 6, D)
    mask = torch.tensor([[True] * 6, [True, False, True, True, False, False], [False] * 6])
    out = CAUSAL(q, k, v, mask)
    absent = ~mask[:, None, :, None]
    garbage = CAUSAL(q, k.masked_fill(absent, torch.nan), v.masked_fill(absent, torch.inf), mask)
    wider = CAUSAL(*(pad(x, (0, 0, 0, 7)) for x in (q, k, v)), pad(mask, (0, 7)))
    for row, there in enumerate(mask):
        own = [x[row : row + 1, :, there] for x in (q, k, v)]
        expected = CAUSAL(*own, there[there][None])[0] if bool(there.any()) else own[2][0]
        for found in (out, garbage, wider[:, :, :6]):
            torch.testing.assert_close(found[row, :, there], expected)
    leaves = [x.clone().requires_grad_() for x in (q, k, v)]
    CAUSAL(*leaves, mask).square().sum().backward()
    assert all(bool(leaf.grad.isfinite().all()) for leaf in leaves)


def test_causal_attention_is_of_tokens_to_themselves() -> None:
    q, k, v = drawn(3, 1, H, 4, D)
    with pytest.raises(ValueError, match="q and k must be of the same length"):
        CAUSAL(q[:, :, :1], k, v, everywhere(k))


# Of one query a row


def test_query_attention_by_hand() -> None:
    """Three tokens, none and one: the first row's weigh 1 : 2 : 5."""
    q = torch.full((3, 1, 1), 1.0)
    k = torch.tensor([1.0, 2.0, 5.0, 3.0]).log().view(4, 1, 1)
    v = torch.tensor([8.0, 16.0, 0.0, 7.0]).view(4, 1, 1)
    out = query_attention(q, k, v, torch.tensor([0, 3, 3, 4]))
    assert out.flatten().tolist() == pytest.approx([5, 0, 7])


@pytest.mark.parametrize("counts", [[3, 1, 7], [0, 4, 0, 0, 2, 0], [0, 0], [5], []], ids=str)
def test_query_attention_is_padded_attention(counts: list[int]) -> None:
    count = torch.tensor(counts, dtype=torch.long)
    offsets = torch.cat([count.new_zeros(1), count.cumsum(0)])
    num = int(offsets[-1])
    q, k, v = (drawn(size, H, D, seed=seed, dtype=torch.float64) for seed, size in enumerate((len(counts), num, num)))
    q, k, v = (x.requires_grad_() for x in (q, k, v))
    out = query_attention(q, k, v, offsets)
    expected = torch.zeros_like(q)
    if num:
        place, _, mask = Neighbours(torch.arange(num), torch.zeros(num, dtype=torch.long), offsets).padded()
        keys, values = (x[place].transpose(1, 2) for x in (k, v))
        padded = scaled_dot_product_attention(q[:, :, None], keys, values, mask[:, None, None])[:, :, 0]
        expected = torch.where((count > 0)[:, None, None], padded, 0)
    torch.testing.assert_close(out, expected)
    assert not out[count == 0].any()
    factors = drawn(*out.shape, seed=9, dtype=torch.float64)
    found, by_padding = (
        torch.autograd.grad((x * factors).sum(), (q, k, v), materialize_grads=True) for x in (out, expected + 0 * q)
    )
    assert all(bool(x.isfinite().all()) for x in found)
    torch.testing.assert_close(found, by_padding)


def test_query_attention_by_differences() -> None:
    q, k, v = (drawn(n, H, D, dtype=torch.float64).requires_grad_() for n in (3, 5, 5))
    assert torch.autograd.gradcheck(lambda *x: query_attention(*x, torch.tensor([0, 2, 2, 5])), (q, k, v))


def test_query_attention_does_not_overflow() -> None:
    """Logits of 10^4: the larger one takes all."""
    q, k = torch.full((1, 1, 1), 100.0), torch.tensor([99.0, 100.0, -100.0]).view(3, 1, 1)
    out = query_attention(q, k, torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1), torch.tensor([0, 3]))
    assert out.item() == 2


def test_query_attention_in_bfloat16_adds_up_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def recorded(logits: Tensor, row: Tensor, num_rows: int) -> Tensor:
        seen.append(logits.dtype)
        return segment_softmax(logits, row, num_rows)

    monkeypatch.setattr(softmax, "segment_softmax", recorded)
    q, k = torch.zeros(1, 1, 1).bfloat16(), torch.zeros(600, 1, 1).bfloat16()
    out = query_attention(q, k, torch.ones_like(k), torch.tensor([0, 600]))
    assert seen == [torch.float32] and out.dtype == torch.bfloat16
    assert out.item() == pytest.approx(1, rel=0.01)
