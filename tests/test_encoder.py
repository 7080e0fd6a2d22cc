"""What scorers that compute vectors from the graph share: hidden answers, one encoding, entities without a row."""

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import Adagrad, Adam, AdamW

from kg.attention.sparse import Star
from kg.errors import UserError
from kg.evaluation.ranking import evaluate
from kg.graph.dataset import Dataset
from kg.graph.graph import Graph, with_inverses
from kg.models.compgcn import CompGCN
from kg.models.encoder import GraphEncoder
from kg.models.neighbourhood import NeighbourhoodTransformer
from kg.models.rgcn import RGCN
from kg.models.scorer import WORST, Queries, Scorer
from kg.training.gradient_descent import GradientDescent
from kg.training.objectives import Batch, KvsAll, NegativeSampling, Objective, OneVsAll
from kg.training.run import Run

PASSING: dict[str, Callable[..., GraphEncoder]] = {
    "rgcn": RGCN,
    **{name: partial(CompGCN, composition=name, num_layers=2) for name in ("mult", "sub", "corr")},
}
MAKERS = {
    **PASSING,
    "neighbourhood": partial(NeighbourhoodTransformer, width=8),
    "star": partial(NeighbourhoodTransformer, width=8, attention=partial(Star)),
}
every_encoder = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
every_message_passing = pytest.mark.parametrize("make", PASSING.values(), ids=PASSING)
N, R = 8, 2
HRT = torch.tensor([[0, 0, 1], [0, 0, 2], [0, 1, 2], [3, 1, 0], [4, 0, 4], [5, 1, 6], [6, 0, 7], [7, 1, 3]])
GROWN = torch.cat([HRT, torch.tensor([[8, 0, 1], [2, 1, 8]])])


def new(make: Callable[..., GraphEncoder], entities: int = N, **arguments: Any) -> GraphEncoder:
    torch.manual_seed(0)
    return make(entities, R, dim=6, init=0.5, **arguments)


def graph(hrt: Tensor = HRT, entities: int = N) -> Graph:
    return Graph.from_triples(hrt, entities, R)


def questions(where: Graph, generator: torch.Generator | None = None) -> Queries:
    return Queries(torch.tensor([0, 3, 6]), torch.tensor([0, 3, 1]), where, generator)


# The answers are hidden


@dataclass(frozen=True)
class Peeking(Objective):
    """The loss of each batch: over the graph it was given, over one that never held the answers, over the whole."""

    inner: Objective
    dataset: Dataset
    losses: list[tuple[float, float, float]]

    @property
    def max_answers(self) -> int | None:
        return self.inner.max_answers

    def __call__(self, scorer: Scorer, batch: Batch) -> Tensor:
        def loss(where: Graph) -> Tensor:
            queries = batch.queries
            generator = torch.Generator().set_state(before)
            return self.inner(scorer, replace(batch, queries=replace(queries, graph=where, generator=generator)))

        assert batch.queries.generator
        before = batch.queries.generator.get_state()
        dataset, facts = self.dataset, batch.facts()
        asked = torch.stack([facts.head, facts.relation, batch.tail], 1).tolist()
        turned = [[t, (r + dataset.num_relations) % (2 * dataset.num_relations), h] for h, r, t in asked]
        without = [fact for fact in dataset.train.tolist() if fact not in asked + turned]
        never_held = Graph.from_triples(torch.tensor(without), dataset.num_entities, dataset.num_relations)
        given = loss(batch.queries.graph)
        self.losses.append((given.item(), loss(never_held).item(), loss(dataset.graph()).item()))
        return given


@every_encoder
@pytest.mark.parametrize("objective", [OneVsAll(), KvsAll(), NegativeSampling(8)], ids=lambda o: type(o).__name__)
def test_a_loss_is_bitwise_what_it_is_where_the_answers_never_stood(
    make: Callable[..., GraphEncoder], objective: Objective, random_dataset: Dataset
) -> None:
    data, losses = random_dataset, []
    scorer = make(data.num_entities, data.num_relations, dim=6, init=0.5, entity_dropout=0.3)
    run = Run(
        partial(make, dim=6),
        GradientDescent(
            partial(Adam, lr=0.01), Peeking(objective, data, losses), batch_size=100, hide="exact", epochs=1
        ),
    )
    list(run.algorithm.trainer(scorer, data, run.seed))
    given, never_held, whole = zip(*losses, strict=True)
    assert len(given) >= 3
    assert given == never_held
    assert all(seen != hidden for seen, hidden in zip(whole, given, strict=True))  # the guard tells hidden from seen


