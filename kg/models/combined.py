"""Trained scorers in one: each candidate's weighted sum of what they say, with weights of each directed relation."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import ClassVar, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kg.errors import UserError
from kg.graph.graph import Graph
from kg.models.scorer import WORST, Queries, Scorer, Tails
from kg.models.space import Space

SPACE = Space({})  # its parts have settings, it has none

_MOST_SCORES = 1 << 22  # held at once where every relation is asked for


@final
class Combined(Scorer):
    """score(h, r, t) = log softmax over all t of sum_p weight_rp level_p(h, r, t) + reach_rp reached_p(h, r, t).

    The level is what part p scores, reached is 1 where that is above the lowest score of the row and 0 where it is the
    lowest, as of all candidates that no rule leads to: see `level_and_reach`. A linear stack of scorers (Wolpert, 1992;
    Dong et al., 2014, fuse extractors so), fitted by kg.training.stacking; until then every part counts once.

    parts: scorers as partials, as in [partial(ComplEx, dim=128), partial(Frequency)]. None of them learns, and all
    answer as they do outside training. Of a head that a part has no row for it says nothing, unless it looks at the
    graph; a candidate without a vector in any part ties last. Whole rows are scored, whatever candidates are asked for.
    """

    looks_at_graph: ClassVar[bool] = True  # a part may; and to hide what nobody looks at changes nothing
    weight: Float[Tensor, "R2 P"]
    reach: Float[Tensor, "R2 P"]

    def __init__(
        self, num_entities: int, num_relations: int, parts: Sequence[Callable[[int, int], Scorer]]
    ) -> None:
        super().__init__(num_entities, num_relations)
        if not parts:
            raise UserError("a combination needs at least one part")
        self.parts = nn.ModuleList(part(num_entities, num_relations).requires_grad_(False) for part in parts)
        self.register_buffer("weight", torch.ones(2 * num_relations, len(parts)))
        self.register_buffer("reach", torch.zeros(2 * num_relations, len(parts)))

    def opinions(self, queries: Queries) -> Iterator[Float[Tensor, "B N"]]:
        """What each part scores all candidates, one part after the other: WORST in the rows it says nothing of."""
        queries = replace(queries, generator=None)
        is_known = queries.head < self.num_entities
        asked = replace(queries, head=queries.head.where(is_known, 0))
        somebody_looks = any(part.looks_at_graph for part in self.scorers())
        for part in self.scorers():
            if part.looks_at_graph or not somebody_looks:  # then the first part says what it lacks
                yield part.score_tails(queries)
            else:
                yield part.score_tails(asked).masked_fill(~is_known[:, None], WORST)

    def scorers(self) -> Iterator[Scorer]:
        """The parts."""
        for part in self.parts:
            assert isinstance(part, Scorer)
            yield part

    def encode(self, queries: Queries) -> Float[Tensor, "B N"]:
        weights, reaches = self.weight[queries.relation].T, self.reach[queries.relation].T  # (P, B)
        scores = weights.new_zeros(len(queries), queries.graph.num_entities)
        is_missing = torch.ones_like(scores, dtype=torch.bool)
        for opinion, weight, reach in zip(self.opinions(queries), weights, reaches, strict=True):
            level, reached = level_and_reach(opinion)
            scores = scores.addcmul(weight[:, None], level).addcmul(reach[:, None], reached.to(level.dtype))
            is_missing &= opinion <= WORST
        return scores.log_softmax(1).masked_fill(is_missing, WORST)

    def compare(self, state: Float[Tensor, "B N"], tails: Tails = None) -> Float[Tensor, "B K"]:
        if isinstance(tails, Tensor) and tails.ndim == 2:
            return state.gather(1, tails)
        return state if tails is None else state[:, tails]

    def score_relations(self, head: Int[Tensor, " B"], tail: Int[Tensor, " B"], graph: Graph) -> Float[Tensor, "B R2"]:
        num = 2 * self.num_relations
        queries = Queries(head.repeat_interleave(num), torch.arange(num, device=head.device).repeat(len(head)), graph)
        tail = tail.repeat_interleave(num)
        height = max(1, _MOST_SCORES // graph.num_entities)
        scores = [
            self.score_hrt(queries[i : i + height], tail[i : i + height]) for i in range(0, max(1, len(tail)), height)
        ]
        return torch.cat(scores).view(-1, num)

    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        return ()


def level_and_reach(scores: Float[Tensor, "B N"]) -> tuple[Float[Tensor, "B N"], Bool[Tensor, "B N"]]:
    """The scores, and whether each is above the lowest of its row; a candidate without a vector has that lowest one.

    A row in which no candidate has a vector is 0 throughout, and nothing in it is reached.
    """
    has_vector = scores > WORST
    lowest = scores.masked_fill(~has_vector, torch.inf).amin(1, keepdim=True)
    level = torch.where(has_vector, scores, lowest.masked_fill(lowest.isinf(), 0))
    return level, level > lowest
