"""States of nodes after a hop, a block of nodes at a time while it is in the cache."""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from kg.walks.compiled import vectorised

_BLOCK = 1024  # nodes: with 32 numbers each, what is made of them takes half a megabyte
_EPSILON = 1e-5  # of LayerNorm


class Update(NamedTuple):
    """x <- x + relu(LayerNorm(W m + V x + asked)) of each node, x = 0 for a new one. scale, shift: of the LayerNorm."""

    arrived: Float[Tensor, "K D"]  # m
    state: Float[Tensor, "M D"]  # x of the first M nodes
    asked: Float[Tensor, "B D"]
    take: Float[Tensor, "D D"]  # W
    keep: Float[Tensor, "D D"]  # V
    scale: Float[Tensor, " D"]
    shift: Float[Tensor, " D"]


def updated(update: Update, row: Int[Tensor, " K"]) -> Float[Tensor, "K D"]:
    """row: the question of each node. On the CPU with a gradient of its own, which keeps 1 + 1 / D numbers for each."""
    if update.arrived.device.type == "cpu" and update.arrived.is_cpu:
        found: Tensor = _Updated.apply(*update, row)  # type: ignore[no-untyped-call]
        return found
    return updated_plainly(update, row)


def updated_plainly(update: Update, row: Int[Tensor, " K"]) -> Float[Tensor, "K D"]:
    """`updated` in PyTorch alone."""
    return torch.cat([(new := gain(update, row))[: len(update.state)] + update.state, new[len(update.state) :]])


def gain(update: Update, row: Int[Tensor, " K"]) -> Float[Tensor, "K D"]:
    """relu(LayerNorm(...)): what is added to the states."""
    num_old, size = update.state.shape
    pre = functional.linear(update.arrived, update.take) + update.asked.index_select(0, row)
    pre = torch.cat([pre[:num_old] + functional.linear(update.state, update.keep), pre[num_old:]])
    return functional.layer_norm(pre, (size,), update.scale, update.shift, _EPSILON).relu()


class _Updated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        *tensors, row = given
        arrived, state, asked, take, keep, scale, shift = (x.to(given[0].dtype).contiguous() for x in tensors)
        new, normed, deviation = torch.empty_like(arrived), torch.empty_like(arrived), arrived.new_empty(len(arrived))
        rows = row.numpy()
        for start in range(0, len(arrived), _BLOCK):
            part, old = slice(start, start + _BLOCK), state[start : start + _BLOCK]
            pre = torch.mm(arrived[part], take.T, out=normed[part])
            if len(old):
                pre[: len(old)].addmm_(old, keep.T)
            _normalise(
                *(normed[part].numpy(), asked.numpy(), rows[part], scale.numpy(), shift.numpy(), old.numpy()),
                *(new[part].numpy(), deviation[part].numpy()),
            )
        ctx.save_for_backward(arrived, state, take, keep, scale, shift, normed, deviation, row)
        ctx.num_rows = len(asked)
        return new

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        arrived, state, take, keep, scale, shift, normed, deviation, row = ctx.saved_tensors
        grad, rows = grad.contiguous(), row.numpy()
        of_arrived, of_state = torch.empty_like(arrived), grad[: len(state)].clone()
        of_asked = arrived.new_zeros(ctx.num_rows, arrived.shape[1])
        of_take, of_keep, of_scale, of_shift = (torch.zeros_like(x) for x in (take, keep, scale, shift))
        buffer = arrived.new_empty(min(_BLOCK, len(arrived)), arrived.shape[1])
        for start in range(0, len(arrived), _BLOCK):
            part = slice(start, start + _BLOCK)
            old, of_old = state[part], of_state[part]
            of_pre = buffer[: len(arrived[part])]
            _normalise_back(
                *(grad[part].numpy(), normed[part].numpy(), deviation[part].numpy(), rows[part]),
                *(scale.numpy(), shift.numpy(), of_pre.numpy(), of_asked.numpy(), of_scale.numpy(), of_shift.numpy()),
            )
            torch.mm(of_pre, take, out=of_arrived[part])
            of_take.addmm_(of_pre.T, arrived[part])
            if len(old):
                of_old.addmm_(of_pre[: len(old)], keep)
                of_keep.addmm_(of_pre[: len(old)].T, old)
        return of_arrived, of_state, of_asked, of_take, of_keep, of_scale, of_shift, None


@vectorised
def _normalise(
    pre: Float[np.ndarray, "K D"],
    asked: Float[np.ndarray, "B D"],
    row: Int[np.ndarray, " K"],
    scale: Float[np.ndarray, " D"],
    shift: Float[np.ndarray, " D"],
    state: Float[np.ndarray, "M D"],
    new: Float[np.ndarray, "K D"],
    deviation: Float[np.ndarray, " K"],
) -> None:
    """Of pre + asked, in place, what LayerNorm makes before it scales; deviation: 1 over that of each node."""
    size, zero, one = pre.shape[1], pre.dtype.type(0), pre.dtype.type(1)
    share, least = one / pre.dtype.type(size), pre.dtype.type(_EPSILON)
    for i in range(len(pre)):
        own, more, made = pre[i], asked[row[i]], new[i]
        mean = zero
        for d in range(size):
            own[d] += more[d]
            mean += own[d]
        mean *= share
        variance = zero
        for d in range(size):
            own[d] -= mean
            variance += own[d] * own[d]
        over = one / np.sqrt(variance * share + least)
        deviation[i] = over
        for d in range(size):
            own[d] *= over
            made[d] = max(own[d] * scale[d] + shift[d], zero)
        if i < len(state):
            before = state[i]
            for d in range(size):
                made[d] += before[d]


@vectorised
def _normalise_back(
    slope: Float[np.ndarray, "K D"],
    normed: Float[np.ndarray, "K D"],
    deviation: Float[np.ndarray, " K"],
    row: Int[np.ndarray, " K"],
    scale: Float[np.ndarray, " D"],
    shift: Float[np.ndarray, " D"],
    of_pre: Float[np.ndarray, "K D"],
    of_asked: Float[np.ndarray, "B D"],
    of_scale: Float[np.ndarray, " D"],
    of_shift: Float[np.ndarray, " D"],
) -> None:
    size, zero, one = slope.shape[1], slope.dtype.type(0), slope.dtype.type(1)
    share = one / slope.dtype.type(size)
    for i in range(len(slope)):
        came, own, found, asking = slope[i], normed[i], of_pre[i], of_asked[row[i]]
        mean, along = zero, zero
        for d in range(size):
            passed = came[d] if own[d] * scale[d] + shift[d] > zero else zero
            of_shift[d] += passed
            of_scale[d] += passed * own[d]
            passed *= scale[d]
            found[d] = passed
            mean += passed
            along += passed * own[d]
        mean, along, over = mean * share, along * share, deviation[i]
        for d in range(size):
            found[d] = over * (found[d] - mean - own[d] * along)
        for d in range(size):
            asking[d] += found[d]
