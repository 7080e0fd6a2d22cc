"""How unsure is an answer: because many are right, or because the model does not know?"""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

_SUM = 1e-3  # what single precision may miss of a sum of 1


def entropies(samples: Iterable[Float[Tensor, "B N"]]) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"]]:
    """(aleatoric, epistemic) entropy of B questions, in nats, from S samples of their N probabilities.

    aleatoric = mean_s H(p_s), at most log N: what stays open in every sample, as where several answers are right.
    epistemic = H(mean_s p_s) - mean_s H(p_s), at most log S: the mutual information of answer and sample; on what the
    samples disagree, more data could decide (Gal et al., 2017; BALD: Houlsby et al., 2011). Their sum is the entropy
    of the mean. 0 log 0 is 0, and rounding takes nothing below 0.

    A tensor (S, B, N) serves, and so does a generator: one sample is held at a time. Raises ValueError without a sample
    and for rows that are no probabilities.
    """
    entropy = mean = torch.zeros(())
    count = 0
    for sample in samples:
        p = sample.double()
        if not bool(((p >= 0).all(1) & ((p.sum(1) - 1).abs() <= _SUM)).all()):  # nor are those of a NaN
            raise ValueError("a sample's rows are no probabilities: each must be at least 0, and their sum 1")
        entropy, mean, count = entropy + torch.special.entr(p).sum(1), mean + p, count + 1
    if not count:
        raise ValueError("without a sample there is no uncertainty")
    aleatoric = entropy / count
    return aleatoric, (torch.special.entr(mean / count).sum(1) - aleatoric).clamp(min=0)
