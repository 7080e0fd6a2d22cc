"""A graph as loops over its edges want it: NumPy rows, without the edges that no rule may use."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int

from kg.graph.graph import Graph
from kg.walks.compiled import compiled


class Edges(NamedTuple):
    """Edges of a Graph, inverses included, loops left out: variables of a rule stand for distinct entities.

    Edges of entity x lie from offsets[x] to offsets[x + 1], by (relation, tail). The `heads` of relation r lie from
    head_offsets[r] to head_offsets[r + 1], in an order that is random but always the same: a part of them is a sample.
    """

    num_relations: int
    offsets: Int[np.ndarray, " N1"]
    relation: Int[np.ndarray, " E"]
    tail: Int[np.ndarray, " E"]
    head_offsets: Int[np.ndarray, " R3"]
    heads: Int[np.ndarray, " H"]


@lru_cache(maxsize=2)
def edges_of(graph: Graph) -> Edges:
    """O(E log E), kept for the last two graphs asked for."""
    head, relation, tail = (x.cpu().numpy() for x in (graph.head(), graph.relation, graph.tail))
    kept = head != tail
    head, relation, tail = head[kept], relation[kept], tail[kept]
    offsets = np.zeros(graph.num_entities + 1, dtype=np.int64)
    np.cumsum(np.bincount(head, minlength=graph.num_entities), out=offsets[1:])
    pairs = np.unique(relation * graph.num_entities + head)
    of_relation, heads = pairs // graph.num_entities, pairs % graph.num_entities
    shuffled = torch.randperm(graph.num_entities, generator=torch.Generator().manual_seed(0)).numpy()
    head_offsets = np.searchsorted(of_relation, np.arange(2 * graph.num_relations + 1))
    order = np.lexsort((shuffled[heads], of_relation))
    return Edges(
        graph.num_relations,
        offsets,
        relation.astype(np.int32),
        tail.astype(np.int32),
        head_offsets.astype(np.int64),
        heads[order].astype(np.int32),
    )


def check_questions(graph: Graph, heads: Int[np.ndarray, " B"], relations: Int[np.ndarray, " B"]) -> None:
    """IndexError for numbers outside of the graph: the compiled loops would look them up outside of their arrays."""
    for numbers, count in ((heads, graph.num_entities), (relations, 2 * graph.num_relations)):
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < count:
            raise IndexError(f"expected numbers from 0 to {count - 1:,}: got {numbers.min()} to {numbers.max()}")


def check_relations(graph: Graph, num_relations: int) -> None:
    """ValueError unless the graph has so many: rows of a relation would be looked up outside of their arrays."""
    if graph.num_relations != num_relations:
        raise ValueError(f"paths of {num_relations:,} relations lead nowhere in a graph of {graph.num_relations:,}")


@compiled
def span(edges: Edges, entity: int, relation: int) -> tuple[int, int]:
    """Where the edges of this entity with this relation lie: start and stop. O(log degree)."""
    low, high = edges.offsets[entity], edges.offsets[entity + 1]
    end = high
    while low < high:
        middle = (low + high) // 2
        if edges.relation[middle] < relation:
            low = middle + 1
        else:
            high = middle
    start = low
    high = end
    while low < high:
        middle = (low + high) // 2
        if edges.relation[middle] <= relation:
            low = middle + 1
        else:
            high = middle
    return start, low


@compiled
def leads_to(edges: Edges, head: int, relation: int, tail: int) -> bool:
    """Whether this edge is there. O(log degree)."""
    low, high = edges.offsets[head], edges.offsets[head + 1]
    while low < high:
        middle = (low + high) // 2
        found = edges.relation[middle]
        if found < relation or (found == relation and edges.tail[middle] < tail):
            low = middle + 1
        else:
            high = middle
    return bool(low < edges.offsets[head + 1] and edges.relation[low] == relation and edges.tail[low] == tail)
