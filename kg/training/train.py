"""train(): iterate a Fit, measure it on valid, save it, stop when asked."""

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
from rich.console import Console
from rich.progress import BarColumn, Progress, Task, TextColumn
from rich.text import Text
from torch import Tensor

from kg import bundle
from kg.bundle import Bundle
from kg.errors import UserError
from kg.evaluation.temperature import fit_temperature
from kg.graph.dataset import Dataset
from kg.models.ensemble import Ensemble
from kg.models.gated import Gated
from kg.models.scorer import Scorer
from kg.probability.fitting import fit_calibration
from kg.training.gradient_descent import Epoch, Fit, Fitting
from kg.training.memory import keep_freed_memory
from kg.training.run import Run, WarmUp

_SAVE_EVERY_SECONDS = 60.0
_FEW_SCORES = 1_000_000


class Interrupted(Exception):
    """Training was asked to stop, and has saved: `kg train --resume` goes on from here."""


def train(
    dataset: Dataset,
    run: Run,
    out: Path | str,
    *,
    device: torch.device | str = "cpu",
    console: Console | None = None,
    quiet: bool = False,
) -> Bundle:
    """Train a new model into the folder `out` and return it as saved: the weights with the best MRR on valid.

    A checkpoint is written at least once a minute, and on SIGINT or SIGTERM, which then raise Interrupted.
    UserError if `out` holds a model already.
    """
    check_vacant(out)
    run.to_json()  # what cannot be stored is an error before the first batch
    keep_freed_memory()
    with threads_for(dataset, run):
        scorer = run.new_scorer(dataset.num_entities, dataset.num_relations)
        _start_parts(scorer, dataset, run)
        fit = fitting(scorer, dataset, run, device)
        return _Training(fit, dataset, Path(out), []).finish(console or Console(stderr=True), quiet)


def _start_parts(scorer: Scorer, dataset: Dataset, run: Run) -> None:
    """Give the scorer's base, or the parts of a combination, the weights of trained models."""
    if run.base:
        if not isinstance(scorer, Gated):
            raise UserError(f"{type(scorer).__name__} has no base that could start as {run.base}")
        _start(scorer.base, "base", dataset, run.base)
    elif isinstance(scorer, Gated) and scorer.frozen:
        raise UserError("a frozen base must have been trained before: give the Run its folder, base=...")
    parts = list(scorer.scorers()) if isinstance(scorer, Ensemble) else []
    if len(run.parts) != len(parts):
        has = f"{type(scorer).__name__} has {len(parts)} parts"
        raise UserError(f"{has} that must have been trained before: the Run names {len(run.parts)} folders, parts=...")
    for part, model in zip(parts, run.parts, strict=True):
        _start(part, "part", dataset, model)


def _start(scorer: Scorer, what: str, dataset: Dataset, model: str) -> None:
    """Give it the weights of a trained model."""
    trained = trained_on(dataset, model, what)
    if type(trained.scorer) is not type(scorer):  # whose weights may be of the same shapes
        found, declared = type(trained.scorer).__name__, type(scorer).__name__
        raise UserError(f"{model} is not what the {what} is declared as: {found}, not {declared}")
    try:
        scorer.load_state_dict(trained.scorer.state_dict())
    except RuntimeError as error:
        raise UserError(f"{model} is not what the {what} is declared as: {' '.join(str(error).split())}") from error


def trained_on(dataset: Dataset, model: Path | str, what: str) -> Bundle:
    """A trained model of the same facts, to be the base or a part of another; UserError where it is of others."""
    trained = Bundle.load(model)
    if trained.dataset.digest() != dataset.digest():
        raise UserError(f"{model} was trained on other facts: it cannot be the {what} here")
    return trained


def fitting(scorer: Scorer, dataset: Dataset, run: Run, device: torch.device | str = "cpu") -> Fitting:
    """The training that a Run asks for, as something to iterate over."""
    return run.procedure.fit(scorer, dataset, run, device) if run.procedure else Fit(scorer, dataset, run, device)


