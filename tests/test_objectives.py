"""What a batch becomes: each objective against a dense and obvious computation of the same loss."""

from dataclasses import replace
from functools import partial
from math import exp, log
from typing import Any

import pytest
import torch
from paper import fill
from runs import varied
from torch import Tensor
from torch.nn import functional
from torch.optim import SGD, Adam

from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.graph.graph import Graph
from kg.graph.known import KnownAnswers
from kg.models.complex import ComplEx
from kg.models.gated import Gated
from kg.models.neighbourhood import NeighbourhoodTransformer
from kg.models.scorer import Queries, Scorer
from kg.training import objectives
from kg.training.gradient_descent import GradientDescent
from kg.training.objectives import (
    Batch,
    KvsAll,
    MaskedEntity,
    NegativeSampling,
    Objective,
    OneVsAll,
    OneVsUnknown,
    RelationPrediction,
)
from kg.training.run import Run


@pytest.fixture
def batch(random_dataset: Dataset) -> Batch:
    head, relation, tail = random_dataset.train[:20].unbind(1)
    queries = Queries(head, relation, random_dataset.graph())
    return Batch(queries, torch.arange(20), tail, random_dataset.known("train"))


@pytest.fixture
def whole(batch: Batch) -> Batch:
    """The same questions with all their answers."""
    row, tail = batch.known.lookup(batch.queries.head, batch.queries.relation)
    assert len(tail) > len(batch.queries)
    return replace(batch, row=row, tail=tail)


def seeded(batch: Batch, seed: int = 0) -> Batch:
    return replace(batch, queries=replace(batch.queries, generator=torch.Generator().manual_seed(seed)))


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


