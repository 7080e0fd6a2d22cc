"""How often what a model says of a predicate came true, of facts that were held out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from kg.probability.bins import Bin

_Z = 1.959964  # of 95 %


@final
@dataclass(frozen=True)
class Stated:
    """Candidates of about the same probability, by fits that had not seen their entities. stated: the mean of what was
    said of them. share: of them the held-out facts, within `bounds` with 95 % confidence. facts: that were found."""

    stated: float
    share: float
    bounds: tuple[float, float]
    candidates: int
    facts: int

    @classmethod
    def of(cls, bin: Bin) -> "Stated":
        """bounds: of the mean of a Poisson count (Rao's score interval), k + z^2/2 +- z sqrt(k + z^2/4), as shares."""
        k, a_fact = bin.facts, bin.observed / bin.facts if bin.facts else 1 / max(bin.candidates, 1)
        middle, half = k + _Z * _Z / 2, _Z * math.sqrt(k + _Z * _Z / 4)
        low, high = (min(1.0, max(0.0, each * a_fact)) for each in (middle - half, middle + half))
        return cls(bin.predicted, bin.observed, (low, high), round(bin.candidates), round(k))


@final
@dataclass(frozen=True)
class HeldOut:
    """Of one predicate. stated: from the lowest probability up; empty where too few facts were held out, None where the
    model does not say. facts: how many were held out to fit on. withheld: whether its probabilities are."""

    stated: Sequence[Stated] | None
    facts: int
    withheld: bool
