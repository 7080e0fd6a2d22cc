"""Products with vectors of bytes: never outside their bounds, whatever the vectors are."""

import pytest
import torch
from torch import Tensor

from kg.models import byte_rows
from kg.models.byte_rows import ByteRows


def rows_of(table: Tensor) -> ByteRows:
    return ByteRows.of(lambda block: table[block], *table.shape)


def drawn(kind: str, size: int) -> Tensor:
    table = torch.randn(300, size, generator=torch.Generator().manual_seed(size))
    if kind == "outliers":
        table[:, 0] *= 1000
        table[::7] *= 1e-4
    if kind == "zeros":
        table[::3] = 0
        table[1, :] = 1e-42
    if kind == "huge":
        table *= 1e15
    return table


@pytest.mark.parametrize("kind", ["plain", "outliers", "zeros", "huge"])
@pytest.mark.parametrize("size", [1, 3, 64, 700])
def test_every_product_lies_between_its_bounds(kind: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 700 numbers the question's own are made smaller, so that no sum overflows."""
    monkeypatch.setattr(byte_rows, "_ROWS", 77)
    table = drawn(kind, size)
    rows = rows_of(table)
    for query in (table[0], table[5].abs().sign(), torch.zeros(size), table[7] / 3):
        low, high = rows.bounds(query)
        exact = table.double() @ query.double()
        for products in (exact, (query[None] @ table.T)[0].double()):
            assert bool((low.double() <= products).all()) and bool((products <= high.double()).all())


def test_bounds_are_close() -> None:
    """A fiftieth of what the scores themselves differ by would be as good; a fifth is enough to tell the best."""
    table = drawn("plain", 64)
    low, high = rows_of(table).bounds(table[0])
    exact = table @ table[0]
    assert (high - low).max() < 0.4 * exact.std() and (high - low).min() > 0


def test_the_largest_numbers_do_not_overflow() -> None:
    table = torch.ones(2, 60_000)
    low, high = rows_of(table).bounds(torch.ones(60_000))
    assert bool((low <= 60_000).all()) and bool((high >= 60_000).all()) and bool((high - low < 5000).all())
