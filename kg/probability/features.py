"""What the probability of a fact is made of: the features of a candidate, each by its name.

A fact answers two questions: (h, r, ?) and (t, r + R, ?). Of most scorers both are asked. A scorer that reads its
answers off the graph is asked one (see QueryScores.asked): then the features are those of ONE_WAY, and say of the
question that is asked, and of the other one, what is known without asking.

Their order is that of the columns of a sample, and, with the constant before them, of the weights that a calibration
holds and stores.
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
ONE_WAY = (
    "asked_log_softmax",  # of the question that is asked, over all answers that are not known
    "asked_log_known",
    "other_log_known",
    "asked_any_known",
    "other_any_known",
    "asked_log_fit",  # how well its entity fits there, where it has no known answer, else 0: see ScoreBlock
    "other_log_fit",
)


def names_of(one_way: bool) -> tuple[str, ...]:
    return ONE_WAY if one_way else FEATURES


def features(
    forward: ScoreBlock, backward: ScoreBlock, row: Int[Tensor, " P"], column: Int[Tensor, " P"]
) -> Float[Tensor, "P X"]:
    """A column each of FEATURES, or, where one of the two was not asked, of ONE_WAY: of (head, r, ?) `forward`, scores
    (H, T), and of (tail, r + R, ?) `backward`, scores (T, H), at the places (row, column) of the former."""
    if not forward.is_asked or not backward.is_asked:
        return _one_way(forward, backward, row, column)
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


def _one_way(
    forward: ScoreBlock, backward: ScoreBlock, row: Int[Tensor, " P"], column: Int[Tensor, " P"]
) -> Float[Tensor, "P X"]:
    ends = (forward, row, column), (backward, column, row)
    (asked, at, answer), (other, place, _) = ends if forward.is_asked else ends[::-1]
    values = {"asked_log_softmax": asked.scores[at, answer] - asked.normaliser[at]}
    for role, block, of in (("asked", asked, at), ("other", other, place)):
        count = block.count[of].float()
        values[f"{role}_log_known"], values[f"{role}_any_known"] = count.log1p(), (count > 0).float()
        values[f"{role}_log_fit"] = block.log_fit[of]
    return torch.stack([values[name] for name in ONE_WAY], 1)


def of_block(block: FactBlock) -> Float[Tensor, "F X"]:
    """Of the facts of a block."""
    return features(block.forward, block.backward, block.row, block.column)
