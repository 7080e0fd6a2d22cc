"""RotatE: a rotation a relation."""

import math
from collections.abc import Iterator
from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from kg.models.complex import moduli
from kg.models.scorer import EmbeddingScorer, Queries, QueryVectors
from kg.models.tables import RelationWeights, negated

_CACHE = 1 << 17  # numbers in a tile: three of them must stay in the cache
_DEVICE = 1 << 24  # the same on a GPU, where each call costs as much as many numbers
_FEW = 1 << 13  # a tile of less is not worth its call, whatever the number of scores
_TINY = 1e-30  # no square counts as less, so that the gradient of a modulus is 0 where it is 0


@final
class RotatE(EmbeddingScorer):
    """score(h, r, t) = -sum_k |h_k w_rk - t_k|, |w_rk| = 1 (Sun et al., 2019). encode: (B,), (B,) -> (B, 2 dim).

    `dim` counts complex numbers: a row holds 2 dim reals, the real parts first. A relation is dim phases, in radians.
    A tied inverse turns back, by the opposite phases; own inverses have phases of their own.
    init: the standard deviation of entity vectors at the start. Phases start anywhere on the circle.
    """

    def __init__(
        self,
        num_entities: int,
        num_relations: int,
        dim: int = 128,
        tied: bool = False,
        entity_dropout: float = 0.0,
        init: float = 0.1,
    ) -> None:
        super().__init__(num_entities, num_relations, 2 * dim, entity_dropout)
        self.phase = RelationWeights(num_relations, dim, tie=negated if tied else None)
        self.table.draw(init)
        self.phase.draw_evenly(math.pi)

    def encode(self, queries: Queries) -> QueryVectors:
        phase = self.phase.rows(queries.relation)
        re, im = phase.cos(), phase.sin()
        head_re, head_im = self.heads(queries).chunk(2, dim=1)
        return QueryVectors(torch.cat([head_re * re - head_im * im, head_re * im + head_im * re], 1), queries.graph)

    def pairwise(self, vector: Float[Tensor, "B D"], candidates: Float[Tensor, "K D"]) -> Float[Tensor, "B K"]:
        # fp32, since the difference of large numbers is small
        with torch.autocast(vector.device.type, enabled=False):
            distance: Tensor = _SumOfModuli.apply(vector.float(), candidates.float())  # type: ignore[no-untyped-call]
        return distance.neg()

    def rowwise(self, vector: Float[Tensor, "B D"], candidates: Float[Tensor, "B K D"]) -> Float[Tensor, "B K"]:
        return -moduli(vector[:, None, :] - candidates).sum(2)

    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        """The moduli |h_k| and |t_k|. Those of w_r are 1, and there is nothing to weigh in a phase."""
        head, last = self.pair(queries.head, tail, queries.graph)
        return moduli(head), moduli(last)


class _SumOfModuli(torch.autograd.Function):
    """sum_k |a_bk - c_nk| of every a_b and c_n, tile by tile: neither way holds more than (B, N) numbers at once.

    A tile (2, b, n, dim) of differences is small enough for the cache, and computed again on the way back.
    """

    @staticmethod
    def forward(ctx: Any, vector: Tensor, candidates: Tensor) -> Tensor:
        ctx.save_for_backward(vector, candidates)
        found = vector.new_empty(len(vector), len(candidates))
        for rows, columns, difference, square in _tiles(vector, candidates):
            torch.sum(_squares(difference, square).sqrt_(), 2, out=found[rows, columns])
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        vector, candidates = ctx.saved_tensors
        of_vector, of_candidates = (torch.zeros_like(_halves(x)) for x in (vector, candidates))
        for rows, columns, difference, square in _tiles(vector, candidates):
            weight = _squares(difference, square).clamp_min_(_TINY).rsqrt_().mul_(grad[rows, columns, None])
            difference.mul_(weight)
            of_vector[:, rows] += difference.sum(2)
            one = difference.shape[1] == 1  # the sum over one row is a slow copy
            of_candidates[:, columns] -= difference[:, 0] if one else difference.sum(1)
        return _joined(of_vector), _joined(of_candidates)


def _tiles(vector: Tensor, candidates: Tensor) -> Iterator[tuple[slice, slice, Tensor, Tensor]]:
    """Rows, columns, their differences (2, b, n, dim), room for (b, n, dim) numbers. Each tile overwrites the last."""
    left, right = _halves(vector), _halves(candidates)
    (_, size, dim), width = left.shape, right.shape[1]
    most = _CACHE if vector.device.type == "cpu" else _DEVICE
    room = max(1, min(most, max(size * width, _FEW)) // dim)
    columns = max(1, min(width, room))
    rows = max(1, min(size, room // columns))
    difference, square = (vector.new_empty(*kind, rows, columns, dim) for kind in ((2,), ()))
    for start in range(0, width, columns):
        candidate = right[:, None, start : start + columns]
        for first in range(0, size, rows):
            question = left[:, first : first + rows, None]
            tile = difference[:, : question.shape[1], : candidate.shape[2]]
            torch.sub(question, candidate, out=tile)
            here = slice(first, first + rows), slice(start, start + columns)
            yield *here, tile, square[: question.shape[1], : candidate.shape[2]]


def _squares(difference: Tensor, out: Tensor) -> Tensor:
    """re^2 + im^2, (b, n, dim)."""
    re, im = difference
    return torch.mul(re, re, out=out).addcmul_(im, im)


def _halves(x: Tensor) -> Tensor:
    """(B, 2 dim) -> (2, B, dim)."""
    return torch.stack(x.chunk(2, dim=1))


def _joined(x: Tensor) -> Tensor:
    """(2, B, dim) -> (B, 2 dim)."""
    return x.transpose(0, 1).flatten(1)
