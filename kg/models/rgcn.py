"""R-GCN: relational graph convolutions."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric import EdgeIndex
from torch_geometric.nn import MessagePassing

from kg.graph.graph import Graph
from kg.models.dropout import dropout
from kg.models.encoder import GraphEncoder, Messages, Vectors, receivers


@final
class RGCN(GraphEncoder):
    """DistMult over entity vectors of relational graph convolutions (Schlichtkrull et al., 2018).

    A layer gives x'_i = W_0 x_i + sum_r 1 / |N_r(i)| sum_{j in N_r(i)} W_r x_j over the 2R directed relations, with
    W_r = sum_b a_rb V_b of `num_bases` matrices; between layers stands a ReLU.
    hidden_dropout: the share of numbers left out of what each layer gives.
    """

    def __init__(
        self,
        num_entities: int,
        num_relations: int,
        dim: int = 128,
        num_layers: int = 2,
        num_bases: int = 2,
        entity_dropout: float = 0.0,
        relation_dropout: float = 0.0,
        hidden_dropout: float = 0.0,
        init: float = 0.1,
    ) -> None:
        super().__init__(num_entities, num_relations, dim, entity_dropout, relation_dropout, init)
        self.hidden_dropout = hidden_dropout
        self.layers = nn.ModuleList(_RelationalConvolution(dim, num_relations, num_bases) for _ in range(num_layers))

    def layers_over(self, x: Float[Tensor, "N D"], graph: Graph, generator: torch.Generator | None) -> Vectors:
        messages, share = Messages.along(graph), _shares(graph)
        for number, layer in enumerate(self.layers):
            x = layer(x.relu() if number else x, messages, share)
            x = dropout(x, self.hidden_dropout, generator)
        return Vectors(x, self.diagonal.every())


def _shares(graph: Graph) -> Float[Tensor, " E"]:
    """1 / |N_r(i)| of every edge (i, r, j): edges are sorted by (i, r)."""
    question = graph.head() * (2 * graph.num_relations) + graph.relation
    _, group, count = torch.unique_consecutive(question, return_inverse=True, return_counts=True)
    share: Tensor = count.float().reciprocal()
    return share[group]


class _RelationalConvolution(MessagePassing):  # type: ignore[misc]
    """One layer. Vectors are summed over the edges first, once a basis, and multiplied by the basis then."""

    SUPPORTS_FUSED_EDGE_INDEX = True

    def __init__(self, dim: int, num_relations: int, num_bases: int) -> None:
        super().__init__(aggr="sum")
        self.basis = nn.Parameter(torch.empty(num_bases, dim, dim))
        self.coefficient = nn.Parameter(torch.empty(2 * num_relations, num_bases))
        self.loop = nn.Parameter(torch.empty(dim, dim))
        for matrix in (*self.basis, self.coefficient, self.loop):
            nn.init.xavier_uniform_(matrix)

    def forward(self, x: Float[Tensor, "N D"], messages: Messages, share: Float[Tensor, " E"]) -> Float[Tensor, "N D"]:
        weights = nn.functional.embedding(messages.relation, self.coefficient) * share[:, None]  # (E, bases)
        sums = [self.propagate(messages.edge_index, x=x, weight=weight) for weight in weights.T.contiguous()]
        return torch.cat(sums, 1) @ self.basis.flatten(0, 1) + x @ self.loop

    def message(self, x_j: Tensor, weight: Tensor) -> Tensor:
        return weight[:, None] * x_j  # (E, D)

    def message_and_aggregate(self, edge_index: EdgeIndex, x: Tensor, weight: Tensor) -> Tensor:
        """The sum of all messages without the messages: nothing of size (E, D) is made, on the way back neither."""
        offsets, senders = receivers(edge_index)
        sums: Tensor = nn.functional.embedding_bag(
            senders, x, offsets, mode="sum", per_sample_weights=weight, include_last_offset=True
        )
        return sums
