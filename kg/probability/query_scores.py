"""The scores of a relation's questions, with what its candidates are measured by beside their scores."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kg.graph.dataset import Dataset
from kg.graph.graph import Graph
from kg.graph.known import KnownAnswers
from kg.models.scorer import Queries, Scorer, State

BATCH = 256  # questions scored at once
_ANSWERS = 1 << 13  # of a relation, so that their vectors and what is made of them stay in the cache
LEAST = -100.0  # a candidate without a vector has the lowest of all floats for a score: nothing could be added to it


@dataclass(frozen=True, eq=False)
class ScoreBlock:
    """B questions of one directed relation and K candidates, the same for all.

    scores: divided by the temperature, at least -100. normaliser: log sum exp of the scores of all answers that the
    relation is known to have had, 0 where it has none. count: known answers of each question.
    """

    scores: Float[Tensor, "B K"]
    normaliser: Float[Tensor, " B"]
    count: Int[Tensor, " B"]


@final
@dataclass(frozen=True, eq=False)
class FactBlock:
    """Facts of one relation: those at `chosen` of the ones asked about. forward: (head, r, ?) of H heads for T tails,
    backward: (tail, r + R, ?) for the heads; a fact is at (row, column) of the former."""

    relation: int
    chosen: Int[Tensor, " F"]
    forward: ScoreBlock
    backward: ScoreBlock
    row: Int[Tensor, " F"]
    column: Int[Tensor, " F"]


@final
@dataclass(frozen=True, eq=False)
class QueryScores:
    """A scorer, the graph it may look at, what is known, and the temperature its scores are divided by."""

    scorer: Scorer
    graph: Graph
    known: KnownAnswers
    temperature: float

    @classmethod
    def of_training(cls, scorer: Scorer, dataset: Dataset, temperature: float | None) -> "QueryScores":
        """Of the scorer as training left it: it knows the training facts alone. temperature: None counts as 1."""
        device = scorer.device
        return cls(scorer, dataset.graph().to(device), dataset.known("train").to(device), temperature or 1.0)

    @torch.no_grad()
    def block(self, relation: int, heads: Int[Tensor, " B"], tails: Int[Tensor, " K"]) -> ScoreBlock:
        """(head, relation, ?) of these heads, for these tails. O(B (K + answers of the relation)) scores, of which
        those of some answers are held for one batch at a time."""
        answers = self.answers(relation)
        scores = torch.zeros(len(heads), len(tails), device=heads.device)
        normaliser = torch.zeros(len(heads), device=heads.device)
        for start in range(0, len(heads), BATCH):
            batch = slice(start, start + BATCH)
            state = self._state(relation, heads[batch])
            if len(tails):
                scores[batch] = self._compared(state, tails)
            parts = torch.split(answers, _ANSWERS) if len(answers) else ()
            sums = [self._compared(state, part).logsumexp(1) for part in parts]
            if sums:
                normaliser[batch] = torch.stack(sums).logsumexp(0) if len(sums) > 1 else sums[0]
        return ScoreBlock(scores, normaliser, self.known.counts(heads, torch.full_like(heads, relation)))

    @torch.no_grad()
    def scores(self, relation: int, heads: Int[Tensor, " B"], tails: Int[Tensor, " K"]) -> Float[Tensor, "B K"]:
        """As `block` has them."""
        found = [torch.zeros(0, len(tails), device=heads.device)]
        batches = torch.split(heads, BATCH) if len(heads) else ()
        return torch.cat([*found, *(self._compared(self._state(relation, each), tails) for each in batches)])

    def _state(self, relation: int, heads: Int[Tensor, " b"]) -> State:
        return self.scorer.encode(Queries(heads, torch.full_like(heads, relation), self.graph))

    def _compared(self, state: State, tails: Int[Tensor, " K"]) -> Float[Tensor, "b K"]:
        scores = self.scorer.compare(state, tails).float() / self.temperature
        return scores.clamp_(min=LEAST)

    def of_facts(self, hrt: Int[Tensor, "F 3"]) -> Iterator[FactBlock]:
        """Of facts, a few at a time. O(F (F of a block + answers of their relations)) scores."""
        num = self.known.num_relations
        order = hrt[:, 0].argsort(stable=True)  # so that few heads are asked about twice
        for relation in torch.unique(hrt[:, 1]).tolist():
            for chosen in torch.split(order[hrt[order, 1] == relation], BATCH):
                heads, row = torch.unique(hrt[chosen, 0], return_inverse=True)
                tails, column = torch.unique(hrt[chosen, 2], return_inverse=True)
                forward, backward = self.block(relation, heads, tails), self.block(relation + num, tails, heads)
                yield FactBlock(relation, chosen, forward, backward, row, column)

    def answers(self, relation: int) -> Int[Tensor, " A"]:
        """The entities that a directed relation is known to have had for an answer."""
        offsets, tails = self.known.tails_of_relations
        return tails[offsets[relation] : offsets[relation + 1]]
