"""How good a trained model is: its ranks, its probabilities, and how it separates facts from checked negatives."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from kg.bundle import Bundle
from kg.errors import UserError, check_at_least_one
from kg.evaluation import ranking
from kg.evaluation.bootstrap import mrr_within
from kg.evaluation.metrics import Metrics
from kg.probability.calibration import calibration_of
from kg.probability.reliability import Reliability, held_out_reliability
from kg.probability.triple_classification import Classification, classify
from kg.progress import SILENT, Progress


@final
@dataclass(frozen=True)
class Assessment:
    """metrics: of the ranks of facts held out of training. probability: None where the model gives no probabilities, or
    none of a relation that has such facts. classification: None where no negatives were given. mrr_within: of a sample,
    the bounds of the MRR of all, with 95 % confidence."""

    metrics: Metrics
    probability: Reliability | None
    classification: Classification | None
    mrr_within: tuple[float, float] | None = None

    def to_json(self) -> dict[str, Any]:
        values = self.metrics.to_json() | {"probability": self.probability and self.probability.to_json()}
        values |= {"mrr_within": list(self.mrr_within)} if self.mrr_within else {}
        return values | ({"classification": self.classification.to_json()} if self.classification else {})


def evaluate(
    bundle: Bundle,
    split: str = "test",
    threshold: float = 0.5,
    negatives: Path | None = None,
    sample: int | None = None,
    progress: Progress = SILENT,
) -> Assessment:
    """Filtered ranking of the facts of a split, 'valid' or 'test', both directions, against all entities; of a
    calibrated model also how good its probabilities are, precision and recall from this threshold on.

    negatives: a folder with valid_negatives and test_negatives, statements that were found false: what separates facts
    from them is fitted on valid and measured on test (kg.probability.triple_classification).

    sample: rank at most so many of the facts, drawn at random, the same each time.

    UserError where the model has no such facts, for a threshold that is none, and for negatives with another split.
    """
    if not 0 < threshold <= 1:
        raise UserError(f"threshold must be above 0 and at most 1: got {threshold:g}", "threshold")
    if negatives is not None and split != "test":
        raise UserError(
            "negatives is measured on test, by what was fitted on valid: leave split out", setting="negatives"
        )
    if sample is not None:
        check_at_least_one(sample=sample)
    scorer, dataset, temperature = bundle.scorer, bundle.dataset, bundle.temperature
    if not len(dataset.part(split)):
        raise UserError(f"{bundle.path} was trained without {split} facts: there is nothing to measure it on")
    calibration = calibration_of(bundle)  # which may be none: said before the ranking
    if calibration is not None and calibration.reason is not None:
        calibration = None
    found = ranking.evaluate(scorer, dataset, split, temperature=temperature, sample=sample, progress=progress)
    within = mrr_within(found) if sample is not None and sample < len(dataset.part(split)) else None
    probability = classification = None
    if calibration is not None:
        probability = held_out_reliability(
            calibration, scorer, dataset, split, temperature, threshold, progress=progress
        )
    if negatives is not None:
        classification = classify(scorer, dataset, negatives, temperature, calibration, progress=progress)
    return Assessment(found.metrics(dataset.vocabulary.relations), probability, classification, within)
