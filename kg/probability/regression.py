"""Logistic regression of facts by relation, where a known share of the facts is not marked as such; and the line of a
few pieces that its logits are brought to."""

import math
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import minimize
from scipy.special import expit
from torch import Tensor

from kg.newton import minimised
from kg.probability.candidate_sample import CandidateSample
from kg.probability.features import FEATURES, ONE_WAY

_PULL = 10.0  # towards another regression, on weights of features in units of spread ...
_PULL_ON_RATE = 1.0  # ... and on the constant: how often a relation holds is soon learnt
# Below it a feature counts as constant, in nats. What the model answers with later knows more facts than what it is
# calibrated on, and that moves a log-softmax by more: a weight in units of less would make any fact certain.
_LEAST_SPREAD = 0.01

_AT_THE_TOP = 12.0  # facts to be found in the first piece; in each other twice as many as in the one above, up to ...
_OF_ALL = 0.1  # ... this share of all
_LEAST_SLOPE = 0.05  # of the single line's: of two candidates the one with the higher logit is the more probable
_PULL_ON_SLOPE = 1.0  # towards that of the single line, as a share of it
_NEVER_FALLS = 1e6  # what a probability that falls with the score costs

_Array = Float[np.ndarray, " _"]
_Table = Float[np.ndarray, "_ _"]

# What the scores of a direction count in a logit, of the weights of features: half the mean, and a log-softmax.
_OF_SCORES: dict[tuple[str, ...], tuple[dict[str, float], ...]] = {
    FEATURES: ({"mean_score": 0.5, "forward_log_softmax": 1.0}, {"mean_score": 0.5, "backward_log_softmax": 1.0}),
    ONE_WAY: ({"asked_log_softmax": 1.0},),
}


def relation_weights(sample: CandidateSample, num_relations: int, hidden: float) -> Float[Tensor, "R W"]:
    """The logistic regression of each relation, drawn towards that of all, and never falling with a score. A share
    `hidden` of what is true is not marked so in the sample."""
    x, weight, labels = (each.double().numpy() for each in (sample.features, sample.weight, sample.is_true))
    middle, spread = x.mean(0), np.maximum(x.std(0), _LEAST_SPREAD)
    x = np.column_stack([np.ones(len(x)), (x - middle) / spread])
    rate = np.clip(weight @ labels / weight.sum(), 1e-12, 1 - 1e-12)
    start = np.array([math.log(rate / (1 - rate)), *[0.0] * len(spread)])
    of_scores = np.array([[each.get(name, 0.0) for name in sample.names] for each in _OF_SCORES[sample.names]])
    scores = np.zeros((len(of_scores), len(start)))  # what each direction's counts, of a line
    scores[:, 1:] = of_scores / spread
    overall = logistic_regression(x, labels, weight, hidden, start, rising=scores)
    lines = np.tile(overall, (num_relations, 1))
    order, ends = np.argsort(sample.relation.numpy(), kind="stable"), np.bincount(sample.relation).cumsum()
    by_relation = np.split(order, ends[:-1])
    for relation, rows in enumerate(by_relation):
        if len(rows):
            some = x[rows], labels[rows], weight[rows]
            lines[relation] = logistic_regression(*some, hidden, overall, rising=scores)
    lines[:, 1:] /= spread
    lines[:, 0] -= lines[:, 1:] @ middle
    for of_score in of_scores:
        column = 1 + int(np.flatnonzero(of_score == 1)[0])
        lines[:, column] -= np.minimum(lines[:, 1:] @ of_score, 0)  # what the cost leaves of a fall
    return torch.from_numpy(lines).float()


