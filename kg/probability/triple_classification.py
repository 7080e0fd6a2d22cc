"""Triple classification: can facts be separated from statements that people checked and found false?

The protocol of CoDEx (Safavi and Koutra, 2020): hard negatives of valid and of test, as many as facts. What separates
them is fitted on valid and applied to test. Thresholds are a relation's own (Socher et al., 2013), since in some
relations nearly all statements are true and in others nearly none.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kg.errors import UserError
from kg.evaluation.average_precision import average_precision
from kg.graph.dataset import PARTS, Dataset
from kg.graph.from_folder import facts_named
from kg.models.scorer import Scorer
from kg.probability.calibration import Calibration
from kg.probability.candidate_sample import CandidateSample
from kg.probability.fact_logits import FactLogits
from kg.probability.features import FEATURES, of_block
from kg.probability.query_scores import QueryScores
from kg.probability.regression import relation_weights
from kg.progress import SILENT, Progress

_FOLDS = 10
_ROUNDS = 3  # of cross-fitting, each with other folds: one alone moves the accuracy by some tenths of a percent
_REGRESSION, _SEEN = "regression", "logit"


@dataclass(frozen=True)
class Separation:
    """How well an input separates facts from negatives, on test after a fit on valid. valid_accuracy: cross-fitted."""

    valid_accuracy: float
    accuracy: float
    f1: float
    pr_auc: float


@dataclass(frozen=True)
class Classification:
    """inputs: by name. chosen: that which was best on valid, the logit aside, as its calibration has seen the facts of
    every fold. facts, negatives: how many of test.
    """

    chosen: str
    inputs: dict[str, Separation]
    facts: int
    negatives: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, eq=False)
class LabelledFacts:
    """Facts and negatives, a row each, with their inputs. sample: the features, and which rows are facts.

    inputs: score, that of (h, r, ?); mean_score, of it and (t, r + R, ?); softmax, the mean of their log-softmax;
    logit, that of the probability, where the model has been calibrated.
    """

    sample: CandidateSample
    inputs: dict[str, Float[Tensor, " P"]]

    def rows(self, chosen: Bool[Tensor, " P"]) -> "LabelledFacts":
        """These alone."""
        return LabelledFacts(self.sample.of(chosen, weight=1.0), {name: x[chosen] for name, x in self.inputs.items()})


def classify(
    scorer: Scorer,
    dataset: Dataset,
    negatives: Path,
    temperature: float | None,
    calibration: Calibration | None,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Classification:
    """A model's own valid and test facts against valid_negatives and test_negatives (.tsv or .txt) in a folder.

    UserError where the model has no valid or no test facts, a file is missing, or a negative is a fact.
    """
    scores = QueryScores.of_training(scorer, dataset, temperature)
    valid, test = (
        labelled(scores, facts, _negatives(dataset, negatives, part), calibration)
        for part, facts in (("valid", dataset.valid), ("test", dataset.test))
    )
    generator = torch.Generator().manual_seed(seed)
    num_rows, names = len(valid.sample.weight), (*valid.inputs, _REGRESSION)
    folds = torch.stack([torch.randperm(num_rows, generator=generator) % _FOLDS for _ in range(_ROUNDS)])
    found = {}
    for done, name in enumerate(names):
        progress.at("inputs", done, len(names))
        found[name] = _separation(name, valid, test, folds, dataset.num_relations)
    best = max((name for name in found if name != _SEEN), key=lambda name: found[name].valid_accuracy)
    facts = int(test.sample.is_true.sum())
    return Classification(best, found, facts, len(test.sample.weight) - facts)


def labelled(
    scores: QueryScores, facts: Int[Tensor, "F 3"], negatives: Int[Tensor, "G 3"], calibration: Calibration | None
) -> LabelledFacts:
    """Both, facts first."""
    hrt = torch.cat([facts, negatives])
    forward_score, found = torch.zeros(len(hrt)), torch.zeros(len(hrt), len(FEATURES))
    for block in scores.of_facts(hrt.to(scores.scorer.device)):
        chosen = block.chosen.cpu()
        found[chosen] = of_block(block).cpu()
        forward_score[chosen] = block.forward.scores[block.row, block.column].cpu()
    sample = CandidateSample(hrt, found, torch.ones(len(hrt)), torch.arange(len(hrt)) < len(facts))
    named = dict(zip(FEATURES, found.unbind(1), strict=True))
    softmax = (named["forward_log_softmax"] + named["backward_log_softmax"]) / 2
    inputs = {"score": forward_score, "mean_score": named["mean_score"], "softmax": softmax}
    if calibration is not None:
        if calibration.asked:  # of other features
            one_way = FactLogits(replace(scores, asked=calibration.asked), calibration)
            inputs[_SEEN] = one_way.of_facts(hrt.to(scores.scorer.device)).cpu()
        else:
            inputs[_SEEN] = sample.logits(calibration.weights).float()
    return LabelledFacts(sample, inputs)


def margins(name: str, fitted_on: LabelledFacts, of: LabelledFacts, num_relations: int) -> Float[Tensor, " P"]:
    """How far each row is above the threshold: at least 0 means true.

    An input is compared with its relation's threshold; "regression" is the logistic regression of a relation on the
    features of the sample, drawn towards that of all (see kg.probability.calibration), here fitted to the negatives.
    """
    if name == _REGRESSION:
        weights = relation_weights(fitted_on.sample, num_relations, hidden=0.0)
        return of.sample.logits(weights).float()
    scores, sample = fitted_on.inputs[name], fitted_on.sample
    return of.inputs[name] - thresholds(scores, sample.is_true, sample.relation, num_relations)[of.sample.relation]


def thresholds(
    scores: Float[Tensor, " P"], is_true: Bool[Tensor, " P"], relation: Int[Tensor, " P"], num_relations: int
) -> Float[Tensor, " R"]:
    """That of each relation which puts most rows on the right side; where it has none, that of all rows together.

    Rows of all relations count beside them, as much as a single one: where few rows leave the choice open, they decide.
    """
    overall = _best(_cuts(scores), [(scores, is_true, 1.0)])
    found = scores.new_full((num_relations,), overall)
    for each in torch.unique(relation).tolist():
        own = relation == each
        cuts = torch.cat([_cuts(scores[own]), scores.new_tensor([overall])])
        found[each] = _best(cuts, [(scores[own], is_true[own], 1.0), (scores, is_true, 1 / len(scores))])
    return found


def _cuts(scores: Float[Tensor, " P"]) -> Float[Tensor, " C"]:
    """Below all scores, between each two neighbours, and above all."""
    values = torch.unique(scores)
    between = (values[1:] + values[:-1]) / 2
    return torch.cat([values[:1] - 1, between, values[-1:] + 1])


def _best(cuts: Float[Tensor, " C"], rows: list[tuple[Float[Tensor, " _"], Bool[Tensor, " _"], float]]) -> float:
    """The cut with most true rows at or above it, less the false ones; each group of rows has a weight."""
    gained = torch.zeros(len(cuts), dtype=torch.float64)
    for scores, is_true, weight in rows:
        ordered, order = scores.sort()
        sums = nn.functional.pad((2.0 * is_true[order].double() - 1).cumsum(0), (1, 0))
        gained += weight * (sums[-1] - sums[torch.searchsorted(ordered, cuts)])
    return cuts[gained.argmax()].item()


def _separation(
    name: str, valid: LabelledFacts, test: LabelledFacts, folds: Int[Tensor, "Q P"], num_relations: int
) -> Separation:
    right = 0
    for of_round in folds:
        for fold in torch.unique(of_round).tolist():
            rest, held = (valid.rows(chosen) for chosen in (of_round != fold, of_round == fold))
            right += int(((margins(name, rest, held, num_relations) >= 0) == held.sample.is_true).sum())
    found, is_true = margins(name, valid, test, num_relations), test.sample.is_true
    positive = found >= 0
    hits = int((positive & is_true).sum())
    return Separation(
        valid_accuracy=right / folds.numel(),
        accuracy=(positive == is_true).double().mean().item(),
        f1=2 * hits / int(positive.sum() + is_true.sum()),
        pr_auc=average_precision(found if name == _REGRESSION else test.inputs[name], is_true),
    )


def _negatives(dataset: Dataset, folder: Path, part: str) -> Int[Tensor, "G 3"]:
    if not len(dataset.part(part)):
        raise UserError(f"the model was trained without {part} facts: there is nothing to separate from negatives")
    found = facts_named(dataset.vocabulary, folder, f"{part}_negatives")
    if not len(found):
        raise UserError(f"{folder}: no negatives in {part}_negatives")
    is_fact = dataset.known(*PARTS).contains(*found.unbind(1))
    if bool(is_fact.any()):
        head, relation, tail = found[is_fact][0].tolist()
        entities, relations = dataset.vocabulary.entities, dataset.vocabulary.relations
        raise UserError(
            f"{folder}: {int(is_fact.sum())} negatives of {part} are facts of the model's, the first of them "
            f"({entities[head]}, {relations[relation]}, {entities[tail]})"
        )
    return found
