"""Whatever the algorithm: a training that was stopped goes on to the very weights that it would have had."""

import signal
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import Noted, Stopping
from torch.optim import Adagrad

from kg import bundle
from kg.bundle import Bundle
from kg.graph.dataset import Dataset
from kg.interruption import Interrupted
from kg.models.are import ARE
from kg.models.combined import Combined
from kg.models.conve import ConvE
from kg.models.distmult import DistMult
from kg.models.frequency import Frequency
from kg.models.path_ranking import PathRanking
from kg.models.rescal import RESCAL
from kg.training.algorithms.additive import Additive
from kg.training.algorithms.als import ALS
from kg.training.algorithms.counting import Counting
from kg.training.algorithms.path_regression import PathRegression
from kg.training.ensembles.stacking import Stacking
from kg.training.gradient_descent import GradientDescent
from kg.training.run import Run
from kg.training.train import resume, train

DESCENT = GradientDescent(partial(Adagrad, lr=0.1), batch_size=300, epochs=2, valid_every=1, hide="exact")
RUNS = {
    "descent": Run(partial(ConvE, dim=12, channels=2), DESCENT),
    "als": Run(partial(RESCAL, dim=6, tied=True), ALS(epochs=2, valid_every=1)),
    "path_regression": Run(partial(PathRanking), PathRegression(num_facts=50)),
    "additive": Run(partial(ARE), Additive(DESCENT, num_facts=50)),
    "stacking": Run(partial(Combined, parts=[partial(Frequency), partial(DistMult, dim=4)]), Stacking(("a", "b"))),
}


@pytest.fixture
def parts(random_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the combination is made of, in the working directory."""
    monkeypatch.chdir(tmp_path)
    train(random_dataset, Run(partial(Frequency), Counting()), "a")
    train(random_dataset, Run(partial(DistMult, dim=4), GradientDescent(partial(Adagrad, lr=0.1), epochs=1)), "b")


@pytest.mark.parametrize("method", [ConvE.encode, Adagrad.step], ids=["forward", "weights move"])
def test_a_step_is_dropped_or_comes_to_its_end(
    random_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: Callable[..., Any]
) -> None:
    """Of one that is dropped nothing is left, in batch normalisation either."""
    calls = count(1)

    def stopping(*arguments: Any, **options: Any) -> Any:
        result = method(*arguments, **options)
        if next(calls) == 2:
            signal.raise_signal(signal.SIGTERM)
        return result

    whole = train(random_dataset, RUNS["descent"], tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(ConvE if method is ConvE.encode else Adagrad, method.__name__, stopping)
        train(random_dataset, RUNS["descent"], tmp_path / "model")
    assert Bundle.load(tmp_path / "model", state=True).state["step"] == (1 if method is ConvE.encode else 2)
    resumed = resume(tmp_path / "model").scorer.state_dict()
    for key, value in whole.scorer.state_dict().items():
        assert torch.equal(resumed[key], value), key


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.usefixtures("parts")
def test_stopped_and_resumed(random_dataset: Dataset, name: str) -> None:
    """After the second step, and where the last measurement is."""
    told = Noted()
    whole = train(random_dataset, RUNS[name], "whole", progress=told)
    last = len(told.steps)
    for number, sent in {min(2, last): signal.SIGTERM, last: signal.SIGINT}.items():
        model = Path(f"{name}-{number}")
        with pytest.raises(Interrupted):
            train(random_dataset, RUNS[name], model, progress=Stopping(number=number, sent=sent))
        if bundle.exists(model):
            assert not Bundle.load(model).metrics["finished"]
            resumed = resume(model)
        else:
            assert name == "additive" and number == 2  # its paths are found before there is anything to save
            continue
        for key, value in whole.scorer.state_dict().items():
            assert torch.equal(resumed.scorer.state_dict()[key], value), (key, number)
        assert resumed.metrics["valid"] == whole.metrics["valid"]
