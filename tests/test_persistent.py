"""Persistent vectors on paper."""

import pytest
import torch

from kg.attention.persistent import Persistent
from kg.attention.softmax import Softmax
from kg.errors import UserError


def test_one_vector_is_one_key_more() -> None:
    attend = Persistent(1, 4, num_vectors=1)  # kept at a half of the key and the whole of the value
    with torch.no_grad():
        attend.key.copy_(torch.tensor([[[0.5, 0.0, 0.0, 0.0]]]))
        attend.value.copy_(torch.tensor([[[12.0, 0.0, 0.0, 0.0]]]))
    q = torch.tensor([[0.0, 0.0, 0.0, 0.0], [2 * torch.tensor(4.0).log().item(), 0.0, 0.0, 0.0]]).view(1, 1, 2, 4)
    k = torch.zeros(1, 1, 3, 4)
    v = torch.tensor([0.0, 6.0, 100.0])[None, None, :, None].repeat(1, 1, 1, 4)
    mask = torch.tensor([[True, True, False]])
    out = attend(q, k, v, mask)
    # The first query sees 0, 6 and 12 alike; for the second the logit of 12 is ln 4, of the others 0: (6 + 48) / 6.
    torch.testing.assert_close(out[0, 0, :, 0], torch.tensor([6.0, 9.0]))
    torch.testing.assert_close(attend(q, k, v, torch.zeros_like(mask))[0, 0, :, 0], torch.tensor([12.0, 12.0]))


def test_they_are_tokens_of_every_row() -> None:
    torch.manual_seed(0)
    attend = Persistent(2, 8, num_vectors=3)
    q, k, v = torch.randn(4, 2, 5, 8), torch.randn(4, 2, 6, 8), torch.randn(4, 2, 6, 8)
    mask = torch.rand(4, 6) < 0.5
    key, value = 8**0.5 * attend.key, 3**0.5 * attend.value
    keys, values = (torch.cat([own.expand(4, -1, -1, -1), x], 2) for own, x in ((key, k), (value, v)))
    expected = Softmax(2, 8)(q, keys, values, torch.cat([torch.ones(4, 3, dtype=torch.bool), mask], 1))
    torch.testing.assert_close(attend(q, k, v, mask), expected)


@pytest.mark.parametrize(("dim", "num_vectors"), [(64, 16), (16, 256)])
def test_they_are_used_at_the_scale_of_normalised_tokens(dim: int, num_vectors: int) -> None:
    torch.manual_seed(0)
    attend = Persistent(8, dim, num_vectors)
    assert attend.key.shape == attend.value.shape == (8, num_vectors, dim)
    assert (attend.key * dim**0.5).std().item() == pytest.approx(1, abs=0.05)
    assert (attend.value * num_vectors**0.5).std().item() == pytest.approx(1, abs=0.05)


def test_some_vectors_are_needed() -> None:
    with pytest.raises(UserError, match=r"num_vectors must be at least 1: got 0"):
        Persistent(1, 4, num_vectors=0)
