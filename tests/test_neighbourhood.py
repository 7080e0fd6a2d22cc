"""The neighbourhood transformer: on paper, what it may see, entities without a row, and every attention in it."""

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import partial
from math import exp, sqrt
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
import torch
from paper import fill
from torch import Tensor
from torch.optim import Adam

from kg.attention import ATTENTIONS
from kg.attention.softmax import Softmax
from kg.evaluation.ranking import evaluate
from kg.graph.dataset import Dataset
from kg.graph.graph import Graph, Neighbours
from kg.graph.vocabulary import Vocabulary
from kg.models.complex import ComplEx
from kg.models.neighbourhood import NeighbourhoodTransformer, VotingState
from kg.models.scorer import WORST, Queries, Scorer
from kg.models.tokens import Tokens
from kg.training.gradient_descent import GradientDescent
from kg.training.objectives import Batch, Objective, OneVsAll
from kg.training.run import Run

N, R = 10, 3
VARIANTS: dict[str, dict[str, Any]] = {
    "none": {},
    "far": {"vote_hops": 2},
    "causal": {"attention": partial(Softmax, causal=True)},
    **{name: {"attention": partial(resolve_name(path))} for name, path in ATTENTIONS.items()},
}
ORDER_DEPENDENT = {"causal", "star", "expander", "fnet", "window"}
each = pytest.mark.parametrize("name", VARIANTS)
some_of_them = pytest.mark.parametrize("name", ["none", "far", "star"])
# 0 has parallel edges to 1, loops to itself, and neighbours of like degrees; 9 has no edge.
HRT = torch.tensor(
    [[0, 0, 1], [0, 1, 1], [0, 1, 2], [0, 1, 3], [0, 1, 4], [0, 2, 0], [0, 2, 5], [6, 0, 0], [7, 1, 0], [8, 1, 0]]
    + [[1, 2, 2], [3, 2, 4], [5, 0, 6], [6, 1, 7]]
)


def new(name: str = "none", entities: int = N, **arguments: Any) -> NeighbourhoodTransformer:
    torch.manual_seed(0)
    return NeighbourhoodTransformer(entities, R, **{"dim": 4, "width": 8, "init": 0.5, **VARIANTS[name], **arguments})


def graph(*more: list[int], entities: int = N) -> Graph:
    return Graph.from_triples(torch.cat([HRT, torch.tensor(more, dtype=torch.long).view(-1, 3)]), entities, R)


def asked(where: Graph, head: list[int], relation: list[int], seed: int | None = None) -> Queries:
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    return Queries(torch.tensor(head, dtype=torch.long), torch.tensor(relation, dtype=torch.long), where, generator)


def some(where: Graph, seed: int | None = None) -> Queries:
    return asked(where, [0, 9, 0, 3, 6, 1], [0, 1, 4, 2, 5, 3], seed)


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


def edges(where: Graph, *heads: int) -> list[list[int]]:
    """[head, relation, tail] of all that leave these entities."""
    hrt = torch.stack([where.head(), where.relation, where.tail], 1).tolist()
    return [edge for edge in hrt if edge[0] in heads]


def reads(scorer: NeighbourhoodTransformer, monkeypatch: pytest.MonkeyPatch) -> list[Tokens]:
    """The tokens that query tokens get to read from now on."""
    seen: list[Tokens] = []
    read = scorer._read

    def recorded(question: Tensor, tokens: Tokens, x: Tensor, generator: torch.Generator | None) -> Any:
        seen.append(tokens)
        return read(question, tokens, x, generator)

    monkeypatch.setattr(scorer, "_read", recorded)
    return seen


def of_heads(head: Tensor, tokens: Tokens) -> list[list[int]]:
    return torch.stack([head[tokens.row], tokens.relation, tokens.tail], 1).tolist()


# On paper


