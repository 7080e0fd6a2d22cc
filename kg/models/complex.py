"""ComplEx: a complex diagonal a relation."""

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kg.graph.graph import Graph
from kg.models.scorer import Queries, QueryVectors, TieableScorer


def conjugates(weight: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """conj(x_k) of rows that hold the real parts first."""
    re, im = weight.chunk(2, dim=1)
    return torch.cat([re, -im], 1)


def product(x: Float[Tensor, "B D"], w: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """x_k w_k of rows that hold the real parts first."""
    (x_re, x_im), (re, im) = x.chunk(2, dim=1), w.chunk(2, dim=1)
    return torch.cat([x_re * re - x_im * im, x_re * im + x_im * re], 1)


def moduli(x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B K"]:
    """|x_k| of rows that hold the real parts first."""
    re, im = x.chunk(2, dim=-1)
    return (re * re + im * im).clamp_min(1e-30).sqrt()  # the root has no gradient at 0


@final
class ComplEx(TieableScorer):
    """score(h, r, t) = Re(sum_k h_k w_rk conj(t_k)) (Trouillon et al., 2016, eq. 9). encode: (B,), (B,) -> (B, 2 dim).

    `dim` counts complex numbers: a row holds 2 dim reals, the real parts first. A tied inverse is the conjugate;
    own inverses have weights of their own.
    """

    tie = staticmethod(conjugates)

    @staticmethod
    def sizes(dim: int) -> tuple[int, tuple[int, ...]]:
        return 2 * dim, (2 * dim,)

    def encode(self, queries: Queries) -> QueryVectors:
        weight = self.weights.rows(queries.relation, queries.generator)
        return QueryVectors(product(self.heads(queries), weight), queries.graph)

    def bilinear_form(self, relation: int) -> Float[Tensor, "D D"]:
        re, im = self.weights.row(relation).chunk(2)
        return torch.cat([torch.cat([re.diag(), im.diag()], 1), torch.cat([-im.diag(), re.diag()], 1)])

    def score_relations(self, head: Int[Tensor, " B"], tail: Int[Tensor, " B"], graph: Graph) -> Float[Tensor, "B R2"]:
        first, last = self.pair(head, tail, graph)
        head_re, head_im = first.chunk(2, dim=1)
        re, im = last.chunk(2, dim=1)
        # what multiplies the parts of w
        return self.weights.dots(torch.cat([head_re * re + head_im * im, head_re * im - head_im * re], 1))

    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        """The moduli |h_k|, |w_rk|, |t_k|: what the nuclear 3-norm weighs (Lacroix et al., 2018)."""
        head, relation, last = super().factors(queries, tail)
        return moduli(head), moduli(relation), moduli(last)
