"""One scorer on top of another: the base's score counts as much as a gate lets through."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kg.models.scorer import WORST, Queries, Scorer, Tails
from kg.models.tables import RelationWeights


class _GatedState(NamedTuple):
    own: Any
    base: Any
    gate: Float[Tensor, "B 1"]


@final
class Gated(Scorer):
    """score(h, r, t) = own(h, r, t) + g_r base(h, r, t), with a gate g_r a directed relation, 1 at first.

    own, base: scorers as partials, as in partial(ComplEx, dim=128). Of an entity that the base has no vector for, only
    the own score counts. frozen: the base does not learn, and answers as it does outside training; which trained model
    it is says GradientDescent.base. base_dropout: the share of questions in training whose answer the own score must
    find alone.
    """

    reads_graph = True  # the own score may; hiding edges that no part reads changes nothing

    def __init__(
        self,
        num_entities: int,
        num_relations: int,
        own: Callable[[int, int], Scorer],
        base: Callable[[int, int], Scorer],
        frozen: bool = False,
        base_dropout: float = 0.0,
    ) -> None:
        super().__init__(num_entities, num_relations)
        self.own = own(num_entities, num_relations)
        self.base = base(num_entities, num_relations).requires_grad_(not frozen)
        self.frozen = frozen
        self.base_dropout = base_dropout
        self.gate = RelationWeights(num_relations, 1)
        self.gate.assign(1.0)

    def encode(self, queries: Queries) -> _GatedState:
        is_known = queries.head < self.num_entities
        generator = None if self.frozen else queries.generator
        asked = replace(queries, head=queries.head.where(is_known, 0), generator=generator)
        gate = self.gate.rows(queries.relation) * is_known[:, None]
        if queries.generator is not None and self.base_dropout:
            drawn = torch.rand(len(queries), 1, generator=queries.generator, device=gate.device)
            gate = gate * (drawn >= self.base_dropout)
        return _GatedState(self.own.encode(queries), self.base.encode(asked), gate)

    def compare(self, state: _GatedState, tails: Tails = None) -> Float[Tensor, "B K"]:
        base = self.base.compare(state.base, tails)
        scores: Tensor = self.own.compare(state.own, tails)
        return scores + state.gate * base.masked_fill(base == WORST, 0)

    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        """Those of the base, if it learns, and the own ones."""
        own = self.own.factors(queries, tail)
        return own if self.frozen else (*self.base.factors(queries, tail), *own)
