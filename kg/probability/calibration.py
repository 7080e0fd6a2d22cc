"""From scores to probabilities: how likely is it that a candidate is a fact which training did not see?

The probability of a fact is that of being held out of training, among all (head, relation, tail) that training did not
see. It says: were as many facts missing from the graph as were held out of it, and missing in the same way, so many of
the candidates with this probability would be among them. Nothing is known of facts that nobody ever wrote down, so in
an open world it is a lower bound of being true.

    logit = w_r . x   of relation r, with x the features of kg.probability.candidate_sample and 1
    p = f(logit)      f the same for all relations, and increasing

w_r is a logistic regression (Platt, 1999) on the valid facts of r against its candidates in their true number, drawn
towards the regression of all relations. f is the logistic function of the logit divided by a temperature, or of a line
of it (Platt scaling), or an isotonic regression. How much w_r is drawn, and which f, is what has the least log-loss on
a half of valid that it did not see, among candidates drawn anew.
Test facts are candidates like any other here, since nobody may look at them; that among what is not in valid there are
so many held out too is known: a fact is in valid with the same probability, whatever it is (Elkan and Noto, 2008,
sec. 2).
"""

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.special import expit
from torch import Tensor

from kg.graph.dataset import Dataset
from kg.models.scorer import Scorer
from kg.probability.candidate_sample import Pool, sample_pool
from kg.probability.query_scores import Asking, Rows

SHAPES = ("temperature", "platt", "isotonic")

_FEW = 50  # valid facts: with fewer, half of them could not choose between the shapes
_PULLS = (10.0, 100.0, 1000.0)  # towards the regression of all relations, on weights of features in units of spread ...
_PULL_ON_RATE = 1.0  # ... and on the constant: how often a relation holds is soon learnt
# Below it a feature counts as constant, in nats. What the model answers with later knows more facts than what it is
# calibrated on, and that moves a log-softmax by more: a weight in units of less would make any fact certain.
_LEAST_SPREAD = 0.01

_Array = Float[np.ndarray, " _"]
_Table = Float[np.ndarray, "_ _"]