def by_hand(readout: str, **arguments: Any) -> NeighbourhoodTransformer:
    """One block that adds -2 times what it heard; tokens and query token are (1, -1) or (-1, 1), as norms make them."""
    scorer = NeighbourhoodTransformer(
        4, 2, dim=1, width=2, num_heads=1, num_layers=1, feed_forward=False, readout=readout, **arguments
    )
    fill(scorer.table.weight, [[1.0, 2.0], [1.0, 3.0], [5.0, 0.0], [0.0, 1.0]])
    fill(scorer.diagonal.weight, [[1.0, -1.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    fill(scorer.question.weight, [[1.0, -1.0]] * 5)
    fill(scorer.scale.weight, [[1.0, 1.0], [-1.0, -1.0], [1.0, 1.0], [1.0, 1.0]])
    fill(scorer.shift.weight, [[0.0, 0.0], [0.0, 0.0], [10.0, 0.0], [0.0, 0.0]])
    one, block = [[1.0, 0.0], [0.0, 1.0]], scorer.reading[0]
    for linear, rows in (
        *((scorer.lift, [[0.0, 0.0], [0.0, 0.0]]), (scorer.token, one), (block.query, one)),
        *((block.key_value, one + one), (block.heard, [[-2.0, 0.0], [0.0, -2.0]])),
        *((scorer.answer, [[1.0, 0.0], [0.0, 2.0]]), (scorer.vote, [[3.0, 0.0], [0.0, 1.0]])),
    ):
        fill(linear.weight, rows)
        if linear.bias is not None:
            torch.nn.init.zeros_(linear.bias)
    fill(scorer.answer.bias, [0.0, 1.0])
    return scorer


@pytest.mark.parametrize("readout", ["votes", "vector", "both"])
def test_by_hand(readout: str) -> None:
    """0 -1-> 1: -(1, 3) is (1, -1) normed; 0 -1-> 2: -(5, 0) is (-1, 1); 0 -0^-1-> 1: (1, 3) + (10, 0) is (1, -1).

    0 -0-> 3 is of the relation asked for. The query token (1, -1) weighs the first and third e^(2 sqrt 2) times as much
    as the second, so it hears nearly (1, -1), and ends as y = (-1, 1): U y = (-3, 1), W y + b = (-1, 3).
    """
    where = Graph.from_triples(torch.tensor([[0, 1, 1], [0, 1, 2], [1, 0, 0], [0, 0, 3]]), 4, 2)
    scores = by_hand(readout).score_tails(asked(where, [0], [0]))[0]
    expected = torch.tensor([5.0, 6.0, 15.0, 1.0])  # (1 + 2i)(1 - i) = 3 + i: 3 Re t + Im t
    if readout != "vector":
        expected += torch.tensor([0.0, 2 * -4 / sqrt(2), 4 / sqrt(2), 0.0])
    if readout != "votes":
        expected += torch.tensor([-1.0 + 6, -1.0 + 9, -5.0, 3.0])  # -Re t + 3 Im t
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-4)


def test_looks_by_hand() -> None:
    """The same question: with e = exp(2 sqrt 2), e / (2 e + 1) for the first and third token, else 1 / (2 e + 1)."""
    where = Graph.from_triples(torch.tensor([[0, 1, 1], [0, 1, 2], [1, 0, 0], [0, 0, 3]]), 4, 2)
    scorer = by_hand("both")
    looks = scorer.attention_weights(asked(where, [0], [0]))
    assert looks is not None
    edges = dict(zip(zip(looks.relation.tolist(), looks.tail.tolist(), strict=True), looks.share.tolist(), strict=True))
    e = exp(2 * sqrt(2))
    expected = {(1, 1): e / (2 * e + 1), (1, 2): 1 / (2 * e + 1), (2, 1): e / (2 * e + 1)}
    assert edges == pytest.approx(expected, rel=1e-4)
    fill(scorer.token.weight, [[-1.0, 0.0], [0.0, -1.0]])  # 0 -1-> 2 is what the query token wants now, and alone
    fill(scorer.shift.weight, [[0.0, 0.0], [0.0, 0.0], [-10.0, 0.0], [0.0, 0.0]])
    decisive = scorer.attention_weights(asked(where, [0], [0]))
    assert decisive is not None and int(decisive.tail[decisive.share.argmax()]) == 2


@each
def test_looks_are_shares_of_one_and_change_no_answer(name: str) -> None:
    scorer, where = new(name).eval(), graph()
    before = scorer.score_tails(some(where))
    looks = scorer.attention_weights(some(where))
    assert looks is not None and bool((looks.share >= 0).all())
    assert_close(torch.zeros(6).index_add(0, looks.row, looks.share), torch.tensor([1.0, 0.0, 1.0, 1.0, 1.0, 1.0]))  # 9
    heads, relations = some(where).head, some(where).relation
    read = [edge for edge in of_heads(heads, looks) if edge[0] == 0 and edge[1] != 0]
    assert sorted(edge for edge in read if edge in edges(where, 0)) == sorted(read)
    assert all(relation != relations[row] for row, relation in zip(looks.row, looks.relation, strict=True))
    assert torch.equal(scorer.score_tails(some(where)), before)


def test_without_attention_nothing_is_looked_at() -> None:
    assert new(num_layers=0).attention_weights(some(graph())) is None
    assert new("star", context=False).attention_weights(some(graph())).row.tolist() == []  # type: ignore[union-attr]
    assert ComplEx(N, R, dim=2).attention_weights(some(graph())) is None


def test_votes_of_two_edges_by_hand() -> None:
    """0 -1-> 2, a token (-1, 1), and 2 -0-> 1, 2 -0-> 3, 2 -1^-1-> 0: y = (1, -1), V y . v = -4, and a third to each.

    Z y is (1, 2, 3, 4). The loop 2 -0-> 2 of the next question's head lends nothing: it would lead to known answers.
    """
    scorer, plain = by_hand("votes", vote_hops=2), by_hand("votes")
    assert scorer.lend and scorer.onward
    for linear, rows in ((scorer.lend, [[2.0, 0.0], [0.0, 2.0]]), (scorer.onward, [[0.0, 0.0]] * 4)):
        fill(linear.weight, rows)
        torch.nn.init.zeros_(linear.bias)
    fill(scorer.onward.bias, [1.0, 2.0, 3.0, 4.0])
    where = Graph.from_triples(torch.tensor([[0, 1, 2], [2, 0, 1], [2, 0, 3]]), 4, 2)
    added = scorer.score_tails(asked(where, [0], [0]))[0] - plain.score_tails(asked(where, [0], [0]))[0]
    each_third = -4 / sqrt(2) / 3
    expected = torch.tensor([4 * each_third, each_third, 0.0, each_third])
    torch.testing.assert_close(added, expected, rtol=1e-4, atol=1e-4)
    where = Graph.from_triples(torch.tensor([[2, 0, 2], [2, 1, 3]]), 4, 2)
    queries = asked(where, [2], [1])
    torch.testing.assert_close(scorer.score_tails(queries), plain.score_tails(queries))


def test_attention_decides_by_hand() -> None:
    """Where 2 is the only neighbour, the query token hears (-1, 1) and ends as (1, -1): U y = (3, -1)."""
    where = Graph.from_triples(torch.tensor([[0, 1, 2]]), 4, 2)
    scores = by_hand("votes").score_tails(asked(where, [0], [0]))[0]
    torch.testing.assert_close(scores, torch.tensor([5.0, 6.0, 15 - 2 * sqrt(2), 1.0]), rtol=1e-4, atol=1e-4)


def test_a_newcomer_by_hand() -> None:
    """4 hears of 1 alone, (1, -1): y = (-1, 1), and the vector is W y + b."""
    where = Graph.from_triples(torch.tensor([[4, 1, 1]]), 5, 2)
    found = by_hand("both").entities(where, torch.tensor([4]))
    torch.testing.assert_close(found, torch.tensor([[-1.0, 3.0]]), rtol=1e-4, atol=1e-4)


@each
def test_without_context_it_is_complex(name: str) -> None:
    scorer, plain = new(name, context=False, readout="votes"), ComplEx(N, R, dim=4)
    plain.load_state_dict({key: scorer.state_dict()[key] for key in plain.state_dict()})
    assert_close(scorer.score_tails(some(graph())), plain.score_tails(some(graph())))
    assert not torch.allclose(new(name, readout="votes").score_tails(some(graph())), plain.score_tails(some(graph())))


# What it may see


@dataclass(frozen=True)
class Watched(Objective):
    """Fails where a token tells an answer of its batch: it is the edge, or with `pairs` between the same two."""

    pairs: bool
    read: list[int]  # how many edges, batch by batch

    def __call__(self, scorer: Scorer, batch: Batch) -> Tensor:
        assert isinstance(scorer, NeighbourhoodTransformer)
        edges_read: list[list[list[int]]] = []
        edges_of = scorer._edges

        def recorded(ids: Tensor, where: Graph, generator: torch.Generator | None) -> tuple[Tensor, Neighbours]:
            row, found = edges_of(ids, where, generator)
            edges_read.append(torch.stack([ids[row], found.relation, found.tail], 1).tolist())
            return row, found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(scorer, "_edges", recorded)
            loss = OneVsAll()(scorer, batch)
        facts, num = batch.facts(), scorer.num_relations
        told = torch.stack([facts.head, facts.relation, batch.tail], 1).tolist()
        told += [[t, (r + num) % (2 * num), h] for h, r, t in told]
        hidden = {(h, t) if self.pairs else (h, r, t) for h, r, t in told}
        read = {(h, t) if self.pairs else (h, r, t) for edges in edges_read for h, r, t in edges}
        assert not hidden & read
        # Two hops for those whose row is not read, those of the questions, and perhaps those that theirs lead to.
        assert len(edges_read) == 3 + (scorer.lend is not None) and all(edges_read)
        self.read.append(len(read))
        return loss


@some_of_them
@pytest.mark.parametrize("hide", ["exact", "pair"])
def test_no_token_in_training_tells_an_answer(name: str, hide: Any, random_dataset: Dataset) -> None:
    objective = Watched(hide == "pair", [])
    scorer = partial(NeighbourhoodTransformer, dim=4, width=8, **VARIANTS[name], identity_dropout=0.5)
    run = Run(scorer, GradientDescent(partial(Adam, lr=0.01), objective, batch_size=200, hide=hide, epochs=1))
    list(run.trainer(random_dataset))
    assert len(objective.read) == 4 and min(objective.read) > 100


def with_decoy(planted: bool = False) -> Dataset:
    """100 random facts of relation 0, each copied by relation 1; 30 to test, copied as well where planted."""
    generator = torch.Generator().manual_seed(0)
    pair = torch.randperm(40 * 40, generator=generator)[:130]
    real, copied = (torch.stack([pair // 40, torch.full_like(pair, r), pair % 40], 1) for r in (0, 1))
    train = torch.cat([real[:100], copied if planted else copied[:100]])
    return Dataset(train, real[:0], real[100:], Vocabulary([f"e{i}" for i in range(40)], ["real", "decoy"]))


@pytest.mark.parametrize("hide", ["exact", "pair"])
def test_a_decoy_is_relied_on_where_it_shows_and_not_where_the_pair_is_hidden(hide: Any) -> None:
    """The decoy is there for each training question and for none that is held out."""
    scorer = partial(NeighbourhoodTransformer, dim=2, width=8, num_layers=1, readout="votes")
    run = Run(scorer, GradientDescent(partial(Adam, lr=0.05), batch_size=50, hide=hide, epochs=6))
    fit = run.trainer(with_decoy())
    list(fit)
    plain, planted = (evaluate(fit.scorer, with_decoy(x), "test").metrics().mrr for x in (False, True))
    assert plain < 0.25  # chance: 0.11
    if hide == "exact":
        assert evaluate(fit.scorer, with_decoy(), "train").metrics().mrr > 0.95 and planted > 0.95
    else:
        assert planted < 0.25


@some_of_them
def test_a_question_reads_its_heads_edges_but_those_of_its_relation(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer, where = new(name), graph()
    seen = reads(scorer, monkeypatch)
    for relation in range(2 * R):
        head = torch.arange(N)
        scorer.score_tails(Queries(head, torch.full_like(head, relation), where))
        expected = [edge for edge in edges(where, *range(N)) if edge[1] != relation]
        assert sorted(of_heads(head, seen.pop())) == sorted(expected)
    assert not seen and [0, 0, 1] in edges(where, 0) and [0, 1, 1] in edges(where, 0)


def test_at_most_so_many_neighbours_are_drawn_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer, where = new(num_neighbours=4), graph()
    seen, all_of_them = reads(scorer, monkeypatch), []
    for seed in range(8):
        scorer.score_tails(asked(where, [0, 1], [5, 5], seed))
        found = of_heads(torch.tensor([0, 1]), seen.pop())
        of_0 = [edge for edge in found if edge[0] == 0]
        assert len(of_0) <= 4 and len(found) > len(of_0)
        all_of_them += of_0
    assert {tuple(edge) for edge in all_of_them} == {tuple(edge) for edge in edges(where, 0) if edge[1] != 5}


@each
def test_other_answers_to_a_question_do_not_move_its_scores(name: str) -> None:
    scorer, where, other = new(name), graph(), graph([0, 0, 9])
    before = scorer.score_tails(asked(where, [0], [0]))
    assert torch.equal(scorer.score_tails(asked(other, [0], [0])), before)
    assert torch.equal(scorer.score_tails(asked(other.hide(torch.tensor([[9, 3, 0]])), [0], [0])), before)
    assert not torch.allclose(scorer.score_tails(asked(other, [0], [1])), scorer.score_tails(asked(where, [0], [1])))


def test_tokens_come_by_relation_falling_degree_and_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """Degrees are those of the graph without the hidden facts."""
    scorer = new("star")
    seen = reads(scorer, monkeypatch)
    facts = torch.tensor([[0, 1, 1], [0, 1, 2], [0, 1, 3], [0, 0, 4], [2, 0, 5], [2, 0, 6], [3, 0, 7]])
    whole = Graph.from_triples(facts, N, R)
    for where, order in ((whole, [4, 2, 3, 1]), (whole.hide(torch.tensor([[2, 0, 5], [6, 3, 2]])), [4, 3, 1, 2])):
        scorer.score_tails(asked(where, [0], [2]))
        tokens = seen.pop()
        assert tokens.tail.tolist() == order and tokens.relation.tolist() == [0, 1, 1, 1]
    never_held = Graph.from_triples(facts[[0, 1, 2, 3, 6]], N, R)
    hidden = whole.hide(facts[4:6])
    assert torch.equal(scorer.score_tails(asked(hidden, [0], [2])), scorer.score_tails(asked(never_held, [0], [2])))


@each
def test_names_of_entities_and_the_order_of_facts_mean_nothing(name: str) -> None:
    """Where order matters, ties in degree go by id."""
    scorer, renamed, order = new(name), new(name), torch.tensor([3, 9, 4, 2, 1, 0, 8, 7, 6, 5])
    with torch.no_grad():
        renamed.table.weight[order] = scorer.table.weight
    hrt = torch.stack([order[HRT[:, 0]], HRT[:, 1], order[HRT[:, 2]]], 1)
    queries = some(graph())
    scores = scorer.score_tails(queries)
    shuffled = Graph.from_triples(HRT.flip(0), N, R)
    assert torch.equal(scorer.score_tails(replace(queries, graph=shuffled)), scores)
    other = replace(queries, head=order[queries.head], graph=Graph.from_triples(hrt, N, R))
    found = renamed.score_tails(other)[:, order]
    if name in ORDER_DEPENDENT:
        assert not torch.allclose(found, scores, atol=1e-3)
    else:
        assert_close(found, scores)


@each
def test_a_row_alone_is_the_row_in_a_batch(name: str) -> None:
    """Neighbourhoods of 0, 1, few and 60 edges: the short ones are padded, or stand in groups of their own."""
    facts = [[0, r, t] for r in (0, 1) for t in range(1, 31)] + [[40 + i, 2, j] for i in range(8) for j in range(i + 1)]
    where = Graph.from_triples(torch.tensor(facts), 50, R)
    scorer = new(name, entities=50)
    head = torch.tensor([49, 0, 40, 47, 41, 44])
    scores = scorer.score_tails(Queries(head, torch.full_like(head, 5), where))
    for row, h in enumerate(head.tolist()):
        assert_close(scorer.score_tails(asked(where, [h], [5]))[0], scores[row])


@each
@pytest.mark.parametrize("hrt", [HRT[:0], HRT[:1]], ids=["nowhere", "one"])
def test_where_there_are_no_edges(name: str, hrt: Tensor) -> None:
    scorer = new(name, identity_dropout=0.5)
    scores = scorer.score_tails(some(Graph.from_triples(hrt, N, R), seed=0))
    assert bool(scores.isfinite().all())
    scores.square().sum().backward()
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in scorer.parameters())
    assert scorer.score_tails(asked(graph(), [], [])).shape == (0, N)
    nobody = torch.zeros(0, dtype=torch.long)
    assert scorer.score_relations(nobody, nobody, graph()).shape == (0, 2 * R)


def test_few_candidates_cost_no_votes_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer, widths, counted = new(), [], VotingState.counted

    def recorded(state: VotingState, scores: Tensor) -> Tensor:
        widths.append(scores.shape[1])
        return counted(state, scores)

    monkeypatch.setattr(VotingState, "counted", recorded)
    for tails in (slice(2, 5), torch.tensor([7, 7, 1]), torch.tensor([[3], [3], [4], [0], [0], [9]]), None):
        scorer.score_tails(some(graph()), tails)
    assert widths == [3, 2, 4, N]


@some_of_them
def test_relations_are_scored_in_pieces_of_few_edges(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer, head, tail = new(name), torch.tensor([1, 0, 9, 0, 5]), torch.tensor([2, 1, 0, 0, 3])
    whole, pieces, inner = scorer.score_relations(head, tail, graph()), [], Scorer.score_relations

    def recorded(self: Scorer, head: Tensor, tail: Tensor, where: Graph) -> Tensor:
        pieces.append(head.tolist())
        return inner(self, head, tail, where)

    monkeypatch.setattr(Scorer, "score_relations", recorded)
    monkeypatch.setattr("kg.models.neighbourhood._MOST_READ", 60)
    assert_close(scorer.score_relations(head, tail, graph()), whole)
    assert [h for piece in pieces for h in piece] == head.tolist() and len(pieces) > 2


def fingerprints() -> list[str]:
    """Of the scores and gradients of every attention, bit for bit."""
    found = []
    for name in VARIANTS:
        scorer = new(name, num_neighbours=8, neighbour_dropout=0.2, token_dropout=0.2, hidden_dropout=0.2)
        for seed in (None, 3):
            scores = scorer.score_tails(some(graph(), seed))
            gradients = torch.autograd.grad(scores.square().sum(), list(scorer.parameters()), materialize_grads=True)
            numbers = torch.cat([x.detach().flatten() for x in (scores, *gradients)])
            found.append(hashlib.sha256(numbers.numpy().tobytes()).hexdigest())
    return found


def test_two_processes_give_the_same_scores() -> None:
    program = "import torch; torch.set_num_threads(1); from test_neighbourhood import *; print(*fingerprints())"
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    ours = fingerprints()
    assert done.stdout.split() == ours and len(set(ours)) == 2 * len(VARIANTS)


@each
def test_all_chance_is_the_generators(name: str) -> None:
    dropped = {f"{what}_dropout": 0.3 for what in ("identity", "neighbour", "token", "hidden", "output", "entity")}
    scorer = new(name, num_neighbours=4, **dropped)
    before = torch.get_rng_state()
    plain = scorer.score_tails(some(graph()))
    assert torch.equal(scorer.score_tails(some(graph())), plain)
    one, again, other = (scorer.score_tails(some(graph(), seed)) for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other) and not torch.equal(one, plain)
    assert torch.equal(torch.get_rng_state(), before)


# Entities without a row

NEWCOMERS = [[0, 1, 10], [10, 0, 11], [11, 2, 1], [11, 0, 12], [12, 1, 2]]  # 10 knows 0 and 11, which knows 1 and 12


@each
def test_a_newcomer_asks_and_answers(name: str) -> None:
    scorer, where = new(name), graph(*NEWCOMERS, entities=14)
    scores = scorer.score_tails(asked(where, [10, 0, 12], [0, 0, 2]))
    assert bool(scores.isfinite().all()) and torch.equal(scores == WORST, torch.arange(14).expand(3, -1) == 13)
    (by_table,) = torch.autograd.grad(scores[0, :13].square().sum(), scorer.table.weight, retain_graph=True)
    assert bool(by_table.isfinite().all()) and bool(by_table[0].any())
    (by_answer,) = torch.autograd.grad(scores[1, 11], scorer.answer.weight)
    assert bool(by_answer.any())  # the candidate's vector is what its neighbours say
    swapped = graph(*([h, r, {11: 12, 12: 11}.get(t, t)] for h, r, t in NEWCOMERS), entities=14)
    assert not torch.allclose(scorer.entities(swapped, torch.tensor([10])), scorer.entities(where, torch.tensor([10])))


@each
@torch.no_grad()
def test_a_newcomer_is_made_of_what_lies_within_two_hops(name: str) -> None:
    scorer, where, ids = new(name), graph(*NEWCOMERS, entities=13), torch.tensor([10])
    before = scorer.entities(where, ids).clone()
    scorer.table.weight[2:] = torch.nan
    assert torch.equal(scorer.entities(where, ids), before)
    for row in (0, 1):  # one hop away, and two, through the other newcomer
        scorer.table.weight[row] += 1
        moved = scorer.entities(where, ids).clone()
        assert not torch.allclose(moved, before)
        before = moved


@some_of_them
def test_a_masked_entity_reads_nothing_of_its_row(name: str) -> None:
    scorer = new(name, identity_dropout=0.5)
    masked = torch.rand(N, generator=torch.Generator().manual_seed(0)) < 0.5
    assert 2 < int(masked.sum()) < 8
    with torch.no_grad():
        scorer.table.weight[masked] = torch.nan
    scores = scorer.score_tails(asked(graph(), list(range(N)), [1] * N, seed=0))
    scores.square().sum().backward()
    rows = scorer.table.weight.grad
    assert bool(scores.isfinite().all()) and bool(rows.isfinite().all())
    assert torch.equal(rows.any(1), ~masked)


@some_of_them
def test_with_all_rows_masked_none_is_read_in_evaluation_neither(name: str) -> None:
    scorer = new(name, identity_dropout=1.0)
    torch.nn.init.constant_(scorer.table.weight, torch.nan)
    for seed in (None, 0):
        assert bool(scorer.score_tails(some(graph(), seed)).isfinite().all())


@some_of_them
def test_who_is_it_is_asked_of_the_others(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its row nor an edge to itself tells who it is."""
    scorer, where, ids = new(name), graph(*NEWCOMERS, [1, 1, 1], entities=13), torch.tensor([0, 1, 10])
    seen = reads(scorer, monkeypatch)
    before = scorer.identify(ids, where, None)
    assert before.shape == (3, N)
    expected = [edge for edge in edges(where, *ids.tolist()) if edge[0] != edge[2]]
    assert sorted(of_heads(ids, seen.pop())) == sorted(expected)
    assert [0, 2, 0] in edges(where, 0) and [1, 4, 1] in edges(where, 1)
    with torch.no_grad():
        scorer.table.weight[0] = torch.nan
    assert torch.equal(scorer.identify(ids, where, None)[0, 1:], before[0, 1:])
    y_of_0 = scorer._identity(ids[:1], torch.zeros(13, 8).index_fill(0, ids[:1], torch.nan), where, None)
    assert bool(y_of_0.isfinite().all())


def test_a_newcomer_has_no_vector_that_nothing_taught() -> None:
    """An untaught W would be noise among the votes: it is 0 then, and drawn where a step may teach it."""
    where, newcomer = graph(*NEWCOMERS, entities=13), torch.tensor([10])
    untaught = new("none", readout="votes")
    assert not bool(untaught.entities(where, newcomer).any())
    assert bool(untaught.score_tails(asked(where, [10], [2])).any())  # votes
    for taught in (new("none", readout="votes", identity_dropout=0.1), new("none")):
        assert bool(taught.entities(where, newcomer).any())


@torch.no_grad()
def test_a_newcomers_vector_is_dropped_with_the_weights_it_came_of() -> None:
    scorer, where, ids = new(), graph(*NEWCOMERS, entities=13), torch.tensor([10])
    before = scorer.entities(where, ids).clone()
    optimizer = Adam(scorer.parameters(), lr=0.1, fused=True)
    with torch.enable_grad():
        scorer.score_tails(some(where)).square().sum().backward()
    optimizer.step()
    after = scorer.entities(where, ids)
    assert not torch.allclose(after, before)
    with torch.enable_grad():
        assert_close(scorer.entities(where, ids).detach(), after)


@each
@torch.no_grad()
def test_the_same_weights_answer_for_a_growing_store(name: str) -> None:
    scorer, queries = new(name), asked(graph(), [8, 1], [0, 1])
    before = scorer.score_tails(queries)
    grown = scorer.score_tails(replace(queries, graph=graph([8, 1, 10], [10, 0, 8], entities=11)))
    assert grown.shape == (2, 11) and bool((grown > WORST).all())
    assert_close(grown[1, :N], before[1])  # the news are nowhere near
    assert not torch.allclose(grown[0, :N], before[0])
    assert_close(scorer.score_tails(queries), before)


# Every attention learns


@each
def test_every_weight_that_an_attention_uses_learns(name: str) -> None:
    """Asked after facts that are hidden, but each of which stands under two relations, with some rows masked."""
    facts = torch.tensor([[h, r, (h + 1 + h % 3) % N] for r in (0, 1) for h in range(N)])
    head, relation, tail = facts[::3].unbind(1)
    where = Graph.from_triples(facts, N, R).hide(facts[::3])
    scorer, losses = new(name, identity_dropout=0.3), []
    start = {key: x.clone() for key, x in scorer.named_parameters()}
    optimizer = Adam(scorer.parameters(), lr=0.02)
    for _ in range(5):
        scores = scorer.score_tails(Queries(head, relation, where, torch.Generator().manual_seed(0)))
        losses.append(torch.nn.functional.cross_entropy(scores, tail))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1].item() < 0.8 * losses[0].item()
    still = {key for key, x in scorer.named_parameters() if torch.equal(x, start[key])}
    unused = {f"mixing.{i}.query.{x}" for i in (0, 1) for x in ("weight", "bias")}  # a Fourier transform asks nothing
    assert still == (unused if name == "fnet" else set())
