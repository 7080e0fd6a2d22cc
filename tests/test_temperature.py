"""A temperature that is known beforehand is found."""

from dataclasses import replace
from typing import final

import pytest
import torch
from torch import Tensor, nn

from kg.evaluation.ranking import evaluate
from kg.evaluation.temperature import fit_temperature
from kg.graph.dataset import Dataset
from kg.graph.vocabulary import Vocabulary
from kg.models.scorer import Queries, Scorer, State, Tails

N, R = 40, 1000


@final
class Pairs(Scorer):
    """score(h, r, t) = logits[h, t] of every relation, as well as of (t, r + R, h)."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__(N, R)
        self.logits = nn.Parameter(torch.stack([logits, logits.T]))

    def encode(self, queries: Queries) -> State:
        return self.logits[(queries.relation >= R).long(), queries.head]

    def compare(self, state: Tensor, tails: Tails = None) -> Tensor:
        assert tails is None
        return state

    def factors(self, queries: Queries, tail: Tensor) -> tuple[Tensor, ...]:
        raise NotImplementedError


@pytest.fixture(scope="module")
def logits() -> Tensor:
    return 1.5 * torch.randn(N, N, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def drawn(logits: Tensor) -> Dataset:
    """A fact a relation, drawn by softmax(logits) over all pairs: so the tail of a head is drawn by the softmax of its
    row, the head of a tail by that of its column, and no question has a second answer that would be filtered."""
    pair = torch.multinomial(logits.flatten().softmax(0), R, True, generator=torch.Generator().manual_seed(1))
    facts = torch.stack([pair // N, torch.arange(R), pair % N], 1)
    names = Vocabulary([f"e{i}" for i in range(N)], [f"r{i}" for i in range(R)])
    return Dataset(facts[:1], facts[1:], facts[:0], names)


@pytest.mark.parametrize("temperature", [0.05, 1.0, 30.0])
def test_a_known_temperature_is_found(logits: Tensor, drawn: Dataset, temperature: float) -> None:
    assert fit_temperature(Pairs(temperature * logits), drawn) == pytest.approx(temperature, rel=0.1)


def test_no_other_is_better(logits: Tensor, drawn: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kg.evaluation.temperature._SAMPLE", R)
    scorer = Pairs(3 * logits)
    found = fit_temperature(scorer, drawn)
    assert found is not None

    def perplexity(temperature: float) -> float:
        return evaluate(scorer, drawn, "valid", temperature=temperature).metrics().perplexity

    best = perplexity(found)
    assert all(best < perplexity(found * factor) for factor in (0.1, 0.5, 0.9, 1.1, 2.0, 10.0))


def test_it_is_a_function_of_the_seed(logits: Tensor, drawn: Dataset) -> None:
    first, again, other = (fit_temperature(Pairs(logits), drawn, seed) for seed in (0, 0, 1))
    assert first == again != other


def test_without_valid_facts_there_is_none(logits: Tensor, drawn: Dataset) -> None:
    assert fit_temperature(Pairs(logits), replace(drawn, valid=drawn.valid[:0])) is None


def test_scores_that_are_not_kept_are_computed_anew(
    logits: Tensor, drawn: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, encode = [], Pairs.encode

    def counted(self: Pairs, queries: Queries) -> State:
        asked.append(len(queries))
        return encode(self, queries)

    monkeypatch.setattr(Pairs, "encode", counted)
    kept, times = fit_temperature(Pairs(logits), drawn), len(asked)
    monkeypatch.setattr("kg.evaluation.temperature._KEPT", 0)
    assert fit_temperature(Pairs(logits), drawn) == kept and len(asked) == (1 + 4) * times
