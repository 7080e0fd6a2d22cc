"""The best answers from vectors of bytes: those that the scores of all entities give."""

from functools import partial

import pytest
import torch
from test_discovery import asked

from kg.graph.dataset import Dataset
from kg.models.complex import ComplEx
from kg.models.conve import ConvE
from kg.models.rescal import RESCAL
from kg.models.scorer import Queries, Scorer
from kg.models.transe import TransE
from kg.query import best_answers
from kg.query.best_answers import BestAnswers
from kg.query.knowledge import Knowledge

N, R = 50, 3
SCORERS = {
    "complex": partial(ComplEx, dim=16, init=1.0),
    "rescal": partial(RESCAL, dim=8, init=0.7),
    "conve": partial(ConvE, dim=16, channels=2),
}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("_LARGE", 0), ("_WARM", 0), ("_MOST", 1)):
        monkeypatch.setattr(best_answers, name, value)


def question(dataset: Dataset, head: int, relation: int) -> Queries:
    return Queries(torch.tensor([head]), torch.tensor([relation]), dataset.graph())


def eligible_of(share: float) -> torch.Tensor:
    return torch.rand(1, N, generator=torch.Generator().manual_seed(3)) < share


def scorer_of(kind: str) -> Scorer:
    torch.manual_seed(1)
    return SCORERS[kind](N, R).eval()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kind", SCORERS)
@pytest.mark.parametrize("share", [1.0, 0.5, 0.1, 0.0])
def test_the_same_as_of_all_scores(kind: str, share: float, random_dataset: Dataset) -> None:
    scorer, eligible = scorer_of(kind), eligible_of(share)
    answers = BestAnswers(scorer)
    for head, relation, top in ((0, 0, 5), (7, 4, 1), (3, 5, 50), (49, 2, 80)):
        queries = question(random_dataset, head, relation)
        values, ids = answers.of(queries, eligible, top)
        with torch.no_grad():
            scores = scorer.score_tails(queries).masked_fill(~eligible, -torch.inf)
        expected = scores.topk(min(top, N))
        assert values[0].tolist() == pytest.approx(expected.values[0].tolist(), abs=1e-5)
        count = min(top, int(eligible.sum()))
        assert scores[0, ids[0, :count]].tolist() == pytest.approx(values[0, :count].tolist(), abs=1e-5)
        assert len(set(ids[0].tolist())) == len(ids[0]) == min(top, N)
    assert answers._rows is not None


@pytest.mark.usefixtures("small")
def test_of_equal_ones_as_many_as_are_asked_for(random_dataset: Dataset) -> None:
    scorer = ComplEx(N, R, dim=8)
    with torch.no_grad():
        scorer.table.weight[:] = scorer.table.weight[0]
    values, ids = BestAnswers(scorer).of(question(random_dataset, 0, 0), eligible_of(1.0), 7)
    assert values.shape == (1, 7) and len(set(ids[0].tolist())) == 7


def test_few_scores_are_computed_from_the_fifth_question_on(
    random_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(best_answers, "_LARGE", 0)
    monkeypatch.setattr(best_answers, "_MOST", 2)
    scorer = scorer_of("complex")
    answers, compared = BestAnswers(scorer), []
    real = ComplEx.compare
    monkeypatch.setattr(
        ComplEx, "compare", lambda self, state, tails=None: (compared.append(tails), real(self, state, tails))[1]
    )
    for _ in range(6):
        answers.of(question(random_dataset, 0, 0), eligible_of(1.0), 2)
    assert [tails is None for tails in compared] == [True] * 4 + [False] * 2
    assert all(2 <= len(tails) < N / 2 for tails in compared[4:])


@pytest.mark.usefixtures("small")
def test_others_are_answered_from_all_scores(random_dataset: Dataset) -> None:
    """Several questions at once, scorers that multiply nothing, entities that came after training."""
    both = Queries(torch.tensor([0, 1]), torch.tensor([0, 1]), random_dataset.graph())
    one = question(random_dataset, 0, 0)
    grown = ComplEx(N - 1, R, dim=4)
    for scorer, queries in ((scorer_of("complex"), both), (TransE(N, R, dim=4), one), (grown, one)):
        answers = BestAnswers(scorer)
        values, _ = answers.of(queries, eligible_of(1.0).expand(len(queries), N), 3)
        assert values.shape == (len(queries), 3) and answers._rows is None


@pytest.mark.usefixtures("small")
def test_a_predictor_answers_from_them(random_dataset: Dataset) -> None:
    given = asked(scorer_of("complex"), random_dataset, calibrated=False)
    found = given.tails("e3", "r1", top=4, new_only=True)
    assert given.plausibility.best_answers._rows is not None
    given.plausibility.best_answers._rows = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(best_answers, "_WARM", 100)
        expected = given.tails("e3", "r1", top=4, new_only=True)
    assert [each.object for each in found] == [each.object for each in expected]
    assert [each.score for each in found] == pytest.approx([each.score for each in expected], abs=1e-5)
    others = Knowledge.of_facts(random_dataset.vocabulary, random_dataset.train, random_dataset.schema, "others")
    assert given.plausibility.refreshed(others).best_answers is given.plausibility.best_answers
