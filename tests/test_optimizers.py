"""What an optimizer goes on from."""

import copy

import pytest
import torch
from torch import nn
from torch.optim import Adam

from kg.training.optimizers import load_optimizer


def stepped() -> Adam:
    weight = nn.Parameter(torch.ones(3))
    weight.grad = torch.ones(3)
    optimizer = Adam([weight], lr=0.1)
    optimizer.step()
    return optimizer


def test_it_goes_on_from_its_own_state_and_from_no_other() -> None:
    optimizer, device = stepped(), torch.device("cpu")
    state = copy.deepcopy(optimizer.state_dict())
    load_optimizer(optimizer, copy.deepcopy(state), Adam, device)
    assert torch.equal(optimizer.state_dict()["state"][0]["exp_avg"], state["state"][0]["exp_avg"])
    told = copy.deepcopy(state)
    told["state"][0]["exp_avg"] = torch.zeros(2)
    with pytest.raises(ValueError, match="exp_avg"):
        load_optimizer(optimizer, told, Adam, device)
    told = copy.deepcopy(state)
    told["param_groups"][0]["lr"] = "fast"
    with pytest.raises(ValueError, match="lr"):
        load_optimizer(optimizer, told, Adam, device)
