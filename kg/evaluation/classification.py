"""Is a fact true or not: how well do scores tell the two apart?"""

from jaxtyping import Bool, Float
from torch import Tensor, nn


def average_precision(scores: Float[Tensor, " P"], labels: Bool[Tensor, " P"]) -> float:
    """The area under the precision-recall curve, as a step function: sum_i (recall_i - recall_(i-1)) precision_i.

    One point i a distinct score, from the highest down: what scores alike is taken in together, so that a constant
    gets the base rate and no order of the rows matters. No line is drawn between points: precision does not fall along
    one, and the area could come out too large (Davis and Goadrich, 2006).

    Raises ValueError where no label is true, or a score is NaN.
    """
    if not bool(labels.any()):
        raise ValueError("without a true label there is no recall")
    if bool(scores.isnan().any()):
        raise ValueError("a score is NaN")
    ordered, order = scores.sort(descending=True)
    is_last = nn.functional.pad(ordered[1:] != ordered[:-1], (0, 1), value=True)  # of those that score alike
    taken = is_last.nonzero()[:, 0] + 1
    found = labels[order].cumsum(0)[taken - 1]
    gained = found.diff(prepend=found.new_zeros(1))
    return float((gained * (found.double() / taken)).sum() / found[-1])
