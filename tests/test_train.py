"""train() and resume(): a folder that survives what happens to the process."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import count, pairwise
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch
from runs import Noted, Stopping, varied
from torch.optim import SGD, Adagrad, Adam

from kg import bundle
from kg.bundle import Bundle
from kg.errors import UserError
from kg.evaluation.ranking import evaluate
from kg.graph.dataset import Dataset
from kg.interruption import Interrupted
from kg.models.complex import ComplEx
from kg.models.distmult import DistMult
from kg.models.frequency import Frequency
from kg.models.gated import Gated
from kg.models.neighbourhood import NeighbourhoodTransformer
from kg.models.scorer import Scorer
from kg.training import estimate
from kg.training import train as training
from kg.training.algorithms.counting import Counting
from kg.training.estimate import planned
from kg.training.gradient_descent import Descent, GradientDescent, Plateau, WarmUp
from kg.training.objectives import NegativeSampling, OneVsAll
from kg.training.run import Run
from kg.training.train import resume, train

RUN = Run(
    partial(ComplEx, dim=4, entity_dropout=0.2),
    GradientDescent(
        partial(Adagrad, lr=0.1), NegativeSampling(8), schedule=Plateau(0.5, 1), batch_size=50, epochs=6, valid_every=2
    ),
    seed=1,
)


def weights(model: Path) -> bytes:
    return (model / (model / "CURRENT").read_text().strip() / "model.safetensors").read_bytes()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tmp_path / "model"


@pytest.mark.usefixtures("handlers")
def test_a_model_as_it_was_trained(random_dataset: Dataset, model: Path) -> None:
    trained = train(random_dataset, RUN, model)
    fit = RUN.trainer(random_dataset)
    mrrs = {}
    for epoch in fit:
        if epoch.number % 2 == 0:
            mrrs[epoch.number] = evaluate(fit.scorer, random_dataset, "valid").metrics().mrr
            fit.report(mrrs[epoch.number])
    expected = fit.best_weights()
    assert all(torch.equal(value, expected[name]) for name, value in trained.scorer.state_dict().items())
    history = trained.metrics["history"]
    assert [row["epoch"] for row in history] == [1, 2, 3, 4, 5, 6]
    assert {row["epoch"]: row["valid_mrr"] for row in history if "valid_mrr" in row} == mrrs
    assert trained.metrics["valid"]["mrr"] == pytest.approx(max(mrrs.values()), rel=1e-6)
    assert trained.metrics["best_epoch"] == max(mrrs, key=lambda number: mrrs[number])
    assert trained.metrics["finished"] and trained.run == RUN.to_json()
    assert trained.temperature is not None and trained.temperature != 1  # a sample trained it


def test_a_full_softmax_needs_no_temperature(random_dataset: Dataset, model: Path) -> None:
    run = Run(partial(DistMult, dim=4), GradientDescent(partial(Adam, lr=0.01), epochs=1))
    assert train(random_dataset, run, model).temperature == 1


def test_without_valid_facts(random_dataset: Dataset, model: Path) -> None:
    data = replace(random_dataset, valid=random_dataset.valid[:0])
    trained = train(data, RUN, model)
    assert trained.metrics["valid"] is None and trained.temperature is None and trained.metrics["best_epoch"] == 6


def test_progress_after_every_step(random_dataset: Dataset, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    progress = Noted()
    train(random_dataset, varied(RUN, epochs=3), model, progress=progress)
    training = [step for step in progress.steps if step[0] == "training"]
    assert training == [("training", step, 48) for step in range(1, 49)] and progress.notes == []
    assert [what for what, *_ in progress.steps if what != "training"] == [
        *["ranking"] * 2,  # epoch 2; epoch 3, which no validation falls on
        *["fitting the temperature"] * 4,
        "ranking",
    ]
    assert all(words in progress.figures for words in ("epoch 2/3, loss ", " queries/s, valid MRR 0."))
    shown = capsys.readouterr()
    assert shown.out == shown.err == ""


# What is refused, before the first batch


@pytest.fixture
def no_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def step(*arguments: object) -> None:
        raise AssertionError("a step was taken")

    monkeypatch.setattr(Descent, "_take_step", step)


def test_a_second_model_in_the_same_folder(random_dataset: Dataset, model: Path) -> None:
    train(random_dataset, varied(RUN, epochs=1), model)
    before = weights(model)
    with pytest.raises(UserError, match="already holds a model: resume goes on"):
        train(random_dataset, replace(RUN, seed=1), model)
    assert weights(model) == before


@pytest.mark.usefixtures("no_step")
def test_a_folder_of_other_things(random_dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match=r"holds other files, such as thesis\.tex"):
        train(random_dataset, RUN, tmp_path)
    with pytest.raises(UserError, match="is a file"):
        train(random_dataset, RUN, tmp_path / "thesis.tex")
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.usefixtures("no_step")
def test_a_run_that_cannot_be_stored(random_dataset: Dataset, model: Path) -> None:
    with pytest.raises(UserError, match="has no name"):
        train(random_dataset, varied(RUN, optimizer=partial(SGD, lr=0.1)), model)
    assert not model.exists()


def test_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no model"):
        resume(tmp_path)


# Going on


@pytest.fixture
def whole(random_dataset: Dataset, tmp_path: Path) -> Path:
    """The uninterrupted training that the others must equal."""
    train(random_dataset, RUN, tmp_path / "whole")
    return tmp_path / "whole"


def without_seconds(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


def assert_same_model(model: Path, whole: Path) -> None:
    left, right = Bundle.load(model), Bundle.load(whole)
    assert weights(model) == weights(whole)
    assert without_seconds(left.metrics.pop("history")) == without_seconds(right.metrics.pop("history"))
    assert left.metrics == right.metrics and left.temperature == right.temperature


def send(monkeypatch: pytest.MonkeyPatch, step: int, *numbers: signal.Signals) -> None:
    """Sends this process these signals while it takes the n-th step of a fit."""
    take = Descent._take_step
    seen = count(1)

    def stepping(fit: Descent, order: torch.Tensor) -> None:
        take(fit, order)
        if next(seen) == step:
            for number in numbers:
                signal.raise_signal(number)

    monkeypatch.setattr(Descent, "_take_step", stepping)


@pytest.fixture
def handlers() -> Iterator[None]:
    """After the test the signals mean what they did before it."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


