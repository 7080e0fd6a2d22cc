"""Batch normalisation by hand."""

import math

import torch

from kg.models.batch_norm import BatchNorm


def test_a_batch_is_normalised_by_its_own_figures_and_later_ones_by_the_running_ones() -> None:
    norm = BatchNorm(2)
    batch = torch.tensor([[1.0, 10.0], [3.0, 10.0]])  # means 2 and 10, variances 1 and 0
    root = math.sqrt(1 + 1e-5)
    found = norm(batch, torch.Generator())
    torch.testing.assert_close(found, torch.tensor([[-1 / root, 0.0], [1 / root, 0.0]]), rtol=1e-5, atol=1e-3)
    # A tenth of the batch's mean, and of its variance as an estimate: 2 and 0.
    torch.testing.assert_close(norm.running_mean, torch.tensor([0.2, 1.0]))
    torch.testing.assert_close(norm.running_var, torch.tensor([0.9 + 0.2, 0.9]))
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    found = norm(batch[:1], None)
    torch.testing.assert_close(found, torch.tensor([[0.8 / math.sqrt(1.1), 9 / math.sqrt(0.9)]]), rtol=1e-4, atol=0)
    assert all(torch.equal(before[name], value) for name, value in norm.state_dict().items())
    assert {"running_mean", "running_var"} < before.keys()  # they are saved


def test_in_eval_mode_the_running_figures_serve_whatever_is_drawn() -> None:
    norm = BatchNorm(2)
    batch = torch.tensor([[1.0, 10.0], [3.0, 10.0]])
    norm(batch, torch.Generator())
    norm.eval()
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    assert torch.equal(norm(batch, torch.Generator()), norm(batch, None))
    assert all(torch.equal(before[name], value) for name, value in norm.state_dict().items())


def test_weight_and_bias_are_of_a_channel() -> None:
    norm = BatchNorm(2)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([2.0, 3.0]))
        norm.bias.copy_(torch.tensor([0.0, 7.0]))
    maps = torch.tensor([[[[1.0, -1.0]], [[1.0, -1.0]]]])  # (1, 2, 1, 2)
    found = norm(maps, torch.Generator())
    torch.testing.assert_close(found, torch.tensor([[[[2.0, -2.0]], [[10.0, 4.0]]]]), rtol=1e-4, atol=0)


def test_one_number_a_channel_has_no_variance() -> None:
    norm = BatchNorm(2)
    single = torch.tensor([[3.0, 5.0]])
    torch.testing.assert_close(norm(single, torch.Generator()), norm(single, None))
    assert norm.running_mean.tolist() == [0.0, 0.0]
