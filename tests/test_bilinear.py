"""h^T W_r and h^T W_r t against one matrix at a time."""

import pytest
import torch

from kg.models.bilinear import forms, products


def test_products_by_hand() -> None:
    matrices = torch.tensor([[[1.0, 2.0], [0.0, -1.0]], [[0.0, 1.0], [1.0, 0.0]], [[9.0, 9.0], [9.0, 9.0]]])
    head = torch.tensor([[1.0, 2.0], [3.0, 5.0], [3.0, 5.0]])
    found = products(head, matrices, torch.tensor([1, 0, 1]))  # the third matrix is asked by nobody
    assert found.tolist() == [[2.0, 1.0], [3.0, 1.0], [5.0, 3.0]]
    assert products(head[:0], matrices, torch.zeros(0, dtype=torch.long)).shape == (0, 2)


def test_forms_by_hand() -> None:
    head, tail = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 5.0]])
    first, second, third = [[1.0, 2.0], [0.0, -1.0]], [[0.0, 1.0], [1.0, 0.0]], [[1.0, 1.0], [0.0, 0.0]]
    assert forms(head, torch.tensor([first, second]), tail).tolist() == [[3.0, 11.0]]
    assert forms(head, torch.tensor([first, second, third]), tail).tolist() == [[3.0, 11.0, 8.0]]  # more than D


@pytest.mark.parametrize("rows", [1, 7, 40])
def test_products_are_those_of_single_rows_and_so_are_their_gradients(rows: int) -> None:
    generator = torch.Generator().manual_seed(rows)
    head = torch.randn(rows, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    matrices = torch.randn(5, 4, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    place = torch.randint(5, (rows,), generator=generator)
    grouped = products(head, matrices, place)
    single = torch.einsum("bd,bde->be", head, matrices[place])
    torch.testing.assert_close(grouped, single)
    weight = torch.randn(rows, 3, generator=generator, dtype=torch.float64)
    for found, expected in zip(
        torch.autograd.grad((grouped * weight).sum(), [head, matrices]),
        torch.autograd.grad((single * weight).sum(), [head, matrices]),
        strict=True,
    ):
        torch.testing.assert_close(found, expected)
