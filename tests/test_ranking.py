"""Ranks by hand, then every rank of a random case against a slow and obvious count."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kg.evaluation.ranking import evaluate, ranks
from kg.graph.dataset import Dataset
from kg.graph.vocabulary import Vocabulary
from kg.models.distmult import DistMult
from kg.models.scorer import Scorer

Facts = list[list[int]]


def dataset(train: Facts, valid: Facts, test: Facts, entities: int, relations: int) -> Dataset:
    parts = (torch.tensor(part, dtype=torch.long).reshape(-1, 3) for part in (train, valid, test))
    names = Vocabulary([f"e{i}" for i in range(entities)], [f"r{i}" for i in range(relations)])
    return Dataset(*parts, names)


def one(scores: list[float], tail: int, known: list[int]) -> float:
    pairs = torch.tensor([[0] * len(known), known])
    return ranks(torch.tensor([scores]), torch.tensor([[tail]]), pairs).item()


def test_ranks_by_hand() -> None:
    assert one([3.0, 2.0, 1.0], 0, [0]) == 1
    assert one([3.0, 2.0, 1.0], 2, [2]) == 3
    assert one([3.0, 2.0, 1.0], 2, [2, 0]) == 2  # a known answer above it does not count
    assert one([1.0, 1.0, 1.0, 1.0, 1.0], 3, [3]) == 3  # ties count half: the middle
    assert one([2.0, 1.0, 1.0, 0.0], 1, [1]) == 2.5
    assert one([2.0, 1.0, 1.0, 0.0], 1, [1, 2]) == 2


def test_a_candidate_without_a_vector_ties_last() -> None:
    worst = torch.finfo(torch.float32).min
    assert one([2.0, worst, worst, 0.0], 1, [1]) == 3.5
    assert one([2.0, -math.inf, -math.inf, 0.0], 1, [1]) == 3  # a score of -inf is lifted to the worst


def test_nan_is_an_error() -> None:
    with pytest.raises(ValueError, match="NaN"):
        one([1.0, math.nan, 0.0], 1, [1])
    assert one([1.0, math.nan, 0.0], 0, [0]) == 2  # in a rival it never flatters


def test_rows_must_fall() -> None:
    with pytest.raises(ValueError, match="falling"):
        ranks(torch.zeros(2, 3), torch.tensor([[0, -1], [0, 1]]), torch.tensor([[0, 1, 1], [0, 0, 1]]))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(2, 30))
def test_ranks_equal_a_slow_count(seed: int, num_rows: int, num_candidates: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(0, 6, (num_rows, num_candidates), generator=generator).float()  # many ties
    known = torch.rand(num_rows, num_candidates, generator=generator) < 0.3
    known[:, 0] = True
    rows = sorted((row.nonzero()[:, 0].tolist() for row in known), key=len, reverse=True)
    known = torch.stack([torch.isin(torch.arange(num_candidates), torch.tensor(row)) for row in rows])
    tail = torch.tensor([row + [-1] * (len(rows[0]) - len(row)) for row in rows])
    found = ranks(scores.clone(), tail, known.nonzero().T)
    for b, row in enumerate(rows):
        rivals = scores[b][~known[b]]
        for t, answer in enumerate(row):
            target = scores[b, answer]
            assert found[b, t] == 1 + (rivals > target).sum() + (rivals == target).sum() / 2
        assert found[b, len(row) :].isnan().all()


@pytest.mark.parametrize(("num_rows", "num_candidates"), [(3, 2039), (3, 2041), (2, 5000), (130, 30_000)])
def test_as_many_candidates_as_a_graph_has(num_rows: int, num_candidates: int) -> None:
    """Counts of booleans are packed eight to a word and in blocks of rows: neither a byte nor a block runs over."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.randint(0, 4, (num_rows, num_candidates), generator=generator).float()
    scores[0] = 0.0  # all tie
    scores[-1, 1:] = 9.0  # all are above
    tail = torch.zeros(num_rows, 1, dtype=torch.long)
    known = torch.stack([torch.arange(num_rows), tail[:, 0]])
    rivals, target = scores[:, 1:], scores[:, :1]
    expected = 1 + (rivals > target).sum(1) + (rivals == target).sum(1) / 2
    assert torch.equal(ranks(scores.clone(), tail, known)[:, 0], expected)


