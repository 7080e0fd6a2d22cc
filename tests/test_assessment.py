"""What `kg evaluate` measures, as one call: each part as its own module measures it."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tabled import Tabled

from kg.bundle import Bundle
from kg.errors import UserError
from kg.evaluation import ranking
from kg.graph.dataset import Dataset
from kg.probability.assessment import evaluate
from kg.probability.calibration import Calibration
from kg.probability.reliability import held_out_reliability


@pytest.fixture
def bundle(random_dataset: Dataset, tmp_path: Path) -> Bundle:
    data = random_dataset
    scores = torch.randn(2 * data.num_relations, data.num_entities, data.num_entities)
    stored = Calibration.shared(data.num_relations, {"constant": -3.0, "mean_score": 1.0}).to_json()
    return Bundle(tmp_path, Tabled(scores), data, {}, 2.0, {}, {}, {}, stored)


@pytest.mark.parametrize("split", ["valid", "test"])
def test_ranks_and_probabilities(bundle: Bundle, split: str) -> None:
    found = evaluate(bundle, split, threshold=0.25)
    ranks = ranking.evaluate(bundle.scorer, bundle.dataset, split, temperature=2.0)
    assert found.metrics == ranks.metrics(bundle.dataset.vocabulary.relations)
    calibration = Calibration.from_json(bundle.calibration or {})
    assert found.probability == held_out_reliability(calibration, bundle.scorer, bundle.dataset, split, 2.0, 0.25)
    assert found.classification is None
    assert found.to_json() == found.metrics.to_json() | {"probability": found.probability.to_json()}


def test_without_a_calibration(bundle: Bundle) -> None:
    found = evaluate(replace(bundle, calibration=None))
    assert found.probability is None and found.to_json() == found.metrics.to_json() | {"probability": None}


def test_against_negatives(bundle: Bundle, tmp_path: Path) -> None:
    names, known = bundle.dataset.vocabulary, bundle.dataset.known("train", "valid", "test")
    every = torch.cartesian_prod(torch.arange(5), torch.tensor([0]), torch.arange(5))
    rows = every[~known.contains(*every.unbind(1))].tolist()
    lines = "".join(f"{names.entities[h]}\t{names.relations[r]}\t{names.entities[t]}\n" for h, r, t in rows)
    for part in ("valid", "test"):
        (tmp_path / f"{part}_negatives.tsv").write_text(lines)
    found = evaluate(bundle, negatives=tmp_path)
    assert found.classification is not None and found.classification.negatives == len(rows)
    assert list(found.to_json())[-2:] == ["probability", "classification"]


def test_the_users_errors(bundle: Bundle, tmp_path: Path) -> None:
    for threshold in (0.0, 1.5):
        with pytest.raises(UserError, match="threshold must be above 0 and at most 1: got"):
            evaluate(bundle, threshold=threshold)
    with pytest.raises(UserError, match="leave split out"):
        evaluate(bundle, "valid", negatives=tmp_path)
    bare = replace(bundle, dataset=replace(bundle.dataset, test=bundle.dataset.test[:0]))
    with pytest.raises(UserError, match="was trained without test facts: there is nothing to measure it on"):
        evaluate(bare)
