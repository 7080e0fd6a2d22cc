"""Messages along the edges of a hop, summed where they arrive: no tensor of edges times dim is ever made on a CPU."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from kg.walks.compiled import vectorised
from kg.walks.frontier import Hop


class Message(NamedTuple):
    """What makes the message of an edge (x, r, y) from the state of x:

        gate_x scale_x sigmoid(bias + weight . relu(key_x + relation_key_r)) (state_x + vector_r)

    and where `times`, the numbers of state_x times those of vector_r in the last factor. weight holds the bias last.
    """

    state: Float[Tensor, "M D"]
    gate: Float[Tensor, " M"]
    key: Float[Tensor, "M A"]
    relation_key: Float[Tensor, "R2 A"]
    weight: Float[Tensor, " A1"]
    vector: Float[Tensor, "R2 D"]


def propagated(message: Message, start: Float[Tensor, "B D"], along: Hop, times: bool) -> Float[Tensor, "K D"]:
    """The sum of the messages that come to each node after the hop; `start` is added to those of the first nodes.

    A loop in compiled code with a gradient of its own on the CPU, else `propagated_plainly`. The same bits each time.
    """
    if message.state.device.type == "cpu" and message.state.is_cpu:
        found: Tensor = _Propagated.apply(*message, start, along, times)  # type: ignore[no-untyped-call]
        return found
    return propagated_plainly(message, start, along, times)


def propagated_plainly(
    message: Message,
    start: Float[Tensor, "B D"],
    along: Hop,
    times: bool,
    share: Float[Tensor, " E"] | None = None,
) -> Float[Tensor, "K D"]:
    """`propagated`, edge by edge in PyTorch, a few tensors of (E, D) at a time. share: a factor for each edge."""
    where = start.device
    source, relation, target = (torch.from_numpy(x).to(where).long() for x in _edges(along))
    scale = torch.from_numpy(np.repeat(along.scale, np.diff(along.offsets))).to(where)
    key = (message.key[source] + message.relation_key[relation]).relu()
    factor = message.gate[source] * scale * (key @ message.weight[:-1] + message.weight[-1]).sigmoid()
    if share is not None:
        factor = factor * share
    state, vector = message.state[source], message.vector[relation]
    sent = factor[:, None] * (state * vector if times else state + vector)
    arrived = start.new_zeros(len(along.arriving), start.shape[1]).index_add(0, target, sent)
    return torch.cat([arrived[: len(start)] + start, arrived[len(start) :]])


def _edges(along: Hop) -> tuple[Int[np.ndarray, " E"], Int[np.ndarray, " E"], Int[np.ndarray, " E"]]:
    return along.edge_source(), along.relation, along.target


class _Arrays(NamedTuple):
    """A Message, or its gradient, as compiled loops want it."""

    state: Float[np.ndarray, "M D"]
    gate: Float[np.ndarray, " M"]
    key: Float[np.ndarray, "M A"]
    relation_key: Float[np.ndarray, "R2 A"]
    weight: Float[np.ndarray, " A1"]
    vector: Float[np.ndarray, "R2 D"]


def _arrays(tensors: Sequence[Tensor]) -> _Arrays:
    return _Arrays(*(each.detach().numpy() for each in tensors))


class _Propagated(torch.autograd.Function):
    """The factor and the message are computed again on the way back: nothing is kept an edge but its two ends."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        *tensors, start, along, times = given
        tensors = [each.to(start.dtype).contiguous() for each in tensors]
        arrived: Tensor = start.new_zeros(len(along.arriving), start.shape[1])
        arrived[: len(start)] = start
        _send(_arrays(tensors), along, times, arrived.numpy())
        ctx.save_for_backward(*tensors)
        ctx.along, ctx.times, ctx.num_started = along, times, len(start)
        return arrived

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        tensors = ctx.saved_tensors  # once: where they are computed again, a second look would do so again
        slopes = [torch.zeros_like(each) for each in tensors]
        _send_back(_arrays(tensors), ctx.along, ctx.times, grad.contiguous().numpy(), _arrays(slopes))
        return *slopes, grad[: ctx.num_started], None, None


