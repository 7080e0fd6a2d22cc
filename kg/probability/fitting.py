"""Fits the calibration of a trained model on its valid facts: see kg.probability.calibration."""

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import expit
from torch import Tensor

from kg import bundle as bundles
from kg.bundle import Bundle
from kg.graph.dataset import Dataset
from kg.interruption import finishing
from kg.models.scorer import Scorer
from kg.probability.calibration import SHAPES, Calibration
from kg.probability.candidate_sample import CandidateSample, sample_candidates
from kg.probability.query_scores import BATCH, QueryScores
from kg.probability.regression import LEAST_PULL, logistic_regression, relation_weights
from kg.progress import SILENT, Progress
from kg.resources import threads_for

_FEW = 50  # valid facts: with fewer, half of them could not choose between the shapes
_PULLS = (LEAST_PULL, 100.0, 1000.0)  # towards the regression of all relations


def calibrate(bundle: Bundle, seed: int = 0, progress: Progress = SILENT) -> Bundle:
    """Fits the probabilities of a trained model and saves them as the next generation of its folder, in which all else
    stays as it is; the bundle with them. The same bundle, and nothing saved, where it has no valid facts to fit on."""
    with threads_for(bundle.dataset.num_entities * BATCH):
        found = fit_calibration(bundle.scorer, bundle.dataset, bundle.temperature, seed, progress)
    if found is None:
        return bundle
    with finishing():
        bundles.save_calibration(bundle, found.to_json())
    return Bundle.load(bundle.path, bundle.scorer.device)


def fit_calibration(
    scorer: Scorer, dataset: Dataset, temperature: float | None, seed: int = 0, progress: Progress = SILENT
) -> Calibration | None:
    """The calibration of a trained scorer, on valid; None without valid facts that training did not see.

    A function of the seed. Asks, twice, up to 262,144 questions (32,768 of a scorer that looks at the graph) beside
    those of at most 4,096 valid facts.
    """
    if not len(dataset.valid):
        return None
    scores, valid = QueryScores.of_training(scorer, dataset, temperature), dataset.valid.to(scorer.device)

    def drawn(seed: int) -> CandidateSample:
        return sample_candidates(scores, valid, scores.known.reflexive, seed=seed, progress=progress)

    sample = drawn(seed)
    if not bool(sample.is_true.any()):
        return None
    hidden = len(dataset.test) / (len(dataset.valid) + len(dataset.test))
    pull, shape = LEAST_PULL, "platt"
    if len(dataset.valid) >= _FEW:
        # Candidates drawn anew: where few of a relation's millions are drawn, its regression is sure of what none of
        # them contradicts, and the same ones would not show it.
        pull, shape = _best(_half(sample, seed, 0), _half(drawn(seed + 1), seed, 1), dataset.num_relations, hidden)
    return _shaped(relation_weights(sample, dataset.num_relations, hidden, pull), shape, sample, hidden)


def _half(sample: CandidateSample, seed: int, which: int) -> CandidateSample:
    """Of samples with the same facts, half 0 of one and half 1 of the other have none in common."""
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.empty_like(sample.is_true)
    for part in (sample.is_true, ~sample.is_true):
        chosen[part] = (torch.rand(int(part.sum()), generator=generator) < 0.5) == (which == 0)
    return sample.of(chosen, weight=2.0)


def _best(first: CandidateSample, second: CandidateSample, num_relations: int, hidden: float) -> tuple[float, str]:
    """The pull and the shape that, fitted on the first, have the least log-loss on the second."""
    losses = {}
    for pull in _PULLS:
        weights = relation_weights(first, num_relations, hidden, pull)
        for shape in SHAPES:
            losses[pull, shape] = _log_loss(_shaped(weights, shape, first, hidden), second, hidden)
    return min(losses, key=losses.__getitem__)


def _shaped(weights: Float[Tensor, "R W"], shape: str, sample: CandidateSample, hidden: float) -> Calibration:
    """With the f of this shape, fitted."""
    logits = sample.logits(weights).numpy()
    labels, weight = sample.is_true.double().numpy(), sample.weight.double().numpy()
    constant = np.full_like(logits, shape != "temperature")
    x, start = np.column_stack([constant, logits]), np.array([0.0, 1.0])
    shift, slope = logistic_regression(x, labels, weight, hidden, start)
    if shape != "isotonic":
        return Calibration(weights, shape, ((float(slope), float(shift)),))
    from sklearn.isotonic import IsotonicRegression

    # Of being in valid; what is held out is so much more, and there is no line to fit again. At the top, where no false
    # candidate may have been drawn, it is not surer than the line is.
    surest = (1 - hidden) * float(expit(slope * logits.max() + shift))
    fitted = IsotonicRegression(y_min=0.0, y_max=surest).fit(logits, labels, sample_weight=weight)
    heights = fitted.y_thresholds_ / (1 - hidden)
    return Calibration(weights, shape, (tuple(fitted.X_thresholds_.tolist()), tuple(heights.tolist())))


def _log_loss(calibration: Calibration, sample: CandidateSample, hidden: float) -> float:
    """In nats, of being in valid: it is all that may be seen."""
    found = calibration.of_sample(sample).numpy() * (1 - hidden)
    given = np.where(sample.is_true.numpy(), found, 1 - found)
    return float(-(sample.weight.double().numpy() @ np.log(np.maximum(given, 1e-12))))
