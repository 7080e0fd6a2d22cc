"""From scores to probabilities: on pools of which the truth is known, and on data that leave little to fit."""

import json
import math
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tabled import Tabled
from torch import Tensor
from torch.optim import Adagrad

from kg import bundle as bundles
from kg.bundle import Bundle
from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.graph.vocabulary import Vocabulary
from kg.models.complex import ComplEx
from kg.models.scorer import WORST, Scorer
from kg.probability import candidate_sample, fitting
from kg.probability.calibration import SHAPES, Calibration, calibration_of
from kg.probability.candidate_sample import CandidateSample, sample_candidates
from kg.probability.features import features
from kg.probability.fitting import calibrate, fit_calibration
from kg.probability.query_scores import QueryScores, ScoreBlock
from kg.probability.regression import rising_line
from kg.progress import SILENT
from kg.search.eligibility import Eligibility
from kg.training.gradient_descent import GradientDescent
from kg.training.run import Run

R = 4
NONE = torch.zeros(0, 3, dtype=torch.long)


def made(calibration: Calibration | None) -> Calibration:
    assert calibration is not None
    return calibration


# Where the truth is known


def population(num: int, lines: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Candidates (relation, features), and which are facts: drawn with the logit `lines` gives."""
    generator = torch.Generator().manual_seed(0)
    relation = torch.randint(0, len(lines), (num,), generator=generator)
    x = torch.randn(num, 7, generator=generator)
    logits = lines[relation, 0] + (lines[relation, 1:] * x).sum(1)
    return relation, x, torch.rand(num, generator=generator) < logits.sigmoid()


LINES = torch.tensor([[-5.0, 1.5, 0.8, 0, 0, 0.3, 0, 0]]).repeat(R, 1)
LINES[:, 0] += torch.tensor([0.0, 0.5, -1.5, 1.0])
LINES[1, 2] = 0.2


def calibrated(
    monkeypatch: pytest.MonkeyPatch, relation: Tensor, x: Tensor, is_fact: Tensor, hidden: float
) -> Calibration:
    """A share `hidden` of the facts is kept from it, three quarters of what is no fact (to its eyes) are not drawn."""
    generator = torch.Generator().manual_seed(1)
    is_true = is_fact & (torch.rand(len(is_fact), generator=generator) >= hidden)
    drawn = is_true | (torch.rand(len(is_fact), generator=generator) < 0.25)
    sample = CandidateSample(loops(relation)[drawn], x[drawn], torch.where(is_true, 1.0, 4.0)[drawn], is_true[drawn])
    monkeypatch.setattr(fitting, "sample_candidates", lambda *args, **kwargs: sample)
    num_valid = int(is_true.sum())
    return made(fit_calibration(Tabled(torch.zeros(2 * R, 2, 2)), data(num_valid, int(is_fact.sum()) - num_valid), 1.0))


def loops(relation: Tensor) -> Tensor:
    """Facts of two entities that no search offers."""
    entity = torch.arange(len(relation)) % 2
    return torch.stack([entity, relation, entity], 1)


def data(num_valid: int, num_test: int) -> Dataset:
    names = Vocabulary(["a", "b"], [f"r{i}" for i in range(R)])
    fact = torch.tensor([[0, 0, 1]])
    return Dataset(fact, fact.repeat(num_valid, 1), fact.repeat(num_test, 1), names)


def given_by(calibration: Calibration, relation: Tensor, x: Tensor) -> Tensor:
    lines = calibration.weights[relation]
    return calibration.probabilities(lines[:, 0] + (lines[:, 1:] * x).sum(1))


def as_many(probability: Tensor, is_fact: Tensor, tolerance: float = 0.15) -> None:
    """In bins of probability, and in all, there are as many facts as was said."""
    edges = [0, 0.001, 0.01, 0.03, 0.1, 0.3, 0.6, 1.01]
    for low, high in [(0, 1.01), *pairwise(edges)]:
        inside = (probability >= low) & (probability < high)
        said, there = probability[inside].sum().item(), int(is_fact[inside].sum())
        assert abs(said - there) < tolerance * there + 4 * math.sqrt(there + 1), (low, high, said, there)


@pytest.mark.parametrize("hidden", [0.0, 0.5, 0.8])
def test_as_many_facts_as_was_said(monkeypatch: pytest.MonkeyPatch, hidden: float) -> None:
    relation, x, is_fact = population(60_000, LINES)
    found = calibrated(monkeypatch, relation, x, is_fact, hidden)
    probability = given_by(found, relation, x)
    as_many(probability, is_fact)
    for each in range(R):
        as_many(probability[relation == each], is_fact[relation == each], tolerance=0.3)
    assert probability.max() > 0.8  # what is hidden is not taken for false: 1 - hidden is no bound


def test_another_shape_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of what looks certain is a fact: no line of the logit says that."""
    relation, x, _ = population(60_000, LINES)
    generator = torch.Generator().manual_seed(2)
    truth = torch.where(x[:, 0] > 1, 0.5, 0.02)
    is_fact = torch.rand(len(x), generator=generator) < truth
    found = calibrated(monkeypatch, relation, x, is_fact, 0.5)
    probability = given_by(found, relation, x)
    assert probability[x[:, 0] > 1].mean() == pytest.approx(0.5, abs=0.08)
    assert probability[x[:, 0] <= 1].mean() == pytest.approx(0.02, abs=0.01)


def test_a_straight_line_where_it_is_true(monkeypatch: pytest.MonkeyPatch) -> None:
    found = calibrated(monkeypatch, *population(40_000, LINES[:1].repeat(R, 1)), 0.0)
    logits = torch.linspace(-4, 1, 11)
    torch.testing.assert_close(found.probabilities(logits).logit(), logits, rtol=0, atol=0.4)


@pytest.mark.parametrize("few", [False, True])
def test_the_line_of_pieces(few: bool) -> None:
    """With fewer than two dozen facts it is of one piece. It rises even where there are not more facts."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(20_000, generator=generator).double()
    truth = (2 * logits - 3).sigmoid()
    is_fact = torch.rand(len(logits), generator=generator) < truth.clamp(max=0.6)
    chosen = torch.arange(len(logits)) < (100 if few else len(logits))
    given = (each[chosen].double().numpy() for each in (logits, is_fact, torch.ones(len(logits))))
    x, y = rising_line(*given, hidden=0.0)
    assert (len(x) == 2) == few and all(left < right for each in (x, y) for left, right in pairwise(each))
    found = Calibration(torch.zeros(1, 8), "pieces", (x, y))
    p = found.probabilities(logits)
    assert p[logits > 3].mean() == pytest.approx(0.6, abs=0.03) or few
    assert p[(logits > 0.5) & (logits < 1.5)].mean() == pytest.approx(0.27, abs=0.05) or few
    assert bool((found.probabilities(torch.linspace(-9, 9, 400)).diff() > 0).all())


def test_the_probability_never_falls_with_a_score(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where facts have the lower scores, scores count nothing."""
    lines = LINES.clone()
    lines[:, 1:3] = torch.tensor([-1.5, -0.8])
    found = calibrated(monkeypatch, *population(20_000, lines), 0.0)
    for relation in range(R):
        assert found.of_scores(relation) == pytest.approx((0, 0), abs=1e-3) and min(found.of_scores(relation)) >= -1e-6


def test_a_relation_with_few_facts_is_as_all_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Relation 3 has one fact in many candidates, 2 has 3 candidates and none, 1 is not there: they follow 0."""
    relation, x, is_fact = population(40_000, LINES[:1].repeat(R, 1))
    kept = relation == 0
    kept[(relation == 2).nonzero()[:3, 0]] = True
    of_last = (relation == 3).nonzero()[:, 0]
    kept[of_last[~is_fact[of_last]][:40]] = True
    kept[of_last[is_fact[of_last]][:1]] = True
    is_fact = is_fact & (relation != 2)
    found = calibrated(monkeypatch, relation[kept], x[kept], is_fact[kept], 0.0)
    assert bool(found.weights.isfinite().all())
    torch.testing.assert_close(found.weights[0], LINES[0], rtol=0, atol=0.35)
    for other in (1, 2):
        torch.testing.assert_close(found.weights[other], found.weights[0], rtol=0, atol=0.25)
    probability = given_by(found, relation, x)
    assert 0.3 < probability[relation == 3].sum() / probability[relation == 0].sum() < 3


def test_a_relation_that_never_holds_is_told_as_less_probable(monkeypatch: pytest.MonkeyPatch) -> None:
    relation, x, is_fact = population(40_000, LINES[:1].repeat(R, 1))
    is_fact = is_fact & (relation != 2)
    probability = given_by(calibrated(monkeypatch, relation, x, is_fact, 0.0), relation, x)
    assert 0 < probability[relation == 2].sum() < 10 < is_fact[relation == 0].sum()


# On scorers and data


def dataset(num_valid: int = 40, num_test: int = 40, relations: int = 3, entities: int = 20) -> Dataset:
    """Random facts."""
    generator = torch.Generator().manual_seed(0)
    every = torch.cartesian_prod(torch.arange(entities), torch.arange(relations), torch.arange(entities))
    facts = every[torch.randperm(len(every), generator=generator)][: 100 + num_valid + num_test]
    names = Vocabulary([f"e{i}" for i in range(entities)], [f"r{i}" for i in range(relations)])
    valid, test, train = facts.split([num_valid, num_test, 100])
    return Dataset(train, valid, test, names, source="random")


def informed(given: Dataset, noise: float = 1.0) -> Tabled:
    """A scorer that knows valid and test, more or less."""
    generator = torch.Generator().manual_seed(3)
    num = given.num_relations
    scores = noise * torch.randn(2 * num, given.num_entities, given.num_entities, generator=generator)
    for h, r, t in torch.cat([given.valid, given.test]).tolist():
        scores[r, h, t] += 3
        scores[r + num, t, h] += 3
    return Tabled(scores)


def probabilities(calibration: Calibration, scorer: Scorer, given: Dataset) -> tuple[Tensor, Tensor]:
    """Of every pair of every relation."""
    every = torch.arange(given.num_entities)
    asked = QueryScores.of_training(scorer, given, 1.0)
    logits, found = [], []
    for relation in range(given.num_relations):
        rows = asked.block(relation, every, every), asked.block(relation + given.num_relations, every, every)
        logits.append(calibration.logits(relation, *rows))
        found.append(calibration.probabilities(logits[-1]))
    return torch.stack(logits), torch.stack(found)


def candidate_facts(given: Dataset) -> Tensor:
    """Which (relation, head, tail) are of observed types and not known, loops only where there are any."""
    eligible, num = Eligibility.of_training(given, "train"), given.num_relations
    heads, tails = (torch.stack([eligible.allowed(i + j, "observed") for i in range(num)]) for j in (0, num))
    diagonal = torch.eye(given.num_entities, dtype=torch.bool)
    left = (~diagonal).repeat(given.num_relations, 1, 1) | given.known("train").reflexive[:, None, None]
    left[given.train[:, 1], given.train[:, 0], given.train[:, 2]] = False
    return left & heads[:, :, None] & tails[:, None]


def test_the_sum_is_the_number_of_facts_held_out() -> None:
    given = dataset()
    _, found = probabilities(made(fit_calibration(informed(given), given, 1.0)), informed(given), given)
    assert found[candidate_facts(given)].sum() == pytest.approx(80, rel=0.25)  # as many in test as in valid
    given = dataset(num_test=0)
    _, found = probabilities(made(fit_calibration(informed(given), given, 1.0)), informed(given), given)
    assert found[candidate_facts(given)].sum() == pytest.approx(40, rel=0.2)


def test_logits_are_the_weights_times_the_features() -> None:
    given = dataset()
    scorer = informed(given)
    weights = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    found = Calibration(weights, "platt", ((1.0, 0.0),))
    asked, heads, tails = QueryScores.of_training(scorer, given, 2.0), torch.tensor([3, 0, 7]), torch.tensor([5, 1])
    for relation in range(3):
        forward, backward = asked.block(relation, heads, tails), asked.block(relation + 3, tails, heads)
        logits = found.logits(relation, forward, backward)
        for row in range(3):
            for column in range(2):
                x = features(forward, backward, torch.tensor([row]), torch.tensor([column]))[0]
                expected = weights[relation, 0] + weights[relation, 1:] @ x
                assert logits[row, column].item() == pytest.approx(expected.item(), abs=1e-4)


def test_reflexive_relations_by_hand() -> None:
    given = replace(data(1, 1), train=torch.tensor([[0, 0, 1], [1, 2, 1], [0, 3, 0]]))
    assert given.known("train").reflexive.tolist() == [False, False, True, True]


def test_without_facts_to_fit_on() -> None:
    given = dataset()
    assert fit_calibration(informed(given), replace(given, valid=NONE), 1.0) is None
    known = made(fit_calibration(informed(given), replace(given, valid=given.train), 1.0))  # training saw them all
    assert known.reason == f"none of its {len(given.train)} valid facts is a candidate"


def test_a_function_of_the_seed_and_of_the_temperature() -> None:
    given = dataset()
    first, again = (made(fit_calibration(informed(given), given, 1.0, seed=4)) for _ in range(2))
    assert torch.equal(first.weights, again.weights) and first.knots == again.knots
    scorer = informed(given)
    halved = made(fit_calibration(Tabled(scorer.scores / 2), given, 0.5, seed=4))
    assert torch.equal(first.weights, halved.weights)
    assert torch.equal(first.weights, made(fit_calibration(informed(given), given, None, seed=4)).weights)


def hubs(num_entities: int = 1000) -> Dataset:
    """Children and their parents, as in an ontology: three parents have 48, 39 and 31 children, the others up to three;
    of the 50 children in valid and of the 50 in test ten each have a hub for a parent."""
    generator = torch.Generator().manual_seed(0)
    children = torch.randperm(num_entities - 400, generator=generator) + 400
    of_hubs = [0] * 48 + [1] * 39 + [2] * 31
    parents = torch.tensor([*of_hubs, *(3 + i % 150 for i in range(300)), *2 * [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]])
    parents = torch.cat([parents, torch.randint(3, 400, (80,), generator=generator)])
    facts = torch.stack([children[: len(parents)], torch.zeros_like(parents), parents], 1)
    train, rest = facts[:418], facts[418:]
    in_valid = torch.arange(100) % 2 == 0
    names = Vocabulary([f"e{i}" for i in range(num_entities)], ["childOf"])
    return Dataset(train, rest[in_valid], rest[~in_valid], names, source="ontology")


@pytest.mark.tried
@pytest.mark.parametrize("seed", [2, 3])
def test_a_hub_is_no_better_parent_than_its_wrong_children_allow(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """With a scorer that knows nothing, log(known answers) of the hubs' ten facts is all there is to hold on to: unless
    the hundreds of others that are no child of theirs are looked at as well, thousands of children are expected."""
    monkeypatch.setattr(candidate_sample, "_ALL", 0)
    monkeypatch.setattr(candidate_sample, "_DRAWN", 32)
    given = hubs()
    generator = torch.Generator().manual_seed(1)
    scorer = Tabled(torch.randn(2, given.num_entities, given.num_entities, generator=generator))
    found = made(fit_calibration(scorer, given, 1.0, seed))
    _, probability = probabilities(found, scorer, given)
    probability[~candidate_facts(given)] = 0
    assert 60 < probability.sum() < 160  # 100 are held out
    assert 10 < probability[0, :, :3].sum() < 40  # 20 of them are a hub's
    assert found.reason is None or "base rate" in found.reason


@pytest.mark.tried
def test_what_holds_no_better_than_the_base_rate_is_withheld(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is, what is said of candidates whose heads were kept apart."""
    given = dataset(60, 60)
    assert made(fit_calibration(informed(given), given, 1.0)).reason is None

    def upside_down(self: Any, sample: CandidateSample) -> Tensor:
        return torch.where(sample.is_true, 0.0, 0.1).double()

    monkeypatch.setattr(fitting._Fit, "_without_their_ends", upside_down)
    found = made(fit_calibration(informed(given), given, 1.0))
    assert found.reason is not None and "it says no more than the base rate (skill -0." in found.reason


@pytest.mark.tried
def test_what_was_said_in_the_trial_is_kept() -> None:
    """Of each relation: all its facts are in the bins, and these stand for those of test, too."""
    given = dataset(60, 60)
    found = made(fit_calibration(informed(given), given, 1.0))
    assert found.tried is not None and len(found.tried) == given.num_relations
    counts = torch.bincount(given.valid[:, 1], minlength=given.num_relations).tolist()
    share = len(given.valid) / (len(given.valid) + len(given.test))
    for cut, facts in zip(found.tried, counts, strict=True):
        assert bool(cut) == (facts >= 20)
        assert not cut or sum(each.facts for each in cut) == pytest.approx(facts)
        assert all(each.observed == pytest.approx(min(1, each.facts / each.candidates / share)) for each in cut)
        assert [each.predicted for each in cut] == sorted(each.predicted for each in cut)
    assert any(found.tried)


@pytest.mark.tried
def test_what_two_samples_do_not_agree_on_is_withheld(monkeypatch: pytest.MonkeyPatch) -> None:
    given = dataset(60, 60)
    monkeypatch.setattr(Eligibility, "num_candidates", 10**9)
    whole = fitting.sample_candidates

    def as_many_times(*arguments: Any, **options: Any) -> CandidateSample:
        """Each sample takes its candidates for a tenth of what the one before did."""
        sample = whole(*arguments, **options)
        return replace(sample, weight=torch.where(sample.is_true, 1.0, sample.weight / 10.0 ** arguments[3]))

    monkeypatch.setattr(fitting, "sample_candidates", as_many_times)
    monkeypatch.setattr(fitting, "_SHOWN", 1)
    found = made(fit_calibration(informed(given), given, 1.0))
    assert found.reason is not None and found.reason.startswith("by one sample of candidates there are ")


def test_a_relation_that_does_not_hold_is_withheld() -> None:
    weight, relation = torch.ones(400), torch.arange(400) % 2
    is_true = torch.arange(400) < 40
    sample = CandidateSample(loops(relation), torch.zeros(400, 7), weight, is_true)
    good = torch.where(is_true, 0.5, 0.05)
    trial = fitting._Trial.of(sample, good.double(), 2)
    assert not bool(trial.wrong.any()) and trial.skill > 0.5
    spoilt = torch.where((relation == 1) & ~is_true, 0.4, good)
    trial = fitting._Trial.of(sample, spoilt.double(), 2)
    assert trial.wrong.tolist() == [False, True] and trial.found.tolist() == [20, 20]
    assert trial.skill == pytest.approx(1 - (40 * 0.25 + 180 * 0.16 + 180 * 0.0025) / (40 * 0.9))


def test_the_best_of_the_search_are_a_stratum(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a search finds stands for itself, once, and for nothing else."""
    monkeypatch.setattr(fitting, "_SHOWN", 30)
    given = dataset(60, 60)
    scorer = informed(given)
    fit = fitting._Fit([fitting._Model(scorer, given, 1.0)], 0, fitting.Said.nothing(), SILENT)
    whole = fit.pooled
    found = fit._fitted(whole)
    shown = fit._shown(found)
    assert shown is not None and len(shown.weight) == 30 and bool((shown.weight == 1).all())
    every = found.of_sample(whole).sort(descending=True).values
    torch.testing.assert_close(found.of_sample(shown).sort(descending=True).values, every[:30], rtol=1e-4, atol=1e-6)
    fit._take(shown)
    fit._take(shown)  # again nothing new
    assert len(fit._listed.weight) == 30 and fit.pooled.size == whole.size
    rows = {tuple(row) for row in fit.pooled.hrt.tolist()}
    assert len(rows) == len(fit.pooled.hrt) == len(whole.hrt)
    assert fit.pooled.is_true.sum() == whole.is_true.sum() == 60


SCORERS = {
    "informed": informed,
    "certain": partial(informed, noise=0.0),  # valid and test are told apart by it without an error
    "noise": lambda given: Tabled(torch.randn(2 * given.num_relations, *2 * [given.num_entities])),
    "constant": lambda given: Tabled(torch.full((2 * given.num_relations, *2 * [given.num_entities]), 0.1)),
    "huge": lambda given: Tabled(1e6 * informed(given).scores),
    "worst for some": lambda given: Tabled(informed(given).scores.index_fill(2, torch.tensor([0, 3, 4]), WORST)),
    "worst for all": lambda given: Tabled(torch.full((2 * given.num_relations, *2 * [given.num_entities]), WORST)),
    "upside down": lambda given: Tabled(-informed(given).scores),
    "complex": lambda given: ComplEx(given.num_entities, given.num_relations, dim=4),
}
SIZES = {
    "ten": (10, 10, 3),
    "one": (1, 0, 3),
    "two": (2, 5, 3),
    "without test": (60, 0, 2),
    "much test": (60, 200, 2),
    "one relation": (60, 60, 1),
    "complete": (100, 100, 1),  # of 15 entities: nearly every candidate is held out
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", SCORERS)
def test_finite_and_increasing_whatever_it_is_fitted_on(kind: str, size: str) -> None:
    torch.manual_seed(0)
    num_valid, num_test, relations = SIZES[size]
    given = dataset(num_valid, num_test, relations, entities=18 if size == "complete" else 20)
    scorer = SCORERS[kind](given)
    found = made(fit_calibration(scorer, given, 1.0))
    assert bool(found.weights.isfinite().all()) and np.isfinite([x for knots in found.knots for x in knots]).all()
    assert found.shape == "pieces"
    logits, probability = probabilities(found, scorer, given)
    assert bool(((probability >= 0) & (probability <= 1)).all())
    increasing = found.probabilities(logits.flatten().sort().values)
    assert bool((increasing.diff() >= 0).all()) and increasing[-1] > 0
    held_out = num_valid + num_test
    # Of two facts no line is sure: it says too few rather than too many.
    assert 0.4 * held_out < probability[candidate_facts(given)].sum() < 1.3 * held_out


def test_what_hardly_differs_does_not_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the log-softmax of a scorer that tells next to nothing: one more known answer moves all of them by more."""
    relation, x, _ = population(400, LINES)
    is_fact = torch.arange(400) < 20
    x[:, 1] = -3.6 + 1e-4 * torch.randn(400, generator=torch.Generator().manual_seed(2)) + 2e-4 * is_fact
    found = calibrated(monkeypatch, relation, x, is_fact, 0.0)
    assert float((0.03 * found.weights[:, 2]).abs().max()) < 1


def test_a_constant_scorer_knows_only_how_many_there_are() -> None:
    given = dataset()
    scorer = Tabled(torch.full((6, 20, 20), 0.1))
    _, found = probabilities(made(fit_calibration(scorer, given, 1.0)), scorer, given)
    assert found[candidate_facts(given)].max() < 0.5  # by the counts of known answers, which say little here


@pytest.mark.parametrize("few", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_json_round_trip_bit_for_bit(shape: str, few: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    heights = torch.rand(5, generator=generator, dtype=torch.float64).sort().values.tolist()
    places = torch.randn(5, generator=generator, dtype=torch.float64).sort().values.tolist()
    knots = (tuple(places), tuple(heights)) if shape in ("pieces", "isotonic") else ((0.1 + 0.2, -1 / 3),)
    first = Calibration(torch.randn(3, 8, generator=generator), shape, knots, "chance" if few else None, (0, 2))
    again = Calibration.from_json(json.loads(json.dumps(first.to_json(), allow_nan=False)))
    assert torch.equal(first.weights, again.weights) and first.weights.dtype == again.weights.dtype
    assert (again.shape, again.knots, again.reason, again.withheld) == (shape, knots, first.reason, (0, 2))
    logits = torch.linspace(-30, 30, 999)
    assert torch.equal(first.probabilities(logits), again.probabilities(logits))


def test_shapes_by_hand() -> None:
    logits = torch.tensor([[-2.0, 0.0], [1.0, 9.0]])
    line = Calibration(torch.zeros(1, 8), "platt", ((2.0, -1.0),))
    torch.testing.assert_close(line.probabilities(logits), (2 * logits - 1).sigmoid())
    steps = Calibration(torch.zeros(1, 8), "isotonic", ((-1.0, 1.0, 2.0), (0.1, 0.3, 0.9)))
    torch.testing.assert_close(steps.probabilities(logits), torch.tensor([[0.1, 0.2], [0.3, 0.9]]))
    pieces = Calibration(torch.zeros(1, 8), "pieces", ((0.0, 1.0, 3.0), (-1.0, 1.0, 2.0)))
    torch.testing.assert_close(pieces.probabilities(logits), torch.tensor([[-5.0, -1.0], [1.0, 5.0]]).sigmoid())
    assert steps.probabilities(torch.zeros(0)).shape == pieces.probabilities(torch.zeros(0)).shape == (0,)


def test_what_a_question_adds_by_hand() -> None:
    """weights: 1, mean, softmax there, back, log count there, back, any there, back."""
    found = Calibration(torch.tensor([[10.0, 2.0, 3.0, 5.0, 7.0, 11.0, 13.0, 17.0]]), "platt", ((1.0, 0.0),))
    rows = ScoreBlock(torch.zeros(2, 0), torch.tensor([1.0, 2.0]), torch.tensor([0, 1]), torch.zeros(2))
    assert found.of_scores(0) == (4.0, 6.0)
    assert found.of_question(0, rows).tolist() == pytest.approx([10 - 3, 10 - 6 + 7 * math.log(2) + 13])
    assert found.of_question(1, rows).tolist() == pytest.approx([-5, -10 + 11 * math.log(2) + 17])


def test_the_pool_is_the_candidates_of_training() -> None:
    """calibrate asks of all that train does not know: what is in test is a candidate."""
    given = dataset()
    asked = QueryScores.of_training(informed(given), given, 1.0)
    sample = sample_candidates(asked, given.valid, Eligibility.of_training(given, "train"))
    candidates = candidate_facts(given)
    assert sample.size == candidates.sum()


def test_a_bundle_is_calibrated_and_saved(tmp_path: Path) -> None:
    """The next generation of its folder, and nothing where there is nothing to fit on."""
    given = dataset()
    run = Run(partial(ComplEx, dim=4), GradientDescent(partial(Adagrad, lr=0.1))).to_json()
    scorer = ComplEx(given.num_entities, given.num_relations, dim=4)
    for folder, data in (("with", given), ("without", replace(given, valid=NONE))):
        weights = scorer.state_dict()
        metrics = {"valid": None, "finished": True, "epochs": 0, "best_epoch": 0, "history": []}
        bundles.save(tmp_path / folder, dataset=data, run=run, weights=weights, state={}, metrics=metrics)
    before = Bundle.load(tmp_path / "with")
    after = calibrate(before, seed=4)
    assert before.calibration is None and after.sha256 == Bundle.load(tmp_path / "with").sha256 != before.sha256
    assert after.calibration == made(fit_calibration(before.scorer, given, None, seed=4)).to_json()
    bare = Bundle.load(tmp_path / "without")
    assert calibrate(bare) is bare and Bundle.load(tmp_path / "without").sha256 == bare.sha256
    assert calibration_of(bare) is None and torch.equal(
        made(calibration_of(after)).weights, Calibration.from_json(after.calibration).weights
    )


LINE: dict[str, Any] = {"weights": [[1.0] * 8] * 2, "shape": "platt", "knots": [[1.0, 0.0]]}


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"features": ["luck"]}, "it is of luck, this version knows"),
        ({"features": [1, None]}, "it is of 1, None"),
        ({"shape": "beta"}, "its shape must be one of pieces, platt, temperature, isotonic: got beta"),
        ({"shape": None}, "its shape must be one of"),
        ({"shape": ["platt"]}, "its shape must be one of"),
        ({"weights": None}, "expected a list: got None"),
        ({"weights": [1.0] * 8}, "expected a list: got 1.0"),
        ({"weights": [[1.0] * 7] * 2}, "its weights must be rows of 8 numbers"),
        ({"weights": [[1.0] * 8] * 3}, "it is of 3 relations, not 2"),
        ({"weights": []}, "it is of 0 relations, not 2"),
        ({"weights": [["1"] * 8] * 2}, "expected numbers of at most 1e+12: got 1"),
        ({"weights": [[math.nan] * 8] * 2}, "expected numbers of at most 1e+12: got nan"),
        ({"weights": [[1e300] * 8] * 2}, "expected numbers of at most 1e+12: got 1e+300"),
        ({"knots": []}, "its knots must be one slope and one shift"),
        ({"knots": [[1.0]]}, "its knots must be one slope and one shift"),
        ({"knots": [[True, 0]]}, "expected numbers"),
        ({"reason": 1}, "its reason must be a text: got 1"),
        ({"withheld": [2]}, "withheld must be numbers of its 2 relations"),
        ({"withheld": [True]}, "withheld must be numbers of its 2 relations"),
        ({"withheld": 1}, "expected a list: got 1"),
        ({"shape": "pieces"}, "its knots must be two logits or more"),
        ({"shape": "pieces", "knots": [[0.0], [0.0]]}, "its knots must be two logits or more"),
        ({"shape": "pieces", "knots": [[0.0, 1.0], [0.0, 0.0]]}, "its knots must rise"),
        ({"shape": "isotonic"}, "its knots must be logits and as many probabilities"),
        ({"shape": "isotonic", "knots": [[], []]}, "its knots must be logits and as many probabilities"),
        ({"shape": "isotonic", "knots": [[1.0, 2.0], [0.1]]}, "its knots must be logits and as many"),
        ({"shape": "isotonic", "knots": [[2.0, 1.0], [0.1, 0.2]]}, "its knots must rise"),
        ({"shape": "isotonic", "knots": [[1.0, 2.0], [0.2, 0.1]]}, "its knots must rise"),
        ({"shape": "isotonic", "knots": [[1.0, 2.0], [-0.2, 0.1]]}, "its knots must rise, from a probability of"),
        ({"shape": "isotonic", "knots": [[1.0, 2.0], [0.2, 1.1]]}, "its knots must be probabilities: got 1.1"),
    ],
)
def test_a_calibration_that_nothing_fitted(changed: dict[str, Any], line: str) -> None:
    names = Vocabulary(["a", "b"], ["r", "s"])
    bundle = Bundle(Path("m"), ComplEx(2, 2, dim=2), Dataset(NONE, NONE, NONE, names), {}, None, {}, {}, {}, LINE)
    assert made(calibration_of(bundle)).shape == "platt"
    with pytest.raises(UserError) as caught:
        calibration_of(replace(bundle, calibration=LINE | changed))
    assert str(caught.value).startswith(f"m must be calibrated anew: in its calibration.json {line}")
    assert str(caught.value).isprintable()
