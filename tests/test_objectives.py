"""What a batch becomes: each objective against a dense and obvious computation of the same loss."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from kg.graph.dataset import Dataset
from kg.models.complex import ComplEx
from kg.models.scorer import Queries, Scorer
from kg.training.objectives import Batch, KvsAll, NegativeSampling, Objective, OneVsAll


@pytest.fixture
def batch(random_dataset: Dataset) -> Batch:
    head, relation, tail = random_dataset.train[:20].unbind(1)
    return Batch(Queries(head, relation, random_dataset.graph()), tail, random_dataset.known("train"))


def seeded(batch: Batch, seed: int = 0) -> Batch:
    queries = batch.queries
    generator = torch.Generator().manual_seed(seed)
    return Batch(Queries(queries.head, queries.relation, queries.graph, generator), batch.tail, batch.known)


def gradients(scorer: Scorer, loss: Tensor) -> list[Tensor]:
    scorer.zero_grad()
    loss.backward()
    return [parameter.grad.clone() for parameter in scorer.parameters() if parameter.grad is not None]


def assert_same(scorer: Scorer, ours: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(ours, expected)
    found, wanted = gradients(scorer, ours), gradients(scorer, expected)
    assert len(found) == 2 and all(bool(gradient.any()) for gradient in found)
    for left, right in zip(found, wanted, strict=True):
        torch.testing.assert_close(left, right)


def answers(batch: Batch) -> Tensor:
    """(B, N): 1 where a training fact stands."""
    queries, graph = batch.queries, batch.queries.graph
    true = torch.zeros(len(queries), graph.num_entities)
    for head, relation, tail in torch.stack([graph.head(), graph.relation, graph.tail], 1).tolist():
        true[(queries.head == head) & (queries.relation == relation), tail] = 1
    return true


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_one_vs_all(random_scorer: Scorer, batch: Batch, smoothing: float) -> None:
    objective = OneVsAll(label_smoothing=smoothing)
    expected = functional.cross_entropy(random_scorer.score_tails(batch.queries), batch.tail, label_smoothing=smoothing)
    assert_same(random_scorer, objective(random_scorer, batch), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_k_vs_all_softmax(random_scorer: Scorer, batch: Batch, smoothing: float) -> None:
    true = answers(batch)
    assert bool((true.sum(1) > 1).any())
    target = (1 - smoothing) * true / true.sum(1, keepdim=True) + smoothing / true.shape[1]
    expected = functional.cross_entropy(random_scorer.score_tails(batch.queries), target)
    assert_same(random_scorer, KvsAll(label_smoothing=smoothing)(random_scorer, batch), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_k_vs_all_bce(random_scorer: Scorer, batch: Batch, smoothing: float) -> None:
    true = answers(batch)
    labels = (1 - smoothing) * true + smoothing / true.shape[1]
    expected = functional.binary_cross_entropy_with_logits(random_scorer.score_tails(batch.queries), labels)
    assert_same(random_scorer, KvsAll(loss="bce", label_smoothing=smoothing)(random_scorer, batch), expected)


def drawn(objective: NegativeSampling, batch: Batch, seed: int) -> Tensor:
    shape = (objective.num_negatives,) if objective.shared else (len(batch.tail), objective.num_negatives)
    return torch.randint(0, 50, shape, generator=torch.Generator().manual_seed(seed)).expand(len(batch.tail), -1)


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "own"])
@pytest.mark.parametrize("exclude_known", [False, True])
def test_negative_sampling(random_scorer: Scorer, batch: Batch, shared: bool, exclude_known: bool) -> None:
    """Softmax over the positive and 60 negatives, which are looked up in the matrix of all scores."""
    objective = NegativeSampling(60, shared=shared, exclude_known=exclude_known)
    tails = drawn(objective, batch, seed=3)
    scores = random_scorer.score_tails(batch.queries)
    negative = scores.gather(1, tails)
    known = answers(batch).bool().gather(1, tails)
    assert bool(known.any())  # there is something to leave out
    if exclude_known:
        negative = negative.masked_fill(known, -torch.inf)
    logits = torch.cat([scores.gather(1, batch.tail[:, None]), negative], 1)
    expected = functional.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long))
    assert_same(random_scorer, objective(random_scorer, seeded(batch, 3)), expected)


@pytest.mark.parametrize("loss", ["softmax", "margin", "logistic"])
def test_every_loss_lowers_what_it_says(random_scorer: Scorer, batch: Batch, loss: str) -> None:
    """A step against the gradient raises the true answers over the others."""

    def lead() -> float:
        with torch.no_grad():
            scores = random_scorer.score_tails(batch.queries)
            return float((scores.gather(1, batch.tail[:, None]) - scores.mean(1, keepdim=True)).mean())

    objective = NegativeSampling(200, loss=loss, margin=2.0, exclude_known=True)
    before = lead()
    optimizer = torch.optim.SGD(random_scorer.parameters(), lr=1.0)
    objective(random_scorer, seeded(batch)).backward()
    optimizer.step()
    assert lead() > before


def test_the_parts_of_a_loss_reach_it(random_scorer: Scorer, batch: Batch) -> None:
    losses = {
        objective: objective(random_scorer, seeded(batch)).item()
        for objective in (
            NegativeSampling(loss="margin"),
            NegativeSampling(loss="margin", margin=2.0),
            NegativeSampling(loss="logistic"),
            NegativeSampling(loss="logistic", margin=2.0),
            NegativeSampling(loss="logistic", adversarial_temperature=0.0),
            NegativeSampling(),
        )
    }
    assert len(set(losses.values())) == len(losses)


def test_positives_and_negatives_see_one_dropout(batch: Batch) -> None:
    """Where every entity is the same, the positive's score equals each negative's: only one encoding gives log 9."""
    scorer = ComplEx(50, 3, dim=4, entity_dropout=0.5)
    torch.nn.init.ones_(scorer.table.weight)
    loss = NegativeSampling(8)(scorer, seeded(batch))
    torch.testing.assert_close(loss, torch.tensor(9.0).log())
    assert not torch.equal(scorer.encode(seeded(batch).queries).vector, scorer.encode(batch.queries).vector)


@pytest.mark.parametrize(
    ("objective", "whole_questions", "is_full_softmax"),
    [
        (OneVsAll(), False, True),
        (KvsAll(), True, True),
        (KvsAll(loss="bce"), True, False),
        (NegativeSampling(), False, False),
    ],
)
def test_what_an_objective_says_of_itself(objective: Objective, whole_questions: bool, is_full_softmax: bool) -> None:
    assert objective.whole_questions == whole_questions and objective.is_full_softmax == is_full_softmax
