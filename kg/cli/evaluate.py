"""`kg evaluate`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from kg.cli.command import LEARN, command
from kg.cli.console import count_bar, err, note, out, print_json
from kg.cli.options import Device, Json, ModelPath, device_named
from kg.cli.tables import classification_table, metrics_table, probability_table
from kg.errors import UserError


@command(LEARN)
def evaluate(
    model: ModelPath,
    split: Annotated[Literal["valid", "test"], typer.Option(help="Which held-out facts.")] = "test",
    threshold: Annotated[float, typer.Option(help="From which probability on precision and recall are counted.")] = 0.5,
    plot: Annotated[
        Path | None, typer.Option(help="Draw predicted against observed probabilities (.png or .svg).")
    ] = None,
    negatives: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Tell facts from its valid_negatives and test_negatives."),
    ] = None,
    device: Device = "cpu",
    json_: Json = False,
) -> None:
    """Filtered ranking of a model's held-out facts: both directions, against all entities. Then its probabilities."""
    from kg.bundle import Bundle
    from kg.evaluation import ranking
    from kg.probability import reliability, triple_classification
    from kg.probability.calibration import calibration_of

    _check_evaluate(split, threshold, plot, negatives)
    bundle = Bundle.load(model, device_named(device))
    dataset = bundle.dataset
    if not len(dataset.part(split)):
        raise UserError(f"{model} was trained without {split} facts: there is nothing to measure it on")
    probability, calibration = None, calibration_of(bundle)
    if calibration is None:
        if plot is not None:
            raise UserError(f"--plot: {model} gives no probabilities (kg calibrate {model})")
        note(f"{model} gives no probabilities (kg calibrate)")
    with count_bar("ranking") as progress:
        found = ranking.evaluate(bundle.scorer, dataset, split, temperature=bundle.temperature, progress=progress)
    metrics = found.metrics(dataset.vocabulary.relations)
    if calibration is not None:
        with err.status("probabilities"):
            probability = reliability.evaluate(
                calibration, bundle.scorer, dataset, split, bundle.temperature, threshold
            )
        if plot is not None:
            reliability.plot(probability, plot, f"{model.name}, {split}")
    told = None
    if negatives is not None:
        with err.status("negatives"):
            told = triple_classification.classify(bundle.scorer, dataset, negatives, bundle.temperature, calibration)
    if json_:
        values = metrics.to_json() | {"probability": probability and probability.to_json()}
        print_json(values if told is None else values | {"classification": told.to_json()})
        return
    out.print(metrics_table(metrics, dataset.schema.label, split))
    if probability is not None:
        out.print(probability_table(probability, split))
    if told is not None:
        out.print(classification_table(told))


def _check_evaluate(split: str, threshold: float, plot: Path | None, negatives: Path | None) -> None:
    """What is wrong with the options is said before the ranking, not after it."""
    if not 0 < threshold <= 1:
        raise UserError(f"--threshold must be above 0 and at most 1: got {threshold:g}")
    if negatives is not None and split != "test":
        raise UserError("--negatives is measured on test, by what was fitted on valid: leave --split out")
    if plot is not None and plot.suffix not in (".png", ".svg"):
        raise UserError(f"--plot {plot}: expected a name that ends in .png or .svg")
    if plot is not None and not plot.absolute().parent.is_dir():
        raise UserError(f"--plot {plot}: no directory {plot.parent}")