# 400 facts are 800 questions, and 16 steps an epoch
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", [1, 16, 40, 96], ids=["first", "end of an epoch", "middle", "last"])
@pytest.mark.usefixtures("handlers")
def test_a_signal_saves_and_stops(
    random_dataset: Dataset,
    model: Path,
    whole: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
    number: signal.Signals,
) -> None:
    with monkeypatch.context() as patched:
        send(patched, step, number)
        with pytest.raises(Interrupted):
            train(random_dataset, RUN, model)
    stopped = Bundle.load(model, state=True)
    assert not stopped.metrics["finished"]
    assert (stopped.state["epoch"], stopped.state["step"]) == divmod(step, 16)
    resume(model)
    assert_same_model(model, whole)


# A validation is one step of `ranking`: after epochs 2, 4 and 6; the fourth is that of the weights that were chosen.
STAGES = [("ranking", 1, 2), ("ranking", 3, 6), ("fitting the temperature", 2, 6), ("ranking", 4, 6)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("what", "turn", "epoch"), STAGES)
@pytest.mark.usefixtures("handlers")
def test_a_signal_ends_what_is_measured(
    random_dataset: Dataset, model: Path, whole: Path, what: str, turn: int, epoch: int, number: signal.Signals
) -> None:
    """There and then, with all epochs on disk; the resumed training measures, and is the same."""
    stopping = Stopping(what, turn, number)
    with pytest.raises(Interrupted):
        train(random_dataset, RUN, model, progress=stopping)
    assert stopping.steps[-1][0] == what
    stopped = Bundle.load(model, state=True)
    assert not stopped.metrics["finished"] and stopped.metrics["valid"] is None
    assert (stopped.state["epoch"], stopped.state["step"], len(stopped.metrics["history"])) == (epoch, 0, epoch)
    resume(model)
    assert_same_model(model, whole)


def test_a_training_is_saved_before_it_is_measured(random_dataset: Dataset, model: Path) -> None:
    """Where a checkpoint is due: SIGKILL in a long validation loses no epoch."""
    begun: list[Any] = []

    class Measuring(Noted):
        def at(self, what: str, done: int, total: int | None = None, figures: object = None) -> None:
            if what == "ranking":
                begun.append(Bundle.load(model, state=True).state["epoch"])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training._Training, "_due", lambda self: not self.trainer.step)
        train(random_dataset, RUN, model, progress=Measuring())
    assert begun == [2, 4, 6, 6]


