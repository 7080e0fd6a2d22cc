"""Questions put to a scorer: scores, normalisers and counts by hand, and how much is held at once."""

import math

import pytest
import torch
from tabled import Tabled
from test_models import Largest

from kg.errors import UserError
from kg.graph.graph import Graph
from kg.graph.known import KnownAnswers
from kg.models.scorer import WORST
from kg.probability import query_scores as module
from kg.probability.query_scores import QueryScores

FACTS = torch.tensor([[0, 0, 1], [0, 0, 2], [3, 0, 1]])  # of two relations; the other has none


def query_scores(temperature: float = 1.0, entities: int = 4) -> QueryScores:
    """score(h, r, t) = 10 r + 2 h + t / 2, of four entities, however many the graph has."""
    r, h, t = torch.meshgrid(torch.arange(4.0), torch.arange(4.0), torch.arange(4.0), indexing="ij")
    graph = Graph.from_triples(FACTS, entities, 2)
    return QueryScores(Tabled(10 * r + 2 * h + t / 2), graph, KnownAnswers.from_triples(FACTS, 2), temperature)


def test_rows_by_hand() -> None:
    rows = query_scores(temperature=2.0).block(0, torch.tensor([0, 3, 1]), torch.tensor([3, 0]))
    assert rows.scores.tolist() == [[0.75, 0.0], [3.75, 3.0], [1.75, 1.0]]
    # The relation has had the answers 1 and 2, once each, however many facts had them.
    of_both = [math.log(math.exp(h + 0.25) + math.exp(h + 0.5)) for h in (0, 3, 1)]
    assert rows.normaliser.tolist() == pytest.approx(of_both)
    assert rows.count.tolist() == [2, 1, 0]


def test_the_other_direction_has_answers_of_its_own() -> None:
    assert query_scores().answers(0).tolist() == [1, 2] and query_scores().answers(2).tolist() == [0, 3]
    rows = query_scores().block(2, torch.tensor([1]), torch.tensor([0]))
    assert rows.scores.tolist() == [[22.0]] and rows.count.tolist() == [2]
    assert rows.normaliser.item() == pytest.approx(math.log(math.exp(22) + math.exp(23.5)))


def test_a_relation_without_facts() -> None:
    rows = query_scores().block(1, torch.tensor([0, 1]), torch.tensor([0]))
    assert rows.normaliser.tolist() == [0, 0] and rows.count.tolist() == [0, 0]
    assert rows.scores.tolist() == [[10], [12]]


def test_nobody_asked_and_nothing_asked_for() -> None:
    none = torch.zeros(0, dtype=torch.long)
    rows = query_scores().block(0, none, torch.tensor([1, 2]))
    assert rows.scores.shape == (0, 2) and rows.normaliser.shape == rows.count.shape == (0,)
    rows = query_scores().block(0, torch.tensor([0, 1]), none)
    assert rows.scores.shape == (2, 0) and rows.normaliser.shape == (2,)
    assert query_scores().scores(0, none, none).shape == (0, 0)


def test_the_lowest_score_is_minus_100() -> None:
    """Of a candidate without a vector, of one that scores less, and in the normaliser of such answers alone."""
    new = query_scores(entities=5)
    assert new.scores(0, torch.tensor([0]), torch.tensor([4, 1])).tolist() == [[-100, 0.5]]
    with pytest.raises(UserError, match="no row"):
        new.scores(0, torch.tensor([4]), torch.tensor([0]))
    low = query_scores()
    low.scorer.scores[:] = WORST
    rows = low.block(0, torch.tensor([0]), torch.tensor([1]))
    assert rows.scores.tolist() == [[-100]] and rows.normaliser.item() == pytest.approx(-100 + math.log(2))


def test_in_parts_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    heads, tails = torch.tensor([3, 0, 1, 2, 0]), torch.tensor([2, 0])
    whole = query_scores().block(0, heads, tails)
    monkeypatch.setattr(module, "BATCH", 2)
    parts = query_scores().block(0, heads, tails)
    for name in ("scores", "normaliser", "count"):
        assert torch.equal(getattr(whole, name), getattr(parts, name))


def test_what_normalises_is_not_held_for_all_questions_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """300 questions of a relation with 300 answers: of these scores there are never more than a batch has."""
    facts = torch.stack([torch.arange(300), torch.zeros(300, dtype=torch.long), torch.arange(300).flip(0)], 1)
    asked = QueryScores(
        Tabled(torch.zeros(2, 300, 300)), Graph.from_triples(facts, 300, 1), KnownAnswers.from_triples(facts, 1), 1.0
    )
    monkeypatch.setattr(module, "BATCH", 10)
    every = torch.arange(300)
    with Largest() as largest:
        rows = asked.block(0, every, every[:1])
    assert rows.normaliser.tolist() == pytest.approx([math.log(300)] * 300)
    assert largest.numel < 20 * 300
