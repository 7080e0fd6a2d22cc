"""Telling facts from negatives: thresholds by hand, and a model whose scores are known."""

import gzip
from dataclasses import replace
from pathlib import Path
from typing import final

import pytest
import torch
from tabled import Tabled
from torch import Tensor, nn

from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.graph.from_folder import facts_named
from kg.graph.vocabulary import Vocabulary
from kg.models.scorer import Queries, Scorer, State, Tails
from kg.probability import triple_classification
from kg.probability.calibration import Calibration
from kg.probability.fact_logits import FactLogits
from kg.probability.query_scores import QueryScores
from kg.probability.triple_classification import Separation, classify, labelled, margins, thresholds


def found(scores: list[float], labels: list[int], relation: list[int], num: int = 2) -> list[float]:
    is_true = torch.tensor(labels, dtype=torch.bool)
    return thresholds(torch.tensor(scores), is_true, torch.tensor(relation), num).tolist()


def test_thresholds_by_hand() -> None:
    """Relation 0 is best cut at 2.5 (all right), relation 1 at 7.5; of both together 7.5 gets 6 of 8, 2.5 gets 6."""
    scores, labels = [1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 8.0, 9.0], [0, 0, 1, 1, 0, 0, 1, 1]
    assert found(scores, labels, [0, 0, 0, 0, 1, 1, 1, 1]) == [2.5, 7.5]


def test_without_rows_the_threshold_is_that_of_all() -> None:
    assert found([1.0, 2.0, 3.0, 4.0], [0, 0, 1, 1], [0, 0, 0, 0]) == [2.5, 2.5]


def test_where_its_rows_leave_it_open_all_decide() -> None:
    """The only row of relation 1 is true at 5.5: any cut below will do, and that of all is 2.5."""
    scores, labels = [1.0, 2.0, 3.0, 4.0, 5.5], [0, 0, 1, 1, 1]
    assert found(scores, labels, [0, 0, 0, 0, 1]) == [2.5, 2.5]


def test_its_own_rows_come_before_those_of_all() -> None:
    """Relation 0 is right at 2; ten false rows of relation 1 lie above that, and all together are best cut at 4.25."""
    scores, labels = [1.0, 3.0, *[3.5] * 10, 5.0], [0, 1, *[0] * 10, 1]
    assert found(scores, labels, [0, 0, *[1] * 11])[0] == 2


def test_what_scores_alike_stands_on_one_side() -> None:
    cut, _ = found([1.0, 1.0, 1.0, 2.0], [1, 0, 0, 1], [0, 0, 0, 0])
    assert cut == 1.5


N = 12


@final
class Table(Scorer):
    """scores[r][h, t]; the inverse answers with three times as much."""

    def __init__(self, scores: Tensor) -> None:
        super().__init__(N, len(scores))
        self.scores = nn.Parameter(scores)

    def encode(self, queries: Queries) -> State:
        num = len(self.scores)
        every = torch.cat([self.scores, 3 * self.scores.transpose(1, 2)])
        assert int(queries.relation.max()) < 2 * num
        return every[queries.relation, queries.head]

    def compare(self, state: Tensor, tails: Tails = None) -> Tensor:
        return state[:, tails]

    def factors(self, queries: Queries, tail: Tensor) -> tuple[Tensor, ...]:
        raise NotImplementedError


