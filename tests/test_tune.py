"""tune(): what is tried, what is given up, what is tried again, and what lies in the folder at the end."""

import signal
import sqlite3
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from optuna.trial import FrozenTrial, TrialState
from runs import Noted

from kg.errors import UserError
from kg.evaluation import ranking
from kg.graph.dataset import Dataset
from kg.interruption import Interrupted
from kg.models import SCORERS, scorer_class
from kg.progress import SILENT
from kg.studies import tune as tuning
from kg.studies.presets import preset
from kg.studies.tune import Tuned, tune
from kg.training.algorithm import Trainer
from kg.training.ensembles.rank_weights import RankWeighing
from kg.training.ensembles.stacking import Stacking
from kg.training.gradient_descent import Descent, GradientDescent
from kg.training.recipes import FAMILIES, Recipe, bilinear, default_run, recipe
from kg.training.recipes.space import AGAINST_ALL, COMMON, NUCLEAR, Choice, Real, Space
from kg.training.run import Run


def trials(folder: Path) -> list[FrozenTrial]:
    """What the study's file holds."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder / 'study.db'}")
    try:
        return optuna.load_study(study_name="tune", storage=storage).trials
    finally:
        storage.remove_session()
        storage.engine.dispose()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors of a few numbers, and prunes early."""
    found = Space(
        {"dim": Choice((2, 4)), "init": Real(0.01, 0.1, log=True)}, objective=AGAINST_ALL, regularizer=NUCLEAR
    )
    monkeypatch.setitem(bilinear.RECIPES, "distmult", replace(recipe("distmult"), space=found))
    monkeypatch.setattr(tuning, "_BEFORE_PRUNING", 2)


def tuned(dataset: Dataset, out: Path, number: int, **options: Any) -> Tuned:
    return tune(dataset, "distmult", out, trials=number, epochs=2, **options)


def tried(folder: Path) -> list[tuple[dict[str, Any], float | None, TrialState]]:
    """Settings, MRR and end of the trials that ended, in order; the interrupted left out."""
    return [(trial.params, trial.value, trial.state) for trial in trials(folder) if trial.state != TrialState.FAIL]


def test_the_best_of_some_trials(random_dataset: Dataset, tmp_path: Path) -> None:
    found = tuned(random_dataset, tmp_path / "t", 4)
    ended = trials(tmp_path / "t")
    assert len(ended) == found.complete + found.pruned == 4
    assert all(trial.intermediate_values for trial in ended)
    best = max((trial for trial in ended if trial.state == TrialState.COMPLETE), key=lambda trial: trial.value or 0)
    assert (found.trial, found.valid_mrr) == (best.number, best.value)
    arguments = found.best.to_json()["scorer"]["arguments"]
    assert arguments["dim"] == best.params["scorer.dim"] and found.best.algorithm.epochs == 2
    assert arguments["init"] == pytest.approx(best.params["scorer.init"], rel=0.01)
    assert preset(f"{tmp_path / 't' / 'best.py'}:best").to_json() == found.best.to_json()
    report = (tmp_path / "t" / "report.md").read_text()
    assert f"| {best.number} | {best.value:.4f} | 2 |" in report


def test_the_figure_of_a_trial_is_that_of_its_run(random_dataset: Dataset, tmp_path: Path) -> None:
    found = tuned(random_dataset, tmp_path / "t", 1)
    fit = found.best.trainer(random_dataset)
    mrrs = [ranking.evaluate(fit.scorer, random_dataset, "valid").metrics().mrr for _ in fit]
    assert found.valid_mrr == pytest.approx(mrrs[-1])  # validated after its last epoch only


def test_test_facts_are_never_looked_at(random_dataset: Dataset, tmp_path: Path) -> None:
    """Other facts in test, other settings tried? Known answers of valid are those of train and valid alone."""
    found = tuned(random_dataset, tmp_path / "a", 3)
    other = replace(random_dataset, test=random_dataset.test[:0])
    assert tuned(other, tmp_path / "b", 3).valid_mrr == found.valid_mrr
    assert tried(tmp_path / "a") == tried(tmp_path / "b")


@pytest.fixture
def whole(random_dataset: Dataset, tmp_path: Path) -> Path:
    """The uninterrupted study that others must equal."""
    tuned(random_dataset, tmp_path / "whole", 5)
    return tmp_path / "whole"