# The edges of a source with one relation carry one message: it is made once, then added to each of their targets.


@vectorised
def _send(message: _Arrays, along: Hop, times: bool, arrived: Float[np.ndarray, "K D"]) -> None:
    state, gate, key, relation_key, weight, vector = message
    source, scale, offsets, relation, target, _ = along
    size, num_keys, zero, one = state.shape[1], key.shape[1], state.dtype.type(0), state.dtype.type(1)
    sent = np.empty(size, state.dtype)
    for s in range(len(source)):
        x, e, stop = source[s], offsets[s], offsets[s + 1]
        from_, opening = state[x], key[x]
        while e < stop:
            r = relation[e]
            by, lock = vector[r], relation_key[r]
            logit = weight[num_keys]
            for k in range(num_keys):
                logit += weight[k] * max(opening[k] + lock[k], zero)
            factor = state.dtype.type(gate[x] * scale[s]) / (one + np.exp(-logit))
            if times:
                for d in range(size):
                    sent[d] = factor * (from_[d] * by[d])
            else:
                for d in range(size):
                    sent[d] = factor * (from_[d] + by[d])
            while e < stop and relation[e] == r:
                to = arrived[target[e]]
                for d in range(size):
                    to[d] += sent[d]
                e += 1


@vectorised
def _send_back(message: _Arrays, along: Hop, times: bool, slope: Float[np.ndarray, "K D"], found: _Arrays) -> None:
    state, gate, key, relation_key, weight, vector = message
    source, scale, offsets, relation, target, _ = along
    of_state, of_gate, of_key, of_relation_key, of_weight, of_vector = found
    size, num_keys, zero, one = state.shape[1], key.shape[1], state.dtype.type(0), state.dtype.type(1)
    came, sum_ = np.empty(size, state.dtype), np.empty(num_keys, state.dtype)
    for s in range(len(source)):
        x, e, stop = source[s], offsets[s], offsets[s + 1]
        from_, opening, of_from, of_opening = state[x], key[x], of_state[x], of_key[x]
        while e < stop:
            r = relation[e]
            by, lock, of_by, of_lock = vector[r], relation_key[r], of_vector[r], of_relation_key[r]
            to = slope[target[e]]
            for d in range(size):
                came[d] = to[d]
            e += 1
            while e < stop and relation[e] == r:
                to = slope[target[e]]
                for d in range(size):
                    came[d] += to[d]
                e += 1
            logit = weight[num_keys]
            for k in range(num_keys):
                sum_[k] = opening[k] + lock[k]
                logit += weight[k] * max(sum_[k], zero)
            attention = one / (one + np.exp(-logit))
            scaled = state.dtype.type(gate[x] * scale[s])
            factor, match = scaled * attention, zero
            if times:
                for d in range(size):
                    match += came[d] * from_[d] * by[d]
                for d in range(size):
                    of_from[d] += factor * came[d] * by[d]
                for d in range(size):
                    of_by[d] += factor * came[d] * from_[d]
            else:
                for d in range(size):
                    match += came[d] * (from_[d] + by[d])
                for d in range(size):
                    of_from[d] += factor * came[d]
                for d in range(size):
                    of_by[d] += factor * came[d]
            of_gate[x] += state.dtype.type(scale[s]) * attention * match
            of_logit = scaled * match * attention * (one - attention)
            of_weight[num_keys] += of_logit
            for k in range(num_keys):
                of_weight[k] += of_logit * max(sum_[k], zero)
            for k in range(num_keys):
                sum_[k] = of_logit * weight[k] if sum_[k] > zero else zero  # no branch: its sign is as good as drawn
            for k in range(num_keys):
                of_opening[k] += sum_[k]
            for k in range(num_keys):
                of_lock[k] += sum_[k]