@final
@dataclass(frozen=True, eq=False)
class Calibration:
    """weights: of 1, then of the features of kg.probability.candidate_sample, a row a relation.

    shape: of f, one of SHAPES. knots: of an isotonic one the logits, then the probabilities, between which a line is
    drawn; else the slope and the shift of the line.
    """

    weights: Float[Tensor, "R 8"]
    shape: str
    knots: tuple[tuple[float, ...], ...]

    def of_scores(self, relation: int) -> tuple[float, float]:
        """What the scores of (head, r, ?) and those of (tail, r + R, ?) count in a logit."""
        weights: list[float] = self.weights[relation].tolist()
        _, mean, forward, backward, *_ = weights
        return mean / 2 + forward, mean / 2 + backward

    def of_question(self, relation: int, rows: Rows) -> Float[Tensor, " B"]:
        """What a directed question adds to the logits of all its candidates; r's also the constant."""
        backward = relation >= len(self.weights)
        weights = self.weights[relation % len(self.weights)].tolist()
        constant = 0.0 if backward else weights[0]
        softmax, count, any_ = weights[2 + backward], weights[4 + backward], weights[6 + backward]
        known = rows.count.float()
        found: Tensor = constant - softmax * rows.normaliser + count * known.log1p() + any_ * (known > 0)
        return found

    def logits(self, relation: int, forward: Rows, backward: Rows) -> Float[Tensor, "H T"]:
        """Of all pairs of the heads asked `forward` and the tails asked `backward`."""
        there, back = self.of_scores(relation)
        inverse = relation + len(self.weights)
        of_ends = self.of_question(relation, forward)[:, None] + self.of_question(inverse, backward)
        logits: Tensor = there * forward.scores + back * backward.scores.T + of_ends
        return logits

    def probabilities(self, logits: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if self.shape == "isotonic":
            found: Any = np.interp(_numbers(logits.cpu()), np.array(self.knots[0]), np.array(self.knots[1]))
            return torch.from_numpy(np.asarray(found)).to(logits)
        ((slope, shift),) = self.knots
        along: Tensor = slope * logits + shift
        return along.sigmoid()

    def of_pool(self, pool: Pool) -> Float[Tensor, " P"]:
        """The probabilities of a pool's candidates, in fp64."""
        return self.probabilities(torch.from_numpy(feature_logits(self.weights, pool)))

    def to_json(self) -> dict[str, Any]:
        return {"weights": self.weights.tolist(), "shape": self.shape, "knots": [list(each) for each in self.knots]}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Calibration":
        return cls(torch.tensor(stored["weights"]), stored["shape"], tuple(tuple(each) for each in stored["knots"]))


def calibrate(scorer: Scorer, dataset: Dataset, temperature: float | None, seed: int = 0) -> Calibration | None:
    """The calibration of a trained scorer, on valid; None without valid facts that training did not see.

    A function of the seed. Asks, twice, up to 262,144 questions (32,768 of a scorer that looks at the graph) beside
    those of at most 4,096 valid facts.
    """
    if not len(dataset.valid):
        return None
    ask, valid, ever = asking(scorer, dataset, temperature), dataset.valid.to(scorer.device), loops(dataset)
    pool = sample_pool(ask, valid, ever, seed=seed)
    if not bool(pool.is_true.any()):
        return None
    hidden = len(dataset.test) / (len(dataset.valid) + len(dataset.test))
    pull, shape = _PULLS[0], "platt"
    if len(dataset.valid) >= _FEW:
        # Candidates drawn anew: where few of a relation's millions are drawn, its regression is sure of what none of
        # them contradicts, and the same ones would not show it.
        first, second = _half(pool, seed, 0), _half(sample_pool(ask, valid, ever, seed=seed + 1), seed, 1)
        pull, shape = _best(first, second, dataset.num_relations, hidden)
    return _shaped(relation_weights(pool, dataset.num_relations, hidden, pull), shape, pool, hidden)


def _half(pool: Pool, seed: int, which: int) -> Pool:
    """Of pools with the same facts, half 0 of one and half 1 of the other have none in common."""
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.empty_like(pool.is_true)
    for part in (pool.is_true, ~pool.is_true):
        chosen[part] = (torch.rand(int(part.sum()), generator=generator) < 0.5) == (which == 0)
    return pool.of(chosen, weight=2.0)


def _best(first: Pool, second: Pool, num_relations: int, hidden: float) -> tuple[float, str]:
    """The pull and the shape that, fitted on the first, have the least log-loss on the second."""
    losses = {}
    for pull in _PULLS:
        weights = relation_weights(first, num_relations, hidden, pull)
        for shape in SHAPES:
            losses[pull, shape] = _log_loss(_shaped(weights, shape, first, hidden), second, hidden)
    return min(losses, key=losses.__getitem__)


def asking(scorer: Scorer, dataset: Dataset, temperature: float | None) -> Asking:
    """The scorer as training left it: it knows the training facts alone."""
    device = scorer.device
    return Asking(scorer, dataset.graph().to(device), dataset.known("train").to(device), temperature or 1.0)


def loops(dataset: Dataset) -> Bool[Tensor, " R"]:
    """Of which relations training has seen a fact (h, r, h)."""
    found = torch.zeros(dataset.num_relations, dtype=torch.bool)
    found[dataset.train[dataset.train[:, 0] == dataset.train[:, 2], 1]] = True
    return found


def relation_weights(pool: Pool, num_relations: int, hidden: float, pull: float = _PULLS[0]) -> Float[Tensor, "R 8"]:
    """The logistic regression of each relation, drawn towards that of all. A share `hidden` of what is true is not
    marked so in the pool."""
    x, weight, labels = _numbers(pool.features), _numbers(pool.weight), _numbers(pool.is_true)
    middle, spread = x.mean(0), np.maximum(x.std(0), _LEAST_SPREAD)
    x = np.column_stack([np.ones(len(x)), (x - middle) / spread])
    rate = np.clip(weight @ labels / weight.sum(), 1e-12, 1 - 1e-12)
    overall = _regression(x, labels, weight, hidden, np.array([math.log(rate / (1 - rate)), *[0.0] * len(spread)]))
    lines = np.tile(overall, (num_relations, 1))
    by_relation = np.split(np.argsort(pool.relation.numpy(), kind="stable"), np.bincount(pool.relation).cumsum()[:-1])
    for relation, rows in enumerate(by_relation):
        if len(rows):
            lines[relation] = _regression(x[rows], labels[rows], weight[rows], hidden, overall, pull)
    lines[:, 1:] /= spread
    lines[:, 0] -= lines[:, 1:] @ middle
    return torch.from_numpy(lines).float()


def _regression(
    x: _Table, labels: _Array, weight: _Array, hidden: float, start: _Array, pull: float = _PULLS[0]
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


def _numbers(values: Tensor) -> Any:
    return values.double().numpy()


def _shaped(weights: Float[Tensor, "R 8"], shape: str, pool: Pool, hidden: float) -> Calibration:
    """With the f of this shape, fitted."""
    logits, labels, weight = feature_logits(weights, pool), _numbers(pool.is_true), _numbers(pool.weight)
    constant = np.full_like(logits, shape != "temperature")
    shift, slope = _regression(np.column_stack([constant, logits]), labels, weight, hidden, np.array([0.0, 1.0]))
    if shape != "isotonic":
        return Calibration(weights, shape, ((float(slope), float(shift)),))
    from sklearn.isotonic import IsotonicRegression

    # Of being in valid; what is held out is so much more, and there is no line to fit again. At the top, where no false
    # candidate may have been drawn, it is not surer than the line is.
    surest = (1 - hidden) * float(expit(slope * logits.max() + shift))
    fitted = IsotonicRegression(y_min=0.0, y_max=surest).fit(logits, labels, sample_weight=weight)
    heights = fitted.y_thresholds_ / (1 - hidden)
    return Calibration(weights, shape, (tuple(fitted.X_thresholds_.tolist()), tuple(heights.tolist())))


def feature_logits(weights: Float[Tensor, "R 8"], pool: Pool) -> _Array:
    """Of a pool's candidates, by the features that it holds."""
    lines = weights[pool.relation].double()
    logits: _Array = (lines[:, 0] + (lines[:, 1:] * pool.features).sum(1)).numpy()
    return logits


def _log_loss(calibration: Calibration, pool: Pool, hidden: float) -> float:
    """In nats, of being in valid: it is all that may be seen."""
    found = calibration.of_pool(pool).numpy() * (1 - hidden)
    said = np.where(pool.is_true.numpy(), found, 1 - found)
    return float(-(pool.weight.double().numpy() @ np.log(np.maximum(said, 1e-12))))
