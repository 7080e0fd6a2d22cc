"""Fits the calibration of a trained model on its valid facts: see kg.probability.calibration.

It is fitted to all candidates, sampled five times, and to the best 10,000 of the search whose answers people are
shown: these are a stratum of their own, taken out of the samples. With another fit the search finds others, so it is
asked again until what it finds and what the fit says of it agree. What people accepted is known, and no candidate any
more: it counts neither as true nor as false. What they rejected is looked at, all of it, and false.

Then it is tried. Fitted without the heads (or tails) of a fifth of the candidates, five times, it must say more of
these than the base rate does; what it says of the last search must agree with what that found; and it must not hang on
which candidates were drawn. Otherwise its probabilities are withheld. So are those of a relation of which the trial
says that they expect too many facts, or too few, and of one for which too much hangs on what was drawn.

Where few facts were held out, models of the same kind that were trained without others stand beside it: what their
scores say of their own valid facts counts as much as what its scores say of its own (cross-validation).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kg import bundle as bundles
from kg.bundle import Bundle
from kg.graph.dataset import Dataset
from kg.graph.known import KnownAnswers
from kg.interruption import finishing
from kg.models.scorer import Scorer
from kg.probability.bins import bins_of_relations
from kg.probability.calibration import Calibration
from kg.probability.candidate_sample import (
    CandidateSample,
    joined,
    listed_candidates,
    sample_candidates,
    takes_all,
)
from kg.probability.fact_logits import FactLogits
from kg.probability.query_scores import BATCH, QueryScores, asked_one_way
from kg.probability.regression import relation_weights, rising_line
from kg.progress import SILENT, Progress
from kg.resources import threads_for
from kg.search.discovery import Search, searched
from kg.search.eligibility import Eligibility

_SAMPLES = 5
_ROWS = 1 << 19  # candidates, of all samples together
_DEAR_ROWS = 1 << 16  # of a scorer that looks at the graph for each question: what is fitted to fewer facts
_DEAR_QUESTIONS = 400  # a sample, of a scorer that looks at the graph for each
_FOLDS = 5
_SHOWN = 10_000  # candidates of a search
_ROUNDS = 4  # of searches, at most
_AWAY = 0.25  # of the facts that there are: so many more or fewer may be expected ...
_DEVIATIONS = 2.0  # ... or so many times what chance does
_MOST_PAIRS = 5e8  # scored one by one in a search


@final
@dataclass(frozen=True, eq=False)
class Said:
    """What people said of facts between a model's entities that it was not trained, chosen or measured by."""

    accepted: Int[Tensor, "A 3"]
    rejected: Int[Tensor, "J 3"]

    @classmethod
    def nothing(cls) -> "Said":
        return cls(torch.zeros(0, 3, dtype=torch.long), torch.zeros(0, 3, dtype=torch.long))


def calibrate(
    bundle: Bundle,
    seed: int = 0,
    said: Said | None = None,
    others: Sequence[tuple[Scorer, Dataset]] = (),
    progress: Progress = SILENT,
) -> Bundle:
    """Fits the probabilities of a trained model and saves them as the next generation of its folder, in which all else
    stays as it is; the bundle with them. The same bundle, and nothing saved, where it has no valid facts to fit on.
    said: of facts that are no valid ones. others: of the same kind, other facts held out."""
    with threads_for(bundle.dataset.num_entities * BATCH):
        models = [_Model(*each, bundle.temperature) for each in ((bundle.scorer, bundle.dataset), *others)]
        found = _fit_calibration(models, seed, said or Said.nothing(), progress)
    if found is None:
        return bundle
    with finishing():
        bundles.save_calibration(bundle, found.to_json())
    return Bundle.load(bundle.path, bundle.scorer.device)


def fit_calibration(
    scorer: Scorer,
    dataset: Dataset,
    temperature: float | None,
    seed: int = 0,
    said: Said | None = None,
    progress: Progress = SILENT,
) -> Calibration | None:
    """The calibration of a trained scorer, on valid and on what people said; None without valid facts.

    A function of the seed. Of a scorer that looks at the graph for each question some 2,000 are asked (of many
    relations, some 30 of each), and no search; nor is there one where more than 5e8 pairs would be scored one by one.
    """
    return _fit_calibration([_Model(scorer, dataset, temperature)], seed, said or Said.nothing(), progress)


def _fit_calibration(models: Sequence["_Model"], seed: int, said: Said, progress: Progress) -> Calibration | None:
    dataset = models[0].dataset
    if not len(dataset.valid):
        return None
    fit = _Fit(models, seed, said, progress)
    if bool(fit.pooled.is_true.any()):
        return fit.calibration()
    reason = f"none of its {len(dataset.valid):,} valid facts is a candidate"
    by_score = Calibration.shared(dataset.num_relations, {"mean_score": 1.0, "asked_log_softmax": 1.0}, fit.asked)
    return replace(by_score, reason=reason)


