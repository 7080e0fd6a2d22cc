"""train(): iterate a Trainer, measure it on valid, save it, stop when asked."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from kg import bundle
from kg.bundle import Bundle
from kg.errors import UserError, one_line
from kg.evaluation.temperature import fit_temperature
from kg.graph.dataset import Dataset
from kg.interruption import Interrupted, finishing, interruptible
from kg.progress import SILENT, Progress
from kg.resources import keep_freed_memory, threads_for
from kg.training.algorithm import Epoch, Trainer
from kg.training.estimate import Stopwatch, check_minutes, told
from kg.training.run import Run

_SECONDS_BETWEEN_SAVES = 60.0  # at least ...
_AT_ONCE = 1 << 22  # numbers that change places
_TIMES_AS_LONG = 20  # ... and so many times as long as the last one took: saving takes at most 5 % of the time


@interruptible()
def train(
    dataset: Dataset,
    run: Run,
    out: Path | str,
    *,
    minutes: float | None = None,
    device: torch.device | str = "cpu",
    progress: Progress = SILENT,
) -> Bundle:
    """Train a new model into the folder `out` and return it as saved: the weights with the best MRR on valid.

    minutes: training ends when so much time is used, in the middle of an epoch, too, where the weights of that moment
    are measured apart; resume then goes on from there as if nothing had happened. What is measured after the end comes
    on top. See kg.training.estimate.planned for a learning rate that is planned over all epochs.
    A checkpoint is written once a minute, less often where writing it takes long, and on SIGINT or SIGTERM, which then
    raise Interrupted. The model gives no probabilities yet: kg.probability.fitting.calibrate adds them. UserError if
    `out` holds a model already, and for minutes where the algorithm passes over the facts once.
    """
    check_vacant(out)
    check_minutes(minutes, run)
    run.to_json()  # what cannot be stored is an error before the first batch
    keep_freed_memory()
    with threads_for(dataset.num_entities * run.algorithm.batch_size):
        _Training(run, run.trainer(dataset, device, progress), dataset, Path(out), [], minutes).finish(progress)
        return Bundle.load(out, device)


def check_vacant(out: Path | str) -> None:
    """UserError if `out` holds a model already, or other files: now, not at the first save."""
    if bundle.exists(out):
        raise UserError(f"{out} already holds a model: resume goes on with it; or choose another folder", "resume")


@interruptible()
def resume(
    out: Path | str,
    *,
    epochs: int | None = None,
    minutes: float | None = None,
    device: torch.device | str = "cpu",
    progress: Progress = SILENT,
) -> Bundle:
    """Go on with the model in `out`, on the split it was trained on; with `epochs`, up to so many instead; with
    `minutes`, for so much more time, with as many more epochs as that takes where `epochs` does not limit them.

    Takes bitwise the steps an uninterrupted training would have taken, where the environment (threads, PyTorch, kind of
    CPU) is the same; a difference is noted. One that was stopped after its last epoch is measured; a finished one is
    only returned. UserError where the model's format is an older one, and where epochs or minutes are asked for after
    the end of a learning rate that was planned.
    """
    saved = Bundle.load(out, state=True)
    run = _with_epochs(run_of(saved), epochs)
    check_minutes(minutes, run)
    if minutes is not None and epochs is None:
        run = _with_more_epochs(run, saved, minutes)
    keep_freed_memory()
    with threads_for(saved.dataset.num_entities * run.algorithm.batch_size):
        trainer = trainer_of(saved, run, device)
        here = bundle.environment()
        changed = [
            f"{key} {saved.manifest.get(key)} -> {here[key]}" for key in here if saved.manifest.get(key) != here[key]
        ]
        if changed:
            progress.note(f"The continuation will differ in its last bits: {', '.join(changed)}")
        if trainer.finished and saved.metrics["finished"]:
            if minutes is not None:
                progress.note(f"{out} is finished: its MRR on valid no longer rises")
            return Bundle.load(out, device)  # saved.scorer holds the last weights by now, not the best
        _Training(run, trainer, saved.dataset, Path(out), saved.metrics["history"], minutes).finish(progress)
        del trainer, saved
        return Bundle.load(out, device)


def run_of(saved: Bundle) -> Run:
    """What trained it. UserError where that is of an older format, or this version cannot read it."""
    if saved.manifest["format"] != bundle.FORMAT:
        raise UserError(
            f"{saved.path} was trained by kg {saved.manifest.get('kg')}, in a format with which no training of this "
            "version goes on: use that one, or train another model (all else works)"
        )
    with _naming(saved, "config.json"):
        return Run.from_json(saved.run)


def trainer_of(saved: Bundle, run: Run, device: torch.device | str = "cpu") -> Trainer:
    """The training, where it was when it was saved. UserError that names the file where there was none."""
    with _naming(saved, "config.json"):
        trainer = run.algorithm.trainer(saved.scorer.train(), saved.dataset, run.seed, device)
    with _naming(saved, "state/"):
        trainer.load_state_dict(saved.state)
    return trainer


@contextmanager
def _naming(saved: Bundle, name: str) -> Iterator[None]:
    """Whoever wrote a model wrote its settings and its state: what they lead to is an error of that file."""
    try:
        yield
    except (UserError, KeyError, ValueError, TypeError, AttributeError, OverflowError, NotImplementedError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else one_line(str(error))
        raise UserError(f"{saved.path}: no training can go on with its {name}: {what}") from None


def _with_epochs(run: Run, epochs: int | None) -> Run:
    if epochs is None or epochs == run.algorithm.epochs:
        return run
    if run.algorithm.has_planned_steps:
        raise UserError(
            f"its learning rate was planned for {run.algorithm.epochs} epochs: epochs cannot change now", "epochs"
        )
    return replace(run, algorithm=run.algorithm.with_epochs(epochs))


def _with_more_epochs(run: Run, saved: Bundle, minutes: float) -> Run:
    """With as many epochs as so much time cannot be too long for, by what those before took."""
    history = saved.metrics["history"]
    if run.algorithm.has_planned_steps or not history:
        if saved.state["epoch"] >= run.algorithm.epochs:
            _with_epochs(run, run.algorithm.epochs + 1)  # which says why it cannot
        return run
    pace = max(history[-1]["seconds"] / history[-1]["epoch"], 1e-3)
    return _with_epochs(run, max(run.algorithm.epochs, saved.state["epoch"] + math.ceil(120 * minutes / pace)))


@contextmanager
def _exchanged(own: dict[str, Tensor], other: dict[str, Tensor]) -> Iterator[None]:
    """Meanwhile each has the values of the other, without a copy of either. What is the same tensor stays as it is."""
    pairs = [(value.view(-1), other[name].view(-1)) for name, value in own.items()]
    pairs = [(here, there) for here, there in pairs if here.data_ptr() != there.data_ptr()]
    _exchange(pairs)
    try:
        yield
    finally:
        _exchange(pairs[::-1])  # in this order, as two names may share their numbers


def _exchange(pairs: list[tuple[Tensor, Tensor]]) -> None:
    with finishing():
        for own, other in pairs:
            for here, there in zip(torch.split(own, _AT_ONCE), torch.split(other, _AT_ONCE), strict=True):
                kept = here.clone()
                here.copy_(there)
                there.copy_(kept)


@dataclass
class _Training:
    """A trainer on its way into one folder. history: a row an epoch, with valid_mrr where it was measured.
    minutes: how long from now on; None: to its last epoch.

    A signal ends the step under way, saves and raises Interrupted; a validation it ends at once, which the resumed
    training repeats: nothing depends on it yet.
    """

    run: Run
    trainer: Trainer
    dataset: Dataset
    out: Path
    history: list[dict[str, Any]]
    minutes: float | None = None
    clock: Callable[[], float] = time.perf_counter
    _unsaved: bool = field(default=False, init=False)
    _save_took: float = field(default=0.0, init=False)

    def finish(self, progress: Progress) -> None:
        """Train to the end, and save. What the trainer holds can be freed then."""
        self._progress, self.trainer.progress = progress, _Watching(progress, self)
        self._spent = self.history[-1]["seconds"] if self.history else 0.0
        self._began = self._saved = self.clock()
        try:
            self._validate()  # the last epoch, if that was dropped
            for epoch in self._epochs():
                if epoch.complete:
                    self._validate()
        except Interrupted:
            self._save()
            raise
        self._finish()
        self.trainer.progress = SILENT  # which held this

    def _epochs(self) -> Iterator[Epoch]:
        """The trainer's, each on disk where a checkpoint is due, and all when the last one is over."""
        epochs, epoch = iter(self.trainer), None
        while True:
            is_over = self.trainer.finished or self.time_is_up()
            with finishing(self.trainer.pause):
                self._unsaved = self._unsaved or not is_over
                epoch = None if is_over else next(epochs, None)
                if epoch and epoch.complete:
                    row = {"epoch": epoch.number, "loss": epoch.loss}
                    self.history.append({**row, "seconds": self._seconds()})
                if epoch is None or self._due() or not epoch.complete:
                    self._save()  # before a validation: it takes a while, and SIGKILL would lose the epoch
            if epoch is None:
                return
            yield epoch

    def _validate(self) -> None:
        """Measure the last epoch, if it is one's turn that has not been measured."""
        row = self.history[-1] if self.history else None
        is_due = row and not self.trainer.step and not row["epoch"] % self.run.algorithm.valid_every
        if row is None or not is_due or "valid_mrr" in row or not len(self.dataset.valid):
            return
        found = self._valid_mrr()
        with finishing():
            row |= {"valid_mrr": found, "seconds": self._seconds()}
            self.trainer.report(found)
            self._unsaved = True
            if self._due():
                self._save()

    def _valid_mrr(self) -> float:
        return self.trainer.valid_ranking(self.dataset, None, self._progress).metrics().mrr

    def _seconds(self) -> float:
        return self._spent + self.clock() - self._began

    def seconds_left(self) -> float | None:
        """Of those that were given; None: there is no limit."""
        return None if self.minutes is None else self._began + 60 * self.minutes - self.clock()

    def time_is_up(self) -> bool:
        left = self.seconds_left()
        return left is not None and left <= 0

    def _due(self) -> bool:
        return self.clock() - self._saved > max(_SECONDS_BETWEEN_SAVES, _TIMES_AS_LONG * self._save_took)

    def _finish(self) -> None:
        """Choose the weights to answer with, measure them, save them; what a resume goes on from stays as it is."""
        trainer, progress = self.trainer, self._progress
        now = trainer.epoch + bool(trainer.step)  # the epoch under way is the last one, where the time was up in it
        weights, epoch = trainer.best_weights(), trainer.best_epoch or now
        # The last epoch, where no validation fell on it: measured apart, so that more epochs would take the same steps.
        passed_by = len(self.dataset.valid) and (trainer.step or trainer.epoch % self.run.algorithm.valid_every)
        if passed_by and self._valid_mrr() > (trainer.best_mrr or 0):
            weights, epoch = trainer.answering.state_dict(), now
        with _exchanged(trainer.answering.state_dict(), weights):
            temperature = self._temperature() or fit_temperature(trainer.answering, self.dataset, progress=progress)
            valid = None
            if len(self.dataset.valid):
                ranking = trainer.valid_ranking(self.dataset, temperature, progress)
                valid = ranking.metrics(self.dataset.vocabulary.relations).to_json()
        with finishing():
            self._write(weights, epoch, temperature, valid, finished=True)

    def _temperature(self) -> float | None:
        """1 where training alone makes softmax(scores) the probability, None where it has to be fitted."""
        return 1.0 if self.run.algorithm.is_calibrated else None

    def _save(self) -> None:
        """A checkpoint, if the last one is not of now: it answers with the best weights so far."""
        if self._unsaved:
            epoch = self.trainer.best_epoch or self.trainer.epoch
            self._write(self.trainer.best_weights(), epoch, self._temperature(), valid=None, finished=False)

    def _write(
        self,
        weights: dict[str, Tensor],
        best_epoch: int,
        temperature: float | None,
        valid: dict[str, Any] | None,
        finished: bool,
    ) -> None:
        metrics = {
            "valid": valid,
            "finished": finished,
            "epochs": self.trainer.epoch,
            "best_epoch": best_epoch,
            "history": self.history,
            **({} if self.trainer.finished or not finished else {"cut_short": self._cut_short()}),
            **({"cross_fitted": True} if self.trainer.is_cross_fitted else {}),
        }
        began = self.clock()
        bundle.save(
            self.out,
            dataset=self.dataset,
            run=self.run.to_json(),
            weights=weights,
            state=self.trainer.state_dict(),
            metrics=metrics,
            temperature=temperature,
        )
        self._saved, self._unsaved = self.clock(), False
        self._save_took = self._saved - began

    def _cut_short(self) -> dict[str, Any]:
        """Where the clock ended it."""
        return {"minutes": self.minutes, "step": self.trainer.step, "steps": self.trainer.num_steps}


