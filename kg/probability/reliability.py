"""How good are the probabilities: among all candidates given p, are a share of p held-out facts? See also bins.py."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kg.errors import UserError, extra, visible
from kg.evaluation.average_precision import average_precision
from kg.files import write_figure
from kg.graph.dataset import Dataset
from kg.models.scorer import Scorer
from kg.probability.bins import Bin, bins
from kg.probability.calibration import Calibration
from kg.probability.candidate_sample import sample_candidates
from kg.probability.query_scores import QueryScores
from kg.progress import SILENT, Progress
from kg.search.eligibility import Eligibility

_NEVER = 1e-12  # a probability of 0 counts as this one in the log-loss


@dataclass(frozen=True)
class Loss:
    """skill: 1 - loss / the loss where every candidate is given the base rate; None where that loss is 0."""

    loss: float
    skill: float | None

    @classmethod
    def of(cls, loss: float, of_base_rate: float) -> "Loss":
        return cls(loss, 1 - loss / of_base_rate if of_base_rate else None)


@dataclass(frozen=True)
class CalibrationError:
    """The sum over bins of |observed - predicted| candidates, for each candidate (the expected calibration error), and
    for each fact there is: 0.1 means that every tenth is expected in the wrong place."""

    a_candidate: float
    a_fact: float


@dataclass(frozen=True)
class AboveThreshold:
    """Of the candidates with p >= threshold. precision: None where there are none."""

    threshold: float
    precision: float | None
    recall: float


@dataclass(frozen=True)
class Reliability:
    """Figures over all candidates. facts: of the candidates, those that were held out. brier: mean (p - fact)^2.
    log_loss: in nats."""

    candidates: float
    facts: float
    brier: Loss
    log_loss: Loss
    calibration_error: CalibrationError
    pr_auc: float
    above: AboveThreshold
    bins: tuple[Bin, ...]

    @property
    def negatives_a_fact(self) -> float:
        return (self.candidates - self.facts) / self.facts if self.facts else 0.0

    def to_json(self) -> dict[str, Any]:
        """All figures in one dict."""
        return {
            "candidates": self.candidates,
            "facts": self.facts,
            "negatives_a_fact": self.negatives_a_fact,
            "brier": self.brier.loss,
            "brier_skill": self.brier.skill,
            "log_loss": self.log_loss.loss,
            "log_loss_skill": self.log_loss.skill,
            "ece": self.calibration_error.a_candidate,
            "ece_a_fact": self.calibration_error.a_fact,
            "pr_auc": self.pr_auc,
            **asdict(self.above),
            "bins": [asdict(each) for each in self.bins],
        }


def held_out_reliability(
    calibration: Calibration,
    scorer: Scorer,
    dataset: Dataset,
    part: str,
    temperature: float | None,
    threshold: float = 0.5,
    seed: int = 1 << 32,
    progress: Progress = SILENT,
) -> Reliability | None:
    """Over all candidates that training did not see, sampled and weighed back (see kg.probability.candidate_sample).

    'test': a fact of test stands for its share of all that was held out, which is what a probability is of; facts of
    valid are no candidates. 'valid': test is not looked at, its facts are candidates like any other, and measured is
    the probability of being in valid: the held-out ones times valid's share of them. The threshold is still that of p.
    Relations whose probabilities are withheld are left out. None where no fact of the part is a candidate of another.
    The seed is none that kg.probability.fitting draws by: those candidates have been fitted on.
    """
    eligible = Eligibility.of_training(
        dataset, *(("train", "valid") if part == "test" else ("train",)), device=scorer.device
    )
    scores = QueryScores.of_training(scorer, dataset, temperature, calibration.asked)
    sample = sample_candidates(scores, dataset.part(part).to(scorer.device), eligible, seed, progress=progress)
    share = len(dataset.part(part)) / (len(dataset.valid) + len(dataset.test))
    sample = sample.of(~torch.isin(sample.relation, sample.relation.new_tensor(calibration.withheld)))
    if not bool(sample.is_true.any()):
        return None
    probability = calibration.of_sample(sample)
    if part == "test":
        weight = torch.where(sample.is_true, sample.weight / share, sample.weight)
        return reliability(probability, sample.is_true, weight, threshold)
    found = reliability(probability * share, sample.is_true, sample.weight, threshold * share)
    return replace(found, above=replace(found.above, threshold=threshold))


def reliability(
    probability: Float[Tensor, " P"], is_true: Bool[Tensor, " P"], weight: Float[Tensor, " P"], threshold: float = 0.5
) -> Reliability:
    """Of P candidates that each stand for `weight` of them. ValueError where none is true."""
    weight, label = weight.double(), is_true.double()
    total = weight.sum().item()
    facts = (weight * label).sum().item()

    def mean(values: Float[Tensor, " P"]) -> float:
        return ((weight * values).sum() / total).item()

    def log_loss(p: Float[Tensor, " P"]) -> float:
        given = torch.where(is_true, p, 1 - p)
        return mean(-given.clamp(min=_NEVER).log())

    base_rate = torch.full_like(probability, facts / total)
    brier, brier_of_base = (mean((each - label) ** 2) for each in (probability, base_rate))
    found = bins(probability, is_true, weight)
    missed = sum(abs(each.observed - each.predicted) * each.candidates for each in found)
    above = probability >= threshold
    chosen, hits = (weight * above).sum().item(), (weight * above * label).sum().item()
    return Reliability(
        candidates=total,
        facts=facts,
        brier=Loss.of(brier, brier_of_base),
        log_loss=Loss.of(log_loss(probability), log_loss(base_rate)),
        calibration_error=CalibrationError(missed / total, missed / facts if facts else 0.0),
        pr_auc=average_precision(probability, is_true, weight),
        above=AboveThreshold(threshold, hits / chosen if chosen else None, hits / facts if facts else 0.0),
        bins=found,
    )


def check_plot(file: Path) -> None:
    """UserError where `plot` could not draw into this file."""
    if file.suffix not in (".png", ".svg"):
        raise UserError(f"plot {file}: expected a name that ends in .png or .svg", "plot")
    if not file.absolute().parent.is_dir():
        raise UserError(f"plot {file}: no directory {file.parent}", "plot")
    with extra("plot"):
        import matplotlib.figure  # noqa: F401


def plot(found: Reliability, file: Path, title: str) -> None:
    """A reliability diagram: predicted against observed, both as log-odds, and below how many candidates a bin has."""
    check_plot(file)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 7), layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    predicted, candidates, facts = (
        [getattr(each, name) for each in found.bins] for name in ("predicted", "candidates", "facts")
    )
    least = min([each.observed for each in found.bins if each.observed] + [each for each in predicted if each])
    low, high = least / 3, 0.999
    # A bin without any fact, or with nothing else, has no log-odds: it stands at the edge.
    predicted, observed = (
        [min(max(value, low), high) for value in values]
        for values in (predicted, [each.observed for each in found.bins])
    )
    axes.plot([low, high], [low, high], color="0.6", label="perfect")
    axes.plot(predicted, observed, "o-", label="a bin of candidates")
    axes.set(xscale="logit", yscale="logit", xlim=(low, high), ylim=(low, high), ylabel="observed share of facts")
    figures = f"Brier skill {_shown(found.brier.skill)}, ECE a fact {found.calibration_error.a_fact:.3f}"
    axes.set_title(f"{visible(title)}\n{figures}", parse_math=False)
    axes.legend()
    below.plot(predicted, candidates, "s-", color="C1", label="candidates")
    below.plot(predicted, facts, "o-", color="C0", label="facts")
    below.set(xscale="logit", yscale="log", xlabel="predicted probability")
    below.legend()
    for each in (axes, below):
        each.grid(alpha=0.3)
        each.minorticks_off()
    below.tick_params(axis="x", labelrotation=45)
    write_figure(file, figure)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
