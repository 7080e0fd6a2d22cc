"""A graph of integers: compressed rows of edges, inverses included."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kg.graph.ids import ordered

if TYPE_CHECKING:
    from torch_geometric.data import Data


def with_inverses(hrt: Int[Tensor, "T 3"], num_relations: int) -> Int[Tensor, "D 3"]:
    """The triples, then each one turned round: (t, r + R, h). (T, 3) -> (2T, 3)."""
    head, relation, tail = hrt.unbind(1)
    return torch.cat([hrt, torch.stack([tail, relation + num_relations, head], 1)])


def distinct(hrt: Int[Tensor, "T 3"], num_relations: int) -> Int[Tensor, "S 3"]:
    """Directed triples once each, sorted: torch.unique(dim=0), but by one number a triple, at many times the speed."""
    if not len(hrt):
        return hrt
    head, relation, tail = hrt.unbind(1)
    width, num_tails = 2 * num_relations, int(tail.max()) + 1
    key = rising((head * width + relation) * num_tails + tail)
    question = key // num_tails
    return torch.stack([question // width, question % width, key % num_tails], 1)


def rising(keys: Int[Tensor, " T"]) -> Int[Tensor, " S"]:
    """Each once, sorted: torch.unique, whose sort takes eight times as long on a CPU."""
    return torch.from_numpy(ordered(keys.numpy())) if keys.device.type == "cpu" else torch.unique(keys)


def spans(start: Int[Tensor, " B"], count: Int[Tensor, " B"]) -> tuple[Int[Tensor, " K"], Int[Tensor, " K"]]:
    """(row, place) of every entry of B stretches start ... start + count - 1, one stretch after the other."""
    row = torch.repeat_interleave(torch.arange(len(start), device=start.device), count)
    within = torch.arange(len(row), device=start.device) - (count.cumsum(0) - count)[row]
    return row, start[row] + within


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The edges that leave B entities, ragged: row b holds `offsets[b]:offsets[b + 1]`."""

    relation: Int[Tensor, " M"]
    tail: Int[Tensor, " M"]
    offsets: Int[Tensor, " B1"]

    def padded(self) -> tuple[Int[Tensor, "B K"], Int[Tensor, "B K"], Bool[Tensor, "B K"]]:
        """(relation, tail, mask), each (B, K) with K the longest row; the mask is True on real edges, padding is 0."""
        count = self.offsets.diff()
        longest = int(count.max()) if len(count) else 0
        mask = torch.arange(longest, device=count.device) < count[:, None]
        relation = self.relation.new_zeros(mask.shape).masked_scatter_(mask, self.relation)
        tail = self.tail.new_zeros(mask.shape).masked_scatter_(mask, self.tail)
        return relation, tail, mask


