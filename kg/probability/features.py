"""What the probability of a fact is made of: the features of a candidate, each by its name.

Their order here is that of the columns of a sample, and, with the constant before them, of the weights that a
calibration holds and stores.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kg.probability.query_scores import FactBlock, ScoreBlock

FEATURES = (
    "mean_score",  # of (h, r, ?) and of (t, r + R, ?)
    "forward_log_softmax",  # of (h, r, ?), over the answers that its directed relation is known to have had
    "backward_log_softmax",  # of (t, r + R, ?)
    "forward_log_known",  # log(1 + known answers of (h, r, ?))
    "backward_log_known",
    "forward_any_known",  # 1 where (h, r, ?) has a known answer, else 0
    "backward_any_known",
)
WEIGHTS = ("constant", *FEATURES)


def features(
    forward: ScoreBlock, backward: ScoreBlock, row: Int[Tensor, " P"], column: Int[Tensor, " P"]
) -> Float[Tensor, "P X"]:
    """A column each of FEATURES: of (head, r, ?) `forward`, scores (H, T), and of (tail, r + R, ?) `backward`, scores
    (T, H), at the places (row, column) of the former."""
    there, back = forward.scores[row, column], backward.scores[column, row]
    of_head, of_tail = forward.count[row].float(), backward.count[column].float()
    values = {
        "mean_score": (there + back) / 2,
        "forward_log_softmax": there - forward.normaliser[row],
        "backward_log_softmax": back - backward.normaliser[column],
        "forward_log_known": of_head.log1p(),
        "backward_log_known": of_tail.log1p(),
        "forward_any_known": (of_head > 0).float(),
        "backward_any_known": (of_tail > 0).float(),
    }
    return torch.stack([values[name] for name in FEATURES], 1)


def of_block(block: FactBlock) -> Float[Tensor, "F X"]:
    """Of the facts of a block."""
    return features(block.forward, block.backward, block.row, block.column)
