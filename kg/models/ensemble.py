"""Trained scorers in one: scores of each become a few numbers a candidate, their weighted sum the score."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import ClassVar, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kg.errors import UserError
from kg.graph.graph import Graph
from kg.models.scorer import WORST, Queries, Scorer, Tails

_MOST_SCORES = 1 << 22  # held at once where every relation is asked for


class Ensemble(Scorer, ABC):
    """score(h, r, t) = log softmax over all t of sum_pf weight_rpf feature_f(scores of part p for h, r and all t)[t].

    parts: scorers as partials, as in [partial(ComplEx, dim=128), partial(Frequency)]. None of them learns, and all
    answer as they do outside training. For a head that a part has no row for it gives no scores, unless it reads the
    graph; a candidate without a vector in any part ties last. Whole rows are scored, whatever candidates are asked for.

    num_features: numbers made of a part's score of a candidate.
    """

    num_features: ClassVar[int]

    def __init__(self, num_entities: int, num_relations: int, parts: Sequence[Callable[[int, int], Scorer]]) -> None:
        super().__init__(num_entities, num_relations)
        if not parts:
            raise UserError("a combination needs at least one part")
        self.parts = nn.ModuleList(part(num_entities, num_relations).requires_grad_(False) for part in parts)
        self.reads_graph = any(part.reads_graph for part in self.scorers())

    @abstractmethod
    def features(self, opinion: Float[Tensor, "B N"]) -> tuple[Float[Tensor, "B N"], ...]:
        """The numbers that a part's scores become."""

    @abstractmethod
    def weights(self, relation: Int[Tensor, " B"]) -> Float[Tensor, "P F B"]:
        """Of each feature of each part, in questions of these relations."""

    @final
    def opinions(self, queries: Queries) -> Iterator[Float[Tensor, "B N"]]:
        """Each part's scores of all candidates, one part after the other: WORST in the rows it has none for."""
        queries = replace(queries, generator=None)
        is_known = queries.head < self.num_entities
        asked = replace(queries, head=queries.head.where(is_known, 0))
        for part in self.scorers():
            if part.reads_graph or not self.reads_graph:  # otherwise the first part raises for a head without a row
                yield part.score_tails(queries)
            else:
                yield part.score_tails(asked).masked_fill(~is_known[:, None], WORST)

    @final
    def scorers(self) -> Iterator[Scorer]:
        """The parts."""
        for part in self.parts:
            assert isinstance(part, Scorer)
            yield part

    @final
    def encode(self, queries: Queries) -> Float[Tensor, "B N"]:
        weights = self.weights(queries.relation)
        scores = weights.new_zeros(len(queries), queries.graph.num_entities)
        is_missing = torch.ones_like(scores, dtype=torch.bool)
        for opinion, of_part in zip(self.opinions(queries), weights, strict=True):
            for feature, weight in zip(self.features(opinion), of_part, strict=True):
                scores = scores.addcmul(weight[:, None], feature)
            is_missing &= opinion <= WORST
        return scores.log_softmax(1).masked_fill(is_missing, WORST)

    @final
    def compare(self, state: Float[Tensor, "B N"], tails: Tails = None) -> Float[Tensor, "B K"]:
        if isinstance(tails, Tensor) and tails.ndim == 2:
            return state.gather(1, tails)
        return state if tails is None else state[:, tails]

    @final
    def score_relations(self, head: Int[Tensor, " B"], tail: Int[Tensor, " B"], graph: Graph) -> Float[Tensor, "B R2"]:
        num = 2 * self.num_relations
        queries = Queries(head.repeat_interleave(num), torch.arange(num, device=head.device).repeat(len(head)), graph)
        tail = tail.repeat_interleave(num)
        height = max(1, _MOST_SCORES // graph.num_entities)
        scores = [
            self.score_hrt(queries[i : i + height], tail[i : i + height]) for i in range(0, max(1, len(tail)), height)
        ]
        return torch.cat(scores).view(-1, num)

    @final
    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        return ()
