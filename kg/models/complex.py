"""ComplEx: a complex diagonal a relation."""

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kg.graph.graph import Graph
from kg.models.scorer import DotScorer, Queries, QueryVectors, dropout, tied_relation


@final
class ComplEx(DotScorer):
    """score(h, r, t) = Re(sum_k h_k w_rk conj(t_k)) (Trouillon et al., 2016, eq. 9). encode: (B,), (B,) -> (B, 2 dim).

    `dim` counts complex numbers: a row holds 2 dim reals, the real parts first. A tied inverse is the conjugate;
    own inverses have weights of their own. init: the standard deviation of all parameters at the start.
    """

    def __init__(
        self,
        num_entities: int,
        num_relations: int,
        dim: int = 128,
        tied: bool = False,
        entity_dropout: float = 0.0,
        relation_dropout: float = 0.0,
        init: float = 0.1,
    ) -> None:
        super().__init__(num_entities, num_relations, 2 * dim, entity_dropout)
        self.tied = tied
        self.relation_dropout = relation_dropout
        self.diagonal = nn.Embedding(num_relations if tied else 2 * num_relations, 2 * dim)
        nn.init.normal_(self.table.weight, std=init)
        nn.init.normal_(self.diagonal.weight, std=init)

    def encode(self, queries: Queries) -> QueryVectors:
        weight = dropout(self._diagonals(queries.relation), self.relation_dropout, queries.generator)
        return QueryVectors(product(self.heads(queries), weight), queries.graph)

    def _diagonals(self, relation: Int[Tensor, " B"]) -> Float[Tensor, "B D"]:
        if not self.tied:
            found: Tensor = self.diagonal(relation)
            return found
        forward, inverse = tied_relation(relation, self.num_relations)
        re, im = self.diagonal(forward).chunk(2, dim=1)
        return torch.cat([re, torch.where(inverse[:, None], -im, im)], 1)

    def bilinear_form(self, relation: int) -> Float[Tensor, "D D"]:
        re, im = self._diagonals(torch.tensor([relation], device=self.device))[0].chunk(2)
        return torch.cat([torch.cat([re.diag(), im.diag()], 1), torch.cat([-im.diag(), re.diag()], 1)])

    def score_relations(self, head: Int[Tensor, " B"], tail: Int[Tensor, " B"], graph: Graph) -> Float[Tensor, "B R2"]:
        first, last = self.pair(head, tail, graph)
        head_re, head_im = first.chunk(2, dim=1)
        re, im = last.chunk(2, dim=1)
        of_re, of_im = head_re * re + head_im * im, head_re * im - head_im * re  # what multiplies the parts of w
        scores = torch.cat([of_re, of_im], 1) @ self.diagonal.weight.T
        return torch.cat([scores, torch.cat([of_re, -of_im], 1) @ self.diagonal.weight.T], 1) if self.tied else scores

    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        """The moduli |h_k|, |w_rk|, |t_k|: what the nuclear 3-norm weighs (Lacroix et al., 2018)."""
        head, last = self.pair(queries.head, tail, queries.graph)
        return moduli(head), moduli(self._diagonals(queries.relation)), moduli(last)


def product(x: Float[Tensor, "B D"], w: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """x_k w_k of rows that hold the real parts first."""
    (x_re, x_im), (re, im) = x.chunk(2, dim=1), w.chunk(2, dim=1)
    return torch.cat([x_re * re - x_im * im, x_re * im + x_im * re], 1)


def moduli(x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B K"]:
    """|x_k| of rows that hold the real parts first."""
    re, im = x.chunk(2, dim=-1)
    return (re * re + im * im).clamp_min(1e-30).sqrt()  # the root has no gradient at 0