def test_metrics_by_hand() -> None:
    """Three entities on a line, DistMult of one number: scores h * t, worked out on paper."""
    data = dataset([[0, 0, 1], [1, 0, 2]], [], [[0, 0, 2]], 3, 1)
    scorer = DistMult(3, 1, dim=1)
    with torch.no_grad():
        scorer.table.weight.copy_(torch.tensor([[1.0], [2.0], [3.0]]))
        scorer.diagonal.weight.fill_(1.0)
    ranking = evaluate(scorer, data, "test")
    # (0, r, ?): scores 1 2 3, entity 1 is known, 3 beats 1: rank 1 of 2. (?, r, 2): 3 6 9, 1 is known, 3 < 9: rank 2.
    assert sorted(zip(ranking.relation.tolist(), ranking.rank.tolist(), strict=True)) == [(0, 1.0), (1, 2.0)]
    assert ranking.candidates.tolist() == [2, 2]
    metrics = ranking.metrics(("r",))
    assert metrics.mrr == 0.75 and metrics.mean_rank == 1.5 and metrics.hits_at_1 == 0.5 and metrics.hits_at_3 == 1
    assert metrics.amri == 0  # the mean rank of a random order is 1.5 as well
    assert metrics.by_side["tail"].mrr == 1 and metrics.by_side["head"].mrr == 0.5
    assert metrics.by_relation["r"].num_ranks == 2
    entropy = (math.log(1 + math.exp(1 - 3)) + math.log(1 + math.exp(9 - 3))) / 2
    assert metrics.perplexity == pytest.approx(math.exp(entropy), rel=1e-5)
    assert metrics.to_json()["by_side"]["head"]["mrr"] == 0.5


def test_valid_is_not_filtered_by_test() -> None:
    data = dataset([[0, 0, 1], [1, 0, 2], [3, 0, 0]], [[0, 0, 2]], [[0, 0, 3]], 4, 1)
    scorer = DistMult(4, 1, dim=1)
    with torch.no_grad():
        scorer.table.weight.copy_(torch.tensor([[1.0], [2.0], [3.0], [4.0]]))
        scorer.diagonal.weight.fill_(1.0)
    tails = {name: evaluate(scorer, data, name) for name in ("valid", "test")}
    rank = {name: found.rank[found.relation == 0].item() for name, found in tails.items()}
    assert rank == {"valid": 2.0, "test": 1.0}  # entity 3, a test answer, still stands above in valid


def test_test_is_filtered_by_valid() -> None:
    data = dataset([[0, 0, 1], [1, 0, 2], [3, 0, 0]], [[0, 0, 3]], [[0, 0, 2]], 4, 1)
    scorer = DistMult(4, 1, dim=1)
    with torch.no_grad():
        scorer.table.weight.copy_(torch.tensor([[1.0], [2.0], [3.0], [4.0]]))
        scorer.diagonal.weight.fill_(1.0)
    found = evaluate(scorer, data, "test")
    assert found.rank[found.relation == 0].item() == 1  # entity 3 stands above, and is known
    assert found.candidates[found.relation == 0].item() == 2  # itself and entity 0


@pytest.mark.parametrize("batch_size", [1, 3, 1000])
def test_batches_do_not_change_ranks(batch_size: int, random_dataset: Dataset, random_scorer: Scorer) -> None:
    whole = evaluate(random_scorer, random_dataset, "test")
    parts = evaluate(random_scorer, random_dataset, "test", batch_size=batch_size)
    assert torch.allclose(whole.rank, parts.rank) and torch.allclose(whole.cross_entropy, parts.cross_entropy)
    assert len(whole.rank) == 2 * len(random_dataset.test)


def test_a_constant_scorer_ranks_in_the_middle(random_dataset: Dataset, random_scorer: Scorer) -> None:
    with torch.no_grad():
        for parameter in random_scorer.parameters():
            parameter.zero_()
    ranking = evaluate(random_scorer, random_dataset, "test")
    assert torch.equal(ranking.rank, (ranking.candidates + 1) / 2)
    assert ranking.metrics().amri == pytest.approx(0, abs=1e-6)
    assert torch.allclose(ranking.cross_entropy, ranking.candidates.float().log(), atol=1e-4)


def test_temperature_only_changes_perplexity(random_dataset: Dataset, random_scorer: Scorer) -> None:
    cold = evaluate(random_scorer, random_dataset, "test", temperature=0.5).metrics()
    warm = evaluate(random_scorer, random_dataset, "test", temperature=2.0).metrics()
    assert replace(cold, perplexity=0.0, by_side={}) == replace(warm, perplexity=0.0, by_side={})
    assert cold.perplexity != warm.perplexity


def test_a_sample_is_the_same_each_time_and_ranked_as_the_whole(random_dataset: Dataset, random_scorer: Scorer) -> None:
    def rows(sample: int | None) -> set[tuple[float, ...]]:
        found = evaluate(random_scorer, random_dataset, "valid", sample=sample)
        return set(zip(*(x.tolist() for x in (found.head, found.relation, found.tail, found.rank)), strict=True))

    whole, few = rows(None), rows(10)
    assert len(few) == 20 and few < whole and few == rows(10)
    assert rows(1000) == whole