def test_checkpoints_take_little_of_the_time(
    random_dataset: Dataset, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step takes 9 seconds here and a save 8: less than 5 % of the time is written, one save a minute elsewhere."""
    now, saves = 0.0, []
    save = bundle.save

    def saving(*arguments: Any, **options: Any) -> None:
        nonlocal now
        save(*arguments, **options)
        saves.append(now)
        now += 8

    class Clock(Noted):
        def at(self, what: str, done: int, total: int | None = None, figures: object = None) -> None:
            nonlocal now
            now += 9 * (what == "training")

    monkeypatch.setattr(bundle, "save", saving)
    trainer = RUN.trainer(random_dataset)
    made = training._Training(RUN, trainer, random_dataset, model, [], clock=lambda: now)
    made.finish(Clock())
    *checkpoints, last, end = saves
    assert (
        checkpoints[0] == 63 and end == last + 8
    )  # the first one cannot know; at the end it is saved, measured, saved
    assert [later - earlier for earlier, later in pairwise(checkpoints)] == [8 + 162] * 4
    assert made.history[-1]["seconds"] == 6 * 16 * 9 + 8 * len(checkpoints)


@pytest.mark.usefixtures("handlers")
def test_a_second_signal_does_what_it_always_did(
    random_dataset: Dataset, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(monkeypatch, 3, signal.SIGINT, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(random_dataset, RUN, model)
    assert not model.exists()


def test_a_finished_training_is_only_returned(whole: Path) -> None:
    generation = (whole / "CURRENT").read_text()
    returned = resume(whole)
    assert returned.metrics["finished"] and not returned.scorer.training
    saved = Bundle.load(whole).scorer.state_dict()
    assert all(torch.equal(value, saved[name]) for name, value in returned.scorer.state_dict().items())
    assert (whole / "CURRENT").read_text() == generation


def test_the_last_epoch_is_measured_too(random_dataset: Dataset, model: Path) -> None:
    short = train(random_dataset, varied(RUN, epochs=1, valid_every=5), model)
    assert short.metrics["valid"]["mrr"] > 0 and short.metrics["best_epoch"] == 1


def test_a_last_epoch_that_no_validation_fell_on_may_be_the_best(
    random_dataset: Dataset, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {2: 0.1, 3: 0.5}
    monkeypatch.setattr(training._Training, "_valid_mrr", lambda self: found[self.trainer.epoch])
    trained = train(random_dataset, varied(RUN, epochs=3, valid_every=2), model)
    assert trained.metrics["best_epoch"] == 3
    last = Bundle.load(model, state=True).state["scorer"]
    assert all(torch.equal(value, last[name]) for name, value in trained.scorer.state_dict().items())
    found[3] = 0.05
    shutil.rmtree(model)
    assert train(random_dataset, varied(RUN, epochs=3, valid_every=2), model).metrics["best_epoch"] == 2


def test_a_checkpoint_knows_its_temperature(random_dataset: Dataset, model: Path) -> None:
    def stop(self: training._Training) -> Bundle:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training._Training, "_finish", stop)  # Ctrl-C after the last epoch
        train(random_dataset, varied(RUN, epochs=2, objective=OneVsAll()), model)
    saved = Bundle.load(model)
    assert saved.metrics["epochs"] == 2 and saved.temperature == 1.0


def test_more_epochs_than_were_asked_for(random_dataset: Dataset, model: Path, whole: Path) -> None:
    """It goes on from the last weights, not from the best ones, which answer."""
    first = train(random_dataset, varied(RUN, epochs=5), model)
    assert first.metrics["best_epoch"] < 5
    resumed = resume(model, epochs=6)
    assert resumed.run["algorithm"]["arguments"]["epochs"] == 6
    assert_same_model(model, whole)


def test_another_environment_is_said(model: Path, random_dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    train(random_dataset, varied(RUN, epochs=1), model)
    progress, here = Noted(), bundle.environment()
    resume(model, progress=progress)
    assert progress.notes == []
    monkeypatch.setattr(bundle, "environment", lambda: {**here, "threads": 99})
    resume(model, progress=progress)
    assert f"will differ in its last bits: threads {here['threads']} -> 99" in progress.notes[0]


def test_every_pause_is_saved(random_dataset: Dataset, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock pauses the fit for a checkpoint; whether another is due by the clock since the last does not matter."""
    monkeypatch.setattr(training._Training, "_due", lambda self: False)
    take = Descent._take_step

    def pausing(fit: Descent, order: torch.Tensor) -> None:
        take(fit, order)
        if fit.step in (4, 9):
            fit.pause()

    monkeypatch.setattr(Descent, "_take_step", pausing)
    train(random_dataset, varied(RUN, epochs=1), model)
    assert (model / "CURRENT").read_text() == "4\n"  # two pauses, the last step and the end


def test_a_fit_in_another_thread_leaves_signals_alone(random_dataset: Dataset, model: Path) -> None:
    thread = Thread(target=train, args=(random_dataset, varied(RUN, epochs=1), model))
    thread.start()
    thread.join()
    assert Bundle.load(model).metrics["finished"]


# A limit of time


TRAINING = training._Training


class Steps(Noted):
    """A clock that moves by a second a step, and by nothing else."""

    now = 0.0

    def at(self, what: str, done: int, total: int | None = None, figures: Callable[[], str] | None = None) -> None:
        super().at(what, done, total, figures)
        Steps.now += what == "training"


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    monkeypatch.setattr(Steps, "now", 0.0)
    monkeypatch.setattr(training, "_Training", partial(TRAINING, clock=lambda: Steps.now))
    return Steps()


def timed(random_dataset: Dataset, run: Run, model: Path, seconds: float) -> Bundle:
    train(random_dataset, run, model, minutes=seconds / 60, progress=Steps())
    return Bundle.load(model, state=True)


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize("seconds", [3, 16, 24, 32, 95], ids=["first", "epoch", "middle", "measured", "last but one"])
def test_the_clock_ends_a_training_that_goes_on_as_if_it_had_not(
    random_dataset: Dataset, model: Path, whole: Path, seconds: int
) -> None:
    epoch, step = divmod(seconds, 16)
    cut = timed(random_dataset, RUN, model, seconds)
    assert (cut.state["epoch"], cut.state["step"]) == (epoch, step)
    assert cut.metrics["finished"] and cut.metrics["epochs"] == epoch
    assert cut.metrics["cut_short"] == {"minutes": seconds / 60, "step": step, "steps": 16}
    resume(model)
    assert_same_model(model, whole)


@pytest.mark.usefixtures("steps")
def test_the_weights_of_the_last_moment_are_measured_and_the_best_are_kept(
    random_dataset: Dataset, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After 40 seconds two epochs have been measured, and half of a third is over."""
    found = {(2, 0): 0.2, (2, 8): 0.3}
    monkeypatch.setattr(TRAINING, "_valid_mrr", lambda self: found[self.trainer.epoch, self.trainer.step])
    cut = timed(random_dataset, RUN, model, 40)
    assert cut.metrics["best_epoch"] == 3 and cut.metrics["valid"]["mrr"] > 0
    assert all(torch.equal(value, cut.state["scorer"][name]) for name, value in cut.scorer.state_dict().items())
    shutil.rmtree(model)
    monkeypatch.setattr(Steps, "now", 0.0)
    found[2, 8] = 0.1
    cut = timed(random_dataset, RUN, model, 40)
    assert cut.metrics["best_epoch"] == 2
    best = cut.state["best_weights"]
    assert all(torch.equal(value, best[name]) for name, value in cut.scorer.state_dict().items())


class StoppingSteps(Stopping):
    def at(self, what: str, done: int, total: int | None = None, figures: Callable[[], str] | None = None) -> None:
        Steps.now += what == "training"
        super().at(what, done, total, figures)


@pytest.mark.usefixtures("steps", "handlers")
@pytest.mark.parametrize("turn", [1, 2, 3], ids=["an epoch", "its last weights", "the best"])
def test_a_signal_in_what_follows_the_clock_loses_nothing(
    random_dataset: Dataset, model: Path, whole: Path, turn: int
) -> None:
    """Two epochs and a half: one measurement, one of the last moment, one of the weights that answer."""
    with pytest.raises(Interrupted):
        train(random_dataset, RUN, model, minutes=40 / 60, progress=StoppingSteps("ranking", turn))
    stopped = Bundle.load(model, state=True)
    assert (stopped.state["epoch"], stopped.state["step"]) == ((2, 0) if turn == 1 else (2, 8))
    assert not stopped.metrics["finished"]
    resume(model)
    assert_same_model(model, whole)


def test_weights_change_places_and_come_back() -> None:
    table, other = torch.arange(6.0).view(3, 2), torch.arange(6.0, 9.0)
    own = {"table": table, "same": table, "other": other}
    best = {"table": -table, "same": -table, "other": other}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "_AT_ONCE", 4)
        with training._exchanged(own, best):
            assert torch.equal(table, -torch.arange(6.0).view(3, 2)) and torch.equal(other, torch.arange(6.0, 9.0))
    assert torch.equal(table, torch.arange(6.0).view(3, 2))
    assert torch.equal(best["table"], -table) and torch.equal(best["same"], -table)


def test_the_best_weights_are_kept_where_the_last_ones_were(random_dataset: Dataset) -> None:
    fit = RUN.trainer(random_dataset)
    places = set()
    for epoch in fit:
        fit.report(0.1 * epoch.number)
        kept, now = fit.best_weights(), fit.scorer.state_dict()
        assert all(torch.equal(kept[name], now[name]) and kept[name] is not now[name] for name in now)
        places.add(tuple(value.data_ptr() for value in kept.values()))
    assert len(places) == 1


@pytest.mark.usefixtures("steps")
def test_resume_goes_on_for_so_many_more_minutes(random_dataset: Dataset, model: Path) -> None:
    timed(random_dataset, RUN, model, 40)
    resume(model, minutes=24 / 60, progress=Steps())
    more = Bundle.load(model, state=True)
    assert (more.state["epoch"], more.state["step"]) == (4, 0) and Steps.now == 64
    progress = Steps()
    resume(model, minutes=80 / 60, progress=progress)  # past the six epochs it was to have
    beyond = Bundle.load(model, state=True)
    assert (beyond.state["epoch"], beyond.state["step"]) == (9, 0) and "cut_short" in beyond.metrics
    what, done, total = progress.steps[40]  # what is left is what fits
    assert what == "training" and total is not None and abs(total - 16 * 9) <= 1 and done < total


@pytest.mark.usefixtures("steps")
def test_enough_time_changes_nothing(random_dataset: Dataset, model: Path, whole: Path) -> None:
    assert "cut_short" not in timed(random_dataset, RUN, model, 1000).metrics
    assert_same_model(model, whole)


@pytest.mark.usefixtures("no_step")
def test_minutes_that_cannot_be_given(random_dataset: Dataset, model: Path) -> None:
    for minutes in (0, -1, float("nan"), float("inf")):
        with pytest.raises(UserError, match="minutes must be above 0 and finite"):
            train(random_dataset, RUN, model, minutes=minutes)
    with pytest.raises(UserError, match=r"Counting passes over the facts once, .*: minutes cannot be chosen"):
        train(random_dataset, Run(partial(Frequency), Counting()), model, minutes=1)
    assert not model.exists()


PLANNED = varied(RUN, schedule=WarmUp(0.1))


@pytest.mark.usefixtures("steps")
def test_a_planned_rate_is_planned_for_the_epochs_that_fit(
    random_dataset: Dataset, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step takes a second: 16 of them are an epoch."""
    taking = Descent._take_step

    def second(fit: Descent, order: torch.Tensor) -> None:
        Steps.now += 1
        taking(fit, order)

    with monkeypatch.context() as patched:
        patched.setattr(Descent, "_take_step", second)
        for seconds, epochs in ((50, 3), (15, 1), (1000, 6)):
            fitting = planned(PLANNED, random_dataset, seconds / 60, clock=lambda: Steps.now)
            assert fitting == varied(PLANNED, epochs=epochs)
        assert planned(RUN, random_dataset, 1) is RUN
        fitting = planned(PLANNED, random_dataset, 50 / 60, clock=lambda: Steps.now)
    train(random_dataset, varied(PLANNED, epochs=fitting.algorithm.epochs), model)
    with pytest.raises(UserError, match=r"planned for .* epochs: epochs cannot change"):
        resume(model, minutes=1)


# What it will take, in one line


def test_a_long_training_is_told_of(random_dataset: Dataset, model: Path, whole: Path, steps: Steps) -> None:
    train(random_dataset, RUN, model, progress=steps)
    (line,) = steps.notes
    assert line.startswith("1 s a step, 0:16 an epoch (16 steps), 0 s a measurement on valid every 2 epochs: 6 epochs ")
    assert re.search(r"take at most 1:34\. Memory: [\d.]+ [MG]B of [\d.]+ GB, [\d.]+ kB of them the weights$", line)
    assert_same_model(model, whole)
    steps.notes.clear()
    shutil.rmtree(model)
    train(random_dataset, RUN, model, minutes=0.5, progress=steps)
    assert "about 1.9 of 6 epochs fit into 0:28" in steps.notes[0]


def test_a_measurement_is_part_of_what_an_epoch_takes(
    random_dataset: Dataset, model: Path, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """32 of 40 facts are ranked in 4 seconds: all in 5, every second epoch."""

    def slow(*arguments: Any, **options: Any) -> None:
        Steps.now += 4

    monkeypatch.setattr(estimate, "evaluate", slow)
    train(random_dataset, RUN, model, progress=steps)
    assert "5 s a measurement on valid every 2 epochs: 6 epochs take at most 1:49" in steps.notes[0]  # 5.875 * 18.5


def test_a_short_one_is_not(random_dataset: Dataset, model: Path, steps: Steps) -> None:
    train(random_dataset, varied(RUN, batch_size=400), model, progress=steps)  # twelve steps, two of them timed
    assert len(steps.notes) == 1
    steps.notes.clear()
    shutil.rmtree(model)
    train(random_dataset, varied(RUN, batch_size=400, epochs=5), model, progress=steps)
    assert steps.notes == []


# Killed

CHILD = """
import json
import sys

import torch

torch.set_num_threads(1)
from kg.bundle import Bundle
from kg.training import train as training
from kg.training.run import Run

training._SECONDS_BETWEEN_SAVES, training._TIMES_AS_LONG = 0.02, 0
dataset = Bundle.load(sys.argv[1]).dataset
training.train(dataset, Run.from_json(json.loads(sys.argv[2])), sys.argv[3])
"""


@pytest.fixture
def child(random_dataset: Dataset, model: Path, tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that trains `model` for a long time and saves all the while."""
    train(random_dataset, varied(RUN, epochs=1), tmp_path / "data")  # the facts travel in it
    long = json.dumps(varied(RUN, epochs=100_000, patience=100_000).to_json())
    with subprocess.Popen([sys.executable, "-c", CHILD, tmp_path / "data", long, model]) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_generation(model: Path, number: int, process: "subprocess.Popen[bytes]") -> None:
    while process.poll() is None:
        if (model / "CURRENT").exists() and int((model / "CURRENT").read_text()) >= number:
            return
        time.sleep(0.002)
    raise AssertionError("the child ended before it was killed")


@pytest.mark.parametrize("generation", [1, 4])
def test_killed_and_resumed_bitwise(
    random_dataset: Dataset, model: Path, tmp_path: Path, child: "subprocess.Popen[bytes]", generation: int
) -> None:
    wait_for_generation(model, generation, child)
    child.kill()
    assert child.wait() == -signal.SIGKILL
    stopped = Bundle.load(model, state=True)
    assert not stopped.metrics["finished"]
    epochs = stopped.state["epoch"] + 2  # the rest of the epoch under way, and one more
    resumed = resume(model, epochs=epochs)
    run = varied(RUN, epochs=epochs, patience=100_000)
    train(random_dataset, run, tmp_path / "whole")
    assert resumed.run == run.to_json()
    assert_same_model(model, tmp_path / "whole")


def test_a_planned_learning_rate_keeps_its_epochs(random_dataset: Dataset, tmp_path: Path) -> None:
    run = varied(RUN, schedule=WarmUp(), epochs=2)
    train(random_dataset, run, tmp_path / "model")
    with pytest.raises(UserError, match="planned for 2 epochs"):
        resume(tmp_path / "model", epochs=4)
    assert resume(tmp_path / "model", epochs=2).metrics["finished"]


# On top of a trained model


@pytest.fixture
def base(random_dataset: Dataset, tmp_path: Path) -> Path:
    train(random_dataset, varied(RUN, epochs=2), tmp_path / "base")
    return tmp_path / "base"


def on_top(base: Path | str | None, frozen: bool = True, of: "partial[Scorer]" = RUN.scorer) -> Run:
    own = partial(NeighbourhoodTransformer, dim=4, width=8, num_layers=1, hidden_dropout=0.2)
    scorer = partial(Gated, own=own, base=of, frozen=frozen, base_dropout=0.2)
    return varied(RUN, scorer=scorer, hide="exact", epochs=4, base=base and str(base))


def base_of(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix("base."): value for name, value in weights.items() if name.startswith("base.")}


@pytest.mark.parametrize("frozen", [True, False], ids=["frozen", "learning"])
def test_a_base_starts_as_the_trained_model(random_dataset: Dataset, model: Path, base: Path, frozen: bool) -> None:
    """The frozen one ends so, bitwise; one that learns does not."""
    expected = Bundle.load(base).scorer.state_dict()
    with pytest.MonkeyPatch.context() as patch:
        started: dict[str, torch.Tensor] = {}

        def stepping(fit: Descent, order: torch.Tensor) -> None:
            if not started:
                started.update({name: value.clone() for name, value in fit.scorer.state_dict().items()})
            take(fit, order)

        take = Descent._take_step
        patch.setattr(Descent, "_take_step", stepping)
        train(random_dataset, on_top(base, frozen), model)
    trained = Bundle.load(model, state=True)
    assert base_of(started).keys() == expected.keys()
    assert all(torch.equal(base_of(started)[name], value) for name, value in expected.items())
    for weights in (trained.scorer.state_dict(), trained.state["scorer"]):
        assert all(torch.equal(base_of(weights)[name], value) == frozen for name, value in expected.items())


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("step", [1, 24], ids=["first", "middle"])
def test_a_resumed_training_does_not_need_the_base_any_more(
    random_dataset: Dataset, tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    run = on_top(base)
    train(random_dataset, run, tmp_path / "whole")
    with monkeypatch.context() as patched:
        send(patched, step, signal.SIGINT)
        with pytest.raises(Interrupted):
            train(random_dataset, run, tmp_path / "model")
    shutil.rmtree(base)
    resume(tmp_path / "model")
    assert_same_model(tmp_path / "model", tmp_path / "whole")


@pytest.mark.usefixtures("no_step")
def test_a_base_that_does_not_fit(random_dataset: Dataset, model: Path, tmp_path: Path) -> None:
    nowhere = on_top(tmp_path / "nowhere")
    with pytest.raises(UserError, match="nowhere is no model"):
        train(random_dataset, nowhere, model)
    with pytest.raises(UserError, match="ComplEx has no base that could start as"):
        train(random_dataset, varied(RUN, base=str(tmp_path / "nowhere")), model)
    assert not model.exists()


def test_a_base_of_other_facts_or_another_shape(random_dataset: Dataset, model: Path, base: Path) -> None:
    other = replace(random_dataset, test=random_dataset.test[1:])
    declared = "is not what the base is declared as: "
    for data, run, message in (
        (other, on_top(base), "base was trained on other facts"),
        (random_dataset, on_top(base, of=partial(ComplEx, dim=5)), declared + "Error.* size mismatch for table.weight"),
        (random_dataset, on_top(base, of=partial(ComplEx, dim=4, tied=True)), declared + ".*diagonal.weight"),
        (random_dataset, on_top(base, of=partial(DistMult, dim=8)), declared + "ComplEx, not DistMult"),
    ):
        with pytest.raises(UserError, match=message) as raised:
            train(data, run, model)
        assert "\n" not in str(raised.value)
    assert not model.exists()


def test_a_frozen_base_that_never_learned_is_refused(random_dataset: Dataset, tmp_path: Path) -> None:
    scorer = partial(Gated, own=partial(ComplEx, dim=2), base=partial(ComplEx, dim=2), frozen=True)
    run = Run(scorer, GradientDescent(partial(Adam, lr=0.1), hide="exact"))
    with pytest.raises(UserError, match="a frozen base must have been trained before"):
        train(random_dataset, run, tmp_path / "model")
