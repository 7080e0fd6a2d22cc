"""The best answers to a question, exactly, without the score of every entity where entities are many."""

from typing import TYPE_CHECKING, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kg.models.scorer import DotScorer, Queries, Scorer

if TYPE_CHECKING:
    from kg.models.byte_rows import ByteRows

_LARGE = 1 << 25  # numbers in a table: 128 MB
_WARM = 4  # questions: then bytes are made of them, which takes as long as some twenty
_MOST = 8  # a part of all entities; where so many may be among the best all have their scores computed


@final
class BestAnswers:
    """Of a scorer. Where it multiplies vectors on a CPU, and its table is large, questions that come one by one are
    answered, from the fifth on, from the vectors in a quarter of the bytes (kg.models.byte_rows): these say between
    which bounds each score lies, and the scores that may be among the best are computed. It takes another quarter of
    the table's memory."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._asked = 0
        self._rows: ByteRows | None = None

    @torch.no_grad()
    def of(
        self, queries: Queries, eligible: Bool[Tensor, "B N"], top: int
    ) -> tuple[Float[Tensor, "B K"], Int[Tensor, "B K"]]:
        """The scores and the ids of the best of all eligible entities, best first; after them others, at -inf, where
        fewer are eligible."""
        rows = self._rows_for(queries)
        if rows is not None and (found := self._of_one(rows, queries, eligible[0], top)) is not None:
            return found
        scores = self._scorer.score_tails(queries).masked_fill_(~eligible, -torch.inf)
        best = scores.topk(min(top, scores.shape[1]))
        return best.values, best.indices

    def _of_one(
        self, rows: "ByteRows", queries: Queries, eligible: Bool[Tensor, " N"], top: int
    ) -> tuple[Float[Tensor, "1 K"], Int[Tensor, "1 K"]] | None:
        state = self._scorer.encode(queries)
        low, high = rows.bounds(state.vector[0])
        low.masked_fill_(~eligible, -torch.inf)
        if top > len(low) // _MOST:
            return None
        bar = low.topk(top).values[-1]
        chosen = ((high >= bar) & eligible).nonzero()[:, 0]
        if not top <= len(chosen) <= len(low) // _MOST:
            return None
        best = self._scorer.compare(state, chosen).topk(top)
        return best.values, chosen[best.indices]

    def _rows_for(self, queries: Queries) -> "ByteRows | None":
        scorer = self._scorer
        if len(queries) > 1 or not isinstance(scorer, DotScorer) or scorer.reads_graph or scorer.device.type != "cpu":
            return None
        num, size = scorer.num_entities, scorer.table.size
        if queries.graph.num_entities > num or num * size < _LARGE:
            return None
        self._asked += 1
        if self._rows is None and self._asked > _WARM:
            from kg.models.byte_rows import ByteRows  # with it comes Numba, which the first questions do without

            self._rows = ByteRows.of(lambda block: scorer.entities(queries.graph, block), num, size)
        return self._rows
