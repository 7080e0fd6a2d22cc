"""ConvE: a convolution over the images of head and relation."""

import math
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kg.errors import UserError
from kg.models.batch_norm import BatchNorm
from kg.models.dropout import dropout
from kg.models.scorer import DotScorer, Queries, QueryVectors
from kg.models.tables import RelationWeights


@final
class ConvE(DotScorer):
    """score(h, r, t) = relu(vec(relu([h; w_r] * filters)) W) . t + b_t (Dettmers et al., 2018, eq. 1).

    encode: (B,), (B,) -> (B, dim + 1). The vectors of head and relation are folded into images of height x width = dim,
    as square as dim allows, and stacked; `channels` filters of 3 x 3 pass over them, and W brings the maps back to dim.
    Batch normalisation follows the stack, the filters and W. The bias b_t is the last column of an entity's row.

    Inverses have vectors of their own: the form does not turn around.
    feature_map_dropout: on whole maps. projection_dropout: after W. init: the standard deviation of all vectors at the
    start. UserError where dim folds into no image of at least 2 x 3.
    """

    def __init__(
        self,
        num_entities: int,
        num_relations: int,
        dim: int = 200,
        channels: int = 32,
        entity_dropout: float = 0.0,
        relation_dropout: float = 0.0,
        feature_map_dropout: float = 0.0,
        projection_dropout: float = 0.0,
        init: float = 0.1,
    ) -> None:
        super().__init__(num_entities, num_relations, dim + 1, entity_dropout)
        self.feature_map_dropout = feature_map_dropout
        self.projection_dropout = projection_dropout
        height = max(side for side in range(1, math.isqrt(dim) + 1) if dim % side == 0)
        self.image = (2 * height, dim // height)
        if height < 2 or self.image[1] < 3:
            raise UserError(
                f"ConvE folds dim into an image of at least 2 x 3: got {dim}, which is {height} x {self.image[1]}"
            )
        self.relation = RelationWeights(num_relations, dim, dropout=relation_dropout)
        self.filters = nn.Conv2d(1, channels, 3, bias=False)  # the normalisation after it has one
        self.projection = nn.Linear(channels * (self.image[0] - 2) * (self.image[1] - 2), dim, bias=False)
        self.norms = nn.ModuleList([BatchNorm(1), BatchNorm(channels), BatchNorm(dim)])
        self.table.draw(init, num_biases=1)
        self.relation.draw(init)

    def check_arrays(self) -> None:
        if any(float(norm.get_buffer("running_var").min()) < 0 for norm in self.norms):
            raise ValueError("norms hold a variance below 0")

    def encode(self, queries: Queries) -> QueryVectors:
        draw = queries.generator
        of_stack, of_maps, of_vector = self.norms
        relation = self.relation.rows(queries.relation, draw)
        stack = torch.cat([self.heads(queries)[:, :-1], relation], 1)
        stack = stack.view(-1, 1, *self.image)  # (B, 1, 2 height, width)
        maps = of_maps(self.filters(of_stack(stack, draw)), draw).relu()  # (B, channels, 2 height - 2, width - 2)
        maps = maps * dropout(maps.new_ones(*maps.shape[:2], 1, 1), self.feature_map_dropout, draw)
        vector = dropout(self.projection(maps.flatten(1)), self.projection_dropout, draw)
        vector = of_vector(vector, draw).relu()
        return QueryVectors(torch.cat([vector, vector.new_ones(len(vector), 1)], 1), queries.graph)  # 1 for the bias

    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        """h, w_r, and t with its bias: filters and projection belong to no fact and are not weighed."""
        head, last = self.pair(queries.head, tail, queries.graph)
        return head[:, :-1], self.relation.rows(queries.relation), last
