"""PathNetwork: the recursion on paper, what is hidden, and rules that it must find."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.optim import Adam

from kg.evaluation.ranking import evaluate
from kg.graph.dataset import Dataset
from kg.graph.graph import Graph
from kg.graph.vocabulary import Vocabulary
from kg.models import path_scorer
from kg.models.path_network import PathNetwork
from kg.models.scorer import Queries, Unseen
from kg.training.objectives import Batch, OneVsUnknown

N, R = 12, 3


def graph() -> Graph:
    """Asymmetric: relation 2 leads from 0 alone, and nothing leads back but inverses."""
    generator = torch.Generator().manual_seed(1)
    facts = torch.stack([torch.randint(0, each, (20,), generator=generator) for each in (N - 2, R - 1, N - 2)], 1)
    return Graph.from_triples(torch.cat([facts, torch.tensor([[0, 2, 1], [0, 2, 2], [3, 0, 3]])]), N, R)


def drawn(**arguments: object) -> PathNetwork:
    torch.manual_seed(0)
    scorer = PathNetwork(N, R, **{"dim": 5, "num_layers": 3, "attention_dim": 3, "prior_dim": 4, **arguments})
    for parameter in scorer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return scorer


def questions(where: Graph | None = None) -> Queries:
    """All, both ways: 12 heads of each of 6 relations."""
    head, relation = torch.meshgrid(torch.arange(N), torch.arange(2 * R), indexing="ij")
    return Queries(head.reshape(-1), relation.reshape(-1), where or graph())


def recursion(scorer: PathNetwork, queries: Queries) -> Tensor:
    """What PathNetwork says, over all entities at once: states (B, N, D), where mask says what is reached."""
    where, count = queries.graph, len(queries)
    edges = torch.stack([where.head(), where.relation, where.tail], 1).tolist()
    q = scorer.asked.rows(queries.relation)
    at_head = functional.one_hot(queries.head, N).double()
    state, reached, worth = at_head[..., None] * q[:, None], at_head > 0, torch.zeros(count, N).double()
    total = worth
    for layer in scorer.layers:
        arrived, number, now = at_head[..., None] * q[:, None], torch.zeros(count, N).double(), reached.clone()
        for x, s, y in edges:
            key = layer.key(state[:, x]) + layer.asked_key(q) + layer.relation_key.row(s)
            attention = (key.relu() @ layer.weight[:-1] + layer.weight[-1]).sigmoid()
            sent = state[:, x] * layer.vector.row(s) if layer.times else state[:, x] + layer.vector.row(s)
            factor = worth[:, x].sigmoid() * attention * reached[:, x]
            arrived = arrived + factor[:, None, None] * sent[:, None] * functional.one_hot(torch.tensor(y), N)[:, None]
            number[:, y] += reached[:, x]
            now[:, y] |= reached[:, x]
        if layer.mean:
            arrived = arrived / (1 + number[..., None]).sqrt()
        new = layer.norm(layer.arrived(arrived) + layer.kept(state) + layer.asked(q)[:, None]).relu()
        state, reached = (state + new) * now[..., None], now
        worth = layer.worth(state)[..., 0]
        total = total + worth * reached
    last = scorer.outer((scorer.inner(state) + scorer.asking(q)[:, None]).relu())[..., 0]
    profile = torch.stack(
        [
            scorer.profile.rows(where.relation[where.head() == e]).sum(0) / (1 + where.degree()[e].double()).sqrt()
            for e in range(N)
        ]
    )
    return (total + last) * reached + scorer.sought.rows(queries.relation) @ profile.T


@pytest.mark.parametrize("arguments", [{}, {"message": "times"}, {"aggregation": "mean"}], ids=str)
def test_unpruned_it_is_the_recursion_over_all_entities(arguments: dict[str, str]) -> None:
    scorer = drawn(**arguments).double()
    expected = recursion(scorer, questions())
    torch.testing.assert_close(scorer.score_tails(questions()), expected, rtol=1e-9, atol=1e-9)
    assert expected.std() > 0.1


def test_gradients_are_those_of_the_recursion() -> None:
    scorer = drawn(message="times").double()
    weights = torch.randn(len(questions()), N, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    one, other = (
        torch.autograd.grad((way * weights).sum(), [*scorer.parameters()])
        for way in (scorer.score_tails(questions()), recursion(scorer, questions()))
    )
    for mine, theirs in zip(one, other, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("pairs", [False, True])
def test_a_question_sees_the_graph_without_its_own_answers_and_no_other_one_does(pairs: bool) -> None:
    scorer, where = drawn(), graph()
    facts = torch.tensor([[0, 2, 1], [3, 0, 3], [1, 2 + R, 0]])
    for first in range(0, 2 * len(where.tail) // 3, 7):
        edge = torch.tensor([[int(where.head()[first]), int(where.relation[first]), int(where.tail[first])]])
        facts = torch.cat([facts, edge])
    head, relation, tail = facts.unbind(1)
    row = torch.arange(len(facts))
    found = scorer.score_tails(Queries(head, relation, where, None, Unseen(row, head, relation, tail, pairs)))
    plain = scorer.score_tails(Queries(head, relation, where))
    for i, fact in enumerate(facts):
        without = where.hide(fact[None], pairs)
        expected = scorer.score_tails(Queries(fact[:1], fact[1:2], without))
        torch.testing.assert_close(found[i : i + 1], expected, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(found[i], plain[i])
    part = Queries(head, relation, where, None, Unseen(row, head, relation, tail, pairs))[1:3]
    torch.testing.assert_close(scorer.score_tails(part), found[1:3], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("max_nodes", [1000, 3])
def test_other_ids_have_the_same_scores(max_nodes: int) -> None:
    scorer, where = drawn(max_nodes=max_nodes), graph()
    moved = torch.randperm(N, generator=torch.Generator().manual_seed(3))
    facts = torch.stack([moved[where.head()], where.relation, moved[where.tail]], 1)
    there = Graph.from_triples(facts[facts[:, 1] < R], N, R)
    asked = questions()
    found = scorer.score_tails(Queries(moved[asked.head], asked.relation, there))
    torch.testing.assert_close(found[:, moved], scorer.score_tails(asked), rtol=1e-5, atol=1e-5)


def test_questions_are_taken_in_halves_where_their_edges_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = drawn()
    whole = scorer.score_tails(questions())
    monkeypatch.setattr(path_scorer, "_MOST_EDGES", 100)
    torch.testing.assert_close(scorer.score_tails(questions()), whole, rtol=1e-5, atol=1e-5)


def test_entities_that_nobody_has_seen_are_told_apart_by_their_edges() -> None:
    """Unreached, too: by the relations that they stand in."""
    scorer = drawn()
    facts = torch.tensor([[0, 0, 1], [N, 0, N + 1], [N + 2, 1, N + 3]])
    there = Graph.from_triples(facts, N + 5, R)
    scores = scorer.score_tails(Queries(torch.tensor([N]), torch.tensor([0]), there))[0]
    assert scores.shape == (N + 5,) and len(scores[[N + 1, 1, 0, N + 2, N + 3, N + 4]].unique()) == 6
    assert scores[N + 2] != scores[N + 3] and scores[N + 4] == 0


# What it must find


def planted(rule: int, width: int = 60) -> Dataset:
    """Relation l leads one to one from entities of layer l - 1 to those of layer l, in no order; relation 0 from the
    first layer to the last, along 1, 2, ..., rule; two more are noise. Facts of 0 are known of half of the entities; of
    a fourth each they are asked for in valid and in test.
    """
    generator = torch.Generator().manual_seed(0)
    every = end = torch.arange(width)
    body = []
    for number in range(1, rule + 1):
        drawn = torch.randperm(width, generator=generator)
        left, right = every + (number - 1) * width, drawn + number * width
        body.append(torch.stack([left, torch.full_like(every, number), right], 1))
        end = drawn[end]
    heads = torch.stack([every, torch.zeros_like(every), end + rule * width], 1)
    heads = heads[torch.randperm(width, generator=generator)]
    entities = (rule + 1) * width
    noise = [torch.randint(0, most, (width,), generator=generator) for most in (entities, 2, entities)]
    wrong = torch.stack([noise[0], noise[1] + rule + 1, noise[2]], 1)
    held = width // 4
    names = Vocabulary([f"e{i}" for i in range(entities)], [f"r{i}" for i in range(rule + 3)])
    return Dataset(torch.cat([heads[2 * held :], *body, wrong]), heads[:held], heads[held : 2 * held], names)


def trained(data: Dataset, steps: int, pairs: bool = False, **arguments: object) -> PathNetwork:
    """On the tails of relation 0 alone, 16 facts a step."""
    torch.manual_seed(0)
    made = {"dim": 16, "attention_dim": 4, **arguments}
    scorer = PathNetwork(data.num_entities, data.num_relations, **made)
    adam, graph, known = Adam(scorer.parameters(), lr=0.01), data.graph(), data.known("train")
    facts, row = data.train[data.train[:, 1] == 0], torch.arange(16)
    for _ in range(steps):
        head, relation, tail = facts[torch.randint(0, len(facts), (16,))].unbind(1)
        queries = Queries(head, relation, graph, None, Unseen(row, head, relation, tail, pairs))
        adam.zero_grad()
        OneVsUnknown()(scorer, Batch(queries, row, tail, known)).backward()
        adam.step()
    return scorer


def tail_mrr(scorer: PathNetwork, data: Dataset) -> float:
    return evaluate(scorer, data, "test").metrics().by_side["tail"].mrr


@pytest.mark.parametrize("rule", [2, 3, 4])
def test_a_planted_rule_is_found_and_its_path_is_shown(rule: int) -> None:
    """The facts asked for are of entities whose relation 0 training did not see: only the rule gives them."""
    data = planted(rule)
    scorer = trained(data, steps=(60, 80, 120)[rule - 2], num_layers=rule, message="times", dim=24)
    assert tail_mrr(scorer, data) > 0.9
    shown = 0
    for head, relation, tail in data.test[:5].tolist():
        asked = Queries(torch.tensor([head]), torch.tensor([relation]), data.graph())
        best = scorer.carrying_paths(asked, tail, most=3)
        assert all(each.fall > 0 for each in best)
        assert [each.fall for each in best] == sorted((each.fall for each in best), reverse=True)
        shown += list(range(1, rule + 1)) in [path.edges[:, 1].tolist() for path in best]
        for path in best:
            assert path.edges[0, 0] == head and path.edges[-1, 2] == tail
            assert path.edges[1:, 0].tolist() == path.edges[:-1, 2].tolist()
    assert shown >= 4


def test_a_copy_of_a_relation_in_training_alone_is_read_unless_pairs_are_hidden() -> None:
    """Relation 4 says again what relation 0 says, but of facts of training alone: to read it there is a leak."""
    data, fold = planted(2), torch.tensor([60, 10, 60])  # all layers are one: many paths lead to many ends
    train, valid, test = (part % fold for part in (data.train, data.valid, data.test))
    copied = train[train[:, 1] == 0].clone()
    copied[:, 1] = 4
    names = Vocabulary(data.vocabulary.entities[:60], data.vocabulary.relations)
    data = Dataset(torch.cat([train[train[:, 1] != 4], copied]), valid, test, names)
    leaked, hidden = (
        tail_mrr(trained(data, 60, pairs, num_layers=2, message="times"), data) for pairs in (False, True)
    )
    assert hidden > 0.7 and leaked < hidden - 0.2


def test_direction_matters() -> None:
    """The successor in a ring of 30, and never the predecessor: both are one edge away."""
    every = torch.arange(30)
    ring = [torch.stack([every, torch.full_like(every, r), (every + 1) % 30], 1) for r in (0, 1)]
    names = Vocabulary([f"e{i}" for i in range(30)], ["r0", "r1"])
    data = Dataset(torch.cat([ring[0][:15], ring[1]]), ring[0][15:20], ring[0][20:], names)
    assert tail_mrr(trained(data, 40, num_layers=2), data) > 0.95


def test_nothing_carries_what_no_path_reaches() -> None:
    asked = Queries(torch.tensor([0]), torch.tensor([0]), graph())
    assert drawn().carrying_paths(asked, N - 1, 5) == []
