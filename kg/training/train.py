"""train(): iterate a Trainer, measure it on valid, save it, stop when asked."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from kg import bundle
from kg.bundle import Bundle
from kg.errors import UserError
from kg.evaluation.temperature import fit_temperature
from kg.graph.dataset import Dataset
from kg.progress import SILENT, Progress
from kg.resources import keep_freed_memory, threads_for
from kg.training.algorithm import Epoch, Trainer
from kg.training.run import Run

_SAVE_EVERY_SECONDS = 60.0


class Interrupted(Exception):
    """Training was asked to stop, and has saved: resume() goes on from here."""


def train(
    dataset: Dataset,
    run: Run,
    out: Path | str,
    *,
    device: torch.device | str = "cpu",
    progress: Progress = SILENT,
) -> Bundle:
    """Train a new model into the folder `out` and return it as saved: the weights with the best MRR on valid.

    A checkpoint is written at least once a minute, and on SIGINT or SIGTERM, which then raise Interrupted. The model
    gives no probabilities yet: kg.probability.fitting.calibrate adds them. UserError if `out` holds a model already.
    """
    check_vacant(out)
    run.to_json()  # what cannot be stored is an error before the first batch
    keep_freed_memory()
    with threads_for(dataset.num_entities * run.algorithm.batch_size):
        return _Training(run, run.trainer(dataset, device), dataset, Path(out), []).finish(progress)


def check_vacant(out: Path | str) -> None:
    """UserError if `out` holds a model already, or other files: now, not at the first save."""
    if bundle.exists(out):
        raise UserError(f"{out} already holds a model: resume goes on with it; or choose another folder", "resume")


def resume(
    out: Path | str,
    *,
    epochs: int | None = None,
    device: torch.device | str = "cpu",
    progress: Progress = SILENT,
) -> Bundle:
    """Go on with the model in `out`, on the split it was trained on; with `epochs`, up to so many instead.

    Takes bitwise the steps an uninterrupted training would have taken, where the environment (threads, PyTorch, kind of
    CPU) is the same; a difference is noted. A finished training is only returned. UserError where the model's format is
    an older one.
    """
    saved = Bundle.load(out)
    if saved.manifest["format"] != bundle.FORMAT:
        raise UserError(
            f"{out} was trained by kg {saved.manifest['kg']}, in a format whose training this version cannot go on "
            "with: use that version, or train anew (all else works)"
        )
    run = _with_epochs(Run.from_json(saved.run), epochs)
    keep_freed_memory()
    with threads_for(saved.dataset.num_entities * run.algorithm.batch_size):
        trainer = run.algorithm.trainer(saved.scorer.train(), saved.dataset, run.seed, device)
        trainer.load_state_dict(saved.state)
        here = bundle.environment()
        changed = [f"{key} {saved.manifest[key]} -> {here[key]}" for key in here if saved.manifest[key] != here[key]]
        if changed:
            progress.note(f"The continuation will differ in its last bits: {', '.join(changed)}")
        if trainer.finished and saved.metrics["finished"]:
            return Bundle.load(out, device)  # saved.scorer holds the last weights by now, not the best
        return _Training(run, trainer, saved.dataset, Path(out), saved.metrics["history"]).finish(progress)


def _with_epochs(run: Run, epochs: int | None) -> Run:
    if epochs is None or epochs == run.algorithm.epochs:
        return run
    if run.algorithm.has_planned_steps:
        raise UserError(
            f"its learning rate was planned for {run.algorithm.epochs} epochs: epochs cannot change now", "epochs"
        )
    return replace(run, algorithm=run.algorithm.with_epochs(epochs))


@dataclass
class _Training:
    """A trainer on its way into one folder. history: a row an epoch, with valid_mrr where it was measured."""

    run: Run
    trainer: Trainer
    dataset: Dataset
    out: Path
    history: list[dict[str, Any]]

    def finish(self, progress: Progress) -> Bundle:
        self.trainer.progress = progress
        self._spent = self.history[-1]["seconds"] if self.history else 0.0
        self._began = self._saved = time.perf_counter()
        with _pausing(self.trainer) as asked:
            for epoch in self.trainer:
                if epoch.complete:
                    self._record(epoch)
                if asked.is_set() or self._due() or not epoch.complete:
                    self._save()
                if asked.is_set():
                    raise Interrupted
        self._save()  # what follows takes a while, and Ctrl-C would lose the last epochs
        return self._finished()

    def _record(self, epoch: Epoch) -> None:
        row = {"epoch": epoch.number, "loss": epoch.loss}
        if len(self.dataset.valid) and epoch.number % self.run.algorithm.valid_every == 0:
            row["valid_mrr"] = self._valid_mrr()
            self.trainer.report(row["valid_mrr"])
        self.history.append({**row, "seconds": self._spent + time.perf_counter() - self._began})

    def _valid_mrr(self) -> float:
        return self.trainer.valid_ranking(self.dataset, None).metrics().mrr

    def _due(self) -> bool:
        return time.perf_counter() - self._saved > _SAVE_EVERY_SECONDS

    def _finished(self) -> Bundle:
        """Choose the weights to answer with, measure them, save them; what a resume goes on from stays as it is."""
        trainer = self.trainer
        last = {name: value.clone() for name, value in trainer.scorer.state_dict().items()}
        weights, epoch = trainer.best_weights(), trainer.best_epoch or trainer.epoch
        # The last epoch, where no validation fell on it: measured apart, so that more epochs would take the same steps.
        passed_by = len(self.dataset.valid) and trainer.epoch % self.run.algorithm.valid_every
        if passed_by and self._valid_mrr() > (trainer.best_mrr or 0):
            weights, epoch = last, trainer.epoch
        trainer.scorer.load_state_dict(weights)
        temperature = self._temperature() or fit_temperature(trainer.scorer, self.dataset)
        valid = None
        if len(self.dataset.valid):
            ranking = trainer.valid_ranking(self.dataset, temperature)
            valid = ranking.metrics(self.dataset.vocabulary.relations).to_json()
        trainer.scorer.load_state_dict(last)
        self._write(weights, epoch, temperature, valid, finished=True)
        return Bundle.load(self.out, trainer.device)

    def _temperature(self) -> float | None:
        """1 where training alone makes softmax(scores) the probability, None where it has to be fitted."""
        return 1.0 if self.run.algorithm.is_calibrated else None

    def _save(self) -> None:
        """A checkpoint: it answers with the best weights so far."""
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
            **({"cross_fitted": True} if self.trainer.is_cross_fitted else {}),
        }
        bundle.save(
            self.out,
            dataset=self.dataset,
            run=self.run.to_json(),
            weights=weights,
            state=self.trainer.state_dict(),
            metrics=metrics,
            temperature=temperature,
        )
        self._saved = time.perf_counter()


@contextmanager
def _pausing(trainer: Trainer) -> Iterator[threading.Event]:
    """Pauses the trainer on SIGINT and SIGTERM (the event is set), and once a minute for a checkpoint.

    A second signal does what it would have done without us. Signals reach the main thread only; elsewhere (a notebook's
    worker, a test) only the checkpoints are kept.
    """
    asked, over = threading.Event(), threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        asked.set()
        trainer.pause()
        for name, handler in before.items():
            signal.signal(name, handler)

    def tick() -> None:
        while not over.wait(_SAVE_EVERY_SECONDS):
            trainer.pause()

    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {name: signal.signal(name, stop) for name in (signal.SIGINT, signal.SIGTERM)}
    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    try:
        yield asked
    finally:
        over.set()
        ticker.join()
        for name, handler in before.items():
            signal.signal(name, handler)
