"""Similarities by hand, and what they say of typed questions against the plain sums."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from paper import no_facts

from kg.bundle import Bundle
from kg.errors import UserError
from kg.evaluation.ranking import evaluate
from kg.graph.dataset import Dataset
from kg.graph.graph import Graph
from kg.models.scorer import Queries, Scorer
from kg.models.similarity import AdamicAdar, CommonNeighbours, Katz, PageRank, PreferentialAttachment, Similarity
from kg.query.predictor import Predictor
from kg.training.algorithms.counting import Counting
from kg.training.recipes import default_run
from kg.training.train import resume, train
from kg.walks import similarity
from kg.walks.similarity import Walks, adamic_adar, by_similarity, common_neighbours, katz, pagerank, shared_edges

INDICES: dict[str, tuple[Callable[[Graph], Walks], Callable[..., Similarity]]] = {
    "common_neighbours": (common_neighbours, CommonNeighbours),
    "adamic_adar": (adamic_adar, AdamicAdar),
    "katz": (partial(katz, beta=0.5), partial(Katz, beta=0.5)),
    "pagerank": (partial(pagerank, alpha=0.5), partial(PageRank, alpha=0.5)),
}
every_index = pytest.mark.parametrize("name", INDICES)
every_similarity = pytest.mark.parametrize(
    "made", [*(made for _, made in INDICES.values()), PreferentialAttachment], ids=[*INDICES, "preferential_attachment"]
)


@pytest.fixture
def kite() -> Graph:
    """A triangle 0, 1, 2 with a tail 2 - 3; 4 has only itself. 0 and 1 know each other twice and both ways."""
    facts = [[0, 0, 1], [0, 1, 1], [1, 0, 0], [2, 0, 0], [1, 1, 2], [2, 1, 3], [3, 0, 3], [4, 0, 4]]
    return Graph.from_triples(torch.tensor(facts), 5, 2)


@pytest.fixture
def tangle() -> Graph:
    """30 entities, 3 relations, 90 facts, some of them loops; the last five entities stand in none."""
    generator = torch.Generator().manual_seed(0)
    hrt = torch.stack([torch.randint(0, high, (90,), generator=generator) for high in (25, 3, 25)], 1)
    hrt[:4, 2] = hrt[:4, 0]
    return Graph.from_triples(hrt, 30, 3)


def matrix(walks: Walks) -> np.ndarray:
    """S(x, y) of every two entities; its diagonal, which no score takes in, is 0."""
    start = np.eye(len(walks.start), dtype=np.float32)
    sums: np.ndarray = walks.sums(similarity.csr_array(start)) - start * walks.returning
    return walks.start[:, None] * sums


def questions(graph: Graph) -> Queries:
    """Every one."""
    pairs = torch.tensor(list(product(range(graph.num_entities), range(2 * graph.num_relations))))
    return Queries(pairs[:, 0], pairs[:, 1], graph)


def facts(graph: Graph) -> list[list[int]]:
    """Both directions."""
    rows: list[list[int]] = torch.stack([graph.head(), graph.relation, graph.tail], 1).tolist()
    return rows


# Two entities


def test_common_neighbours_by_hand(kite: Graph) -> None:
    expected = [[0, 1, 1, 1, 0], [1, 0, 1, 1, 0], [1, 1, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]]
    assert matrix(common_neighbours(kite)).tolist() == expected
    assert common_neighbours(kite).returning.tolist() == [2, 2, 3, 1, 0]  # neighbours, that is: once each, and no loop


def test_adamic_adar_by_hand(kite: Graph) -> None:
    two, three = 1 / math.log(2), 1 / math.log(3)  # of 0 and 1, and of 2
    expected = [[0, three, two, three], [three, 0, two, three], [two, two, 0, 0], [three, three, 0, 0]]
    assert matrix(adamic_adar(kite))[:4, :4] == pytest.approx(np.array(expected))


def test_katz_by_hand(kite: Graph) -> None:
    found = matrix(katz(kite, 0.5))
    # between 0 and 1 one walk of a step, one of two (by 2), three of three (0101, 0201, 0121); 0 and 3: 023 and 0123
    assert found[0, 1] == found[1, 0] == 1 / 2 + 1 / 4 + 3 / 8
    assert found[0, 3] == found[3, 0] == 1 / 4 + 1 / 8
    assert found[2, 3] == 1 / 2 + 3 / 8  # 2323, 2023 and 2123
    assert katz(kite, 0.5).returning[0] == 2 / 4 + 2 / 8  # 010, 020; 0120 and 0210
    assert not matrix(katz(kite, 0.5))[4].any()


def test_pagerank_by_hand(kite: Graph) -> None:
    found = matrix(pagerank(kite, 0.5))
    # from 0: after one step at 1 or 2; after two at 0 (1/4 + 1/6), 1 (1/6), 2 (1/4), 3 (1/6)
    after_three = [1 / 12 + 1 / 12, 5 / 24 + 1 / 12, 5 / 24 + 1 / 12 + 1 / 6, 1 / 12]
    assert found[0, 1] == pytest.approx(1 / 4 * 1 / 2 + 1 / 8 * 1 / 6 + 1 / 16 * after_three[1])
    assert found[0, 2] == pytest.approx(1 / 4 * 1 / 2 + 1 / 8 * 1 / 4 + 1 / 16 * after_three[2])
    assert found[0, 3] == pytest.approx(1 / 8 * 1 / 6 + 1 / 16 * after_three[3])
    assert found[3, 0] == pytest.approx(2 * found[0, 3])  # 0 has two neighbours, 3 has one
    own = pagerank(kite, 0.5)
    assert own.start[0] * own.returning[0] == pytest.approx(1 / 8 * 5 / 12 + 1 / 16 * after_three[0])


def plain(name: str, graph: Graph) -> np.ndarray:
    """S by the formulas, with dense matrices."""
    a = np.zeros((graph.num_entities, graph.num_entities))
    for head, _, tail in facts(graph):
        a[head, tail] = head != tail
    degree = a.sum(1)
    walker = a / np.maximum(degree, 1)[:, None]
    found: np.ndarray = {
        "common_neighbours": lambda: a @ a,
        "adamic_adar": lambda: a @ np.diag([1 / math.log(d) if d > 1 else 0 for d in degree]) @ a,
        "katz": lambda: sum(0.5**k * np.linalg.matrix_power(a, k) for k in (1, 2, 3)),
        "pagerank": lambda: sum(0.5 * 0.5**k * np.linalg.matrix_power(walker, k) for k in (1, 2, 3)),
    }[name]()
    return found - np.diag(np.diag(found))


@every_index
@pytest.mark.parametrize("dense", [0.0, 0.3, 2.0])
def test_similarity_is_that_of_dense_matrices(
    name: str, dense: float, tangle: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many of the products are sparse."""
    monkeypatch.setattr(similarity, "_DENSE", dense)
    np.testing.assert_allclose(matrix(INDICES[name][0](tangle)), plain(name, tangle), rtol=1e-5, atol=1e-6)


