"""Questions put to a scorer: scores, normalisers and counts by hand, and how much is held at once."""

import math
from dataclasses import replace

import pytest
import torch
from tabled import Tabled
from test_models import Largest

from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.graph.graph import Graph
from kg.graph.known import KnownAnswers
from kg.graph.vocabulary import Vocabulary
from kg.models.scorer import WORST
from kg.probability import query_scores as module
from kg.probability.query_scores import QueryScores
from kg.search.eligibility import Eligibility

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


def asked_one_way() -> QueryScores:
    """Of r0 the tails are asked about, of r1 the heads."""
    return replace(query_scores(temperature=2.0), asked=(2, 1))


def test_asked_one_way_by_hand() -> None:
    """(t, r0^-1, ?) over all that are not known: of 1 these are 1 and 2, of 3 all four."""
    rows = asked_one_way().block(2, torch.tensor([1, 3]), torch.tensor([2, 0]))
    assert rows.is_asked and rows.scores.tolist() == [[11.5, 11.0], [13.5, 13.0]]
    of_unknown = [
        math.log(sum(math.exp((20 + 2 * h + t / 2) / 2) for t in ts)) for h, ts in ((1, (1, 2)), (3, range(4)))
    ]
    assert rows.normaliser.tolist() == pytest.approx(of_unknown)
    assert rows.count.tolist() == [2, 0]
    # 1 is known as a tail of r0. 3 is a head of r0, of whose two heads none is a tail of it; and two of four are.
    assert rows.log_fit.tolist() == pytest.approx([0, math.log((0.5 + 0) / 2)])


def test_what_is_not_asked_takes_no_question(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise AssertionError("it was asked")

    given = asked_one_way()
    monkeypatch.setattr(Tabled, "encode", refused)
    rows = given.block(0, torch.tensor([0, 1]), torch.tensor([2, 3, 1]))
    assert not rows.is_asked and rows.scores.tolist() == [[0, 0, 0], [0, 0, 0]] and rows.normaliser.tolist() == [0, 0]
    assert rows.count.tolist() == [2, 0] and rows.log_fit[0] == 0 > rows.log_fit[1]
    assert given.scores(0, torch.tensor([0]), torch.tensor([2, 3])).tolist() == [[0, 0]]
    before = given.unasked(2, torch.tensor([1, 3]))
    assert before.count.tolist() == [2, 0] and before.scores.shape == (2, 0)
    with pytest.raises(AssertionError, match="it was asked"):
        given.block(2, torch.tensor([1]), torch.tensor([2]))


def test_all_answers_known() -> None:
    """Nothing is left to normalise by: a candidate there is none."""
    facts = torch.tensor([[0, 0, 0], [0, 0, 1]])
    known = KnownAnswers.from_triples(facts, 1)
    given = QueryScores(Tabled(torch.ones(2, 2, 2)), Graph.from_triples(facts, 2, 1), known, 1.0, asked=(0,))
    assert given.block(0, torch.tensor([0]), torch.tensor([1])).normaliser.tolist() == [0]


def test_the_direction_of_fewer_questions_is_asked() -> None:
    """Of r0 one head and three tails, of r1 as many of either, of r2 three heads and one tail."""
    facts = torch.tensor([[0, 0, 1], [0, 0, 2], [0, 0, 3], [4, 1, 5], [6, 2, 9], [7, 2, 9], [8, 2, 9]])
    names = Vocabulary([f"e{i}" for i in range(10)], ["r0", "r1", "r2"])
    # Valid facts draw the line for observed types: who is known as a head, and nobody else.
    data = Dataset(facts, facts[:1], facts[:0], names)
    assert module.asked_one_way(Eligibility.of_training(data, "train")) == (0, 1, 2 + 3)
