"""Logistic regression of facts by relation, where a known share of the facts is not marked as such."""

import math

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import expit
from torch import Tensor

from kg.newton import minimised
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

    By Newton's method, with the expected curvature, until a step gains less than 1e-9 of the loss. (scikit-learn's
    regression knows of nothing missing, and draws towards 0.)
    """
    offset = math.log(hidden) if hidden else -math.inf
    pulls = np.array([_PULL_ON_RATE, *[pull] * (len(start) - 1)])

    def at(line: _Array) -> tuple[float, _Array, _Array]:
        logits, away = x @ line, line - start
        each = np.logaddexp(0, logits) - labels * logits - (1 - labels) * np.logaddexp(0, logits + offset)
        loss = float(weight @ each + pulls @ away**2 / 2)
        found, is_hidden = expit(logits), expit(logits + offset)
        expected = labels + (1 - labels) * is_hidden
        gradient = x.T @ (weight * (found - expected)) + pulls * away
        curvature = weight * found * (1 - found) * (1 - hidden) * (1 - is_hidden)
        return loss, gradient, np.linalg.solve((x * curvature[:, None]).T @ x + np.diag(pulls), gradient)

    return minimised(at, start, least_share=1e-9)