def test_what_belongs_to_a_graph_is_kept_for_two(kite: Graph, tangle: Graph) -> None:
    first = common_neighbours(kite)
    assert common_neighbours(kite) is first and adamic_adar(kite).matrix is first.matrix
    again = kite.hide(torch.zeros(0, 3, dtype=torch.long))  # its like, but not the same
    assert common_neighbours(again) is not first
    assert katz(kite, 0.5) is not katz(kite, 0.25)
    assert common_neighbours(tangle) is not first and common_neighbours(kite) is not first  # a third: the oldest went
    assert similarity._adjacency.cache_info().currsize == 2


# A typed question


def test_evidence_by_hand(kite: Graph) -> None:
    """(1, r, ?): of the heads of r, 0 and 2 and 3 are as similar to 1 as one neighbour makes them, 4 is not."""
    walks = common_neighbours(kite)
    # r: 0 -> 1, 1 -> 0, 2 -> 0, 3 -> 3, 4 -> 4. First sum: 1 by 0; 0 by 2 (not by 1 itself); 3 by 3.
    # Second sum: what is similar to 0, which 1 has: 1, 2 and 3; never 0 to itself, though it has two neighbours.
    found = by_similarity(walks, kite, torch.tensor([1]), torch.tensor([0]), 0.5)
    assert found.tolist() == [[1, 1 + 0.5, 0.5, 1 + 0.5, 0]]
    # (2, s, ?), s: 0 -> 1, 1 -> 2, 2 -> 3. 1 by 0, 2 by 1; and 0 and 1 are similar to 3.
    assert by_similarity(walks, kite, torch.tensor([2]), torch.tensor([1]), 1.0).tolist() == [[1, 2, 1, 0, 0]]
    # the heads of s with tail 2: what has a tail similar to 2, that is 1 and then 0; or is similar to 1: 0, 2 and 3
    assert by_similarity(walks, kite, torch.tensor([2]), torch.tensor([3]), 1.0).tolist() == [[2, 0, 1, 1, 0]]


