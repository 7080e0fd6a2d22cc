"""The whole path in one call each: load files into a store, train on it, measure the model.

kg.load("world.ttl", "world.kg")
kg.train("world.kg", "model", dim=64)
kg.evaluate("model").metrics.mrr
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

import torch

from kg import bundle as bundles
from kg.bundle import Bundle
from kg.decisions.folding import fold_at
from kg.decisions.journal import Journal
from kg.decisions.verdicts import Standing, Verdicts
from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.graph.sources import open_dataset
from kg.probability import assessment
from kg.probability.assessment import Assessment
from kg.probability.fitting import Said, calibrate
from kg.progress import SILENT, Progress
from kg.query.candidates.candidate import Candidates
from kg.query.predictor import Predictor
from kg.store.store import Store
from kg.store.writes import Loaded, Removed, Replaced
from kg.training import train as training
from kg.training.anew import in_its_place, minutes_of, read_as
from kg.training.cross_validation import of_other_splits
from kg.training.ensembles.combination import COMBINING, check_settings, combination
from kg.training.estimate import check_minutes, planned
from kg.training.recipes import default_run
from kg.training.recipes.scale import choice
from kg.training.run import Run
from kg.training.variation import varied

if TYPE_CHECKING:
    import rdflib

SECONDS = 15.0  # of a search where nothing is trained, unless told otherwise


def load(
    files: Path | str | Sequence[Path | str],
    store: Path | str,
    *,
    graph: str | None = None,
    base: str | None = None,
    syntax: str | None = None,
    header: bool | None = None,
    quarantine: Path | str | None = None,
    progress: Progress = SILENT,
) -> Loaded:
    """Adds the facts of files to the store at this path, all of them or none; it is made if there is none. See
    Store.load. What people decided of candidates meanwhile goes into its graphs first (kg.decisions.folding).
    """
    fold_at(store, progress)
    with Store(store, create=True) as opened:
        return opened.load(files, graph, base, syntax=syntax, header=header, quarantine=quarantine, progress=progress)


def replace(
    files: Path | str | Sequence[Path | str],
    store: Path | str,
    *,
    graph: str | None = None,
    base: str | None = None,
    syntax: str | None = None,
    header: bool | None = None,
    progress: Progress = SILENT,
) -> Replaced:
    """Makes each graph that the files speak of hold what they state, and nothing else, in the store at this path, which
    is made if there is none. See Store.replace_files. What people decided goes into its graphs first, as in `load`.
    """
    fold_at(store, progress)
    with Store(store, create=True) as opened:
        return opened.replace_files(files, graph, base, syntax=syntax, header=header, progress=progress)


def remove(
    files: Path | str | Sequence[Path | str],
    store: Path | str,
    *,
    graph: str | None = None,
    base: str | None = None,
    syntax: str | None = None,
    header: bool | None = None,
    progress: Progress = SILENT,
) -> Removed:
    """Takes the facts of files out of the store at this path, all of them that are there. See Store.remove_files."""
    with Store(store) as opened:
        return opened.remove_files(files, graph, base, syntax=syntax, header=header, progress=progress)


def train(
    source: Path | str,
    out: Path | str,
    model: str = "complex",
    *,
    parts: Sequence[str] = (),
    dim: int | None = None,
    epochs: int | None = None,
    minutes: float | None = None,
    lr: float | None = None,
    batch_size: int | None = None,
    negatives: int | None = None,
    precision: Literal["fp32", "bf16"] | None = None,
    fine_tune: bool = False,
    seed: int = 0,
    relations: Collection[str] | None = None,
    graphs: Collection[str] | None = None,
    valid: float | None = None,
    test: float | None = None,
    restrictions: bool | None = None,
    language: str | None = None,
    device: torch.device | str = "cpu",
    progress: Progress = SILENT,
) -> Bundle:
    """Trains a model on a store, or on a folder of train, valid and test files, with its default settings but for those
    that are given; calibrates it, and saves it in the folder `out`.

    negatives: how many entities an answer is told from, 0 for all. minutes: at most so long; measuring and calibrating
    come on top. fine_tune: the weights of "pretrained" are trained further.
    relations, graphs, valid, test, restrictions, language: what of a store is learnt from, how much of it is held out,
    and in which language its words are shown, see open_dataset. parts: of a model that combines trained ones, their
    folders, or names of models to train first.
    """
    training.check_vacant(out)  # this and the names before a store is read and split
    check_minutes(minutes)
    if bool(parts) != (model in COMBINING):
        raise UserError(f"parts are what {' and '.join(COMBINING)} combine, and no other model: got {model}", "parts")
    if parts:
        given = {"dim": dim, "epochs": epochs, "minutes": minutes, "lr": lr, "batch_size": batch_size}
        check_settings(**given, negatives=negatives, precision=precision)
        train_part = partial(trained, device=device, progress=progress)
        made = combination(parts, out, model, train=train_part, seed=seed, progress=progress)
    else:
        made = default_run(model)
    fold_at(source, progress)
    dataset = open_dataset(
        source,
        relations=relations,
        graphs=graphs,
        valid=valid,
        test=test,
        seed=seed,
        restrictions=restrictions,
        language=language,
        progress=progress,
    )
    run = made(dataset)
    if negatives is None and (chosen := choice(run, dataset)):
        progress.note(chosen)
    run = varied(
        run,
        dim=dim,
        epochs=epochs,
        lr=lr,
        batch_size=batch_size,
        negatives=negatives,
        precision=precision,
        fine_tune=fine_tune,
        seed=seed,
    )
    if minutes is not None and epochs is None:
        run = planned(run, dataset, minutes, device)
    return trained(dataset, run, Path(out), minutes=minutes, device=device, progress=progress)


def trained(
    dataset: Dataset,
    run: Run,
    folder: Path,
    *,
    minutes: float | None = None,
    device: torch.device | str = "cpu",
    progress: Progress = SILENT,
) -> Bundle:
    """A new model in this folder, or the one that was begun there trained to its end; with its probabilities."""
    if bundles.exists(folder):
        found = training.resume(folder, minutes=minutes, device=device, progress=progress)
    else:
        found = training.train(dataset, run, folder, minutes=minutes, device=device, progress=progress)
    return found if found.calibration else calibrated(found, said_of(found), progress)


def trained_anew(
    source: Path | str,
    model: Path | str,
    *,
    vary: Callable[[Run], Run] = lambda run: run,
    minutes: float | None = None,
    device: torch.device | str = "cpu",
    progress: Progress = SILENT,
    **chosen: Any,
) -> Bundle:
    """The model of this folder trained anew: on what a store or a folder holds now, with its own settings, but for what
    `vary` makes of its run, what is chosen of the store (see open_dataset), and how long; calibrated, it is the next
    generation of the folder. Until then, and wherever the training ends before, the old one answers."""
    old = Bundle.load(model)
    run = vary(training.run_of(old))
    minutes = minutes_of(old) if minutes is None else minutes
    check_minutes(minutes, run)
    with in_its_place(Path(model)) as folder:
        fold_at(source, progress)
        dataset = open_dataset(source, seed=run.seed, progress=progress, **read_as(old.dataset) | chosen)
        progress.note(dataset.describe())
        if minutes is not None:
            run = planned(run, dataset, minutes, device)
        trained(dataset, run, folder, minutes=minutes, device=device, progress=progress)
    return Bundle.load(model, device)


def calibrated(bundle: Bundle, said: Said, progress: Progress = SILENT) -> Bundle:
    """A trained model with its probabilities fitted anew: on its valid facts, on those of models of other splits where
    they are few, and on what people said."""
    return calibrate(bundle, said=said, others=of_other_splits(bundle, progress), progress=progress)


def recalibrated(bundle: Bundle, said: Said, progress: Progress = SILENT) -> Bundle:
    """`calibrated`, of a model that has facts to be calibrated on: UserError otherwise."""
    found = calibrated(bundle, said, progress)
    if found is bundle:
        raise UserError(f"{bundle.path} was trained without valid facts: there is nothing to calibrate it on")
    return found


def pretrained(store: Path | str, folder: Path, *, probabilities: bool = False, progress: Progress = SILENT) -> Bundle:
    """The pretrained network as it is, in a model folder that knows the facts of a store.

    It ranks. probabilities: a tenth of the facts is held out to fit them to; `Predictor.load` of it answers with all
    that the store says. (`train` with model "pretrained" holds out as much again to measure by.)
    """
    dataset = open_dataset(store, valid=0.1 if probabilities else 0.0, test=0.0, progress=progress)
    return trained(dataset, default_run("pretrained")(dataset), folder, progress=progress)


def untrained(
    store: Path | str,
    *,
    probabilities: bool = False,
    known_from: Path | str | None = None,
    device: str = "cpu",
    language: str | None = None,
    progress: Progress = SILENT,
) -> Predictor:
    """The pretrained network as a predictor that knows all that a store says (or another one, `known_from`); nothing is
    trained, and nothing written. probabilities: see `pretrained`."""
    with TemporaryDirectory() as folder:
        model = Path(folder) / "pretrained"
        pretrained(store, model, probabilities=probabilities, progress=progress)
        return Predictor.load(model, known_from or store, device, language)


def suggest(
    source: "Path | str | rdflib.Graph",
    top: int = 100,
    *,
    seconds: float | None = SECONDS,
    language: str | None = None,
    progress: Progress = SILENT,
) -> Candidates:
    """A varied page of the most probable new facts of a store, or of an rdflib graph or dataset, with nothing trained.

    The pretrained network gives them, with probabilities fitted to a tenth of the facts where they hold; `train` does
    better. seconds: the search ends then, the likeliest questions asked first; None: it asks all that may matter.
    Evidence: kg.query.explain.evidence.with_evidence, of a predictor (`untrained`).
    """
    if isinstance(source, str | Path):
        predictor = untrained(source, probabilities=True, language=language, progress=progress)
        return predictor.complete(top, order="page", seconds=seconds, progress=progress)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "graph.kg"
        with Store(path, create=True) as store:
            store.load(source, progress=progress)
        return suggest(path, top, seconds=seconds, language=language, progress=progress)


def said_of(bundle: Bundle) -> Said:
    """What people decided of facts between a model's entities, in the journal of the store that it was trained on, if
    that is there; of those that it was not trained, chosen or measured by."""
    try:
        journal = Journal(bundle.store())
    except UserError:  # there is none, or it is not there any more
        return Said.nothing()
    verdicts, data = Verdicts.of(journal.decisions()), bundle.dataset
    known, found = data.known("train", "valid", "test"), []
    wanted: tuple[Standing, ...] = ("accepted", "rejected")
    for standing in wanted:
        rows = data.vocabulary.numbered(verdicts.of_standing(standing))
        hrt = torch.tensor(rows, dtype=torch.long).reshape(-1, 3)
        hrt = hrt[(hrt >= 0).all(1)]
        found.append(hrt[~known.contains(*hrt.T.contiguous())])
    return Said(*found)


def evaluate(
    model: Path | str,
    split: Literal["valid", "test"] = "test",
    *,
    threshold: float = 0.5,
    negatives: Path | None = None,
    sample: int | None = None,
    device: torch.device | str = "cpu",
    progress: Progress = SILENT,
) -> Assessment:
    """How good a trained model is: the ranks of facts held out of training, and its probabilities. See
    kg.probability.assessment.evaluate.
    """
    return assessment.evaluate(Bundle.load(model, device), split, threshold, negatives, sample, progress)
