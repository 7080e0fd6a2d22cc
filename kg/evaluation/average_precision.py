"""Is a fact true or not: how well do scores tell the two apart?"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


def average_precision(
    scores: Float[Tensor, " P"], labels: Bool[Tensor, " P"], weight: Float[Tensor, " P"] | None = None
) -> float:
    """The area under the precision-recall curve, as a step function: sum_i (recall_i - recall_(i-1)) precision_i.
    weight: how many rows each stands for (1).

    One point i a distinct score, from the highest down: what scores alike is taken in together, so that a constant
    gets the base rate and no order of the rows matters. No line is drawn between points: precision does not fall along
    one, and the area could come out too large (Davis and Goadrich, 2006).

    Raises ValueError where no label is true, or a score is NaN. No weight may be 0.
    """
    if not bool(labels.any()):
        raise ValueError("without a true label there is no recall")
    if bool(scores.isnan().any()):
        raise ValueError("a score is NaN")
    ordered, order = scores.sort(descending=True)
    is_last = nn.functional.pad(ordered[1:] != ordered[:-1], (0, 1), value=True)  # of those that score alike
    last = is_last.nonzero()[:, 0]
    counts = torch.ones_like(scores, dtype=torch.float64) if weight is None else weight.double()[order]
    taken, found = (each.cumsum(0)[last] for each in (counts, counts * labels[order]))
    gained = found.diff(prepend=found.new_zeros(1))
    return float((gained * (found / taken)).sum() / found[-1])
