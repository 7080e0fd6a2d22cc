"""What relations have in common, by the entities that they stand at: nothing of their names."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import sparse
from torch import Tensor

from kg.graph.graph import Graph
from kg.graph.ids import packed

SHARES = ("heads in heads", "tails in tails", "heads in tails", "tails in heads", "pairs in pairs")
FIGURES = ("facts", "facts a head", "facts a tail", "heads", "symmetry", "entities", "facts an entity", "relations")


class RelationGraph(NamedTuple):
    """Of the 2R directed relations of a graph. share[k, r, s]: the root of the share of r's heads that are heads of s,
    and so on, as SHARES has them. figures[r]: logarithms, roots and shares, as FIGURES has them.
    """

    share: Float[Tensor, "K R2 R2"]
    figures: Float[Tensor, "R2 F"]


@lru_cache(maxsize=2)
def relation_graph_of(graph: Graph) -> RelationGraph:
    """O(edges + what pairs of relations share + R^2), kept for the last two graphs asked for: 20 bytes for each two of
    the 2R, and as many once more while it is made (80 MB each for 1,000 relations)."""
    offsets, relation, tail = (x.cpu().numpy() for x in (graph.offsets, graph.relation, graph.tail))
    num, entities = 2 * graph.num_relations, graph.num_entities
    head = np.repeat(np.arange(entities), np.diff(offsets))
    inverse = (np.arange(num) + graph.num_relations) % max(1, num)
    at_head = _incidence(relation, head, (num, entities))
    pair = np.unique(packed((head, tail), (entities, entities)), return_inverse=True)[1].reshape(-1)
    of_pair = _incidence(relation, pair, (num, len(head)))
    together, same = (_shared(each) for each in (at_head, of_pair))
    heads, facts = np.maximum(together.diagonal(), 1), np.maximum(same.diagonal(), 1)
    of_head, of_tail = heads[:, None], heads[inverse][:, None]
    share = np.empty((len(SHARES), num, num), dtype=np.float32)
    share[0] = together / of_head
    share[1] = together[inverse][:, inverse] / of_tail
    share[2] = together[:, inverse] / of_head
    share[3] = together[inverse] / of_tail
    share[4] = same / facts[:, None]
    np.sqrt(share, out=share)
    size = np.array([np.log1p(entities) / 10, np.log1p(len(head) / max(1, entities)), np.log1p(num) / 5])
    figures = [
        np.log1p(same.diagonal()) / 10,
        np.log(facts / heads),
        np.log(facts / heads[inverse]),
        np.sqrt(heads / max(1, entities)),
        same[np.arange(num), inverse] / facts,
        *np.repeat(size[:, None], num, 1),
    ]
    made = (share, np.stack(figures, 1).astype(np.float32))
    return RelationGraph(*(torch.from_numpy(x).to(graph.tail.device) for x in made))


def _incidence(
    row: Int[np.ndarray, " E"], column: Int[np.ndarray, " E"], shape: tuple[int, int]
) -> "sparse.csr_matrix[np.float64]":
    """1 where they occur together, however often."""
    made = sparse.csr_matrix((np.ones(len(row)), (row, column)), shape=shape)
    made.data[:] = 1
    return made


def _shared(incidence: "sparse.csr_matrix[np.float64]") -> Float[np.ndarray, "R2 R2"]:
    return np.asarray((incidence @ incidence.T).toarray())
