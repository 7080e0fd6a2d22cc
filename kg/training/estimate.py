"""How long a training will take, and what it holds: from its first steps, or from a trial of a few beforehand."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import final

import torch

from kg.errors import UserError
from kg.evaluation.ranking import evaluate
from kg.graph.dataset import Dataset
from kg.progress import Progress, duration
from kg.resources import in_units, keep_freed_memory, memory_bytes, peak_bytes, threads_for
from kg.training.algorithm import Trainer
from kg.training.run import Run

_TIMED_SECONDS = 1.0  # of steps after the first one, which makes buffers and compiles: so many are timed
_WORTH_TELLING = 10.0  # seconds that what is left takes
_SOME = 32  # valid facts, ranked to know how long a measurement takes


@final
class Stopwatch:
    """How long a step of a training takes, from the end of its first one here on."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._began: float | None = None
        self._steps = -1
        self._elapsed = 0.0

    def step_taken(self) -> bool:
        """Whether enough steps were timed."""
        now = self._clock()
        self._began = now if self._began is None else self._began
        self._steps += 1
        self._elapsed = now - self._began
        return self._steps > 0 and self._elapsed >= _TIMED_SECONDS

    @property
    def seconds_a_step(self) -> float | None:
        """None before the second step."""
        return self._elapsed / self._steps if self._steps > 0 else None


def seconds_a_measurement(trainer: Trainer, dataset: Dataset, clock: Callable[[], float] = time.perf_counter) -> float:
    """How long a measurement on valid takes, by the time of a few of its facts; 0 where there are none."""
    measured = trainer.num_measured(dataset)
    if not measured:
        return 0.0
    dataset.known("train", "valid"), dataset.graph()  # sorted once a dataset: no part of a measurement
    began, some = clock(), min(_SOME, measured)
    evaluate(trainer.answering, dataset, "valid", temperature=None, sample=some)
    return (clock() - began) * measured / some


def told(
    trainer: Trainer,
    dataset: Dataset,
    seconds_a_step: float,
    left_seconds: float | None,
    clock: Callable[[], float] = time.perf_counter,
) -> str | None:
    """One line for a person: what a step, an epoch, a measurement and all epochs take, and how much memory is held.

    left_seconds: how many are given for it (None: no limit). None where all that is left takes less than ten seconds.
    """
    algorithm = trainer.algorithm
    done = trainer.epoch + trainer.step / trainer.num_steps  # epochs
    left = algorithm.epochs - done
    epoch = seconds_a_step * trainer.num_steps
    if left * epoch < _WORTH_TELLING:
        return None
    measurement = seconds_a_measurement(trainer, dataset, clock)
    an_epoch = epoch + measurement / algorithm.valid_every  # with its part in a measurement
    total = f"{algorithm.epochs:,} epochs take at most {duration(left * an_epoch)}"
    if left_seconds is not None and left_seconds < left * an_epoch:
        fitting = done + left_seconds / an_epoch
        total = f"about {fitting:,.1f} of {algorithm.epochs:,} epochs fit into {duration(left_seconds)}"
    every = f" every {algorithm.valid_every} epochs" if algorithm.valid_every > 1 else ""
    measuring = f"{_took(measurement)} a measurement on valid{every}" if len(dataset.valid) else "never measured"
    weights = sum(weight.numel() * weight.element_size() for weight in trainer.scorer.parameters())
    kept = (
        weights if len(dataset.valid) and not trainer.best_epoch else 0
    )  # the best ones, from the first measurement on
    memory = f"{in_units(peak_bytes(trainer.device) + kept)} of {in_units(memory_bytes(trainer.device))}"
    return (
        f"{_took(seconds_a_step)} a step, {_took(epoch)} an epoch ({trainer.num_steps:,} steps), {measuring}: {total}. "
        f"Memory: {memory}, {in_units(weights)} of them the weights"
    )


def _took(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 10 else duration(seconds)


def check_minutes(minutes: float | None, run: Run | None = None) -> None:
    """UserError unless so much time can be given: to such a training, where it is known."""
    if minutes is None:
        return
    if not 0 < minutes < math.inf:
        raise UserError(f"minutes must be above 0 and finite: got {minutes:g}", "minutes")
    if run and not run.algorithm.is_iterative:
        name = type(run.algorithm).__name__
        raise UserError(
            f"{name} passes over the facts once, which cannot be cut short: minutes cannot be chosen", "minutes"
        )


def planned(
    run: Run,
    dataset: Dataset,
    minutes: float,
    device: torch.device | str = "cpu",
    clock: Callable[[], float] = time.perf_counter,
) -> Run:
    """The run with its learning rate planned for as many of its epochs as fit into so much time, at least one.

    Only a rate that is planned over all epochs has to know that beforehand: any other run stays as it is, and is cut by
    the clock. A new training is tried for some steps and thrown away, so that the real one is what it would have been.
    """
    check_minutes(minutes, run)
    if not run.algorithm.has_planned_steps:
        return run
    keep_freed_memory()
    with threads_for(dataset.num_entities * run.algorithm.batch_size):
        trial, watch = run.trainer(dataset, device), Stopwatch(clock)
        trial.progress = _Trying(trial, watch)
        for _ in trial:
            if watch.seconds_a_step is not None:
                break
        if watch.seconds_a_step is None:
            return run  # its only step is over by now
        epoch = watch.seconds_a_step * trial.num_steps
        epoch += seconds_a_measurement(trial, dataset, clock) / run.algorithm.valid_every
    fitting = max(1, min(run.algorithm.epochs, math.floor(60 * minutes / epoch)))
    return replace(run, algorithm=run.algorithm.with_epochs(fitting))


@final
class _Trying(Progress):
    """Pauses a trial once enough of its steps were timed."""

    def __init__(self, trial: Trainer, watch: Stopwatch) -> None:
        self._trial, self._watch = trial, watch

    def at(self, what: str, done: int, total: int | None = None, figures: Callable[[], str] | None = None) -> None:
        if self._watch.step_taken():
            self._trial.pause()