def check_vacant(out: Path | str) -> None:
    """UserError if `out` holds a model already, or other files: now, not at the first save."""
    if bundle.exists(out):
        raise UserError(f"{out} already holds a model: --resume goes on with it; or choose another folder")


def resume(
    out: Path | str,
    *,
    epochs: int | None = None,
    device: torch.device | str = "cpu",
    console: Console | None = None,
    quiet: bool = False,
) -> Bundle:
    """Go on with the model in `out`, on the split it was trained on; with `epochs`, up to so many instead.

    Takes bitwise the steps an uninterrupted training would have taken, where the environment (threads, PyTorch, kind of
    CPU) is the same; a difference is said. A finished training is only returned.
    """
    console = console or Console(stderr=True)
    saved = Bundle.load(out)
    run = Run.from_json(saved.run)
    if epochs not in (None, run.epochs) and isinstance(run.schedule, WarmUp):
        raise UserError(f"its learning rate was planned for {run.epochs} epochs: --epochs cannot change them now")
    run = run if epochs is None else replace(run, epochs=epochs)
    keep_freed_memory()
    with threads_for(saved.dataset, run):
        fit = fitting(saved.scorer.train(), saved.dataset, run, device)
        fit.load_state_dict(saved.state)
        here = bundle.environment()
        changed = [f"{key} {saved.manifest[key]} -> {here[key]}" for key in here if saved.manifest[key] != here[key]]
        if changed and not quiet:
            console.print(f"The continuation will differ in its last bits: {', '.join(changed)}")
        if fit.finished and saved.metrics["finished"]:
            return Bundle.load(out, device)  # saved.scorer holds the last weights by now, not the best
        return _Training(fit, saved.dataset, Path(out), saved.metrics["history"]).finish(console, quiet)


@contextmanager
def threads_for(dataset: Dataset, run: Run) -> Iterator[None]:
    """One thread while the scores of a step are few, as many as there were otherwise.

    On such a step a second thread gains nothing, and where the cores have other work to do each of its hundred
    meeting points waits for the scheduler: the demo then took ten times as long.
    """
    before = torch.get_num_threads()
    if dataset.num_entities * run.batch_size < _FEW_SCORES:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass
class _Training:
    """One fit on its way into one folder. history: a row an epoch, with valid_mrr where it was measured."""

    fit: Fitting
    dataset: Dataset
    out: Path
    history: list[dict[str, Any]]

    def finish(self, console: Console, quiet: bool) -> Bundle:
        self._spent = self.history[-1]["seconds"] if self.history else 0.0
        self._began = self._saved = time.perf_counter()
        with _progress(self.fit, console, quiet), _pausing(self.fit) as asked:
            for epoch in self.fit:
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
        if len(self.dataset.valid) and epoch.number % self.fit.run.valid_every == 0:
            row["valid_mrr"] = self._valid_mrr()
            self.fit.report(row["valid_mrr"])
        self.history.append({**row, "seconds": self._spent + time.perf_counter() - self._began})

    def _valid_mrr(self) -> float:
        return self.fit.valid_ranking(self.dataset, None).metrics().mrr

    def _due(self) -> bool:
        return time.perf_counter() - self._saved > _SAVE_EVERY_SECONDS

    def _finished(self) -> Bundle:
        """Choose the weights to answer with, measure them, save them; what a resume goes on from stays as it is."""
        fit = self.fit
        last = {name: value.clone() for name, value in fit.scorer.state_dict().items()}
        weights, epoch = fit.best_weights(), fit.best_epoch or fit.epoch
        # The last epoch, where no validation fell on it: measured apart, so that more epochs would take the same steps.
        passed_by = len(self.dataset.valid) and fit.epoch % fit.run.valid_every
        if passed_by and self._valid_mrr() > (fit.best_mrr or 0):
            weights, epoch = last, fit.epoch
        fit.scorer.load_state_dict(weights)
        temperature = self._temperature() or fit_temperature(fit.scorer, self.dataset)
        valid = None
        if len(self.dataset.valid):
            ranking = fit.valid_ranking(self.dataset, temperature)
            valid = ranking.metrics(self.dataset.vocabulary.relations).to_json()
        calibration = fit_calibration(fit.scorer, self.dataset, temperature)
        fit.scorer.load_state_dict(last)
        self._write(weights, epoch, temperature, valid, calibration and calibration.to_json(), finished=True)
        return Bundle.load(self.out, fit.device)

    def _temperature(self) -> float | None:
        """1 where training alone makes softmax(scores) the probability, None where it has to be fitted."""
        run = self.fit.run
        if run.procedure:
            return 1.0 if run.procedure.is_calibrated else None
        return 1.0 if run.objective.is_full_softmax and not run.auxiliary else None

    def _save(self) -> None:
        """A checkpoint: it answers with the best weights so far."""
        epoch = self.fit.best_epoch or self.fit.epoch
        self._write(self.fit.best_weights(), epoch, self._temperature(), valid=None, calibration=None, finished=False)

    def _write(
        self,
        weights: dict[str, Tensor],
        best_epoch: int,
        temperature: float | None,
        valid: dict[str, Any] | None,
        calibration: dict[str, Any] | None,
        finished: bool,
    ) -> None:
        metrics = {
            "valid": valid,
            "finished": finished,
            "epochs": self.fit.epoch,
            "best_epoch": best_epoch,
            "history": self.history,
            **({"cross_fitted": True} if self.fit.is_cross_fitted else {}),
        }
        bundle.save(
            self.out,
            dataset=self.dataset,
            run=self.fit.run.to_json(),
            weights=weights,
            state=self.fit.state_dict(),
            metrics=metrics,
            temperature=temperature,
            calibration=calibration,
        )
        self._saved = time.perf_counter()


@contextmanager
def _pausing(fit: Fitting) -> Iterator[threading.Event]:
    """Pauses the fit on SIGINT and SIGTERM (the event is set), and once a minute for a checkpoint.

    A second signal does what it would have done without us. Signals reach the main thread only; elsewhere (a notebook's
    worker, a test) only the checkpoints are kept.
    """
    asked, over = threading.Event(), threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        asked.set()
        fit.pause()
        for name, handler in before.items():
            signal.signal(name, handler)

    def tick() -> None:
        while not over.wait(_SAVE_EVERY_SECONDS):
            fit.pause()

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


class _Figures(TextColumn):
    """Loss, speed, valid MRR and time to the end, read from the fit whenever the bar is drawn."""

    def __init__(self, fit: Fitting) -> None:
        super().__init__("")
        self._fit = fit
        self._began = time.perf_counter()
        self._first = self._done()

    def _done(self) -> int:
        fit = self._fit
        return fit.epoch * fit.num_steps + fit.step

    def render(self, task: Task) -> Text:
        fit = self._fit
        done = self._done()
        task.completed, task.total = done, fit.run.epochs * fit.num_steps
        steps_a_second = (done - self._first) / max(time.perf_counter() - self._began, 1e-9)
        queries = steps_a_second * fit.num_queries / fit.num_steps
        left = (fit.run.epochs * fit.num_steps - done) / steps_a_second if steps_a_second else 0
        best = "-" if fit.best_mrr is None else f"{fit.best_mrr:.4f}"
        loss = f"{fit.loss():.4f}" if done else "-"
        return Text(
            f"epoch {fit.epoch}/{fit.run.epochs}, loss {loss}, {queries:,.0f} queries/s, valid MRR {best}, "
            f"{time.strftime('%H:%M:%S', time.gmtime(left))} left"
        )


def _progress(fit: Fitting, console: Console, quiet: bool) -> Progress:
    bar = Progress(BarColumn(6), _Figures(fit), console=console, disable=quiet)
    bar.add_task("", total=fit.run.epochs * fit.num_steps, completed=fit.epoch * fit.num_steps)
    return bar