@final
class _Model:
    """What is calibrated, or another of its kind: its scores, its candidates, and its valid facts."""

    def __init__(self, scorer: Scorer, dataset: Dataset, temperature: float | None) -> None:
        self.dataset = dataset
        self.eligible = Eligibility.of_training(dataset, "train", device=scorer.device)
        asked = asked_one_way(self.eligible) if scorer.hides else ()
        self.scores = QueryScores.of_training(scorer, dataset, temperature, asked)
        self.valid = dataset.valid.to(scorer.device)


@final
class _Fit:
    """Of the first model. pooled: all samples as one, those of the other models too, and the candidates that searches
    have found."""

    def __init__(self, models: Sequence[_Model], seed: int, said: Said, progress: Progress) -> None:
        own, self._seed, self._progress = models[0], seed, progress
        self.asked = own.scores.asked
        self._scores, self._eligible, self._is_alone = own.scores, own.eligible, len(models) == 1
        self._num_relations, self._num_entities = own.dataset.num_relations, own.dataset.num_entities
        self._valid = torch.cat([each.valid for each in models])
        num_test = len(models) * len(own.dataset.test)
        self._hidden = num_test / (len(self._valid) + num_test)
        self._true = KnownAnswers.from_triples(own.valid, self._num_relations)
        self._accepted = KnownAnswers.from_triples(said.accepted.cpu(), self._num_relations)  # where samples lie
        dear = _DEAR_QUESTIONS * (_SAMPLES if self.asked else 1)
        few = own.eligible.num_candidates <= _ROWS
        self._takes_all = takes_all(own.scores, own.eligible, dear) and (few or bool(self.asked))
        views = models if self._takes_all or not self._is_alone else [own] * _SAMPLES
        self._samples = [
            sample_candidates(
                replace(each.scores, asked=self.asked),
                each.valid,
                each.eligible,
                seed * _SAMPLES + number,
                (_DEAR_ROWS if self.asked else _ROWS) // len(views),
                dear if self._takes_all else _DEAR_QUESTIONS,
                progress,
            ).without(self._accepted)
            for number, each in enumerate(views)
        ]
        self._strata = list(self._samples)
        self._listed = self._samples[0].of(torch.zeros_like(self._samples[0].is_true))
        rejected = said.rejected.to(self._valid.device)
        self._take(self._looked_at(rejected[own.eligible.are_candidates(rejected)]))

    def calibration(self) -> Calibration:
        found, shown = self._fitted(self.pooled), None
        for _ in range(_ROUNDS):
            shown = self._shown(found)
            if shown is None or self._agrees(found, shown):
                break
            self._take(shown)
            found = self._fitted(self.pooled)
        else:
            shown = self._shown(found)
        return self._tried(found, shown)

    # What it is fitted to

    def _pool(self) -> CandidateSample:
        return joined(*(each.of(each.weight > 0, 1 / len(self._strata)) for each in self._strata), self._listed)

    def _shown(self, calibration: Calibration) -> CandidateSample | None:
        """The best of a search by these probabilities; None where that takes too long, and where it says nothing of
        the other models."""
        if not self._is_alone:
            return None
        logits = FactLogits(self._scores, calibration)
        search = Search(_SHOWN)
        is_dear = self._scores.scorer.reads_graph or self._eligible.num_candidates > _MOST_PAIRS
        if is_dear and not logits.is_bilinear:
            return None
        found = searched(search, logits, self._eligible, progress=self._progress)
        return self._looked_at(found.hrt.to(self._valid.device))

    def _looked_at(self, hrt: Int[Tensor, "L 3"]) -> CandidateSample:
        """Those of these facts that nobody accepted."""
        hrt = hrt[~self._accepted.contains(*hrt.cpu().T.contiguous()).to(hrt.device)]
        return listed_candidates(self._scores, hrt, self._true, self._progress)

    def _agrees(self, calibration: Calibration, shown: CandidateSample) -> bool:
        expected, found = self._expected(calibration, shown), float(shown.is_true.sum())
        return abs(expected - found) <= max(0.1 * found, math.sqrt(found), 1)

    def _expected(self, calibration: Calibration, sample: CandidateSample) -> float:
        """Facts of valid."""
        return float(sample.weight.double() @ calibration.of_sample(sample)) * (1 - self._hidden)

    def _take(self, shown: CandidateSample) -> None:
        """What a search has found stands for itself from now on, and is no part of the samples."""
        self._listed = joined(self._listed, shown.without(_as_known(self._listed, self._num_relations)))
        listed = _as_known(self._listed, self._num_relations)
        self._strata = [each.without(listed) for each in self._samples]
        self.pooled = self._pool()

    # Fitting, and trying

    def _fitted(self, sample: CandidateSample) -> Calibration:
        weights = relation_weights(sample, self._num_relations, self._hidden)
        labels, weight = sample.is_true.double().numpy(), sample.weight.double().numpy()
        line = rising_line(sample.logits(weights).numpy(), labels, weight, self._hidden)
        return Calibration(weights, "pieces", line, asked=self.asked)

    def _without_their_ends(self, sample: CandidateSample) -> Float[Tensor, " P"]:
        """The probability of each candidate, by fits that saw no candidate of its head, or of its tail
        where the facts of its relation have more tails than heads."""
        generator = torch.Generator().manual_seed(self._seed)
        fold_of = torch.randperm(self._num_entities, generator=generator) % _FOLDS
        fold = fold_of[torch.where(self._have_more_tails()[sample.relation], sample.hrt[:, 2], sample.hrt[:, 0])]
        found = torch.zeros(len(fold), dtype=torch.float64)
        for each in range(_FOLDS):
            self._progress.at("trying the probabilities", each, _FOLDS)
            fitted = self._fitted(sample.of(fold != each))
            found[fold == each] = fitted.of_sample(sample.of(fold == each))
        return found

    def _have_more_tails(self) -> Bool[Tensor, " R"]:
        """Than heads: which relations have, in their valid facts."""
        facts = self._valid.cpu()
        heads, tails = (
            torch.bincount(torch.unique(facts[:, [place, 1]], dim=0)[:, 1], minlength=self._num_relations)
            for place in (0, 2)
        )
        return tails > heads

    def _tried(self, calibration: Calibration, shown: CandidateSample | None) -> Calibration:
        """shown: what a search by it found."""
        sample, stated = self.pooled, self._without_their_ends(self.pooled)
        of_all = sample.is_true, sample.weight.double(), sample.relation, self._hidden, self._num_relations
        calibration = replace(calibration, tried=bins_of_relations(stated, *of_all))
        trial = _Trial.of(sample, stated * (1 - self._hidden), self._num_relations)
        if not trial.skill > 0:
            reason = (
                f"of entities that it was not fitted on it says no more than the base rate (skill {trial.skill:.2f})"
            )
            return replace(calibration, reason=reason)
        if shown is not None:
            expected, true = self._expected(calibration, shown), float(shown.is_true.sum())
            if _is_away(expected, true):
                reason = (
                    f"of the best {len(shown.weight):,} it expects {expected:,.0f} to be facts, where {true:,.0f} are"
                )
                return replace(calibration, reason=reason)
        unsure, rest = self._hangs_on_the_draw(trial.found)
        if rest is not None:
            reason = f"by one sample of candidates there are {min(rest):,.0f} facts, by another {max(rest):,.0f}"
            return replace(calibration, reason=reason)
        return replace(calibration, withheld=tuple((trial.wrong | unsure).nonzero()[:, 0].tolist()))

    def _hangs_on_the_draw(self, found: Float[Tensor, " R"]) -> tuple[Bool[Tensor, " R"], list[float] | None]:
        """The relations of which two standard errors of how many facts there are, by the fits to one sample each, are
        more than what may be expected away; and these sums of all others, where that of those is as much."""
        if self._takes_all:
            return torch.zeros_like(found, dtype=torch.bool), None
        sample, rows = self.pooled, []
        for done, each in enumerate(self._strata, 1):
            said = self._fitted(joined(each, self._listed)).of_sample(sample) * (1 - self._hidden)
            rows.append(torch.bincount(sample.relation, sample.weight.double() * said, minlength=self._num_relations))
            self._progress.at("trying the samples", done, len(self._strata))
        sums = torch.stack(rows)
        two_errors = _DEVIATIONS / math.sqrt(len(sums))
        unsure = _is_away(found + two_errors * sums.std(0), found)
        some = ~unsure if bool(found[~unsure].any()) else slice(None)
        rest, true = sums[:, some].sum(1), found[some].sum()
        return unsure, rest.tolist() if _is_away(true + two_errors * rest.std(), true) else None


