"""How similar two entities are, by the walks between them, and what that says of a question (head, relation, ?)."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.sparse import csr_array
from torch import Tensor

from kg.graph.graph import Graph

_DENSE = 0.05  # of a block's numbers not 0: from there on a product with all of them is faster than with a sparse one
_ROWS = 64  # of N numbers: more do not stay in a core's cache, and the product takes up to twice as long

PerEntity = Float[np.ndarray, "B N"]


@dataclass(frozen=True, eq=False)
class Walks:
    """Similarity by the walks of up to K steps from x to y, in the untyped, undirected graph:

        S(x, y) = start(x) * sum over k = 1 ... K of coefficients[k - 1] * G_k(x, y)
        G_1 = A,  G_k = G_{k-1} W A: walks of k steps, each the product of the weights W of the entities it passes

    A(x, y) is 1 where an edge of any relation joins x and y either way, however many do; loops are left out. G is
    symmetric, hence S, too, where `start` is the same for all. matrix: A; onward: W A.
    """

    matrix: csr_array
    onward: csr_array
    coefficients: tuple[float, ...]
    start: Float[np.ndarray, " N"]

    def sums(self, rows: csr_array) -> PerEntity:
        """rows @ G, G the sum over k without `start`; its diagonal is not left out. (B, N) -> (B, N)."""
        total = np.zeros(rows.shape, dtype=np.float32)
        walks: csr_array | PerEntity = rows
        for k, coefficient in enumerate(self.coefficients):
            walks = _product(walks, self.onward if k else self.matrix)
            if coefficient:
                total += np.float32(coefficient) * (walks if isinstance(walks, np.ndarray) else walks.toarray())
        return total

    @cached_property
    def returning(self) -> Float[np.ndarray, " N"]:
        """G(x, x): O(sum of squared degrees) for two steps or three, a few at a time. From one step none returns."""
        total = np.zeros(self.matrix.shape[0], dtype=np.float32)
        back = self.onward.T.tocsr()
        for block in blocks(len(total)):
            walks = self.matrix[block]
            for k, coefficient in enumerate(self.coefficients[1:]):
                if k:
                    walks = walks @ self.onward
                if coefficient:
                    total[block] += np.float32(coefficient) * walks.multiply(back[block]).sum(1)
        return total


def _product(walks: csr_array | PerEntity, matrix: csr_array) -> csr_array | PerEntity:
    """walks @ matrix: sparse as long as that is faster."""
    if not isinstance(walks, np.ndarray):
        if walks.nnz < _DENSE * walks.shape[0] * walks.shape[1]:
            return walks @ matrix
        walks = walks.toarray()
    return np.ascontiguousarray((matrix.T @ np.ascontiguousarray(walks.T)).T)


def blocks(num_rows: int) -> Iterator[slice]:
    """Slices of at most _ROWS rows, one after the other; an empty one of nothing."""
    for start in range(0, max(1, num_rows), _ROWS):
        yield slice(start, min(start + _ROWS, num_rows))


def _sparse(row: Int[np.ndarray, " M"], column: Int[np.ndarray, " M"], shape: tuple[int, int]) -> csr_array:
    """1 at each (row, column)."""
    return csr_array((np.ones(len(row), dtype=np.float32), (row, column)), shape=shape)


@lru_cache(maxsize=2)
def _adjacency(graph: Graph) -> csr_array:
    """(N, N): 1 for every two neighbours."""
    head, tail = graph.head().cpu().numpy(), graph.tail.cpu().numpy()
    num = graph.num_entities
    pairs = np.unique((head * num + tail)[head != tail])
    return _sparse(pairs // num, pairs % num, (num, num))


def _degrees(matrix: csr_array) -> Float[np.ndarray, " N"]:
    degrees: Float[np.ndarray, " N"] = np.diff(matrix.indptr).astype(np.float32)
    return degrees


def _weighted(matrix: csr_array, weight: Float[np.ndarray, " N"]) -> csr_array:
    """diag(weight) @ matrix."""
    data = matrix.data * np.repeat(weight.astype(np.float32), np.diff(matrix.indptr))
    return csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def _ones(matrix: csr_array) -> Float[np.ndarray, " N"]:
    return np.ones(matrix.shape[0], dtype=np.float32)


@lru_cache(maxsize=2)
def common_neighbours(graph: Graph) -> Walks:
    """S(x, y) = number of neighbours that x and y share (Liben-Nowell and Kleinberg, 2007)."""
    matrix = _adjacency(graph)
    return Walks(matrix, matrix, (0.0, 1.0), _ones(matrix))


@lru_cache(maxsize=2)
def adamic_adar(graph: Graph) -> Walks:
    """S(x, y) = sum over the neighbours z they share of 1 / log(number of neighbours of z) (Adamic and Adar, 2003)."""
    matrix = _adjacency(graph)
    degrees = _degrees(matrix)
    weight = 1 / np.log(np.maximum(degrees, 2))  # who has one neighbour is shared by no two
    return Walks(matrix, _weighted(matrix, weight), (0.0, 1.0), _ones(matrix))


@lru_cache(maxsize=2)
def katz(graph: Graph, beta: float) -> Walks:
    """S = beta A + beta^2 A^2 + beta^3 A^3 (Katz, 1953; cut off at three steps: Lü and Zhou, 2011)."""
    matrix = _adjacency(graph)
    return Walks(matrix, matrix, (beta, beta**2, beta**3), _ones(matrix))


@lru_cache(maxsize=2)
def pagerank(graph: Graph, alpha: float) -> Walks:
    """S(x, y) = sum over k = 1 ... 3 of alpha (1 - alpha)^k P(a walker from x is at y after k steps).

    It goes to any of its neighbours alike, and back to x with probability alpha before each step: personalised PageRank
    (Haveliwala, 2002; Jeh and Widom, 2003) by three rounds of power iteration. Not symmetric: S(x, y) / S(y, x) is the
    number of neighbours of y over that of x.
    """
    matrix = _adjacency(graph)
    share = 1 / np.maximum(_degrees(matrix), 1)
    coefficients = tuple(alpha * (1 - alpha) ** k for k in (1, 2, 3))
    return Walks(matrix, _weighted(matrix, share), coefficients, share.astype(np.float32))


@dataclass(frozen=True, eq=False)
class _Pairs:
    """The pairs of directed relation r lie from offsets[r] to offsets[r + 1], by (head, tail)."""

    offsets: Int[np.ndarray, " R3"]
    head: Int[np.ndarray, " E"]
    tail: Int[np.ndarray, " E"]

    def of(self, relation: int) -> tuple[Int[np.ndarray, " F"], Int[np.ndarray, " F"]]:
        """(head, tail)."""
        place = slice(self.offsets[relation], self.offsets[relation + 1])
        return self.head[place], self.tail[place]


@lru_cache(maxsize=2)
def _pairs(graph: Graph) -> _Pairs:
    head, relation, tail = (x.cpu().numpy() for x in (graph.head(), graph.relation, graph.tail))
    order = np.argsort(relation, kind="stable")
    offsets = np.searchsorted(relation[order], np.arange(2 * graph.num_relations + 1))
    return _Pairs(offsets, head[order], tail[order])


def by_similarity(
    walks: Walks, graph: Graph, head: Int[Tensor, " B"], relation: Int[Tensor, " B"], known_weight: float
) -> PerEntity:
    """How much the pairs of the relation speak for each entity t as an answer to (h, r, ?):

        sum over known (h', r, t), h' != h, of S(h', h) + known_weight * sum over known (h, r, t'), t' != t, of S(t', t)

    Entities similar to h have it, or it is similar to what h already has. S is read from the known to the asked.
    O(B (N + F)) beside the walks, F the facts of a relation; some B x N numbers are held, hence ask by `blocks`.
    """
    like_known = _like_known(walks, graph, head, relation)
    return _of_similar_heads(walks, graph, head, relation) + np.float32(known_weight) * like_known


def _of_similar_heads(walks: Walks, graph: Graph, head: Int[Tensor, " B"], relation: Int[Tensor, " B"]) -> PerEntity:
    """The sum over known (h', r, t), h' != h, of S(h', h). (B, N)."""
    ids, place = np.unique(head.cpu().numpy(), return_inverse=True)  # questions about one head often come together
    each = np.arange(len(ids))
    similar = walks.sums(_sparse(each, ids, (len(ids), graph.num_entities))) * walks.start
    similar[each, ids] = 0
    pairs, found = _pairs(graph), np.empty((len(head), graph.num_entities), dtype=np.float32)
    for row, one in enumerate(relation.tolist()):
        other, tail = pairs.of(one)
        found[row] = np.bincount(tail, similar[place[row], other], graph.num_entities)
    return found


def _like_known(walks: Walks, graph: Graph, head: Int[Tensor, " B"], relation: Int[Tensor, " B"]) -> PerEntity:
    """The sum over known (h, r, t'), t' != t, of S(t', t). (B, N)."""
    edges = graph.neighbours(head)
    asks = torch.repeat_interleave(torch.arange(len(head), device=head.device), edges.offsets.diff())
    is_answer = edges.relation == relation[asks]
    row, tail = (x[is_answer].cpu().numpy() for x in (asks, edges.tail))
    found = np.zeros((len(head), graph.num_entities), dtype=np.float32)
    asked, place = np.unique(row, return_inverse=True)
    if not len(asked):
        return found
    known = _sparse(place, tail, (len(asked), graph.num_entities))
    known.data *= walks.start[known.indices]
    found[asked] = walks.sums(known)
    itself = walks.start[tail] * walks.returning[tail]
    found[row, tail] = np.maximum(found[row, tail] - itself, 0)  # a rounding must not bring it below 0
    return found


def by_attachment(graph: Graph, head: Int[Tensor, " B"], relation: Int[Tensor, " B"]) -> PerEntity:
    """Of each entity t, the number of edges that it has and of those that h has:

        k(h, r) * k(t, r^-1),  k(x, r) = edges (x, r, .) + 0.1 * (1 + edges of x / 2R)

    Preferential attachment (Liben-Nowell and Kleinberg, 2007), a relation and a direction at a time. The summand is
    what x would have had its edges no preference, and keeps a head or a relation without facts from making all alike.
    """
    least = 0.1 * (1 + graph.degree().cpu().numpy() / (2 * graph.num_relations))
    pairs, found = _pairs(graph), np.empty((len(head), graph.num_entities), dtype=np.float32)
    for one in torch.unique(relation).tolist():
        leaving, arriving = (np.bincount(ends, minlength=graph.num_entities) + least for ends in pairs.of(one))
        is_asked = (relation == one).cpu().numpy()
        found[is_asked] = leaving[head.cpu().numpy()[is_asked], None] * arriving
    return found


def shared_edges(graph: Graph, entity: int, others: Int[Tensor, " K"]) -> Float[Tensor, " K"]:
    """Of the edges (relation, tail) that the entity or the other has, the share that both have (Jaccard, 1901).

    Unlike walks it sees relations and directions. O(edges of all of them).
    """
    found = graph.neighbours(torch.cat([others.new_tensor([entity]), others]))
    count = found.offsets.diff()
    edge = found.relation * graph.num_entities + found.tail
    row = torch.repeat_interleave(torch.arange(len(count), device=edge.device), count)
    both = torch.bincount(row[torch.isin(edge, edge[: count[0]])], minlength=len(count))[1:]
    return both / (count[0] + count[1:] - both).clamp(min=1)