@dataclass(frozen=True, eq=False)
class Graph:
    """N entities, R relations, and every edge with its inverse, sorted by (head, relation, tail).

    Edge e of head h lies at `offsets[h] <= e < offsets[h + 1]`; relation r + R is the inverse of r. Each edge is held
    once, however often it was given.
    """

    num_entities: int
    num_relations: int
    offsets: Int[Tensor, " N1"]
    relation: Int[Tensor, " E"]
    tail: Int[Tensor, " E"]

    @classmethod
    def from_triples(cls, hrt: Int[Tensor, "T 3"], num_entities: int, num_relations: int) -> "Graph":
        """Edges and inverses of the triples. O(T log T)."""
        directed = distinct(with_inverses(hrt, num_relations), num_relations)
        return cls.from_sorted(directed.T, num_entities, num_relations)

    @classmethod
    def from_sorted(cls, hrt: Int[Tensor, "3 E"], num_entities: int, num_relations: int) -> "Graph":
        """Of edges and their inverses, each once and sorted. O(E + N)."""
        head, relation, tail = hrt
        offsets = torch.zeros(num_entities + 1, dtype=torch.long, device=head.device)
        torch.cumsum(torch.bincount(head, minlength=num_entities), 0, out=offsets[1:])
        return cls(num_entities, num_relations, offsets, relation.contiguous(), tail.contiguous())

    def changed(self, added: Int[Tensor, "A 3"], removed: Int[Tensor, "D 3"]) -> "Graph":
        """With triples that it lacks, and without some that it has. O(E + A log E): what stays is not sorted again."""
        num, num_entities = self.num_relations, self.num_entities

        came, gone = (distinct(with_inverses(each, num), num) for each in (added, removed))
        own = self._keys
        stays = torch.ones_like(own, dtype=torch.bool)
        stays[torch.searchsorted(own, self._key(*gone.T))] = False
        place = torch.searchsorted(own[stays], self._key(*came.T)) + torch.arange(len(came), device=own.device)
        is_new = torch.zeros(int(stays.sum()) + len(came), dtype=torch.bool, device=own.device)
        is_new[place] = True
        columns = []
        for old, new in ((self.relation, came[:, 1]), (self.tail, came[:, 2])):
            column = old.new_empty(len(is_new))
            column[is_new], column[~is_new] = new, old[stays]
            columns.append(column)
        degree = torch.bincount(came[:, 0], minlength=num_entities) - torch.bincount(gone[:, 0], minlength=num_entities)
        degree += self.degree()
        offsets = torch.cat([degree.new_zeros(1), degree.cumsum(0)])
        return Graph(num_entities, num, offsets, *columns)

    def renumbered(self, ids: Int[Tensor, " N"], num_entities: int) -> "Graph":
        """With these ids for its entities, whose order stays; -1 for those that go, which have no edge. O(E + N)."""
        stays = ids >= 0
        degree = ids.new_zeros(num_entities)
        degree[ids[stays]] = self.degree()[stays]
        offsets = torch.cat([degree.new_zeros(1), degree.cumsum(0)])
        return Graph(num_entities, self.num_relations, offsets, self.relation, ids[self.tail])

    @property
    def num_edges(self) -> int:
        """Edges with their inverses: twice the number of facts."""
        return len(self.tail)

    def degree(self) -> Int[Tensor, " N"]:
        """Edges that leave each entity, inverses included."""
        return self.offsets.diff()

    @cached_property
    def popularity(self) -> Float[Tensor, " N"]:
        """The running sums, up to each entity, of max(its edges, 1)^.75: the chances of a draw by degree."""
        return self.degree().clamp(min=1).double().pow(0.75).cumsum(0)

    def head(self) -> Int[Tensor, " E"]:
        return torch.repeat_interleave(torch.arange(self.num_entities, device=self.tail.device), self.degree())

    def to(self, device: torch.device | str) -> "Graph":
        offsets, relation, tail = (x.to(device) for x in (self.offsets, self.relation, self.tail))
        return Graph(self.num_entities, self.num_relations, offsets, relation, tail)

    def hide(self, hrt: Int[Tensor, "T 3"], pairs: bool = False) -> "Graph":
        """This graph without these edges and their inverses; with `pairs`, without any edge between the two ends.

        A relation may be given in either direction. O(E) to copy the others, O(T log E) to find them; a new graph, this
        one is unchanged.
        """
        num = self.num_relations
        head, relation, tail = with_inverses(hrt, 2 * num).unbind(1)
        relation = torch.where(relation < 2 * num, relation, (relation - num) % (2 * num))
        keys, edge = self._keys_of_pairs if pairs else (self._keys, None)
        key = head * self.num_entities + tail if pairs else self._key(head, relation, tail)
        first = torch.searchsorted(keys, key)
        _, place = spans(first, torch.searchsorted(keys, key, right=True) - first)
        gone = place if edge is None else edge[place]
        stays = torch.ones_like(self.tail, dtype=torch.bool)
        stays[gone] = False
        lost = torch.searchsorted((~stays).nonzero().flatten(), self.offsets)  # before each head
        return Graph(self.num_entities, num, self.offsets - lost, self.relation[stays], self.tail[stays])

    def _key(self, head: Tensor, relation: Tensor, tail: Tensor) -> Int[Tensor, " T"]:
        return (head * (2 * self.num_relations) + relation) * self.num_entities + tail

    @cached_property
    def _keys(self) -> Int[Tensor, " E"]:
        """A number an edge, which rises as edges are sorted."""
        return self._key(self.head(), self.relation, self.tail)

    @cached_property
    def _keys_of_pairs(self) -> tuple[Int[Tensor, " E"], Int[Tensor, " E"]]:
        """head * N + tail of every edge, sorted, and the edge of each."""
        keys, edge = (self.head() * self.num_entities + self.tail).sort()
        return keys, edge

    def between(self, head: int, tail: int) -> list[int]:
        """The directed relations of the edges from head to tail. O(degree)."""
        start, stop = self.offsets[head : head + 2].tolist()
        found: list[int] = self.relation[start:stop][self.tail[start:stop] == tail].tolist()
        return found

    def neighbours(
        self, head: Int[Tensor, " B"], limit: int | None = None, generator: torch.Generator | None = None
    ) -> Neighbours:
        """The edges that leave these entities, in order of (relation, tail).

        With `limit`, at most so many a row, drawn without replacement by `generator` (required then). O(edges found).
        """
        start, count = self.offsets[head], self.degree()[head]
        row = torch.repeat_interleave(torch.arange(len(head), device=head.device), count)
        within = torch.arange(len(row), device=head.device) - (count.cumsum(0) - count)[row]
        if limit is not None:
            if generator is None:
                raise ValueError("a limit on neighbours draws at random: give a generator")
            chosen = _draw(row, count, limit, generator)
            row, within, count = row[chosen], within[chosen], count.clamp(max=limit)
        edge = start[row] + within
        offsets = torch.cat([count.new_zeros(1), count.cumsum(0)])
        return Neighbours(self.relation[edge], self.tail[edge], offsets)

    def to_pyg(self) -> "Data":
        """torch_geometric `Data`: `edge_index` (2, E), `edge_type` (E,), inverses included as types R ... 2R - 1."""
        from torch_geometric.data import Data

        return Data(
            edge_index=torch.stack([self.head(), self.tail]),
            edge_type=self.relation,
            num_nodes=self.num_entities,
        )


def _draw(
    row: Int[Tensor, " M"], count: Int[Tensor, " B"], limit: int, generator: torch.Generator
) -> Int[Tensor, " S"]:
    """Positions of at most `limit` entries a row, in their old order."""
    key = row + torch.rand(len(row), generator=generator, device=row.device, dtype=torch.float64)
    order = key.argsort()
    place = torch.arange(len(row), device=row.device) - (count.cumsum(0) - count)[row]
    return order[place < limit].sort().values