@pytest.mark.parametrize("make", [RGCN, CompGCN])
def test_a_run_that_hides_nothing_is_an_error(make: type[GraphEncoder]) -> None:
    with pytest.raises(UserError, match=f"{make.__name__} looks at the graph.*hide must be exact or pair"):
        Run(partial(make, dim=4), GradientDescent(partial(Adam, lr=0.01)))
    Run(partial(make, dim=4), GradientDescent(partial(Adam, lr=0.01), hide="pair"))


# Encoded once


def count_encodings(scorer: GraphEncoder, monkeypatch: pytest.MonkeyPatch) -> list[Graph]:
    """The graphs that the scorer's layers are run over from now on."""
    seen: list[Graph] = []
    layers_over = scorer.layers_over

    def counted(x: Tensor, where: Graph, generator: torch.Generator | None) -> Any:
        seen.append(where)
        return layers_over(x, where, generator)

    monkeypatch.setattr(scorer, "layers_over", counted)
    return seen


@every_encoder
def test_one_encoding_a_step(
    make: Callable[..., GraphEncoder], random_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    for objective in (OneVsAll(), KvsAll(loss="bce"), NegativeSampling(4, shared=False)):
        run = Run(
            partial(make, dim=4),
            GradientDescent(partial(Adam, lr=0.01), objective, batch_size=200, hide="exact", epochs=1),
        )
        fit = run.trainer(random_dataset)
        assert isinstance(fit.scorer, GraphEncoder)
        seen = count_encodings(fit.scorer, monkeypatch)
        list(fit)
        assert len(seen) == fit.num_steps


@every_encoder
def test_one_encoding_a_graph_without_gradients(
    make: Callable[..., GraphEncoder], random_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = make(50, 3, dim=4)
    expected = [evaluate(scorer, random_dataset, "test", batch_size=size).rank for size in (1000, 7)]
    seen = count_encodings(scorer, monkeypatch)
    torch.set_num_threads(2)  # which is when evaluation takes two threads of its own
    try:
        ranking = evaluate(scorer, random_dataset, "test", batch_size=7)
    finally:
        torch.set_num_threads(1)
    assert len(seen) == 1
    assert torch.equal(ranking.rank, expected[0]) and torch.equal(ranking.rank, expected[1])


@every_encoder
@torch.no_grad()
def test_another_graph_is_encoded_anew(make: Callable[..., GraphEncoder], monkeypatch: pytest.MonkeyPatch) -> None:
    scorer, one, other = new(make), graph(), graph(HRT[:4])
    seen = count_encodings(scorer, monkeypatch)
    first = scorer.score_tails(questions(one))
    second = scorer.score_tails(questions(other))
    assert not torch.equal(first, second)
    assert torch.equal(scorer.score_tails(questions(one)), first) and seen == [one, other, one]
    del one, first  # nor is one taken for another that lies where it lay
    seen.clear()
    for length in (2, 5, 3):
        scores = scorer.score_tails(questions(graph(HRT[:length])))
        assert torch.equal(scores, new(make).score_tails(questions(graph(HRT[:length]))))


OPTIMIZERS = [
    lambda weights: Adam(weights, lr=0.1, fused=True),
    lambda weights: AdamW(weights, lr=0.1, fused=False),
    lambda weights: Adagrad(weights, lr=0.1, fused=True),
]


@every_encoder
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=["adam", "adamw", "adagrad"])
def test_other_weights_are_encoded_anew(make: Callable[..., GraphEncoder], optimizer: Callable[..., Any]) -> None:
    scorer, where = new(make), graph()

    def scores() -> Tensor:
        with torch.no_grad():
            kept = scorer.score_tails(questions(where))
        assert torch.equal(kept, scorer.score_tails(questions(where)).detach())  # with gradients nothing is kept
        return kept

    first, weights = scores(), copy.deepcopy(scorer.state_dict())
    scorer.score_tails(questions(where)).square().sum().backward()
    optimizer(scorer.parameters()).step()
    assert not torch.equal(scores(), first)
    scorer.load_state_dict(weights)
    assert torch.equal(scores(), first)
    scorer.table.weight.data += 1  # behind autograd's back
    assert not torch.equal(scores(), first)
    assert scorer.double() and scores().dtype == torch.float64


def test_threads_that_ask_at_once_get_one_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer, graphs = new(RGCN), [graph(HRT[: 2 + number]) for number in range(3)]
    expected = [new(RGCN).score_tails(questions(where)).detach() for where in graphs]

    @torch.no_grad()
    def scores(number: int) -> bool:
        return torch.equal(scorer.score_tails(questions(graphs[number % 3])), expected[number % 3])

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(scores, range(60)))
        seen = count_encodings(scorer, monkeypatch)
        assert all(pool.map(scores, [1] * 40))
    assert len(seen) <= 1


