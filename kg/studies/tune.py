"""tune(): a search for settings, by the MRR on valid, in a folder that a later call goes on with."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kg.errors import UserError, check_above_zero, check_at_least_one, extra
from kg.files import check_utf8, write_text
from kg.graph.dataset import Dataset
from kg.interruption import interruptible
from kg.progress import SILENT, Progress
from kg.resources import keep_freed_memory, threads_for
from kg.studies.presets import written
from kg.studies.provenance import check_same
from kg.training.recipes import default_run, recipe
from kg.training.recipes.space import Choice, Options, Range, Space
from kg.training.run import Run

with extra("tune"):
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
    from optuna.trial import BaseTrial, FrozenTrial, Trial, TrialState
    from sqlalchemy import URL
    from sqlalchemy.exc import DatabaseError

_STUDY = "study.db"
_BEFORE_PRUNING = 5  # trials that run to their end before any is compared with their median
_ENOUGH = 20  # trials from which on the report says which settings mattered
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class Tuned:
    """best: the Run with the highest MRR on valid, from trial number `trial`; preset: where it lies, as FILE:name.

    complete, pruned: how many trials came to their end, and how many were given up.
    """

    best: Run
    valid_mrr: float
    trial: int
    complete: int
    pruned: int
    preset: str

    def to_json(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in ("valid_mrr", "trial", "complete", "pruned", "preset")}
        return {**plain, "best": self.best.to_json()}


@interruptible()
def tune(
    dataset: Dataset,
    model: str,
    out: Path | str,
    *,
    trials: int = 50,
    timeout_seconds: float | None = None,
    epochs: int | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: Progress = SILENT,
) -> Tuned:
    """Look for the settings of a model with the best MRR on valid; test facts are never looked at.

    Each trial varies the model's default Run within the space of its recipe, at a place that a tree-structured Parzen
    estimator chooses (Bergstra et al., 2011). One that stays below the median of those before it is given up; one that
    diverges counts as given up, with the reason. `trials` are counted in all: the same call goes on with `out` until
    there are so many, and makes the same trials as if it had not been interrupted. No trial begins after
    timeout_seconds.

    Writes out/study.db, and at the end best.py (a preset) and report.md. SIGINT and SIGTERM raise Interrupted; the
    trial under way is tried again. UserError where `out` was begun with other facts or settings, or holds something
    else, there are no valid facts, or no trial came to its end.
    """
    base = replace(default_run(model)(dataset), seed=seed)
    base = base if epochs is None else replace(base, algorithm=base.algorithm.with_epochs(epochs))
    check_at_least_one(trials=trials)
    check_above_zero(timeout_seconds=timeout_seconds)
    if not len(dataset.valid):
        raise UserError("there are no valid facts: nothing to choose settings by")
    search = _Search(dataset, base, recipe(model).space, torch.device(device), progress)
    folder = Path(out)
    began = time.monotonic()
    keep_freed_memory()
    with _study(folder, search.begun(), base) as study:
        while (ended := len(study.get_trials(False, _ENDED))) < trials:
            if timeout_seconds is not None and time.monotonic() - began >= timeout_seconds:
                break
            # A function of (seed, trials ended), so that a study that goes on draws what it would have drawn.
            mixed = int(np.random.SeedSequence((seed, ended)).generate_state(1)[0])
            study.sampler = optuna.samplers.TPESampler(seed=mixed)
            search.attempt(study, ended + 1, trials)
        return _report(folder, study, search)


@contextmanager
def _study(folder: Path, begun: dict[str, Any], base: Run) -> Iterator[optuna.Study]:
    """The study in this folder. A trial that a killed process left under way is failed, and waits to be tried again."""
    check_utf8(folder, "study")
    if folder.exists() and any(folder.iterdir()) and not (folder / _STUDY).exists():
        raise UserError(f"{folder} holds other files, and no {_STUDY}: choose an empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        storage = optuna.storages.RDBStorage(URL.create("sqlite", database=str(folder / _STUDY)).render_as_string())
    except DatabaseError as error:
        raise UserError(f"{folder / _STUDY}: {error.orig}") from error
    try:
        pruner = optuna.pruners.MedianPruner(_BEFORE_PRUNING, n_warmup_steps=2 * base.algorithm.valid_every)
        study = optuna.create_study(
            storage=storage, study_name="tune", direction="maximize", pruner=pruner, load_if_exists=True
        )
        check_same(f"{folder}: what is tuned", study.user_attrs.get("begun", begun), begun)
        study.set_user_attr("begun", begun)
        for trial in study.get_trials(False, (TrialState.RUNNING,)):
            _try_again(study, trial)
        yield study
    except optuna.exceptions.StorageInternalError as error:  # a full disk
        raise UserError(f"{folder / _STUDY}: {getattr(error.__cause__, 'orig', error)}") from error
    finally:
        storage.remove_session()
        storage.engine.dispose()
        optuna.logging.set_verbosity(before)


def _try_again(study: optuna.Study, trial: BaseTrial) -> None:
    """Once more: settings whose second try ends so as well (for want of memory, say) are given up."""
    if trial.user_attrs.get("again"):
        study.tell(trial.number, state=TrialState.PRUNED)
        return
    study.tell(trial.number, state=TrialState.FAIL)
    study.enqueue_trial(trial.params, user_attrs={"again": True})


@dataclass(frozen=True, eq=False)
class _Search:
    """What the trials of a study have in common."""

    dataset: Dataset
    base: Run
    space: Space
    device: torch.device
    progress: Progress

    def begun(self) -> dict[str, Any]:
        return {"facts": self.dataset.digest(), "base": self.base.to_json(), "space": asdict(self.space)}

    def attempt(self, study: optuna.Study, turn: int, turns: int) -> None:
        """One trial; the study learns of it however it ends."""
        trial = study.ask()
        try:
            study.tell(trial, self._mrr(trial, self.run(trial)))
        except optuna.TrialPruned:
            study.tell(trial, state=TrialState.PRUNED)
        except UserError as error:  # it diverged, or its settings do not go together: the sampler keeps away from there
            trial.set_user_attr("error", str(error))
            study.tell(trial, state=TrialState.PRUNED)
        except (torch.OutOfMemoryError, MemoryError) as error:
            trial.set_user_attr("error", str(error).splitlines()[0])
            study.tell(trial, state=TrialState.PRUNED)
        except KeyboardInterrupt:
            _try_again(study, trial)
            raise
        self.progress.note(f"{turn} of {turns}, trial {trial.number}: {_outcome(study.trials[trial.number])}")

    def run(self, trial: BaseTrial) -> Run:
        """The default Run with what the trial suggests in its place, of the settings that its algorithm has."""
        found = self.base.to_json()
        found["scorer"] = {
            "name": found["scorer"]["name"],
            "arguments": found["scorer"]["arguments"] | _suggested(trial, "scorer", self.space.scorer),
        }
        settings = dict(found["algorithm"]["arguments"])
        options = {
            "optimizer": self.space.optimizer,
            "objective": self.space.objective,
            "regularizer": self.space.regularizer,
        }
        for name, choices in options.items():
            if name in settings and choices:
                settings[name] = _chosen(trial, name, choices, settings[name])
        if "batch_size" in settings and self.space.batch_size:
            settings["batch_size"] = _value(trial, "batch_size", self.space.batch_size)
        found["algorithm"] = {"name": found["algorithm"]["name"], "arguments": settings}
        return Run.from_json(found)

    def _mrr(self, trial: Trial, run: Run) -> float:
        """The best MRR on valid; TrialPruned where it stays below what others had by then."""
        algorithm = run.algorithm
        with threads_for(self.dataset.num_entities * algorithm.batch_size):
            trainer = run.trainer(self.dataset, self.device)
            trainer.progress = self.progress
            for epoch in trainer:
                if not epoch.complete or (epoch.number % algorithm.valid_every and epoch.number < algorithm.epochs):
                    continue
                mrr = trainer.valid_ranking(self.dataset, None, self.progress).metrics().mrr
                trainer.report(mrr)
                trial.report(mrr, epoch.number)
                if epoch.number < algorithm.epochs and trial.should_prune():
                    raise optuna.TrialPruned
        assert trainer.best_mrr is not None, "the last epoch is validated"
        return trainer.best_mrr


def _chosen(trial: BaseTrial, part: str, options: Options, before: dict[str, Any] | None) -> Any:
    """{name, arguments} as a Run stores it, or None."""
    name = _value(trial, part, Choice(tuple(options)))
    if name == "none":
        return None
    kept = before["arguments"] if before and before["name"] == name else {}
    return {"name": name, "arguments": kept | _suggested(trial, f"{part}.{name}", options[name])}


def _suggested(trial: BaseTrial, part: str, ranges: Any) -> dict[str, Any]:
    return {name: _value(trial, f"{part}.{name}", each) for name, each in ranges.items()}


def _value(trial: BaseTrial, name: str, allowed: Range) -> Any:
    if isinstance(allowed, Choice):
        return allowed.values[0] if len(allowed.values) == 1 else trial.suggest_categorical(name, allowed.values)
    # Three digits are as many as matter, and as a person writes down.
    return float(f"{trial.suggest_float(name, allowed.low, allowed.high, log=allowed.log):.3g}")


# The report


def _report(folder: Path, study: optuna.Study, search: _Search) -> Tuned:
    complete, pruned = (study.get_trials(False, (state,)) for state in _ENDED)
    if not complete:
        last = next((trial.user_attrs["error"] for trial in reversed(pruned) if "error" in trial.user_attrs), "")
        raise UserError(f"none of {len(pruned)} trials came to its end{last and f'; the last error: {last}'}")
    best = study.best_trial
    run = search.run(best)
    about = f"{search.dataset.describe()}: valid MRR {best.value:.4f}, the best of {len(complete) + len(pruned)} trials"
    write_text(folder / "best.py", written(run, "best", about))
    write_text(folder / "report.md", _markdown(study, search.dataset.describe()))
    assert best.value is not None
    return Tuned(run, best.value, best.number, len(complete), len(pruned), f"{folder / 'best.py'}:best")


def _outcome(trial: FrozenTrial) -> str:
    """How a trial ended, its settings last."""
    if "error" in trial.user_attrs:
        return f"{trial.user_attrs['error']}; {_settings(trial)}"
    how = "given up at" if trial.state == TrialState.PRUNED else "valid MRR"
    return f"{how} {trial.value:.4f}, {_epochs(trial)} epochs, {_seconds(trial):.0f} s; {_settings(trial)}"


def _settings(trial: FrozenTrial) -> str:
    """Each by the last part of its name: the parts before it stand in front of it."""
    return ", ".join(
        f"{name.rpartition('.')[2]} {f'{value:.3g}' if isinstance(value, float) else value}"
        for name, value in trial.params.items()
    )


def _epochs(trial: FrozenTrial) -> int:
    return max(trial.intermediate_values, default=0)


def _seconds(trial: FrozenTrial) -> float:
    return trial.duration.total_seconds() if trial.duration else 0.0


def _markdown(study: optuna.Study, described: str) -> str:
    complete, pruned = (study.get_trials(False, (state,)) for state in _ENDED)
    best = sorted(complete, key=lambda trial: -(trial.value or 0))[:10]
    rows = "\n".join(
        f"| {trial.number} | {trial.value:.4f} | {_epochs(trial)} | {_seconds(trial):.1f} | {_settings(trial)} |"
        for trial in best
    )
    errors = [trial.user_attrs["error"] for trial in pruned if "error" in trial.user_attrs]
    return f"""# Settings tried

{described}

{len(complete)} trials came to their end, {len(pruned)} were given up, {len(errors)} of these with an error. The best:

| trial | valid MRR | epochs | seconds | settings |
| --- | --- | --- | --- | --- |
{rows}
{_importance(study, complete)}"""


def _importance(study: optuna.Study, complete: list[FrozenTrial]) -> str:
    """How much each setting mattered, where there are different trials enough to tell."""
    if len({trial.value for trial in complete}) < max(_ENOUGH, len(complete) // 2):
        return ""
    everywhere = [name for name in complete[0].params if all(name in trial.params for trial in complete)]
    best_quarter = PedAnovaImportanceEvaluator(target_quantile=0.25)
    shares = get_param_importances(study, evaluator=best_quarter, params=everywhere)
    rows = "\n".join(f"| {name} | {share:.2f} |" for name, share in shares.items())
    return f"""
What sets the best quarter apart from the others (PED-ANOVA; Watanabe et al., 2023):

| setting | share |
| --- | --- |
{rows}
"""
