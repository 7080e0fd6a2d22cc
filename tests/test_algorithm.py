"""A new training algorithm is one file and one line in ALGORITHMS."""

import json
import sys
from functools import partial
from pathlib import Path
from pkgutil import resolve_name

import pytest
import torch
from runs import Noted
from torch.optim import Adam

from kg.bundle import Bundle
from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.models.complex import ComplEx
from kg.models.frequency import Frequency
from kg.training.algorithm import TrainingAlgorithm
from kg.training.algorithms.counting import Counting
from kg.training.gradient_descent import GradientDescent
from kg.training.run import ALGORITHMS, Run
from kg.training.train import resume, train

DECAY = '''
"""Decay: each epoch every weight shrinks."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import torch

from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.models.scorer import Scorer
from kg.training.algorithm import Epoch, Iterative, Trainer


@final
@dataclass(frozen=True)
class Decay(Iterative):
    """Multiply all weights by `factor` every epoch."""

    factor: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.factor < 1:
            raise UserError(f"factor must be above 0 and below 1: got {self.factor}", "factor")

    def trainer(
        self, scorer: Scorer, dataset: Dataset, seed: int, device: torch.device | str = "cpu"
    ) -> "Decaying":
        return Decaying(scorer, self, seed, device)


@final
class Decaying(Trainer):
    """loss: the squares of all weights."""

    algorithm: Decay
    num_queries = num_steps = 1

    def loss(self) -> float:
        return sum(weight.detach().square().sum().item() for weight in self.scorer.parameters())

    def __iter__(self) -> Iterator[Epoch]:
        while not self.finished:
            with torch.no_grad():
                for weight in self.scorer.parameters():
                    weight.mul_(self.algorithm.factor)
            self._step_taken()
            self.step = 0
            self.epoch += 1
            yield Epoch(self.epoch, self.loss(), self.num_queries, complete=True)
'''


def test_one_file_and_one_line(random_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "decay.py").write_text(DECAY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "decay", raising=False)
    monkeypatch.setitem(ALGORITHMS, "decay", "decay:Decay")
    decay = resolve_name("decay:Decay")
    run = Run(partial(ComplEx, dim=4), decay(0.25, epochs=3, valid_every=1))
    progress = Noted()
    trained = train(random_dataset, run, tmp_path / "model", progress=progress)
    assert [step for _, step, _ in progress.steps] == [1, 2, 3]
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
