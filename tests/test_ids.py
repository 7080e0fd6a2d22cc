"""Ids in range."""

import numpy as np
import pytest
import torch

from kg.graph.ids import check_ids, ordered, packed


def test_the_lowest_and_the_highest_count() -> None:
    for ids in (torch.tensor([[0, 4], [2, 3]]), np.array([0, 4], np.int32), torch.zeros(0, 3, dtype=torch.long)):
        check_ids("heads", ids, 0, 5)
    with pytest.raises(ValueError, match="heads must hold numbers from 1 to 4: it holds 0 to 4"):
        check_ids("heads", torch.tensor([0, 4]), 1, 5)
    with pytest.raises(ValueError, match="heads must hold numbers from -1 to 3: it holds 0 to 4"):
        check_ids("heads", np.array([0, 4]), -1, 4)


def test_packed_rows_are_in_the_order_of_rows() -> None:
    rows = np.array([[2, 0, 5], [0, 3, 1], [2, 0, 5], [0, 3, 0], [1, 9, 6]])
    keys = packed(tuple(rows.T), (3, 10, 7))
    assert keys.argsort(kind="stable").tolist() == np.lexsort(rows.T[::-1]).tolist()
    assert len(ordered(keys)) == 4 and ordered(keys).tolist() == np.unique(keys).tolist()
    assert ordered(keys[:0]).tolist() == []


def test_rows_that_do_not_fit_a_number_are_an_error() -> None:
    with pytest.raises(OverflowError, match="64 bits"):
        packed((np.zeros(1, dtype=np.int64),) * 3, (2**21, 2**21, 2**21))