@every_index
@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
def test_evidence_is_the_sum_over_the_pairs(name: str, weight: float, tangle: Graph) -> None:
    """Known answers and loops among the candidates; 180 questions, in several blocks, and each alone."""
    s, known, num = plain(name, tangle), facts(tangle), 2 * tangle.num_relations
    expected = np.zeros((tangle.num_entities * num, tangle.num_entities))
    for head, relation, tail in known:
        for asked in range(tangle.num_entities):
            expected[asked * num + relation, tail] += s[head, asked] if head != asked else 0
        for candidate in range(tangle.num_entities):
            expected[head * num + relation, candidate] += weight * s[tail, candidate] if tail != candidate else 0
    asked = questions(tangle)
    scorer = INDICES[name][1](30, 3, known_weight=weight)
    scores = scorer.score_tails(asked)
    np.testing.assert_allclose(scores.exp() - 1e-4, expected, rtol=1e-4, atol=1e-5)
    for row in (0, 7, 100, 179):
        torch.testing.assert_close(scorer.score_tails(asked[row : row + 1]), scores[row : row + 1])


def test_attachment_by_hand(kite: Graph) -> None:
    scorer = PreferentialAttachment(5, 2)
    found = scorer.score_tails(Queries(torch.tensor([1, 4]), torch.tensor([0, 1]), kite)).exp() - 1e-4
    # edges, by relation and direction: 0 and 1 have 4, 2 and 3 have 3 (its loop is two), 4 has 2
    least = 0.1 * (1 + torch.tensor([4, 4, 3, 3, 2]) / 4)
    arriving = torch.tensor([2, 1, 0, 1, 1])  # by r: at 0 from 1 and 2
    torch.testing.assert_close(found[0], (1 + least[1]) * (arriving + least))
    arriving = torch.tensor([0, 1, 1, 1, 0])  # by s, which does not leave 4
    torch.testing.assert_close(found[1], least[4] * (arriving + least))


def both_ways(scorer: Scorer, graph: Graph) -> tuple[torch.Tensor, torch.Tensor]:
    """score(h, r, t) and score(t, r^-1, h), each (h, r, t)."""
    scores = scorer.score_tails(questions(graph)).view(30, 6, 30)
    return scores[:, :3], scores[:, 3:].permute(2, 1, 0)


@every_similarity
def test_inverses_are_tied_where_both_sums_count_alike(made: Callable[..., Similarity], tangle: Graph) -> None:
    if made is PreferentialAttachment:
        assert torch.equal(*both_ways(made(30, 3), tangle))
    else:
        forward, backward = both_ways(made(30, 3), tangle)
        torch.testing.assert_close(forward.exp(), backward.exp(), rtol=1e-4, atol=1e-5)
        forward, backward = both_ways(made(30, 3, known_weight=0.01), tangle)
        assert bool(((forward - backward).abs() > 1).any())


