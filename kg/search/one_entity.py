"""The most probable new facts of one entity: bounds of all, then the logits of those that may be among the best."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kg.progress import SILENT, Progress
from kg.search.eligibility import Eligibility
from kg.search.type_constraints import Constraint

_ROWS = 1 << 14  # entities at a time
_MORE = 1000  # so many more than are wanted, and a quarter more, have their logits computed first
_AT_ONCE = 1 << 13  # facts, of others that may be among the best


class Bounds(ABC):
    """Of all facts of an entity, a column a question, in which it may stand: (entity, r, ?) is r, (?, r, entity) is
    r + R."""

    questions: Sequence[int]

    @abstractmethod
    def of(self, block: slice) -> Float[Tensor, "B Q"]:
        """With each of these entities for an answer: no logit is above."""


@torch.no_grad()
def best_facts_of(
    entity: int,
    bounds: Bounds,
    logits: Callable[[Int[Tensor, "F 3"]], Float[Tensor, " F"]],
    eligible: Eligibility,
    types: Constraint,
    most: int,
    floor: float,
    progress: Progress = SILENT,
) -> tuple[Int[Tensor, "K 3"], Float[Tensor, " K"]]:
    """The facts of the highest logits, above the floor, of all candidates with this entity; and these logits.

    Those of the highest bounds have their logits computed. Where the last of these bounds is not above the last logit
    that is among the best, no other fact is; else every fact whose bound is has its logit computed, too. So it is exact
    whatever the bounds are worth: of N entities and Q questions O(N Q) bounds, once or twice.
    """
    masks = _Masks(entity, bounds.questions, eligible, types)
    count = most + most // 4 + _MORE
    best, kept = torch.zeros(0), torch.zeros(0, 3, dtype=torch.long)

    def take(places: Int[Tensor, " F"]) -> float:
        """The bar that others must pass."""
        nonlocal best, kept
        facts = torch.cat([kept, masks.facts(places)])
        own = torch.cat([best, logits(facts[len(kept) :])])
        order = own.topk(min(most, len(own))).indices
        order = order[own[order] > floor]
        best, kept = own[order], facts[order]
        return best[-1].item() if len(best) == most else floor

    upper, first = torch.zeros(0), torch.zeros(0, dtype=torch.long)
    lowest = floor
    for block in _blocks(masks.num_entities, progress):
        found, places = _above(lowest, bounds, masks, block)
        upper, first = torch.cat([upper, found]), torch.cat([first, places])
        if len(upper) >= count:
            upper, chosen = upper.topk(count)
            first, lowest = first[chosen], upper[-1].item()
    bar = take(first)
    if lowest <= bar:
        return kept, best
    others = torch.zeros(0, dtype=torch.long)
    for block in _blocks(masks.num_entities, progress):
        found, places = _above(bar, bounds, masks, block)
        others = torch.cat([others, places[(found <= lowest) & ~torch.isin(places, first)]])
        if len(others) >= _AT_ONCE:
            bar, others = take(others), others[:0]
    take(others)
    return kept, best


def _blocks(num_entities: int, progress: Progress) -> Iterator[slice]:
    for start in range(0, num_entities, _ROWS):
        progress.at("candidates", start, num_entities)
        yield slice(start, min(start + _ROWS, num_entities))


def _above(bar: float, bounds: Bounds, masks: "_Masks", block: slice) -> tuple[Float[Tensor, " F"], Int[Tensor, " F"]]:
    """Of the candidates of these answers whose bound is above the bar, the bounds and the places."""
    upper = bounds.of(block).masked_fill_(~masks.of(block), -torch.inf).view(-1)
    passed = (upper > bar).nonzero()[:, 0]
    return upper[passed], passed + block.start * len(bounds.questions)


@final
class _Masks:
    """Which facts of an entity are candidates, by blocks of answers; the place of one is answer * Q + column."""

    def __init__(self, entity: int, questions: Sequence[int], eligible: Eligibility, types: Constraint) -> None:
        self._entity, self._eligible, self._types = entity, eligible, types
        self.num_entities = len(eligible.answerable)
        self._num_relations = num = eligible.known.num_relations
        self._asked = torch.tensor(questions)
        self._answer = (self._asked + num) % (2 * num)  # what an answer is the head of
        heads = torch.full_like(self._asked, entity)
        taken = [each.lookup(heads, self._asked) for each in (eligible.known, *eligible.policy.excluded)]
        self._taken = torch.cat([column for column, _ in taken]), torch.cat([other for _, other in taken])

    def of(self, block: slice) -> Bool[Tensor, "B Q"]:
        eligible, own = self._eligible, self._entity - block.start
        found = eligible.allowed_of(block, self._types, self._answer)
        offered = eligible.policy.entities[block].clone()
        has_own = 0 <= own < len(offered)
        if has_own:
            offered[own] = True
        found &= offered[:, None]
        column, other = self._taken
        inside = (other >= block.start) & (other < block.stop)
        found[other[inside] - block.start, column[inside]] = False
        if has_own:  # with itself once, and where the relation is known to have such facts
            reflexive = eligible.known.reflexive[self._asked % self._num_relations]
            found[own] &= reflexive & (self._asked < self._num_relations)
        return found

    def facts(self, places: Int[Tensor, " F"]) -> Int[Tensor, "F 3"]:
        other, asked = places // len(self._asked), self._asked[places % len(self._asked)]
        own, is_tail = torch.full_like(other, self._entity), asked < self._num_relations
        head, tail = torch.where(is_tail, own, other), torch.where(is_tail, other, own)
        return torch.stack([head, asked % self._num_relations, tail], 1)
