"""What edges an entity has, whatever they lead to: sums of vectors of their relations."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from kg.graph.graph import Graph
from kg.graph.known import KnownAnswers
from kg.walks.compiled import vectorised


class Profiles(NamedTuple):
    """The relations of each entity's edges and how many of each there are, those of entity x from offsets[x] on: on
    graphs with many answers a question, a few of the edges.
    """

    offsets: Int[Tensor, " N1"]
    relation: Int[Tensor, " M"]
    times: Float[Tensor, " M"]


@lru_cache(maxsize=2)
def profiles_of(graph: Graph) -> Profiles:
    """O(E), kept for the last two graphs asked for."""
    known = KnownAnswers.from_graph(graph)
    head, relation = known.heads_and_relations()
    offsets = torch.searchsorted(head.contiguous(), torch.arange(graph.num_entities + 1, device=head.device))
    return Profiles(offsets, relation, known.offsets.diff().float())


def relation_sums(profiles: Profiles, vector: Float[Tensor, "R2 P"]) -> Float[Tensor, "N P"]:
    """For each entity the sum over its edges of the vectors of their relations. On the CPU a loop in compiled code."""
    if vector.device.type == "cpu" and vector.is_cpu:
        found: Tensor = _Sums.apply(vector, *profiles)  # type: ignore[no-untyped-call]
        return found
    weights = profiles.times.to(vector.dtype)
    return functional.embedding_bag(
        profiles.relation, vector, profiles.offsets, mode="sum", per_sample_weights=weights, include_last_offset=True
    )


class _Sums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vector: Tensor, offsets: Tensor, relation: Tensor, count: Tensor) -> Tensor:
        ctx.profiles, ctx.shape = (offsets.numpy(), relation.numpy(), count.numpy()), vector.shape
        sums = vector.new_zeros(len(offsets) - 1, vector.shape[1])
        _add(vector.detach().contiguous().numpy(), sums.numpy(), *ctx.profiles)
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        slope = grad.new_zeros(ctx.shape)
        _add_back(grad.contiguous().numpy(), slope.numpy(), *ctx.profiles)
        return slope, None, None, None


@vectorised
def _add(
    vector: Float[np.ndarray, "R2 P"],
    sums: Float[np.ndarray, "N P"],
    offsets: Int[np.ndarray, " N1"],
    relation: Int[np.ndarray, " M"],
    count: Float[np.ndarray, " M"],
) -> None:
    for x in range(len(sums)):
        own = sums[x]
        for i in range(offsets[x], offsets[x + 1]):
            by, times = vector[relation[i]], vector.dtype.type(count[i])
            for d in range(len(own)):
                own[d] += times * by[d]


@vectorised
def _add_back(
    grad: Float[np.ndarray, "N P"],
    slope: Float[np.ndarray, "R2 P"],
    offsets: Int[np.ndarray, " N1"],
    relation: Int[np.ndarray, " M"],
    count: Float[np.ndarray, " M"],
) -> None:
    for x in range(len(grad)):
        came = grad[x]
        for i in range(offsets[x], offsets[x + 1]):
            to, times = slope[relation[i]], grad.dtype.type(count[i])
            for d in range(len(came)):
                to[d] += times * came[d]