@every_similarity
def test_what_is_hidden_does_not_count(made: Callable[..., Similarity], tangle: Graph) -> None:
    hidden = torch.tensor(facts(tangle)[:20])
    without = torch.tensor([fact for fact in facts(tangle)[20:] if fact[1] < 3])
    left = tangle.hide(hidden)
    kept = {tuple(fact) for fact in facts(left)}
    rebuilt = Graph.from_triples(torch.tensor([fact for fact in sorted(kept) if fact[1] < 3]), 30, 3)
    assert len(kept) < len(facts(tangle)) and len(without)
    torch.testing.assert_close(made(30, 3).score_tails(questions(left)), made(30, 3).score_tails(questions(rebuilt)))


# Entities


@every_similarity
def test_the_graph_of_the_question_decides(made: Callable[..., Similarity], tangle: Graph) -> None:
    """The scorer was made for three entities; those without an edge are heads and candidates like others."""
    scores = made(3, 3).score_tails(questions(tangle))
    assert scores.shape == (180, 30) and scores.dtype == torch.float32 and bool(scores.isfinite().all())
    assert torch.equal(scores, made(30, 3).score_tails(questions(tangle)))
    if made is not PreferentialAttachment:
        assert bool((scores[25 * 6 :] == scores[-1, -1]).all()) and scores[-1, -1] == pytest.approx(math.log(1e-4))
        assert bool((scores[:, 25:] == scores[-1, -1]).all())
    nothing = made(3, 3).score_tails(questions(no_facts(7, 3)))
    assert nothing.shape == (42, 7) and bool((nothing == nothing[0, 0]).all()) and bool(nothing.isfinite().all())
    assert made(3, 3).score_tails(questions(tangle)[:0]).shape == (0, 30)


@every_similarity
def test_candidates_of_many_rows(made: Callable[..., Similarity], tangle: Graph) -> None:
    """Their own, shared and a slice, where the questions are more than a block."""
    asked, everything = questions(tangle), made(30, 3).score_tails(questions(tangle))
    own = torch.arange(180 * 4).view(180, 4) % 30
    torch.testing.assert_close(made(30, 3).score_tails(asked, own), everything.gather(1, own))
    shared = torch.tensor([29, 3, 3])
    torch.testing.assert_close(made(30, 3).score_tails(asked, shared), everything[:, shared])
    torch.testing.assert_close(made(30, 3).score_tails(asked, slice(5, 99)), everything[:, 5:])


def test_a_hub_has_finite_scores() -> None:
    """2000 neighbours of 0, each with the same answer; and 2000 * 2000 walks of three steps between 0 and any."""
    spokes = torch.arange(1, 2001)
    to_hub = torch.stack([spokes, torch.zeros_like(spokes), torch.zeros_like(spokes)], 1)
    graph = Graph.from_triples(to_hub, 2001, 1)
    for made in (CommonNeighbours, AdamicAdar, partial(Katz, beta=1.0), PageRank, PreferentialAttachment):
        asked = Queries(torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 0, 1]), graph)
        scores = made(2001, 1).score_tails(asked)
        assert bool(scores.isfinite().all())


@pytest.mark.parametrize(
    ("made", "wrong"),
    [
        *((partial(Katz, beta=beta), "beta must be above 0 and at most 1") for beta in (0.0, -1.0, 1.5, math.nan)),
        *((partial(PageRank, alpha=alpha), "alpha must be above 0 and below 1") for alpha in (0.0, 1.0, math.nan)),
        *((partial(AdamicAdar, known_weight=w), "known_weight must be from 0 to 1") for w in (-0.1, 1.1, math.nan)),
    ],
)
def test_settings_keep_scores_finite(made: Callable[..., Any], wrong: str) -> None:
    with pytest.raises(UserError, match=wrong):
        made(3, 1)


# Training


