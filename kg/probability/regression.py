"""Logistic regression of facts by relation, where a known share of the facts is not marked as such."""

import math

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import expit
from torch import Tensor

from kg.probability.candidate_sample import CandidateSample

LEAST_PULL = 10.0  # towards another regression, on weights of features in units of spread ...
_PULL_ON_RATE = 1.0  # ... and on the constant: how often a relation holds is soon learnt
# Below it a feature counts as constant, in nats. What the model answers with later knows more facts than what it is
# calibrated on, and that moves a log-softmax by more: a weight in units of less would make any fact certain.
_LEAST_SPREAD = 0.01

_Array = Float[np.ndarray, " _"]
_Table = Float[np.ndarray, "_ _"]


def relation_weights(
    sample: CandidateSample, num_relations: int, hidden: float, pull: float = LEAST_PULL
) -> Float[Tensor, "R W"]:
    """The logistic regression of each relation, drawn towards that of all. A share `hidden` of what is true is not
    marked so in the sample."""
    x, weight, labels = (each.double().numpy() for each in (sample.features, sample.weight, sample.is_true))
    middle, spread = x.mean(0), np.maximum(x.std(0), _LEAST_SPREAD)
    x = np.column_stack([np.ones(len(x)), (x - middle) / spread])
    rate = np.clip(weight @ labels / weight.sum(), 1e-12, 1 - 1e-12)
    start = np.array([math.log(rate / (1 - rate)), *[0.0] * len(spread)])
    overall = logistic_regression(x, labels, weight, hidden, start)
    lines = np.tile(overall, (num_relations, 1))
    order, ends = np.argsort(sample.relation.numpy(), kind="stable"), np.bincount(sample.relation).cumsum()
    by_relation = np.split(order, ends[:-1])
    for relation, rows in enumerate(by_relation):
        if len(rows):
            lines[relation] = logistic_regression(x[rows], labels[rows], weight[rows], hidden, overall, pull)
    lines[:, 1:] /= spread
    lines[:, 0] -= lines[:, 1:] @ middle
    return torch.from_numpy(lines).float()


def logistic_regression(
    x: _Table, labels: _Array, weight: _Array, hidden: float, start: _Array, pull: float = LEAST_PULL
) -> _Array:
    """Logistic regression of `labels`, of which a share `hidden` is missing: a candidate with the logit z is seen to be
    a fact with the probability (1 - hidden) sigmoid(z). Drawn towards `start` by a sum of squares, with
    `pull` and, for the first column, _PULL_ON_RATE.

    By Newton's method, with the expected curvature. (scikit-learn's knows of nothing missing, and draws towards 0.)
    """
    line, offset = start, math.log(hidden) if hidden else -math.inf
    pulls = np.array([_PULL_ON_RATE, *[pull] * (len(start) - 1)])

    def loss(line: _Array) -> float:
        logits = x @ line
        each = np.logaddexp(0, logits) - labels * logits - (1 - labels) * np.logaddexp(0, logits + offset)
        return float(weight @ each + pulls @ (line - start) ** 2 / 2)

    before = loss(line)
    for _ in range(100):
        logits = x @ line
        found, is_hidden = expit(logits), expit(logits + offset)
        expected = labels + (1 - labels) * is_hidden
        curvature = weight * found * (1 - found) * (1 - hidden) * (1 - is_hidden)
        curvatures = (x * curvature[:, None]).T @ x + np.diag(pulls)
        step = np.linalg.solve(curvatures, x.T @ (weight * (expected - found)) - pulls * (line - start))
        while (after := loss(line + step)) > before and np.abs(step).max() > 1e-9:
            step /= 2
        line = line + step
        if before - after < 1e-9 * abs(before):
            break
        before = after
    return line
