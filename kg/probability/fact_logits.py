"""The logits that facts are ordered by, and that their probabilities are made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kg.models.scorer import DotScorer
from kg.probability.calibration import Calibration
from kg.probability.entity_bounds import EntityBounds, entity_bounds
from kg.probability.query_scores import QueryScores, ScoreBlock
from kg.search.discovery import PairLogits

_ROUNDING = 1e-3  # in nats: more than what a log-softmax is above 0 by


@final
@dataclass(frozen=True, eq=False)
class FactLogits(PairLogits):
    """What a calibration makes of a scorer's answers to both questions about a fact.

    A relation's logits, as kg.search.discovery wants them, are one product of matrices where the scorer is bilinear.
    """

    query_scores: QueryScores
    calibration: Calibration

    @torch.no_grad()
    def of_facts(self, hrt: Int[Tensor, "F 3"]) -> Float[Tensor, " F"]:
        """A relation may be given in either direction. O(F (answers of their relations)) scores."""
        num = self.query_scores.known.num_relations
        upright = torch.where((hrt[:, 1] < num)[:, None], hrt, hrt.flip(1) - hrt.new_tensor([0, num, 0]))
        found = torch.zeros(len(hrt), device=hrt.device)
        for block in self.query_scores.of_facts(upright):
            logits = self.calibration.logits(block.relation, block.forward, block.backward)
            found[block.chosen] = logits[block.row, block.column]
        return found

    def bounds(self, entity: int, questions: Sequence[int]) -> EntityBounds | None:
        """See kg.probability.entity_bounds."""
        return entity_bounds(self.query_scores, self.calibration, entity, questions)

    def highest(
        self, relation: int, heads: Int[Tensor, " H"], tails: Int[Tensor, " T"]
    ) -> tuple[bool, Float[Tensor, " Q"]] | None:
        """Of a scorer that is asked one way: a log-softmax over all answers that are not known is at most 0."""
        scores, calibration = self.query_scores, self.calibration
        if not scores.asked or min(calibration.of_scores(relation)) < 0:
            return None
        inverse = relation + scores.known.num_relations
        of_heads = calibration.of_question(relation, scores.unasked(relation, heads))
        of_tails = calibration.of_question(inverse, scores.unasked(inverse, tails))
        if scores.is_asked(relation):
            return False, of_heads + of_tails.max() + _ROUNDING
        return True, of_tails + of_heads.max() + _ROUNDING

    @property
    def is_bilinear(self) -> bool:
        scorer = self.query_scores.scorer
        return isinstance(scorer, DotScorer) and scorer.bilinear_form(0) is not None

    def of_relation(
        self, relation: int, tails: Int[Tensor, " T"]
    ) -> Callable[[Int[Tensor, " H"]], Float[Tensor, "H T"]]:
        """From heads to the logits of their facts with these tails."""
        return (_Folded if self.is_bilinear else _BothWays)(self, relation, tails)


@final
class _Folded:
    """Both directions in one product, with what the two questions add by themselves:

    a h^T M_r t + b t^T M_(r+R) h + of(h) + of(t) = [h^T (a M_r + b M_(r+R)^T), of(h), 1] . [t, 1, of(t)]
    """

    def __init__(self, logits: FactLogits, relation: int, tails: Int[Tensor, " T"]) -> None:
        query_scores, calibration = logits.query_scores, logits.calibration
        scorer = query_scores.scorer
        assert isinstance(scorer, DotScorer)
        self._query_scores, self._calibration, self._relation = query_scores, calibration, relation
        inverse = relation + query_scores.known.num_relations
        forward, backward = (each / query_scores.temperature for each in calibration.of_scores(relation))
        there, back = scorer.bilinear_form(relation), scorer.bilinear_form(inverse)
        assert there is not None and back is not None
        self._form = forward * there + backward * back.T
        self._entities = scorer.entities(query_scores.graph)
        of_tails = calibration.of_question(inverse, query_scores.block(inverse, tails, tails[:0]))
        one = torch.ones_like(of_tails)
        self._tails = torch.cat([self._entities[tails], one[:, None], of_tails[:, None]], 1).T.contiguous()

    def __call__(self, heads: Int[Tensor, " H"]) -> Float[Tensor, "H T"]:
        rows = self._query_scores.block(self._relation, heads, heads[:0])
        of_heads = self._calibration.of_question(self._relation, rows)
        one = torch.ones_like(of_heads)
        found = torch.cat([self._entities[heads] @ self._form, of_heads[:, None], one[:, None]], 1)
        return found @ self._tails


@final
class _BothWays:
    """The scores of (head, r, ?) and those of (tail, r + R, ?)."""

    def __init__(self, logits: FactLogits, relation: int, tails: Int[Tensor, " T"]) -> None:
        self._query_scores, self._calibration, self._relation = logits.query_scores, logits.calibration, relation
        self._inverse = relation + self._query_scores.known.num_relations
        self._tails = tails
        self._ends: ScoreBlock | None = None

    def __call__(self, heads: Int[Tensor, " H"]) -> Float[Tensor, "H T"]:
        forward = self._query_scores.block(self._relation, heads, self._tails)
        if self._ends is None:
            backward = self._ends = self._query_scores.block(self._inverse, self._tails, heads)
        else:
            scores = self._query_scores.scores(self._inverse, self._tails, heads)
            backward = replace(self._ends, scores=scores)
        return self._calibration.logits(self._relation, forward, backward)
