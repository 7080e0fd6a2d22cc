"""The optimizers that a run may name, and what is known of each."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from kg.training.algorithm import check_kind

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "adagrad": torch.optim.Adagrad,
}
KEPT_A_WEIGHT: dict[Any, int] = {torch.optim.Adam: 2, torch.optim.AdamW: 2, torch.optim.Adagrad: 1}  # numbers


def load_optimizer(
    optimizer: torch.optim.Optimizer,
    state: dict[str, Any],
    made: Callable[[list[nn.Parameter]], torch.optim.Optimizer],
    device: torch.device,
) -> None:
    """ValueError where its settings, or what it knows of a weight, are of another kind: PyTorch does not look.

    made: another of its kind, of other weights.
    """
    groups = []
    own = optimizer.state_dict()["param_groups"]
    for group, stored in zip(own, state["param_groups"], strict=True):
        group["lr"] = float(group["lr"])
        kept = {name: stored[name] for name in group if name in stored}  # versions of PyTorch add some
        check_kind("optimizer", kept, {name: group[name] for name in kept})
        groups.append(group | kept)
    optimizer.load_state_dict({"state": state["state"], "param_groups": groups})
    one = nn.Parameter(torch.zeros(1, device=device))
    one.grad = torch.zeros_like(one)
    tried = made([one])
    tried.step()
    for parameter, known in optimizer.state.items():
        like = {
            name: torch.empty_like(parameter, dtype=value.dtype) if value.ndim else value
            for name, value in tried.state[one].items()
        }
        check_kind("optimizer", known, like)
