"""PretrainedPathNetwork: a path network for any graph: its vectors of relations come from the graph itself."""

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kg.errors import check_at_least_one
from kg.graph.graph import Graph
from kg.models.path_scorer import Conditions, PathHop, PathScorer
from kg.models.scorer import Queries
from kg.walks.relation_graph import FIGURES, SHARES, relation_graph_of

_CONVOLVED = 4  # the first of SHARES, along which vectors of relations are passed on


@final
class PretrainedPathNetwork(PathScorer):
    """PathNetwork's formula, with vectors of relations that are computed anew for each relation q that is asked:

        z_s = MLP(figures of s and of q, what s and q share, [s = q], [s = inverse of q])
        z_s <- z_s + relu(LayerNorm(W z_s + sum over k of W_k mean of z_u by share_k(s, u))),  num_convolutions times

    of the directed relations s of the graph: see kg.walks.relation_graph. Each hop has linear maps from z_s to the
    vector w_s and the key of s, another gives q its own from z_q, and the prior of t is the sum over the edges
    (t, s, x) of a linear function of z_s, over the root of their number plus 1. After ULTRA (Galkin et al., 2024),
    whose vectors of relations see that two relations share entities, but not how many.

    So no weight belongs to a relation or an entity: weights that were trained on some graphs answer on others, whatever
    their relations are called. Messages are divided by the root of their number plus 1.
    """

    def __init__(
        self,
        num_entities: int,
        num_relations: int,
        dim: int = 32,
        num_layers: int = 5,
        max_nodes: int = 5000,
        num_convolutions: int = 2,
        attention_dim: int = 8,
        hidden_dropout: float = 0.0,
    ) -> None:
        super().__init__(num_entities, num_relations, max_nodes, hidden_dropout)
        check_at_least_one(dim=dim, num_layers=num_layers, attention_dim=attention_dim)
        inputs = 2 * len(FIGURES) + 2 * len(SHARES) + 2
        self.relation = nn.Sequential(nn.Linear(inputs, dim), nn.ReLU(), nn.Linear(dim, dim))
        self.convolutions = nn.ModuleList(_Convolution(dim) for _ in range(num_convolutions))
        self.asked, self.profile = nn.Linear(dim, dim), nn.Linear(dim, 1)
        self.layers = nn.ModuleList(PathHop(dim, attention_dim, times=False, mean=True) for _ in range(num_layers))
        self.vectors = nn.ModuleList(nn.Linear(dim, dim) for _ in range(num_layers))
        self.keys = nn.ModuleList(nn.Linear(dim, attention_dim) for _ in range(num_layers))
        self.inner, self.asking, self.outer = nn.Linear(dim, dim), nn.Linear(dim, dim, bias=False), nn.Linear(dim, 1)

    def conditions(self, queries: Queries) -> Conditions:
        asked, table = torch.unique(queries.relation, return_inverse=True)
        z = self.relations(queries.graph, asked)
        every, kept = z.flatten(0, 1), self.outer.weight.dtype  # messages are sums, which bfloat16 would lose
        own = self.asked(z[torch.arange(len(asked), device=z.device), asked])
        return Conditions(
            own[table].to(kept),
            [
                (vector(every).to(kept), key(every).to(kept))
                for vector, key in zip(self.vectors, self.keys, strict=True)
            ],
            table,
            nn.functional.one_hot(table, len(asked)).to(kept),
            self.profile(z)[:, :, 0].T.contiguous().to(kept),
        )

    def relations(self, graph: Graph, asked: Int[Tensor, " G"]) -> Float[Tensor, "G R2 D"]:
        """The vectors of all directed relations, for each that is asked."""
        share, figures = relation_graph_of(graph)
        num = len(figures)
        of_both = figures.expand(len(asked), num, -1), figures[asked][:, None].expand(-1, num, -1)
        shared = share[:, asked].permute(1, 2, 0), share[:, :, asked].permute(2, 1, 0)
        places = torch.arange(num, device=asked.device)
        inverse = (asked + num // 2) % num
        labels = torch.stack([places == asked[:, None], places == inverse[:, None]], 2).to(share.dtype)
        z: Tensor = self.relation(torch.cat([*of_both, *shared, labels], 2))
        means = share[:_CONVOLVED] / share[:_CONVOLVED].sum(2, keepdim=True).clamp(min=1e-6)
        for convolution in self.convolutions:
            z = convolution(z, means)
        return z


@final
class _Convolution(nn.Module):
    """Vectors of relations, changed by those of the relations that they share entities with."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.own, self.others = nn.Linear(dim, dim), nn.Linear(_CONVOLVED * dim, dim, bias=False)
        self.norm = nn.LayerNorm(dim)

    def forward(self, z: Float[Tensor, "G R2 D"], means: Float[Tensor, "K R2 R2"]) -> Float[Tensor, "G R2 D"]:
        came = torch.einsum("krs,gsd->grkd", means, z).flatten(2)
        found: Tensor = z + self.norm(self.own(z) + self.others(came)).relu()
        return found
