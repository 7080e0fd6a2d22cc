"""The scores of a relation's questions, with what its candidates are measured by beside their scores.

A fact (h, r, t) answers (h, r, ?) and (t, r + R, ?). A scorer that reads its answers off the graph takes its time for
each question, and none for all answers to one: of a relation it is asked one way, that with fewer possible questions.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from kg.graph.dataset import Dataset
from kg.graph.graph import Graph
from kg.graph.known import KnownAnswers
from kg.models.scorer import Queries, Scorer, State
from kg.search.eligibility import Eligibility
from kg.search.type_constraints import observed_types

BATCH = 256  # questions scored at once
_ANSWERS = 1 << 13  # of a relation, so that their vectors and what is made of them stay in the cache
_LEAST_FIT = 2.0**-12
LEAST = -100.0  # a candidate without a vector has the lowest of all floats for a score: nothing could be added to it


@dataclass(frozen=True, eq=False)
class ScoreBlock:
    """B questions of one directed relation and K candidates, the same for all.

    scores: divided by the temperature, at least -100. normaliser: log sum exp of the scores of all answers that the
    relation is known to have had, 0 where it has none; of a scorer that is asked one way, of all entities that are not
    known to answer the question: the edges of those that are were hidden in training, and are not now. Both are 0 where
    the relation is asked the other way: then is_asked is false. count: known answers of each question. log_fit: of a
    scorer that is asked one way, how well each entity fits by observed types (kg.search.type_constraints), at least
    log 2^-12, 0 where it has a known answer; else 0.
    """

    scores: Float[Tensor, "B K"]
    normaliser: Float[Tensor, " B"]
    count: Int[Tensor, " B"]
    log_fit: Float[Tensor, " B"]
    is_asked: bool = True


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
    """A scorer, the graph it may look at, what is known, and the temperature its scores are divided by.

    asked: of each relation the directed one that is asked about its facts; none where both are.
    """

    scorer: Scorer
    graph: Graph
    known: KnownAnswers
    temperature: float
    asked: tuple[int, ...] = ()

    @classmethod
    def of_training(
        cls, scorer: Scorer, dataset: Dataset, temperature: float | None, asked: tuple[int, ...] = ()
    ) -> "QueryScores":
        """Of the scorer as training left it: it knows the training facts alone. temperature: None counts as 1."""
        device = scorer.device
        known = dataset.known("train").to(device)
        return cls(scorer, dataset.graph().to(device), known, temperature or 1.0, asked)

    def is_asked(self, relation: int) -> bool:
        return not self.asked or self.asked[relation % self.known.num_relations] == relation

    @torch.no_grad()
    def block(self, relation: int, heads: Int[Tensor, " B"], tails: Int[Tensor, " K"]) -> ScoreBlock:
        """(head, relation, ?) of these heads, for these tails. O(B (K + answers of the relation)) scores, of which
        those of some answers are held for one batch at a time; none where the relation is asked the other way."""
        found = self.unasked(relation, heads, len(tails))
        if not self.is_asked(relation):
            return found
        for start in range(0, len(heads), BATCH):
            batch = slice(start, start + BATCH)
            state = self._state(relation, heads[batch])
            if len(tails):
                found.scores[batch] = self._compared(state, tails)
            found.normaliser[batch] = self._normaliser(relation, heads[batch], state)
        return replace(found, is_asked=True)

    def unasked(self, relation: int, heads: Int[Tensor, " B"], width: int = 0) -> ScoreBlock:
        """What is known of these questions before they are asked, with scores of 0 for so many candidates."""
        count = self.known.counts(heads, torch.full_like(heads, relation))
        scores = torch.zeros(len(heads), width, device=heads.device)
        log_fit = torch.zeros(len(heads), device=heads.device)
        if self.asked:
            fit = observed_types(self.known, self.graph.num_entities).fit(relation).to(heads.device)[heads]
            log_fit = torch.where(count > 0, 0.0, fit.clamp(_LEAST_FIT, 1).log())
        return ScoreBlock(scores, torch.zeros_like(log_fit), count, log_fit, is_asked=False)

    def _normaliser(self, relation: int, heads: Int[Tensor, " b"], state: State) -> Float[Tensor, " b"]:
        if self.asked:
            scores = self._compared(state, None)
            scores[self.known.lookup(heads, torch.full_like(heads, relation))] = -torch.inf
            found = scores.logsumexp(1)
            return found.masked_fill_(found == -torch.inf, 0)
        answers = self.answers(relation)
        if not len(answers):
            return torch.zeros(len(heads), device=heads.device)
        sums = [self._compared(state, part).logsumexp(1) for part in torch.split(answers, _ANSWERS)]
        return torch.stack(sums).logsumexp(0) if len(sums) > 1 else sums[0]

    @torch.no_grad()
    def scores(self, relation: int, heads: Int[Tensor, " B"], tails: Int[Tensor, " K"]) -> Float[Tensor, "B K"]:
        """As `block` has them."""
        if not self.is_asked(relation):
            return torch.zeros(len(heads), len(tails), device=heads.device)
        found = [torch.zeros(0, len(tails), device=heads.device)]
        batches = torch.split(heads, BATCH) if len(heads) else ()
        return torch.cat([*found, *(self._compared(self._state(relation, each), tails) for each in batches)])

    def _state(self, relation: int, heads: Int[Tensor, " b"]) -> State:
        return self.scorer.encode(Queries(heads, torch.full_like(heads, relation), self.graph))

    def _compared(self, state: State, tails: Int[Tensor, " K"] | None) -> Float[Tensor, "b K"]:
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


def asked_one_way(eligible: Eligibility) -> tuple[int, ...]:
    """QueryScores.asked, of a scorer that hides a fact from its question and reads the answer off the others: of each
    relation the direction in which fewer questions may be asked."""
    heads, tails = np.split(eligible.num_heads, 2)
    return tuple((np.arange(len(heads)) + len(heads) * (tails < heads)).tolist())