def test_trials_count_in_total(
    random_dataset: Dataset, tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned(random_dataset, tmp_path / "t", 2)
    tuned(random_dataset, tmp_path / "t", 5)
    assert tried(tmp_path / "t") == tried(whole)
    assert (tmp_path / "t" / "best.py").read_text() == (whole / "best.py").read_text()
    monkeypatch.setattr(tuning._Search, "attempt", None)  # nothing is left to be tried
    assert tuned(random_dataset, tmp_path / "t", 5).complete > 0
    assert len(trials(tmp_path / "t")) == 5


def test_ctrl_c_and_on(random_dataset: Dataset, tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take, seen = Descent._take_step, count(1)

    def stepping(fit: Descent, order: torch.Tensor) -> None:
        take(fit, order)
        if next(seen) == 11:  # in the third trial: two steps an epoch, or one where whole questions are asked
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patched, pytest.raises(Interrupted):
        patched.setattr(Descent, "_take_step", stepping)
        tuned(random_dataset, tmp_path / "t", 5)
    stopped = trials(tmp_path / "t")
    assert [trial.state for trial in stopped[-2:]] == [TrialState.FAIL, TrialState.WAITING]
    tuned(random_dataset, tmp_path / "t", 5)
    assert tried(tmp_path / "t") == tried(whole)
    assert trials(tmp_path / "t")[len(stopped) - 1].params == stopped[-2].params  # tried again


def test_killed_and_on(random_dataset: Dataset, tmp_path: Path) -> None:
    """A trial that nobody could end is failed, and tried again, by the next call."""
    tuned(random_dataset, tmp_path / "t", 1)
    with sqlite3.connect(tmp_path / "t" / "study.db") as database:  # as a killed process leaves it
        database.execute("UPDATE trials SET state = 'RUNNING', datetime_complete = NULL")
    database.close()
    tuned(random_dataset, tmp_path / "t", 1)
    first, again = trials(tmp_path / "t")
    assert (first.state, again.state) == (TrialState.FAIL, TrialState.COMPLETE)
    assert first.params == again.params


def test_a_trial_that_diverges_is_counted(
    random_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = count()

    def mrr(self: object, trial: object, run: object) -> float:
        if next(seen) == 1:
            raise UserError("the loss is nan at step 3 of epoch 1")
        return 0.25

    monkeypatch.setattr(tuning._Search, "_mrr", mrr)
    progress = Noted()
    found = tune(random_dataset, "distmult", tmp_path / "t", trials=3, progress=progress)
    assert (found.complete, found.pruned) == (2, 1)
    assert trials(tmp_path / "t")[1].user_attrs == {"error": "the loss is nan at step 3 of epoch 1"}
    assert "1 were given up, 1 of these with an error" in (tmp_path / "t" / "report.md").read_text()
    shown = capsys.readouterr()
    assert shown.out == shown.err == "" and "valid MRR 0.2500" in progress.notes[0]
    assert "2 of 3, trial 1: the loss is nan at step 3" in progress.notes[1]


def test_no_trial_came_to_its_end(random_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mrr(self: object, trial: object, run: object) -> float:
        raise UserError("the loss is nan")

    monkeypatch.setattr(tuning._Search, "_mrr", mrr)
    with pytest.raises(UserError, match="none of 2 trials came to its end; the last error: the loss is nan"):
        tuned(random_dataset, tmp_path / "t", 2)
    with pytest.raises(UserError, match=r"none of 0 trials came to its end$"):
        tuned(random_dataset, tmp_path / "u", 2, timeout_seconds=1e-9)


def test_a_bad_trial_is_given_up_early(
    random_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two good trials, then one below their median at every validation: it ends at the second."""
    figures = iter([0.5, 0.6, 0.7, 0.8] * 2 + [0.1] * 4)

    class Ranked:
        def metrics(self) -> "Ranked":
            self.mrr = next(figures)
            return self

    monkeypatch.setattr(Trainer, "valid_ranking", lambda *arguments: Ranked())
    tune(random_dataset, "distmult", tmp_path / "t", trials=3, epochs=20)
    good, also_good, bad = trials(tmp_path / "t")
    assert good.state == also_good.state == TrialState.COMPLETE and good.value == 0.8
    assert list(good.intermediate_values) == [5, 10, 15, 20]
    assert bad.state == TrialState.PRUNED and list(bad.intermediate_values) == [5, 10]


def test_which_settings_mattered() -> None:
    """One decides alone, one does nothing, one is not always there."""
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(40):
        trial = study.ask()
        decides = trial.suggest_float("decides", 0, 1)
        if trial.suggest_categorical("idle", (1, 2)) == 2:
            trial.suggest_float("sometimes", 0, 1)
        study.tell(trial, decides)
    told = tuning._importance(study, study.trials)
    assert "| decides | 0.9" in told and "| idle | 0." in told and "sometimes" not in told
    assert tuning._importance(study, study.trials[:19]) == ""
    assert tuning._importance(study, [study.best_trial] * 40) == ""  # all the same


def test_what_is_never_mixed(random_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "t"
    tuned(random_dataset, out, 1)
    with pytest.raises(UserError, match=r"what is tuned has changed \(base\.scorer\.name distmult -> complex\)"):
        tune(random_dataset, "complex", out, epochs=2)
    with pytest.raises(UserError, match=r"\(base\.algorithm\.arguments\.epochs 2 -> 3\)"):
        tune(random_dataset, "distmult", out, epochs=3)
    with pytest.raises(UserError, match=r"\(base\.seed 0 -> 1\)"):
        tuned(random_dataset, out, 2, seed=1)
    with pytest.raises(UserError, match=r"\(facts "):
        tuned(replace(random_dataset, train=random_dataset.train[1:]), out, 2)
    wider = replace(recipe("distmult"), space=Space({"dim": Choice((2, 8))}))
    monkeypatch.setitem(bilinear.RECIPES, "distmult", wider)
    with pytest.raises(UserError, match=r"\(space\.scorer\.dim\.values \[2, 4\] -> \[2, 8\]\)"):
        tuned(random_dataset, out, 2)
    assert len(trials(out)) == 1


def test_what_is_refused(random_dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match="holds other files, and no study"):
        tuned(random_dataset, tmp_path, 1)
    with pytest.raises(UserError, match="no valid facts"):
        tuned(replace(random_dataset, valid=random_dataset.valid[:0]), tmp_path / "t", 1)
    with pytest.raises(UserError, match="trials must be at least 1: got 0"):
        tuned(random_dataset, tmp_path / "t", 0)
    with pytest.raises(UserError, match="no model 'rascal'"):
        tune(random_dataset, "rascal", tmp_path / "t")
    with pytest.raises(UserError, match="gated has no default settings yet"):
        tune(random_dataset, "gated", tmp_path / "t")
    assert not (tmp_path / "t").exists()


# Spaces


def test_a_space_of_its_own_or_the_common_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert recipe("distmult").space.scorer["dim"] == Choice((2, 4))
    monkeypatch.delitem(FAMILIES, "distmult")
    assert recipe("distmult") == Recipe(Space(COMMON))
    monkeypatch.setitem(SCORERS, "fixed", f"{__name__}:Fixed")
    assert recipe("fixed") == Recipe(Space({"init": COMMON["init"]}))


class Fixed:
    """Of the common arguments it takes one."""

    def __init__(self, num_entities: int, num_relations: int, init: float, size: int) -> None: ...


def test_ranges() -> None:
    for low, high, log in ((1.0, 1.0, False), (2.0, 1.0, False), (0.0, 1.0, True)):
        with pytest.raises(ValueError, match="a range goes up"):
            Real(low, high, log)
    with pytest.raises(ValueError, match="a choice needs values"):
        Choice(())


def gated(dataset: Dataset) -> Run:
    """It has no defaults: of what parts, is for the caller to say."""
    parts = partial(scorer_class("neighbourhood"), dim=4, width=8), partial(scorer_class("complex"), dim=4)
    made = partial(scorer_class("gated"), own=parts[0], base=parts[1])
    return replace(default_run("neighbourhood")(dataset), scorer=made)


def combined(dataset: Dataset) -> Run:
    """Nor has it."""
    made = partial(scorer_class("combine"), parts=[partial(scorer_class("complex"), dim=4)])
    return Run(made, Stacking(("models/complex",)))


def ranks_combined(dataset: Dataset) -> Run:
    """Nor this."""
    made = partial(scorer_class("rank_ensemble"), parts=[partial(scorer_class("complex"), dim=4)])
    return Run(made, RankWeighing(("models/complex",)))


@pytest.mark.parametrize("model", SCORERS)
def test_every_space_gives_runs(model: str, random_dataset: Dataset) -> None:
    """Whatever is drawn can be built, stored, and takes no argument that is unknown."""
    assert model in FAMILIES, "each scorer has its own"
    space = recipe(model).space
    settings = {"gated": gated, "combine": combined, "rank_ensemble": ranks_combined}.get(model) or default_run(model)
    base = settings(random_dataset)
    search = tuning._Search(random_dataset, base, space, torch.device("cpu"), SILENT)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [search.run(study.ask()) for _ in range(20)]
    assert len({str(run.to_json()) for run in drawn}) > 1 or not space.scorer  # a frequency is what it is
    for run in drawn[:3]:
        assert run.to_json()["scorer"]["name"] == model
        run.new_scorer(50, 3)
        if isinstance(run.algorithm, GradientDescent):
            run.algorithm.new_optimizer(list(torch.nn.Linear(1, 1).parameters()))


def test_a_part_that_keeps_its_name_keeps_its_arguments(random_dataset: Dataset) -> None:
    base = default_run("transe")(random_dataset)
    search = tuning._Search(random_dataset, base, Space({}), torch.device("cpu"), SILENT)
    trial = optuna.trial.FixedTrial({"optimizer": "adam", "optimizer.adam.lr": 0.0012345})
    run = search.run(trial)
    expected = base.to_json()
    expected["algorithm"]["arguments"]["optimizer"]["arguments"]["lr"] = 0.00123  # three digits
    assert run.to_json() == expected
