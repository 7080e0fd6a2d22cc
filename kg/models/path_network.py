"""PathNetwork: an answer's score is read off the paths that lead to it."""

from functools import partial
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kg.errors import check_at_least_one
from kg.graph.graph import Graph
from kg.models.last import Last
from kg.models.path_scorer import Conditions, PathHop, PathScorer
from kg.models.scorer import Queries
from kg.models.tables import RelationWeights

_INIT = 0.2  # of vectors of relations: they turn the faster under Adam the smaller they are


@final
class PathNetwork(PathScorer):
    """score(h, r, t) = prior_r(t) + path_r(h, t): nothing is known of an entity but its edges.

    path: a state spreads from h along edges, hop by hop, and depends on r from the start. With q the vector of r,
    x_h = q and no other node reached, hop l gives every node y that is reached now

        m_y = [y = h] q + sum over edges (x, s, y) from expanded x of  sigmoid(p_x) a(x, s, r) (x_x + w_s)
        x_y <- x_y + relu(LayerNorm(W m_y + V x_y + U q)),     p_y = u . x_y

    with the attention a = sigmoid(b + c . relu(A x_x + B_s + C q)) (Zhang and Yao, 2022). path is the sum of the p_y of
    all hops and of a perceptron of the last x_y and q; 0 for what is not reached. So p, by which the `max_nodes` best
    nodes of a question are chosen to be expanded in the next hop, is trained in every hop. message 'times': x_x * w_s,
    as in NBFNet (Zhu et al., 2021). aggregation 'mean' divides m by the root of the number of its messages plus 1.

    prior: a product of a vector of r and the sum of vectors of the relations at t, over the root of their number plus
    1: it ranks what no path reaches. It needs no entity to be known from training.
    """

    def __init__(
        self,
        num_entities: int,
        num_relations: int,
        dim: int = 32,
        num_layers: int = 4,
        max_nodes: int = 1000,
        message: Literal["add", "times"] = "add",
        aggregation: Literal["sum", "mean"] = "sum",
        attention_dim: int = 8,
        prior_dim: int = 16,
        hidden_dropout: float = 0.0,
    ) -> None:
        super().__init__(num_entities, num_relations, max_nodes, hidden_dropout)
        check_at_least_one(dim=dim, attention_dim=attention_dim, prior_dim=prior_dim)
        self.asked = RelationWeights(num_relations, dim)
        self.sought = RelationWeights(num_relations, prior_dim)
        self.profile = RelationWeights(num_relations, prior_dim)
        made = partial(_Layer, num_relations, dim, attention_dim, message == "times", aggregation == "mean")
        self.layers = nn.ModuleList(made() for _ in range(num_layers))
        self.inner, self.asking, self.outer = nn.Linear(dim, dim), nn.Linear(dim, dim, bias=False), nn.Linear(dim, 1)
        self._last: Last[Tensor] = Last()
        self.asked.draw(_INIT)
        self.sought.draw(0.1)
        self.profile.draw(0.1)

    def conditions(self, queries: Queries) -> Conditions:
        return Conditions(
            self.asked.rows(queries.relation),
            [layer.tables() for layer in self.layers if isinstance(layer, _Layer)],
            torch.zeros_like(queries.relation),
            self.sought.rows(queries.relation),
            self.profile.every(),
        )

    def _profiles(self, graph: Graph, profile: Float[Tensor, "R2 P"]) -> Float[Tensor, "N P"]:
        """Without gradients computed once a graph."""
        compute = partial(super()._profiles, graph, profile)
        return compute() if torch.is_grad_enabled() else self._last.of(self, graph, compute)


@final
class _Layer(PathHop):
    """A hop with vectors of its own for relations."""

    def __init__(self, num_relations: int, dim: int, attention_dim: int, times: bool, mean: bool) -> None:
        vector, relation_key = (RelationWeights(num_relations, size) for size in (dim, attention_dim))
        super().__init__(dim, attention_dim, times, mean)  # draws after these, as it always has
        self.vector, self.relation_key = vector, relation_key
        self.vector.draw(_INIT)
        self.relation_key.draw(attention_dim**-0.5)

    def tables(self) -> tuple[Float[Tensor, "R2 D"], Float[Tensor, "R2 A"]]:
        return self.vector.every(), self.relation_key.every()
