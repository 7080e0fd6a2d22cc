"""Which answers are known: (head, relation) -> tails, for filtering and for telling known from new."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kg.graph.graph import Graph, distinct, rising, spans, with_inverses


def asked(hrt: Int[Tensor, "T 3"], num_relations: int) -> Int[Tensor, " M"]:
    """The `questions` of KnownAnswers alone. O(T log T)."""
    head, relation, tail = hrt.unbind(1)
    num = 2 * num_relations
    return rising(torch.cat([head * num + relation, tail * num + relation + num_relations]))


@dataclass(frozen=True, eq=False)
class KnownAnswers:
    """The tails of every (head, relation) that has one; relation r + R asks for the heads of r.

    `questions` holds the M distinct keys head * 2R + relation, sorted; the answers of the i-th are
    `tails[offsets[i]:offsets[i + 1]]`, sorted.
    """

    num_relations: int
    questions: Int[Tensor, " M"]
    offsets: Int[Tensor, " M1"]
    tails: Int[Tensor, " F"]

    @classmethod
    def from_triples(cls, hrt: Int[Tensor, "T 3"], num_relations: int) -> "KnownAnswers":
        """Both directions of every triple; a triple given twice counts once. O(T log T)."""
        return cls._from_sorted(distinct(with_inverses(hrt, num_relations), num_relations).T, num_relations)

    @classmethod
    def from_graph(cls, graph: Graph) -> "KnownAnswers":
        """The answers that the edges of a graph give, which are in the same order. O(E), and shares its tails."""
        return cls._from_sorted((graph.head(), graph.relation, graph.tail), graph.num_relations)

    @classmethod
    def _from_sorted(cls, hrt: Iterable[Int[Tensor, " E"]], num_relations: int) -> "KnownAnswers":
        head, relation, tail = hrt
        questions, counts = torch.unique_consecutive(head * (2 * num_relations) + relation, return_counts=True)
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        return cls(num_relations, questions, offsets, tail.contiguous())

    def changed(self, added: Int[Tensor, "A 3"], removed: Int[Tensor, "D 3"], num_entities: int) -> "KnownAnswers":
        """With triples that it lacks, and without some that it has: see Graph.changed."""
        head, relation = (each.repeat_interleave(self.offsets.diff()) for each in self.heads_and_relations())
        graph = Graph.from_sorted(torch.stack([head, relation, self.tails]), num_entities, self.num_relations)
        return KnownAnswers.from_graph(graph.changed(added, removed))

    def facts(self) -> Int[Tensor, "T 3"]:
        """Each once, sorted, relations below R."""
        head, relation = (each.repeat_interleave(self.offsets.diff()) for each in self.heads_and_relations())
        return torch.stack([head, relation, self.tails], 1)[relation < self.num_relations]

    def beyond(self, other: "KnownAnswers") -> Int[Tensor, "F 3"]:
        """The facts that are here and not there."""
        facts = self.facts()[: 0 if self is other else None]
        return facts[~other.contains(*facts.T.contiguous())]

    def to(self, device: torch.device | str) -> "KnownAnswers":
        return KnownAnswers(
            self.num_relations, self.questions.to(device), self.offsets.to(device), self.tails.to(device)
        )

    def heads_and_relations(self) -> tuple[Int[Tensor, " M"], Int[Tensor, " M"]]:
        """Every question that has an answer."""
        return self.questions // (2 * self.num_relations), self.questions % (2 * self.num_relations)

    def lookup(
        self, head: Int[Tensor, " B"], relation: Int[Tensor, " B"]
    ) -> tuple[Int[Tensor, " K"], Int[Tensor, " K"]]:
        """(row, tail) of every known answer to the B questions, in order of rows. O(B log M + K)."""
        row, place = spans(*self._stretches(head, relation))
        return row, self.tails[place]

    def counts(self, head: Int[Tensor, " B"], relation: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """How many answers of each of the B questions are known. O(B log M)."""
        return self._stretches(head, relation)[1]

    def _stretches(
        self, head: Int[Tensor, " B"], relation: Int[Tensor, " B"]
    ) -> tuple[Int[Tensor, " B"], Int[Tensor, " B"]]:
        """Where the answers of each question begin in `tails`, and how many there are."""
        if not len(self.questions):
            return torch.zeros_like(head), torch.zeros_like(head)
        key = head * (2 * self.num_relations) + relation
        at = torch.searchsorted(self.questions, key).clamp_(max=len(self.questions) - 1)
        start = self.offsets[at]
        return start, torch.where(self.questions[at] == key, self.offsets[at + 1] - start, 0)

    def contains(
        self, head: Int[Tensor, " B"], relation: Int[Tensor, " B"], tail: Int[Tensor, " B"]
    ) -> Bool[Tensor, " B"]:
        row, known = self.lookup(head, relation)
        hit = torch.zeros_like(head, dtype=torch.bool)
        hit[row[known == tail[row]]] = True
        return hit

    @cached_property
    def reflexive(self) -> Bool[Tensor, " R"]:
        """Which relations hold between some entity and itself: (h, r, h) is a candidate of these alone."""
        head, relation = (each.repeat_interleave(self.offsets.diff()) for each in self.heads_and_relations())
        found = torch.zeros(2 * self.num_relations, dtype=torch.bool, device=self.tails.device)
        found[relation[head == self.tails]] = True
        return found[: self.num_relations]

    @cached_property
    def tails_of_relations(self) -> tuple[Int[Tensor, " R3"], Int[Tensor, " T"]]:
        """offsets (2R + 1,) and tails: the distinct tails of directed relation r, sorted, from offsets[r] on."""
        num, count = 2 * self.num_relations, self.offsets.diff()
        width = int(self.tails.max()) + 1 if len(self.tails) else 1
        key = rising((self.questions % num).repeat_interleave(count) * width + self.tails)
        counts = torch.bincount(key // width, minlength=num)
        return torch.cat([counts.new_zeros(1), counts.cumsum(0)]), key % width

    @cached_property
    def answers_a_question(self) -> Float[Tensor, " R2"]:
        """Of each directed relation, how many answers a question has that has any; 0 for a relation without facts."""
        num = 2 * self.num_relations
        relation = self.questions % num
        facts = torch.bincount(relation, self.offsets.diff().double(), minlength=num)
        return (facts / torch.bincount(relation, minlength=num).clamp(min=1)).float()
