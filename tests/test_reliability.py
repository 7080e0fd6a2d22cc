"""How good probabilities are: on paper, by artificial samples, and of a scorer whose probabilities are known."""

import math
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any, final

import pytest
import torch
from torch import Tensor, nn

from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.graph.graph import Graph
from kg.graph.vocabulary import Vocabulary
from kg.models.complex import ComplEx
from kg.models.scorer import Queries, Scorer, State, Tails
from kg.probability import fitting
from kg.probability import reliability as reliability_module
from kg.probability.calibration import Calibration
from kg.probability.candidate_sample import CandidateSample, sample_candidates
from kg.probability.fitting import fit_calibration
from kg.probability.reliability import Reliability, bins, check_plot, held_out_reliability, plot, reliability


def measured(
    probability: list[float], labels: list[int], weight: list[float] | None = None, threshold: float = 0.5
) -> Reliability:
    is_true = torch.tensor(labels, dtype=torch.bool)
    weights = torch.tensor(weight or [1.0] * len(labels), dtype=torch.float64)
    return reliability(torch.tensor(probability, dtype=torch.float64), is_true, weights, threshold)


def test_by_hand() -> None:
    found = measured([0.8, 0.4, 0.1], [1, 0, 0], [1.0, 1.0, 8.0])
    assert (found.candidates, found.facts, found.negatives_a_fact) == (10, 1, 9)
    brier = (0.2**2 + 0.4**2 + 8 * 0.1**2) / 10
    assert found.brier.loss == pytest.approx(brier)
    assert found.brier.skill == pytest.approx(1 - brier / (0.1 * 0.9))
    log_loss = -(math.log(0.8) + math.log(0.6) + 8 * math.log(0.9)) / 10
    entropy = -(0.1 * math.log(0.1) + 0.9 * math.log(0.9))
    assert found.log_loss.loss == pytest.approx(log_loss)
    assert found.log_loss.skill == pytest.approx(1 - log_loss / entropy)
    # 2 facts are expected in all: 0.8 of the eight, 0.4 and 0.8 of the others; each has a bin of its own.
    assert [(each.predicted, each.observed, each.candidates) for each in found.bins] == [
        (pytest.approx(0.1), 0, 8),
        (pytest.approx(0.4), 0, 1),
        (pytest.approx(0.8), 1, 1),
    ]
    assert found.calibration_error.a_candidate == pytest.approx((8 * 0.1 + 0.4 + 0.2) / 10)
    assert found.calibration_error.a_fact == pytest.approx(8 * 0.1 + 0.4 + 0.2)
    assert found.pr_auc == 1
    assert (found.above.precision, found.above.recall) == (1, 1)


@pytest.mark.parametrize(
    ("threshold", "precision", "recall"), [(0.1, 5 / 10, 1), (0.4, 1 / 5, 1 / 5), (0.7, 1, 1 / 5), (0.8, None, 0)]
)
def test_precision_and_recall(threshold: float, precision: float | None, recall: float) -> None:
    found = measured([0.7, 0.4, 0.1, 0.1], [1, 0, 1, 0], [1.0, 4.0, 4.0, 1.0], threshold)
    assert (found.above.precision, found.above.recall) == (
        precision and pytest.approx(precision),
        pytest.approx(recall),
    )


def test_the_base_rate_has_no_skill() -> None:
    found = measured([0.25] * 4, [1, 0, 0, 0])
    assert found.brier.skill == pytest.approx(0, abs=1e-12)
    assert found.log_loss.skill == pytest.approx(0, abs=1e-12)
    assert (found.calibration_error.a_candidate, found.pr_auc, len(found.bins)) == (0, 0.25, 1)


def test_certainty() -> None:
    right, wrong = measured([1.0, 0.0], [1, 0]), measured([0.0, 1.0], [1, 0])
    assert (right.brier.skill, right.calibration_error.a_candidate, right.log_loss.loss) == (
        1,
        0,
        pytest.approx(0, abs=1e-9),
    )
    assert (wrong.brier.loss, wrong.calibration_error.a_candidate, wrong.log_loss.loss) == (
        1,
        1,
        pytest.approx(-math.log(1e-12)),
    )
    nothing_else = measured([0.5, 0.5], [1, 1])
    assert (nothing_else.brier.skill, nothing_else.log_loss.skill) == (None, None)
    with pytest.raises(ValueError, match="without a true label"):
        measured([0.5], [0])