@final
class _Watching(Progress):
    """Passes on what a trainer tells, and how long all will take; pauses it when a checkpoint is due or time is up."""

    def __init__(self, told: Progress, training: _Training) -> None:
        self._told, self._training = told, training
        self._watch: Stopwatch | None = Stopwatch(training.clock) if training.run.algorithm.is_iterative else None
        self._first: tuple[float, int] | None = None  # when a step was told of, and its number

    def at(self, what: str, done: int, total: int | None = None, figures: Callable[[], str] | None = None) -> None:
        self._told.at(what, done, self._within_time(done, total), figures)
        if self._watch and self._watch.step_taken():
            self._estimate(self._watch)
            self._watch = None
        if self._training._due() or self._training.time_is_up():
            self._training.trainer.pause()

    def note(self, text: str) -> None:
        self._told.note(text)

    def _within_time(self, done: int, total: int | None) -> int | None:
        """How many steps there will be: no more than are taken, at the present pace, before the time is up."""
        left, now = self._training.seconds_left(), self._training.clock()
        began, first = self._first = self._first or (now, done)
        if left is None or total is None or now <= began:
            return total
        return min(total, done + max(0, math.ceil(left * (done - first) / (now - began))))

    def _estimate(self, watch: Stopwatch) -> None:
        training = self._training
        took = watch.seconds_a_step or 0.0
        line = told(training.trainer, training.dataset, took, training.seconds_left(), training.clock)
        if line:
            self._told.note(line)
