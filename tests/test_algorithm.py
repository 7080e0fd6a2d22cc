"""A new training algorithm is one file and one line in ALGORITHMS."""

import json
from functools import partial
from pathlib import Path
from pkgutil import resolve_name

import pytest
import torch
from runs import Noted
from templates import module_of
from torch.optim import Adam

from kg.bundle import Bundle
from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.models.complex import ComplEx
from kg.models.frequency import Frequency
from kg.training import algorithm
from kg.training.algorithm import TrainingAlgorithm
from kg.training.algorithms.counting import Counting
from kg.training.gradient_descent import GradientDescent
from kg.training.run import ALGORITHMS, Run
from kg.training.train import resume, train


def test_one_file_and_one_line(random_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decay = module_of("training algorithm", "decay", tmp_path, monkeypatch)
    monkeypatch.setitem(ALGORITHMS, "decay", "decay:Decay")
    run = Run(partial(ComplEx, dim=4), decay.Decay(0.25, epochs=3, valid_every=1))
    progress = Noted()
    trained = train(random_dataset, run, tmp_path / "model", progress=progress)
    assert [step for what, step, _ in progress.steps if what == "training"] == [1, 2, 3]
    losses = [row["loss"] for row in trained.metrics["history"]]
    assert losses == pytest.approx([losses[0] / 16**i for i in range(3)], rel=1e-4)
    stored = json.loads(json.dumps(Bundle.load(tmp_path / "model").run))
    settings = {"epochs": 3, "valid_every": 1, "patience": 10, "factor": 0.25}
    assert stored["algorithm"] == {"name": "decay", "arguments": settings}
    again = Run.from_json(stored)
    assert again.algorithm == run.algorithm and again.to_json() == stored
    resumed = resume(tmp_path / "model", epochs=4)
    assert resumed.metrics["epochs"] == 4 and resumed.metrics["history"][-1]["loss"] == pytest.approx(losses[0] / 16**3)
    with pytest.raises(UserError, match="factor must be above 0 and below 1: got 2"):
        Run.from_json({**stored, "algorithm": {"name": "decay", "arguments": {**settings, "factor": 2.0}}})


@pytest.mark.parametrize("name", ALGORITHMS)
def test_each_is_at_home_where_the_table_says(name: str) -> None:
    assert issubclass(resolve_name(ALGORITHMS[name]), TrainingAlgorithm)


def test_one_pass_over_the_facts() -> None:
    counting = Counting()
    assert (counting.epochs, counting.valid_every, counting.patience) == (1, 1, 1)
    with pytest.raises(UserError, match="Counting passes over the facts once: epochs cannot be chosen") as raised:
        counting.with_epochs(2)
    assert raised.value.setting == "epochs"


def test_who_has_a_probability_of_its_own() -> None:
    descent = GradientDescent(partial(Adam, lr=0.1))
    assert descent.is_calibrated and not Counting().is_calibrated


def test_a_start_changes_the_scorer_of_a_new_training_alone(random_dataset: Dataset) -> None:
    """Counting begins with nothing; its trainer counts."""
    trainer = Run(partial(Frequency), Counting()).trainer(random_dataset)
    assert not bool(trainer.scorer.counts.any())
    next(iter(trainer))
    assert trainer.scorer.counts.sum() == 2 * len(torch.unique(random_dataset.train, dim=0))


def test_among_many_entities_a_part_of_valid_is_measured(
    random_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Run(partial(ComplEx, dim=4), GradientDescent(partial(Adam, lr=0.1))).trainer(random_dataset)
    monkeypatch.setattr(algorithm, "_VALID_FACTS", 5)
    assert len(trainer.valid_ranking(random_dataset, None).rank) == 80
    monkeypatch.setattr(algorithm, "_MANY", 49)
    assert len(trainer.valid_ranking(random_dataset, None).rank) == 10
