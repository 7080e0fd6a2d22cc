"""A weighted sum of what several scorers say: on paper, with ties, without vectors, and its candidates by name."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from paper import Table, fill, no_facts
from torch import Tensor

from kg.errors import UserError
from kg.graph.graph import Graph
from kg.models.combined import Combined, level_and_reach
from kg.models.complex import ComplEx
from kg.models.conve import ConvE
from kg.models.distmult import DistMult
from kg.models.frequency import Frequency
from kg.models.naive_bayes import NaiveBayes
from kg.models.neighbourhood import NeighbourhoodTransformer
from kg.models.scorer import WORST, Queries


def combined(*scores: Any, weight: Any, reach: Any) -> Combined:
    """Tables of one relation's scores, and weights for both directions."""
    scorer = Combined(len(scores[0][0]), 1, [partial(Table)] * len(scores))
    for part, rows in zip(scorer.scorers(), scores, strict=True):
        fill(part.scores, rows)
    fill(scorer.weight, weight)
    fill(scorer.reach, reach)
    return scorer


def ask(relations: list[int], graph: Graph) -> Queries:
    return Queries(torch.zeros(len(relations), dtype=torch.long), torch.tensor(relations), graph)


def test_by_hand() -> None:
    scorer = combined(
        [[4.0, 1.0, 1.0], [0.0, 0.0, 0.0]],  # backwards it says nothing
        [[0.0, 2.0, 5.0], [3.0, 1.0, 2.0]],
        weight=[[2.0, 1.0], [7.0, -1.0]],
        reach=[[10.0, 0.5], [100.0, 4.0]],
    )
    scores = scorer.score_tails(ask([0, 1], no_facts(3, 1)))
    sums = torch.tensor(
        [
            [2 * 4 + 10 + 0, 2 * 1 + 2 + 0.5, 2 * 1 + 5 + 0.5],
            [0 - 3 + 4, 0 - 1, 0 - 2 + 4],  # another relation, other weights
        ]
    )
    torch.testing.assert_close(scores, sums.log_softmax(1))


def test_at_first_every_part_counts_once() -> None:
    scorer = Combined(5, 2, [partial(ComplEx, dim=3), partial(DistMult, dim=4)])
    queries = ask([0, 1, 2, 3], no_facts(5, 2))
    expected = sum(part.score_tails(queries) for part in scorer.scorers())
    torch.testing.assert_close(scorer.score_tails(queries), expected.log_softmax(1))
    assert not any(weight.requires_grad for weight in scorer.parameters())


def test_it_looks_at_the_graph_where_a_part_does() -> None:
    assert not Combined(5, 2, [partial(ComplEx, dim=3), partial(Frequency)]).reads_graph
    assert Combined(5, 2, [partial(ComplEx, dim=3), partial(NaiveBayes)]).reads_graph


