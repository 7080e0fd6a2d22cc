"""Runs that make one scorer of several trained ones."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from kg import bundle
from kg.bundle import Bundle
from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.models import SCORERS, from_description, scorer_class
from kg.progress import SILENT, Progress
from kg.training.ensembles.fitting import EnsembleFitting
from kg.training.ensembles.rank_weights import RankWeighing
from kg.training.ensembles.stacking import Stacking
from kg.training.recipes import default_run
from kg.training.run import Run

COMBINING: dict[str, Callable[[tuple[str, ...]], EnsembleFitting]] = {
    "combine": Stacking,
    "rank_ensemble": RankWeighing,
}


def check_settings(**given: object) -> None:
    """UserError for the first that was given (is not None): a combination has no such settings."""
    for name, value in given.items():
        if value is not None:
            raise UserError(f"{name}: a combination has no such setting", name)


def combination(
    parts: Sequence[str],
    out: Path | str,
    model: str = "combine",
    *,
    train: Callable[[Dataset, Run, Path], Bundle],
    seed: int = 0,
    progress: Progress = SILENT,
) -> Callable[[Dataset], Run]:
    """From a dataset to the Run of a model, one of COMBINING, with these parts: folders of trained models, or names.

    A model that is only named is trained with its default settings into a folder beside `out`, <out>-<name>, by
    `train`, which goes on with what was begun there; one that was finished, its probabilities too, is taken as it is.
    UserError where a part is neither, now; and where a folder holds another model or one of other facts, before
    anything is trained. (A folder called complex is ./complex.)
    """
    named = {part: default_run(part) for part in parts if not part or part in SCORERS or not bundle.exists(part)}

    def made(dataset: Dataset) -> Run:
        folders = {part: Path(f"{out}-{part}" if part in named else part) for part in parts}
        found = {
            part: Bundle.load_for(dataset, folder, "part") for part, folder in folders.items() if bundle.exists(folder)
        }
        for part, settings in named.items():
            if part in found and (name := found[part].run["scorer"]["name"]) != part:
                raise UserError(f"{folders[part]} holds a model {name}, not {part}: move it, or name it as the part")
            if part in found and found[part].metrics["finished"] and found[part].calibration:
                continue
            progress.note(f"{part}: trained first, in {folders[part]}")
            found[part] = train(dataset, replace(settings(dataset), seed=seed), folders[part])
        scorers = [from_description(found[part].run["scorer"]) for part in parts]
        algorithm = COMBINING[model](tuple(str(folders[part]) for part in parts))
        return Run(partial(scorer_class(model), parts=scorers), algorithm, seed)

    return made