@pytest.fixture
def given(tmp_path: Path) -> tuple[Table, Dataset, Path]:
    """Facts of relation 0 score above 2, those of relation 1 above -2; negatives below."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(2, N, N, generator=generator)
    off = (~torch.eye(N, dtype=torch.bool)).flatten().nonzero()[:, 0]  # the diagonal is what training knows
    pairs = off[torch.randperm(len(off), generator=generator)[: 8 * 14]].reshape(8, 14)
    parts = []
    for group, pair in enumerate(pairs):
        relation, is_true = group % 2, group < 4
        hrt = torch.stack([pair // N, torch.full_like(pair, relation), pair % N], 1)
        middle = (2.0, -2.0)[relation]
        scores[relation, hrt[:, 0], hrt[:, 2]] = middle + (0.5 if is_true else -0.5) * (
            1 + torch.rand(len(hrt), generator=generator)
        )
        parts.append(hrt)
    valid, test, *negatives = (torch.cat(parts[start : start + 2]) for start in (0, 2, 4, 6))
    names = Vocabulary([f"e{i}" for i in range(N)], ["r0", "r1"])
    train = torch.stack([torch.arange(N), torch.arange(N) % 2, torch.arange(N)], 1)
    for part, rows in zip(("valid", "test"), negatives, strict=True):
        lines = "".join(f"e{h}\tr{r}\te{t}\n" for h, r, t in rows.tolist())
        (tmp_path / f"{part}_negatives.txt.gz").write_bytes(gzip.compress(lines.encode()))
    return Table(scores), Dataset(train, valid, test, names), tmp_path


def test_a_model_that_knows(given: tuple[Table, Dataset, Path]) -> None:
    scorer, data, folder = given
    result = classify(scorer, data, folder, None, None)
    assert (result.facts, result.negatives) == (28, 28)
    assert set(result.inputs) == {"score", "mean_score", "softmax", "regression"}  # no logit: no calibration
    score = result.inputs["score"]
    assert (score.accuracy, score.f1) == (1, 1)
    assert score.pr_auc < 1  # one list of both relations: facts of relation 1 are below negatives of relation 0
    assert result.inputs["regression"].accuracy > 0.8
    assert result.inputs[result.chosen].valid_accuracy == max(each.valid_accuracy for each in result.inputs.values())
    assert result == classify(scorer, data, folder, None, None)


def test_what_is_fitted_on_valid_and_cross_fitted(given: tuple[Table, Dataset, Path]) -> None:
    """Of scores at random, a threshold keeps nothing of what it seemed to be worth on the rows that it was made of."""
    _, data, folder = given
    scorer = Table(torch.randn(2, N, N, generator=torch.Generator().manual_seed(1)))
    score = classify(scorer, data, folder, None, None).inputs["score"]
    negatives = {part: facts_named(data.vocabulary, folder, f"{part}_negatives") for part in ("valid", "test")}
    valid, test = (
        labelled(QueryScores.of_training(scorer, data, None), data.part(part), wrong, None)
        for part, wrong in negatives.items()
    )
    on_itself = ((margins("score", valid, valid, 2) >= 0) == valid.sample.is_true).double().mean().item()
    on_test = ((margins("score", valid, test, 2) >= 0) == test.sample.is_true).double().mean().item()
    of_itself = ((margins("score", test, test, 2) >= 0) == test.sample.is_true).double().mean().item()
    assert score.accuracy == on_test < of_itself
    assert 0.2 < score.valid_accuracy < on_itself - 0.05


def test_test_chooses_nothing(given: tuple[Table, Dataset, Path]) -> None:
    scorer, data, folder = given
    before = classify(scorer, data, folder, None, None)
    _, test = ((folder / f"{part}_negatives.txt.gz") for part in ("valid", "test"))
    test.write_bytes(gzip.compress(b"e0\tr0\te1\n"))
    after = classify(scorer, data, folder, None, None)
    assert after.negatives == 1
    assert [each.valid_accuracy for each in after.inputs.values()] == [
        each.valid_accuracy for each in before.inputs.values()
    ]


def test_the_input_is_chosen_on_valid(given: tuple[Table, Dataset, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    accuracies = {"score": (0.6, 0.9), "mean_score": (0.8, 0.7), "softmax": (0.7, 0.8), "regression": (0.5, 1.0)}

    def separation(name: str, *_: object) -> Separation:
        of_valid, of_test = accuracies[name]
        return Separation(valid_accuracy=of_valid, accuracy=of_test, f1=0.0, pr_auc=0.0)

    monkeypatch.setattr(triple_classification, "_separation", separation)
    scorer, data, folder = given
    assert classify(scorer, data, folder, None, None).chosen == "mean_score"


def test_the_inputs(given: tuple[Table, Dataset, Path]) -> None:
    scorer, data, _ = given
    rows = labelled(QueryScores.of_training(scorer, data, 2.0), data.valid, data.test, None)
    assert rows.inputs["mean_score"].tolist() == pytest.approx((2 * rows.inputs["score"]).tolist())  # (1 + 3) / 2
    assert int(rows.sample.is_true.sum()) == len(data.valid)
    hrt = torch.cat([data.valid, data.test])
    assert torch.equal(rows.sample.hrt, hrt)
    assert rows.inputs["score"].tolist() == pytest.approx((scorer.scores[*hrt[:, [1, 0, 2]].T] / 2).tolist())
    part = rows.rows(rows.sample.relation == 1)
    assert len(part.sample.weight) == len(part.inputs["score"]) == 28
    assert len(margins("score", part, rows, 2)) == 56


def test_the_logit_of_a_model_that_is_asked_one_way(given: tuple[Table, Dataset, Path]) -> None:
    """Is that of its own features, which are as many as the others."""
    table, data, _ = given
    scores = QueryScores.of_training(Tabled(torch.cat([table.scores, table.scores.mT])), data, 2.0)
    weights = {"asked_log_softmax": 1.0, "asked_log_known": 0.5, "other_any_known": -2.0}
    calibration = Calibration.shared(2, weights, asked=(2, 1))
    rows = labelled(scores, data.valid, data.test, calibration)
    expected = FactLogits(replace(scores, asked=(2, 1)), calibration).of_facts(torch.cat([data.valid, data.test]))
    assert rows.inputs["logit"].tolist() == pytest.approx(expected.tolist())
    assert len(set(rows.inputs["logit"].tolist())) > 2
    with pytest.raises(AssertionError):
        calibration.of_sample(rows.sample)


def test_the_users_errors(given: tuple[Table, Dataset, Path]) -> None:
    scorer, data, folder = given
    with pytest.raises(UserError, match=r"no valid_negatives\.tsv or"):
        classify(scorer, data, folder / "nowhere", None, None)
    file = folder / "valid_negatives.tsv"
    file.write_text("e0\tr0\te99\n")
    with pytest.raises(UserError, match="e99 is not among the names"):
        classify(scorer, data, folder, None, None)
    file.write_text("")
    with pytest.raises(UserError, match="no negatives in valid_negatives"):
        classify(scorer, data, folder, None, None)
    head, relation, tail = data.test[0].tolist()
    file.write_text(f"e{head}\tr{relation}\te{tail}\n")
    with pytest.raises(UserError, match=rf"1 negatives of valid are facts.*\(e{head}, r{relation}, e{tail}\)"):
        classify(scorer, data, folder, None, None)
    bare = Dataset(data.train, data.valid[:0], data.test, data.vocabulary)
    with pytest.raises(UserError, match="without valid facts"):
        classify(scorer, bare, folder, None, None)