def logistic_regression(
    x: _Table,
    labels: _Array,
    weight: _Array,
    hidden: float,
    start: _Array,
    pull: float = _PULL,
    rising: _Table | None = None,
) -> _Array:
    """Logistic regression of `labels`, of which a share `hidden` is missing: a candidate with the logit z is seen to be
    a fact with the probability (1 - hidden) sigmoid(z). Drawn towards `start` by a sum of squares, with
    `pull` and, for the first column, _PULL_ON_RATE. rising: sums of weights, a row each, that must not be below 0, but
    for a millionth.

    By Newton's method, with the expected curvature, until a step gains less than 1e-9 of the loss. (scikit-learn's
    regression knows of nothing missing, and draws towards 0.)
    """
    pulls = np.array([_PULL_ON_RATE, *[pull] * (len(start) - 1)])

    def at(line: _Array) -> tuple[float, _Array, _Array]:
        logits, away = x @ line, line - start
        each, found, expected, is_hidden = _loss(logits, labels, hidden)
        loss = float(weight @ each + pulls @ away**2 / 2)
        gradient = x.T @ (weight * (found - expected)) + pulls * away
        curvature = weight * found * (1 - found) * (1 - hidden) * (1 - is_hidden)
        curved = (x * curvature[:, None]).T @ x + np.diag(pulls)
        if rising is not None:
            falling = rising[rising @ line < 0]
            loss += _NEVER_FALLS / 2 * float(((falling @ line) ** 2).sum())
            gradient += _NEVER_FALLS * falling.T @ (falling @ line)
            curved += _NEVER_FALLS * falling.T @ falling
        return loss, gradient, np.linalg.solve(curved, gradient)

    return minimised(at, start, least_share=1e-9)


def _loss(logits: _Array, labels: _Array, hidden: float) -> tuple[_Array, _Array, _Array, _Array]:
    """The loss of each candidate, its probability, the probability that it is a fact given what is seen, and that it is
    one if it is not marked so. Those that are marked lose a constant less."""
    found = expit(logits)
    unmarked = expit(-logits) + hidden * found
    loss, is_hidden, marked = -np.log(unmarked), hidden * found / unmarked, labels > 0
    loss[marked] = np.logaddexp(0, -logits[marked])
    expected = is_hidden.copy()
    expected[marked] = 1
    return loss, found, expected, is_hidden


def rising_line(
    logits: _Array, labels: _Array, weight: _Array, hidden: float
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """From logits to those of what is seen, by points of a line that rises everywhere. The more probable the candidates
    of a piece are, the fewer it has: what is shown first must be right, too, and most facts are a long way below."""
    ones = np.ones_like(logits)
    single = logistic_regression(np.column_stack([ones, logits]), labels, weight, hidden, np.array([0.0, 1.0]))
    shift, slope = float(single[0]), max(float(single[1]), _LEAST_SLOPE)
    order = np.argsort(logits, kind="stable")
    expected = (weight * expit(shift + slope * logits))[order].cumsum()
    facts = float(weight @ labels)
    sizes = np.minimum(_AT_THE_TOP * 2.0 ** np.arange(64), max(_AT_THE_TOP, _OF_ALL * facts))
    above = sizes.cumsum()  # facts above each cut
    cuts = np.searchsorted(expected, expected[-1] * (1 - above[above < facts - _AT_THE_TOP] / max(facts, 1)))
    knots = np.unique(logits[order][np.minimum(cuts, len(order) - 1)])
    if not len(knots):
        return (0.0, 1.0), (shift, shift + slope)
    edges = [-np.inf, *knots, np.inf]
    # Within a piece a column runs, before it and after it stands still; the first is measured from its right edge.
    along = [np.clip(logits, left, right) - (left if np.isfinite(left) else right) for left, right in pairwise(edges)]
    x = np.column_stack([ones, *along])
    start = np.array([shift + slope * knots[0], *[slope] * len(along)])
    pulls = np.array([0.0, *[_PULL_ON_SLOPE / slope**2] * len(along)])

    def at(line: _Array) -> tuple[float, _Array]:
        each, found, fact, _ = _loss(x @ line, labels, hidden)
        away = line - start
        return float(weight @ each + pulls @ away**2 / 2), x.T @ (weight * (found - fact)) + pulls * away

    bounds = [(None, None), *[(_LEAST_SLOPE * slope, None)] * len(along)]
    line = minimize(at, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    heights = line[0] + np.concatenate([[0.0], np.cumsum(line[2:-1] * np.diff(knots))])
    points = (knots[0] - 1, *knots, knots[-1] + 1)
    return tuple(map(float, points)), (
        float(heights[0] - line[1]),
        *map(float, heights),
        float(heights[-1] + line[-1]),
    )
