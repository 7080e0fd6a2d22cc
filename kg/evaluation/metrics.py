"""What ranks come to: mean reciprocal rank, hits, and the like."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Figures:
    """mrr: mean reciprocal rank. mean_rank: 1 is best. amri: adjusted mean rank index, 1 - (mean rank - 1) /
    (expected rank - 1): 1 is perfect, 0 random (Berrendorf et al., 2020). hits_at_k: share of ranks <= k.
    perplexity: exp(mean cross-entropy of the true answer), the effective number of candidates left to choose from.
    """

    mrr: float
    mean_rank: float
    amri: float
    hits_at_1: float
    hits_at_3: float
    hits_at_10: float
    perplexity: float
    num_ranks: int


@dataclass(frozen=True)
class Metrics(Figures):
    """Figures over all ranks, then over those of each side asked for and of each relation (both sides)."""

    by_side: dict[str, Figures]
    by_relation: dict[str, Figures]

    def to_json(self) -> dict[str, Any]:
        """Plain numbers; what could not be measured is null."""
        plain: dict[str, Any] = _without_nan(asdict(self))
        return plain


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def figures(rank: Float[Tensor, " P"], candidates: Int[Tensor, " P"], cross_entropy: Float[Tensor, " C"]) -> Figures:
    """Of P ranks among so many candidates each; of a cross-entropy for each rank, or of none. NaN without ranks."""
    if not len(rank):
        return Figures(*(math.nan,) * 7, num_ranks=0)
    rank, candidates = rank.double(), candidates.double()
    expected = (candidates + 1).mean().item() / 2  # the mean rank of a random order
    mean = rank.mean().item()
    hits = [(rank <= k).double().mean().item() for k in (1, 3, 10)]
    entropy = cross_entropy.double().mean().item() if len(cross_entropy) else math.nan
    return Figures(
        mrr=rank.reciprocal().mean().item(),
        mean_rank=mean,
        amri=1 - (mean - 1) / (expected - 1) if expected > 1 else math.nan,
        hits_at_1=hits[0],
        hits_at_3=hits[1],
        hits_at_10=hits[2],
        perplexity=math.exp(min(entropy, 700.0)) if not math.isnan(entropy) else math.nan,
        num_ranks=len(rank),
    )