def test_a_calibrated_sample_has_no_error() -> None:
    """Log-odds from -14 to 4, each row standing for the more candidates the less probable it is."""
    generator = torch.Generator().manual_seed(0)
    logits = -14 + 18 * torch.rand(200_000, generator=generator, dtype=torch.float64)
    probability, weight = logits.sigmoid(), (-logits).exp().clamp(min=1.0)
    # A row is in part a fact, as its probability says: so nothing is left to chance.
    both = torch.cat([probability, probability])
    labels = torch.arange(len(both)) < len(probability)
    weights = torch.cat([weight * probability, weight * (1 - probability)])
    found = reliability(both, labels, weights)
    assert found.calibration_error.a_fact < 1e-9
    assert len(found.bins) == 15
    assert max(each.facts for each in found.bins) < 1.1 * min(each.facts for each in found.bins)
    assert found.brier.skill is not None and found.brier.skill > 0.1
    twice = reliability((2 * both).clamp(max=1.0), labels, weights)
    assert twice.calibration_error.a_fact > 0.3


def test_equal_probabilities_stay_together() -> None:
    (low, high) = bins(torch.tensor([0.5] * 9 + [0.01]), torch.tensor([True] * 5 + [False] * 5), torch.ones(10))
    assert (low.candidates, high.candidates, high.facts) == (1, 9, 5)
    (only,) = bins(torch.zeros(3), torch.tensor([True, False, False]), torch.ones(3))  # nothing is expected anywhere
    assert (only.predicted, only.observed) == (0, pytest.approx(1 / 3))


N, TRAIN, HELD = 30, 20, 100


@final
class OneScore(Scorer):
    """logits[h, t], whichever way it is asked."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__(N, 1)
        self.logits = nn.Parameter(logits)

    def encode(self, queries: Queries) -> State:
        logits = self.logits[queries.head], self.logits.T[queries.head]
        return torch.where((queries.relation == 0)[:, None], *logits)

    def compare(self, state: Tensor, tails: Tails = None) -> Tensor:
        return state[:, tails]

    def factors(self, queries: Queries, tail: Tensor) -> tuple[Tensor, ...]:
        raise NotImplementedError


@pytest.fixture(scope="module")
def drawn() -> tuple[OneScore, Dataset, Calibration]:
    """Each pair of two entities is a fact with a probability that the calibration gives, train apart."""
    generator = torch.Generator().manual_seed(3)
    logits = 2 * torch.randn(N, N, generator=generator) - 2
    pairs = torch.rand(N, N, generator=generator) < logits.sigmoid()
    pairs.fill_diagonal_(False)
    found = pairs.nonzero()[torch.randperm(int(pairs.sum()), generator=generator)]
    hrt = torch.stack([found[:, 0], torch.zeros(len(found), dtype=torch.long), found[:, 1]], 1)
    names = Vocabulary([f"e{i}" for i in range(N)], ["r"])
    half = len(hrt) // 2
    train = torch.stack([torch.arange(N), torch.zeros(N, dtype=torch.long), torch.arange(N)], 1)[:1]
    data = Dataset(train, hrt[:half], hrt[half:], names)
    return OneScore(logits), data, Calibration.shared(1, {"mean_score": 1.0})


def test_a_small_graph_is_taken_whole(drawn: tuple[OneScore, Dataset, Calibration]) -> None:
    scorer, data, calibration = drawn
    found = held_out_reliability(calibration, scorer, data, "test", None)
    assert found is not None
    held = len(data.valid) + len(data.test)
    # Loops aside but that of training's own relation: every pair not known, valid facts left out, test's told for both.
    assert found.facts == pytest.approx(held)
    assert found.candidates == pytest.approx(N * N - len(data.train) - held + held, abs=1e-3)
    assert 0.9 < sum(each.predicted * each.candidates for each in found.bins) / held < 1.1
    assert found.calibration_error.a_fact < 0.2
    assert found.brier.skill is not None and found.brier.skill > 0.15


def test_without_a_fact_that_is_a_candidate_there_is_none(drawn: tuple[OneScore, Dataset, Calibration]) -> None:
    """A relation that is withheld, or facts that training knows."""
    scorer, data, calibration = drawn
    assert held_out_reliability(replace(calibration, withheld=(0,)), scorer, data, "test", None) is None
    assert held_out_reliability(calibration, scorer, replace(data, test=data.train), "test", None) is None


def test_valid_does_not_look_at_test(drawn: tuple[OneScore, Dataset, Calibration]) -> None:
    scorer, data, calibration = drawn
    found = held_out_reliability(calibration, scorer, data, "valid", None)
    assert found is not None
    assert (found.facts, found.candidates) == (len(data.valid), N * N - len(data.train))
    other = replace(data, test=data.test.flip(0)[:, [2, 1, 0]])
    assert found == held_out_reliability(calibration, scorer, other, "valid", None)
    assert found.calibration_error.a_fact < 0.25  # of being in valid, which is half as probable as being held out
    assert (found.above.threshold, found.above.recall) == (0.5, pytest.approx(_recall(scorer, data.valid)))


def test_what_it_draws_was_not_fitted_on(
    drawn: tuple[OneScore, Dataset, Calibration], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A calibration looks at candidates by seeds of its own."""
    scorer, data, calibration = drawn
    monkeypatch.setattr("kg.probability.fitting._ROWS", 100)
    seeds: dict[str, list[int]] = {"fitting": [], "reliability": []}
    for module in (fitting, reliability_module):
        seen = seeds[module.__name__.rpartition(".")[2]]

        def sampled(*arguments: Any, seen: list[int] = seen, **named: Any) -> CandidateSample:
            seen.append(signature(sample_candidates).bind(*arguments, **named).arguments["seed"])
            return sample_candidates(*arguments, **named)

        monkeypatch.setattr(module, "sample_candidates", sampled)
    fitting.fit_calibration(scorer, data, None)
    held_out_reliability(calibration, scorer, data, "test", None)
    assert len(set(seeds["fitting"])) == 5 and seeds["reliability"] and not set.intersection(*map(set, seeds.values()))