def _is_away(expected: Any, found: Any) -> Any:
    """Whether more facts are expected than there are, or fewer, by more than a quarter and by more than chance does."""
    found = torch.as_tensor(found)
    return (torch.as_tensor(expected) - found).abs() > torch.maximum(
        _AWAY * found, _DEVIATIONS * found.clamp(min=1).sqrt()
    )


@final
@dataclass(frozen=True, eq=False)
class _Trial:
    """skill: 1 - the mean squared error / that of the base rate. found: the facts of each relation. wrong: whether it
    fares worse than by its own base rate, and expects too many facts or too few."""

    skill: float
    found: Float[Tensor, " R"]
    wrong: Bool[Tensor, " R"]

    @classmethod
    def of(cls, sample: CandidateSample, probability: Float[Tensor, " P"], num_relations: int) -> "_Trial":
        weight, label = sample.weight.double(), sample.is_true.double()

        def summed(values: Float[Tensor, " P"]) -> Float[Tensor, " R"]:
            return torch.bincount(sample.relation, weight * values, minlength=num_relations)

        of_all, found, expected, error = map(
            summed, (torch.ones_like(weight), label, probability, (probability - label) ** 2)
        )
        wrong = _is_away(expected, found) & (error > found * (1 - found / of_all.clamp(min=1)))
        skill = 1 - error.sum() / (found.sum() * (1 - found.sum() / of_all.sum()))
        return cls(skill.item(), found, wrong)


def _as_known(sample: CandidateSample, num_relations: int) -> KnownAnswers:
    return KnownAnswers.from_triples(sample.hrt, num_relations)