@every_similarity
def test_there_is_nothing_to_learn(made: Callable[..., Similarity], random_dataset: Dataset) -> None:
    scorer = made(50, 3)
    assert scorer.state_dict() == {} and scorer.device.type == "cpu" and scorer.is_finite()
    assert scorer.factors(Queries(torch.tensor([0]), torch.tensor([0]), no_facts(50, 3)), torch.tensor([1])) == ()
    before = evaluate(scorer, random_dataset, "valid").rank
    scorer.count(random_dataset.graph())
    assert torch.equal(evaluate(scorer, random_dataset, "valid").rank, before)


def test_the_loss_is_that_of_some_training_facts(random_dataset: Dataset) -> None:
    run = default_run("adamic_adar")(random_dataset)
    small = Dataset(random_dataset.train[:100], *[random_dataset.train[:0]] * 2, random_dataset.vocabulary)
    fit = run.trainer(small)
    (epoch,) = fit
    head, relation, tail = torch.tensor(facts(small.graph())).T  # 200: fewer than are drawn of many
    scores = fit.scorer.score_tails(Queries(head, relation, small.graph())).log_softmax(1)
    assert epoch.loss == pytest.approx(-scores[torch.arange(200), tail].mean().item(), rel=1e-5)
    many = run.trainer(random_dataset)
    other = replace(run, seed=1).trainer(random_dataset)
    assert many.loss() == many.loss() != other.loss()


def test_few_facts_an_entity_make_known_answers_weigh_more(random_dataset: Dataset) -> None:
    few = replace(random_dataset, train=random_dataset.train[:100])
    weights = [default_run("katz")(data).scorer.keywords["known_weight"] for data in (random_dataset, few)]
    assert weights == [0.01, 1.0]


def test_it_is_trained_stored_and_asked(tmp_path: Path, random_dataset: Dataset) -> None:
    for model in ("katz", "preferential_attachment"):
        trained = train(random_dataset, default_run(model)(random_dataset), tmp_path / model)
        stored = Bundle.load(tmp_path / model)
        assert (
            default_run(model)(random_dataset).algorithm == Counting() and stored.run["algorithm"]["name"] == "counting"
        )
        assert stored.temperature is not None and stored.metrics["valid"]["mrr"] > 0
        ranks = [evaluate(bundle.scorer, random_dataset, "test").rank for bundle in (trained, stored)]
        assert torch.equal(*ranks) and len(ranks[0]) == 2 * len(random_dataset.test)
        assert len(Predictor.load(tmp_path / model).tails("e0", "r1", top=3)) == 3
        assert resume(tmp_path / model).metrics["epochs"] == 1


def test_a_graph_far_from_where_it_learned(tmp_path: Path, random_dataset: Dataset) -> None:
    """What it was trained on is of no account: asked of another graph, it answers from that one."""
    scorer = Bundle.load(train(random_dataset, default_run("pagerank")(random_dataset), tmp_path / "model").path).scorer
    other = Graph.from_triples(random_dataset.test + torch.tensor([50, 0, 50]), 100, 3)
    fresh = PageRank(100, 3, known_weight=0.01)
    asked = Queries(torch.arange(100), torch.zeros(100, dtype=torch.long), other)
    assert torch.equal(scorer.score_tails(asked), fresh.score_tails(asked))


def test_shared_edges_by_hand() -> None:
    """0 and 1 have -0-> 3 both, 0 alone -1-> 3 and -1^-1-> 2; 2 has -1-> 0, and 3 what leads to it; 4 has nothing."""
    graph = Graph.from_triples(torch.tensor([[0, 0, 3], [1, 0, 3], [0, 1, 3], [2, 1, 0]]), 5, 2)
    assert shared_edges(graph, 0, torch.tensor([1, 2, 3, 4, 0])).tolist() == pytest.approx([1 / 3, 0, 0, 0, 1])
    assert shared_edges(graph, 4, torch.tensor([4, 0])).tolist() == [0, 0]
    assert shared_edges(graph, 0, torch.tensor([], dtype=torch.long)).tolist() == []
