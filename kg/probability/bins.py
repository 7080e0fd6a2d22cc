"""Candidates in groups of about the same probability: what was said of each, and how many were facts.

Nearly all candidates are given almost 0, and that is nearly always right: such a probability weighs nothing beside how
many there are of them. So the candidates are put in order of probability and cut where the sum of the probabilities,
the number of facts to be expected, grows by a bin's part of it: each bin should hold as many facts as any other, the
last one among a few candidates and the first among millions. Bins of equal width, or of as many candidates each, would
put all that is ever asked for into a corner of the last.
"""

from dataclasses import astuple, dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kg.errors import one_line

MOST = 15  # bins
_NEVER = 1e-12  # a sum of probabilities is not 0
_FACTS = 10  # of a relation: at least so many a bin ...
_FEWEST = 2  # ... and so many bins
_MOST_OF_A_RELATION = 10
_LARGEST = 1e18  # a count


@dataclass(frozen=True)
class Bin:
    """predicted: the mean probability of these candidates. observed: the share of them that are facts."""

    predicted: float
    observed: float
    candidates: float
    facts: float


def bins(
    probability: Float[Tensor, " P"], is_true: Bool[Tensor, " P"], weight: Float[Tensor, " P"], most: int = MOST
) -> tuple[Bin, ...]:
    """From the lowest probability up, as many facts to be expected in each; equal probabilities stay together."""
    values, place_of = torch.unique(probability, return_inverse=True)
    expected = torch.zeros_like(values).index_add_(0, place_of, weight * probability)
    middle = (expected.cumsum(0) - expected / 2) / expected.sum().clamp(min=_NEVER)
    place = (middle * most).long().clamp(max=most - 1)[place_of]
    candidates, predicted, facts = (
        torch.bincount(place, weight * each, minlength=most).tolist()
        for each in (torch.ones_like(weight), probability, is_true)
    )
    rows = zip(candidates, predicted, facts, strict=True)
    return tuple(Bin(mean / count, true / count, count, true) for count, mean, true in rows if count)


def bins_of_relations(
    probability: Float[Tensor, " P"],
    is_true: Bool[Tensor, " P"],
    weight: Float[Tensor, " P"],
    relation: Int[Tensor, " P"],
    hidden: float,
    num_relations: int,
) -> tuple[tuple[Bin, ...], ...]:
    """Of each relation its own; () where it has fewer than 20 facts. hidden: the share of the facts that are none here,
    as they were held out for another purpose: those that are found stand for them, too, in `observed` alone."""
    facts = torch.bincount(relation, weight * is_true, minlength=num_relations)
    found: list[tuple[Bin, ...]] = [()] * num_relations
    for each in (facts >= _FACTS * _FEWEST).nonzero()[:, 0].tolist():
        own, most = relation == each, min(_MOST_OF_A_RELATION, int(facts[each]) // _FACTS)
        cut = bins(probability[own], is_true[own], weight[own], most)
        found[each] = tuple(replace(bin, observed=min(1.0, bin.observed / (1 - hidden))) for bin in cut)
    return tuple(found)


def bins_to_json(of_relations: tuple[tuple[Bin, ...], ...]) -> list[list[list[float]]]:
    return [[[float(f"{number:.6g}") for number in astuple(bin)] for bin in each] for each in of_relations]


def bins_from_json(stored: Any, num_relations: int) -> tuple[tuple[Bin, ...], ...]:
    """ValueError where it is none of so many relations."""
    rows: list[Any] = stored if isinstance(stored, list) else [None]
    if len(rows) != num_relations or not all(isinstance(each, list) and len(each) <= MOST for each in rows):
        raise ValueError(f"expected at most {MOST} bins of each of {num_relations} relations")
    return tuple(tuple(_bin(bin) for bin in each) for each in rows)


def _bin(stored: Any) -> Bin:
    is_one = isinstance(stored, list) and len(stored) == 4
    limits = (1.0, 1.0, _LARGEST, _LARGEST)
    if not is_one or not all(
        isinstance(each, int | float) and not isinstance(each, bool) and 0 <= each <= limit
        for each, limit in zip(stored, limits, strict=True)
    ):
        raise ValueError(f"expected a bin of two shares and two counts: got {one_line(str(stored))[:80]}")
    return Bin(*stored)