def _recall(scorer: OneScore, hrt: Tensor) -> float:
    return (scorer.logits[hrt[:, 0], hrt[:, 2]] >= 0).double().mean().item()


@pytest.mark.parametrize("name", ["found.png", "found.svg"])
def test_the_diagram(tmp_path: Path, name: str) -> None:
    plot(measured([0.9, 0.9, 0.5, 0.01, 0.0], [1, 1, 0, 0, 1], [1.0, 1.0, 1.0, 90.0, 5.0]), tmp_path / name, "a model")
    assert (tmp_path / name).stat().st_size > 5000


def test_few_that_are_drawn_do_not_make_it_too_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    """16 of 300 entities are drawn for either end of a relation: what none of them contradicts is not sure."""
    num, relations, generator = 300, 10, torch.Generator().manual_seed(0)
    scorer = ComplEx(num, relations, dim=8).eval()
    with torch.no_grad():
        for parameter in scorer.parameters():
            parameter.copy_(0.9 * torch.randn(parameter.shape, generator=generator))
        heads, nothing = torch.arange(num), Graph.from_triples(torch.zeros(0, 3, dtype=torch.long), num, relations)
        scores = torch.stack(
            [scorer.score_tails(Queries(heads, torch.full_like(heads, each), nothing)) for each in range(relations)]
        )
    relation, head, tail = (torch.rand(scores.shape, generator=generator) < (scores - 11).sigmoid()).nonzero().T
    hrt = torch.stack([head, relation, tail], 1)[head != tail]
    hrt = hrt[torch.randperm(len(hrt), generator=generator)]
    train, valid, test = hrt.tensor_split([len(hrt) * 6 // 10, len(hrt) * 8 // 10])
    names = Vocabulary([f"e{i}" for i in range(num)], [f"r{i}" for i in range(relations)])
    data = Dataset(train, valid, test, names)

    for name, value in (("_ALL", 0), ("_DRAWN", 16), ("_HUBS", 0)):
        monkeypatch.setattr(f"kg.probability.candidate_sample.{name}", value)
    calibration = fit_calibration(scorer, data, None)
    assert calibration is not None
    found = held_out_reliability(calibration, scorer, data, "test", None)
    assert found is not None and found.brier.skill is not None and found.brier.skill > 0.15


def test_a_diagram_that_cannot_be_drawn(tmp_path: Path) -> None:
    for name, line in (("x.pdf", r"ends in \.png or \.svg"), ("nowhere/x.png", "no directory")):
        with pytest.raises(UserError, match=line):
            check_plot(tmp_path / name)