def test_level_and_reach() -> None:
    scores = torch.tensor(
        [[3.0, -1.0, -1.0, 0.5], [WORST, 2.0, 2.0, 7.0], [4.0, 4.0, 4.0, 4.0], [WORST, WORST, WORST, WORST]]
    )
    level, reached = level_and_reach(scores)
    assert level.tolist() == [[3, -1, -1, 0.5], [2, 2, 2, 7], [4, 4, 4, 4], [0, 0, 0, 0]]
    assert reached.int().tolist() == [[1, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_ties_stay_ties() -> None:
    """What no part tells apart."""
    tables = [[0.1, 0.7, 0.1, 0.1]] * 2, [[0.3, 0.2, 0.3, 0.2]] * 2
    scorer = combined(*tables, weight=[[1.3, 0.7]] * 2, reach=[[1, 2]] * 2)
    scores = scorer.score_tails(ask([0], no_facts(4, 1)))[0]
    assert scores[0] == scores[2] > scores[3] and scores[1] > scores[3]


# Beyond the table


def test_a_candidate_without_a_vector_anywhere_ties_last() -> None:
    """With weights below 0, too; and nothing is NaN."""
    scorer = combined([[1.0, 2.0]] * 2, [[5.0, 3.0]] * 2, weight=[[-4.0, 0.5]] * 2, reach=[[-9.0, 1.0]] * 2)
    scores = scorer.score_tails(ask([0, 1], no_facts(4, 1)))
    assert bool((scores[:, 2:] == WORST).all()) and bool((scores[:, :2] > -100).all())


def test_a_part_with_vectors_speaks_for_candidates_that_another_lacks() -> None:
    scorer = Combined(2, 1, [partial(Table), partial(Frequency)])
    table, frequency = scorer.scorers()
    fill(table.scores, [[1.0, 2.0], [1.0, 2.0]])
    fill(frequency.counts, [[0, 0], [0, 3]])
    fill(scorer.weight, [[1.0, 1.0]] * 2)
    scores = scorer.score_tails(ask([0, 1], no_facts(3, 1)))
    # the third has the lowest level of both: 1 and log 1
    torch.testing.assert_close(scores[0], torch.tensor([1.0, 2.0, 1.0]).log_softmax(0))
    torch.testing.assert_close(scores[1], torch.tensor([1.0, 2 + torch.tensor(4.0).log(), 1.0]).log_softmax(0))


N, R = 6, 2
RING = [[i, 0, (i + 1) % N] for i in range(N)] + [[i, 1, N - 1 - i] for i in range(N)]
GROWN = Graph.from_triples(torch.tensor([*RING, [N, 0, 2], [3, 1, N]]), N + 1, R)


def test_of_a_head_beyond_the_table_only_those_speak_that_look() -> None:
    torch.manual_seed(0)
    parts = [partial(ComplEx, dim=4), partial(NeighbourhoodTransformer, dim=6, width=8), partial(Frequency)]
    scorer = Combined(N, R, parts)
    scorer.reach.fill_(3.0)
    queries = Queries(torch.tensor([N, 1]), torch.tensor([0, 0]), GROWN)
    scores = scorer.score_tails(queries)
    level, reached = level_and_reach(list(scorer.scorers())[1].score_tails(queries))
    torch.testing.assert_close(scores[0], (level + 3 * reached)[0].log_softmax(0))
    assert bool(scores.isfinite().all())
    torch.testing.assert_close(scores[1:], scorer.score_tails(queries[1:]))


def test_where_nobody_looks_a_head_beyond_the_table_is_an_error() -> None:
    scorer = Combined(N, R, [partial(ComplEx, dim=4), partial(DistMult, dim=4)])
    with pytest.raises(UserError, match="ComplEx has no vector for an entity"):
        scorer.score_tails(Queries(torch.tensor([N]), torch.tensor([0]), GROWN))


# As others use it


def test_parts_answer_as_they_do_outside_training() -> None:
    torch.manual_seed(0)
    scorer = Combined(N, R, [partial(ConvE, dim=16, channels=4, entity_dropout=0.5)]).train()
    before = {name: value.clone() for name, value in scorer.state_dict().items()}
    queries = Queries(torch.tensor([1]), torch.tensor([0]), GROWN)
    drawn = replace(queries, generator=torch.Generator().manual_seed(0))
    assert torch.equal(scorer.score_tails(drawn), scorer.score_tails(queries))
    assert all(torch.equal(value, before[name]) for name, value in scorer.state_dict().items())


def test_relations_are_scored_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    scorer = Combined(N, R, [partial(ComplEx, dim=4), partial(NaiveBayes)])
    fill(scorer.weight, torch.rand(2 * R, 2).tolist())
    graph = Graph.from_triples(torch.tensor(RING), N, R)
    head, tail = torch.tensor([0, 3, 5]), torch.tensor([2, 2, 1])
    whole = scorer.score_relations(head, tail, graph)
    asked = []

    def spied(queries: Queries) -> Tensor:
        asked.append(len(queries))
        return encode(queries)

    encode = scorer.encode
    monkeypatch.setattr(scorer, "encode", spied)
    monkeypatch.setattr("kg.models.ensemble._MOST_SCORES", 5 * N)
    torch.testing.assert_close(scorer.score_relations(head, tail, graph), whole)
    assert asked == [5, 5, 2]
    assert scorer.score_relations(head[:0], tail[:0], graph).shape == (0, 2 * R)


def test_a_combination_of_nothing_is_an_error() -> None:
    with pytest.raises(UserError, match="at least one part"):
        Combined(3, 1, [])
