"""Ids in range."""

import numpy as np
import pytest
import torch

from kg.graph.ids import check_ids


def test_the_lowest_and_the_highest_count() -> None:
    for ids in (torch.tensor([[0, 4], [2, 3]]), np.array([0, 4], np.int32), torch.zeros(0, 3, dtype=torch.long)):
        check_ids("heads", ids, 0, 5)
    with pytest.raises(ValueError, match="heads must hold numbers from 1 to 4: it holds 0 to 4"):
        check_ids("heads", torch.tensor([0, 4]), 1, 5)
    with pytest.raises(ValueError, match="heads must hold numbers from -1 to 3: it holds 0 to 4"):
        check_ids("heads", np.array([0, 4]), -1, 4)