@torch.no_grad()
def test_a_copy_keeps_nothing_of_the_original() -> None:
    scorer, where = new(RGCN), graph()
    first = scorer.score_tails(questions(where))
    other = copy.deepcopy(scorer)
    assert torch.equal(other.score_tails(questions(where)), first)
    other.table.weight += 1
    assert not torch.equal(other.score_tails(questions(where)), first)
    assert torch.equal(scorer.score_tails(questions(where)), first)


# Dropout


@every_encoder
def test_hidden_dropout_follows_the_generator(make: Callable[..., GraphEncoder]) -> None:
    scorer, where = new(make, hidden_dropout=0.5), graph()

    @torch.no_grad()  # what is kept was encoded without dropout
    def scores(seed: int | None) -> Tensor:
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        return scorer.score_tails(questions(where, generator))

    plain = scores(None)
    assert torch.equal(plain, new(make).score_tails(questions(where)))
    assert torch.equal(scores(1), scores(1)) and not torch.equal(scores(1), scores(2))
    assert torch.equal(scores(None), plain) and not torch.equal(scores(1), plain)


# Entities beyond the table


@every_encoder
def test_a_newcomer_is_what_its_neighbours_say(make: Callable[..., GraphEncoder]) -> None:
    """Entity 8 has facts and no row, 9 has neither."""
    scorer, grown = new(make), graph(GROWN, entities=10)
    scores = scorer.score_tails(questions(grown))
    assert scores.shape == (3, 10) and bool((scores[:, :9] > WORST).all()) and bool((scores[:, 9] == WORST).all())
    tails = torch.tensor([9, 8, 0])
    torch.testing.assert_close(scorer.score_tails(questions(grown), tails), scores[:, tails])
    torch.testing.assert_close(scorer.score_tails(questions(grown), slice(7, 10)), scores[:, 7:])
    own = torch.tensor([[9, 1], [8, 9], [0, 8]])
    torch.testing.assert_close(scorer.score_tails(questions(grown), own), scores.gather(1, own))
    asked = Queries(torch.tensor([8]), torch.tensor([2]), grown)
    relations = scorer.score_relations(torch.tensor([8]), torch.tensor([0]), grown)
    torch.testing.assert_close(relations[:, 2], scorer.score_tails(asked)[:, 0])
    told = graph(torch.cat([GROWN, torch.tensor([[8, 1, 5]])]), entities=10)
    assert not torch.allclose(scorer.entities(told, torch.tensor([8])), scorer.entities(grown, torch.tensor([8])))


@every_message_passing
def test_a_newcomer_has_the_vector_of_a_row_of_zeros(make: Callable[..., GraphEncoder]) -> None:
    scorer, wider, grown = new(make), new(make, entities=9), graph(GROWN, entities=10)
    wider.load_state_dict({**scorer.state_dict(), "table.weight": torch.cat([scorer.table.weight, torch.zeros(1, 6)])})
    for asked in (questions(grown), Queries(torch.tensor([8]), torch.tensor([2]), grown)):
        torch.testing.assert_close(scorer.score_tails(asked)[:, :9], wider.score_tails(asked)[:, :9])


@every_encoder
def test_an_entity_without_row_and_facts_is_an_error(make: Callable[..., GraphEncoder]) -> None:
    scorer, grown = new(make), graph(entities=9)
    for head, tail in ((8, 0), (0, 8)):
        with pytest.raises(UserError, match="no vector for an entity that it was not trained with and that has no"):
            scorer.score_relations(torch.tensor([head]), torch.tensor([tail]), grown)
    with pytest.raises(UserError, match="no vector for an entity"):
        scorer.score_tails(Queries(torch.tensor([0, 8]), torch.tensor([0, 0]), grown))


@every_encoder
def test_a_graph_without_edges(make: Callable[..., GraphEncoder]) -> None:
    scorer = new(make)
    scores = scorer.score_tails(questions(graph(HRT[:0])))
    assert bool(scores.isfinite().all())
    scores.square().sum().backward()
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in scorer.parameters())


# Message passing


@every_message_passing
def test_sums_without_messages_equal_the_sums_of_messages(
    make: Callable[..., GraphEncoder], random_dataset: Dataset
) -> None:
    """What PyTorch Geometric computes edge by edge from `message`, and its gradients."""
    torch.manual_seed(0)
    scorer, where = make(50, 3, dim=7, init=0.5).double(), random_dataset.graph()
    head, relation, _ = with_inverses(random_dataset.valid, 3).unbind(1)

    def scores_and_gradients() -> tuple[Tensor, ...]:
        scores = scorer.score_tails(Queries(head, relation, where))
        return scores, *torch.autograd.grad(scores.square().sum(), list(scorer.parameters()))

    fused = scores_and_gradients()
    for layer in scorer.layers:
        assert layer.fuse is True
        layer.fuse = False
    for left, right in zip(fused, scores_and_gradients(), strict=True):
        torch.testing.assert_close(left, right)