def test_one_vs_unknown(random_scorer: Scorer, whole: Batch) -> None:
    """Each answer among itself and what is not known: no answer lowers another."""
    scores, true = random_scorer.score_tails(whole.queries), answers(whole)
    rivals = (scores.exp() * (1 - true)).sum(1)[whole.row]
    own = scores[whole.row, whole.tail].exp()
    assert bool((true.sum(1) > 1).any())
    found = OneVsUnknown(max_answers=100)(random_scorer, whole)
    assert_same(random_scorer, found, -(own / (own + rivals)).log().mean())


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_k_vs_all_softmax(random_scorer: Scorer, whole: Batch, smoothing: float) -> None:
    true = answers(whole)
    assert bool((true.sum(1) > 1).any())
    target = (1 - smoothing) * true / true.sum(1, keepdim=True) + smoothing / true.shape[1]
    expected = functional.cross_entropy(random_scorer.score_tails(whole.queries), target)
    assert_same(random_scorer, KvsAll(label_smoothing=smoothing)(random_scorer, whole), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_answers_that_share_a_row_lose_as_they_do_alone(
    random_scorer: Scorer, whole: Batch, smoothing: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective = OneVsAll(label_smoothing=smoothing, max_answers=100)
    facts = whole.facts()
    expected = functional.cross_entropy(random_scorer.score_tails(facts), whole.tail, label_smoothing=smoothing)
    assert_same(random_scorer, objective(random_scorer, whole), expected)
    monkeypatch.setattr(objectives, "_MOST_SCORES", 20 * 7)  # of 20 * 50: eight blocks
    expected = functional.cross_entropy(random_scorer.score_tails(facts), whole.tail, label_smoothing=smoothing)
    assert_same(random_scorer, objective(random_scorer, whole), expected)


def test_relation_prediction(random_scorer: Scorer, whole: Batch) -> None:
    facts = whole.facts()
    columns = [
        random_scorer.score_hrt(replace(facts, relation=torch.full_like(facts.relation, relation)), whole.tail)
        for relation in range(6)
    ]
    expected = 0.3 * functional.cross_entropy(torch.stack(columns, 1), facts.relation)
    assert_same(random_scorer, RelationPrediction(0.3)(random_scorer, whole), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_k_vs_all_bce(random_scorer: Scorer, whole: Batch, smoothing: float) -> None:
    true = answers(whole)
    labels = (1 - smoothing) * true + smoothing / true.shape[1]
    expected = functional.binary_cross_entropy_with_logits(random_scorer.score_tails(whole.queries), labels)
    assert_same(random_scorer, KvsAll(loss="bce", label_smoothing=smoothing)(random_scorer, whole), expected)


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


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "own"])
@pytest.mark.parametrize("candidates", ["all", "by_degree"])
def test_the_corrected_softmax_is_that_over_all_entities(
    random_scorer: Scorer, batch: Batch, candidates: str, shared: bool
) -> None:
    """With very many draws nothing is left to chance; with few, the loss is less on average, and by little."""
    others = torch.arange(1, 50)
    star = torch.stack([torch.zeros_like(others), torch.zeros_like(others), others], 1)  # one entity has half of all
    batch = replace(batch, queries=replace(batch.queries, graph=Graph.from_triples(star, 50, 3)))
    random_scorer.table.weight.data[0] *= 3  # and scores that matter
    expected = OneVsAll()(random_scorer, batch).item()
    many = NegativeSampling(200_000 if shared else 20_000, shared, "corrected_softmax", candidates=candidates)
    assert many(random_scorer, seeded(batch)).item() == pytest.approx(expected, abs=0.01)
    few = NegativeSampling(20, shared, "corrected_softmax", candidates=candidates)
    lost = [few(random_scorer, seeded(batch, seed)).item() for seed in range(200)]
    assert -0.05 < sum(lost) / len(lost) - expected < 0.0
    uncorrected = NegativeSampling(20, shared, candidates=candidates)
    assert abs(uncorrected(random_scorer, seeded(batch)).item() - expected) > 0.3


def test_typed_rivals_are_corrected_to_the_softmax_over_the_range(random_scorer: Scorer, batch: Batch) -> None:
    offsets, tails = batch.known.tails_of_relations
    scores = random_scorer.score_tails(batch.queries)
    outside = torch.ones_like(scores, dtype=torch.bool)
    for row, relation in enumerate(batch.queries.relation.tolist()):
        outside[row, tails[offsets[relation] : offsets[relation + 1]]] = False
    expected = functional.cross_entropy(scores.masked_fill(outside, -torch.inf), batch.tail)
    many = NegativeSampling(20_000, False, "corrected_softmax", candidates="typed")
    assert many(random_scorer, seeded(batch)).item() == pytest.approx(expected.item(), abs=0.01)


def test_draws_by_degree(batch: Batch) -> None:
    """By (edges)^.75, and an entity without any as one with one."""
    degree = batch.queries.graph.degree().clamp(min=1)
    drawn = NegativeSampling(400_000, candidates="by_degree").with_rivals(seeded(batch)).rivals
    assert drawn is not None
    share = torch.bincount(drawn, minlength=50) / len(drawn)
    expected = degree**0.75 / (degree**0.75).sum()
    torch.testing.assert_close(share, expected, rtol=0.05, atol=0)


@pytest.mark.parametrize("loss", ["softmax", "corrected_softmax", "margin", "logistic"])
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


def test_typed_negatives_stand_where_the_relation_has_them(random_scorer: Scorer) -> None:
    """Capitals and countries: (country, capital, ?) draws capitals alone, and asked backwards countries alone."""
    train = torch.tensor([[0, 0, 10], [1, 0, 11], [2, 0, 12], [0, 1, 1], [1, 1, 2]])
    known = KnownAnswers.from_triples(train, 2)
    graph = Graph.from_triples(train, 50, 2)
    expected = {0: {10, 11, 12}, 1: {1, 2}, 2: {0, 1, 2}, 3: {0, 1}}
    for relation, candidates in expected.items():
        queries = Queries(torch.tensor([0]), torch.tensor([relation]), graph)
        batch = seeded(Batch(queries, torch.tensor([0]), torch.tensor([10]), known))
        drawn = NegativeSampling(200, shared=False, candidates="typed")._drawn(batch)
        assert drawn.shape == (1, 200) and set(drawn.flatten().tolist()) == candidates


def test_typed_negatives_cannot_be_shared() -> None:
    with pytest.raises(UserError, match="shared=False"):
        NegativeSampling(candidates="typed")


def test_bernoulli_sides_by_hand() -> None:
    """Relation 0 has four tails a head and one head a tail: the head's side weighs 2 * 4 / 5, the tail's 2 * 1 / 5."""
    train = torch.tensor([[0, 0, 1], [0, 0, 2], [0, 0, 3], [0, 0, 4], [5, 1, 6]])
    known = KnownAnswers.from_triples(train, 2)
    assert known.answers_a_question.tolist() == [4, 1, 1, 1]
    queries = Queries(torch.tensor([0, 1, 5, 6]), torch.tensor([0, 2, 1, 3]), Graph.from_triples(train, 50, 2))
    batch = Batch(queries, torch.arange(4), torch.tensor([1, 0, 6, 5]), known)
    torch.testing.assert_close(objectives._bernoulli(batch), torch.tensor([0.4, 1.6, 1.0, 1.0]))


def test_bernoulli_sides_reach_the_loss(random_scorer: Scorer, batch: Batch) -> None:
    plain, weighed = NegativeSampling(8), NegativeSampling(8, sides="bernoulli")
    positive, negative = plain._scores(random_scorer, seeded(batch))
    rows = torch.logsumexp(torch.cat([positive[:, None], negative], 1), 1) - positive
    weight = objectives._bernoulli(batch)
    assert weight.unique().numel() > 1
    torch.testing.assert_close(weighed(random_scorer, seeded(batch)), (rows * weight).mean())
    torch.testing.assert_close(plain(random_scorer, seeded(batch)), rows.mean())


@pytest.mark.parametrize(
    ("objective", "max_answers", "is_full_softmax"),
    [
        (OneVsAll(), 1, True),
        (OneVsAll(max_answers=8), 8, True),
        (OneVsAll(label_smoothing=0.1), 1, False),
        (OneVsUnknown(max_answers=4), 4, False),
        (KvsAll(label_smoothing=0.1), None, False),
        (KvsAll(), None, True),
        (KvsAll(loss="bce"), None, False),
        (NegativeSampling(), 1, False),
        (RelationPrediction(1.0), 1, False),
        (MaskedEntity(1.0), 1, False),
    ],
)
def test_what_an_objective_says_of_itself(objective: Objective, max_answers: object, is_full_softmax: bool) -> None:
    assert objective.max_answers == max_answers and objective.is_full_softmax == is_full_softmax


# Who is it?


def without_layers(**arguments: Any) -> NeighbourhoodTransformer:
    return NeighbourhoodTransformer(3, 1, **{"dim": 1, "width": 1, "num_heads": 1, "num_layers": 0, **arguments})


def test_masked_entity_by_hand() -> None:
    """Without layers y is LN(q) of one number, its bias b: W b = (2, -1) is said of every entity.

    Against the rows (1, 0), (0, 1), (1, 1) that scores 2, -1 and 1.
    """
    scorer = without_layers()
    fill(scorer.norm.bias, [1.0])
    fill(scorer.answer.weight, [[1.5], [-1.0]])
    fill(scorer.answer.bias, [0.5, 0.0])
    fill(scorer.table.weight, [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    facts = torch.tensor([[0, 0, 1], [0, 0, 2], [1, 0, 2]])
    known, graph = KnownAnswers.from_triples(facts, 1), Graph.from_triples(facts, 3, 1)
    queries = Queries(torch.tensor([0, 1]), torch.tensor([0, 0]), graph)
    total = log(exp(2) + exp(-1) + exp(1))
    # The head 0 is asked for in two facts, the head 1 in one.
    batch = Batch(queries, torch.tensor([0, 0, 1]), torch.tensor([1, 2, 2]), known)
    expected = 0.5 * ((total - 2) + (total - 2) + (total + 1)) / 3
    assert MaskedEntity(0.5)(scorer, batch).item() == pytest.approx(expected)


def test_an_entity_is_told_by_its_neighbours_alone() -> None:
    """Neither its own row, nor a row that is no neighbour's, nor an edge to itself has a part in what is said of it."""
    facts = torch.tensor([[0, 0, 1], [0, 0, 0]])
    graph = Graph.from_triples(facts, 3, 1)
    torch.manual_seed(0)
    scorer = without_layers(dim=4, width=8, num_layers=1, init=0.5)

    def said() -> Tensor:
        return scorer._identity(torch.tensor([0]), scorer.table.weight, graph, None)

    for entity, matters in ((0, False), (1, True), (2, False)):
        assert bool(torch.autograd.grad(said().square().sum(), scorer.table.weight)[0][entity].any()) == matters
    without_loop = Graph.from_triples(facts[:1], 3, 1)
    alone = scorer.identify(torch.tensor([0]), without_loop, None)
    torch.testing.assert_close(scorer.identify(torch.tensor([0]), graph, None), alone)


def test_who_it_is_needs_a_scorer_that_can_tell(random_scorer: Scorer, batch: Batch) -> None:
    gated = Gated(50, 3, own=partial(NeighbourhoodTransformer, dim=4, width=8), base=partial(ComplEx, dim=4))
    for scorer, name in ((random_scorer, "ComplEx"), (gated, "Gated")):
        with pytest.raises(UserError, match=f"^{name} cannot tell an entity by its neighbours: no masked-entity loss$"):
            MaskedEntity(1.0)(scorer, batch)


WITH_ENTITIES = Run(
    partial(NeighbourhoodTransformer, dim=4, width=8, num_layers=1, num_neighbours=1000),
    GradientDescent(partial(Adam, lr=0.02), auxiliary=MaskedEntity(0.5), batch_size=200, hide="exact", epochs=4),
)


@pytest.mark.parametrize("objective", [OneVsAll(), OneVsAll(max_answers=8), KvsAll("bce"), NegativeSampling(16)])
def test_who_it_is_trains_together_with_an_objective(random_dataset: Dataset, objective: Objective) -> None:
    run = varied(WITH_ENTITIES, objective=objective, epochs=12)
    fit = run.trainer(random_dataset)
    head = random_dataset.train[:, 0]
    known, graph = random_dataset.known("train"), random_dataset.graph()
    row = torch.arange(len(head))
    asked = Batch(Queries(head, random_dataset.train[:, 1], graph), row, random_dataset.train[:, 2], known)
    before = MaskedEntity(1.0)(fit.scorer, asked).item()
    losses = [epoch.loss for epoch in fit]
    assert losses[-1] < losses[0] and MaskedEntity(1.0)(fit.scorer, asked).item() < before


@pytest.mark.parametrize("objective", [OneVsAll(max_answers=8), KvsAll("bce")])
def test_who_it_is_in_pieces(random_dataset: Dataset, objective: Objective) -> None:
    """Its share in a piece is that of the piece's facts, whatever the objective's is."""
    run = varied(WITH_ENTITIES, objective=objective, optimizer=partial(SGD, lr=1.0), epochs=1)
    whole, parts, other = (
        each.trainer(random_dataset) for each in (run, varied(run, pieces=3), varied(run, auxiliary=None))
    )
    for fit in (whole, parts, other):
        next(iter(fit))
    assert parts.loss() == pytest.approx(whole.loss(), rel=1e-5) and other.loss() < whole.loss()
    for name, value in whole.scorer.state_dict().items():
        torch.testing.assert_close(parts.scorer.state_dict()[name], value, rtol=1e-4, atol=1e-5)
