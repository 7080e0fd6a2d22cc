"""`kg evaluate`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from kg.cli.command import LEARN, command
from kg.cli.console import ConsoleProgress, note, out, print_json
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
    from kg.probability import assessment, reliability

    if plot is not None:  # said before the ranking, not after it
        reliability.check_plot(plot)
    bundle = Bundle.load(model, device_named(device))
    if bundle.calibration is None:
        if plot is not None:
            raise UserError(f"--plot: {model} gives no probabilities (kg calibrate {model})")
        note(f"{model} gives no probabilities (kg calibrate)")
    with ConsoleProgress() as progress:
        found = assessment.evaluate(bundle, split, threshold, negatives, progress)
    if plot is not None and found.probability is not None:
        reliability.plot(found.probability, plot, f"{model.name}, {split}")
    if json_:
        print_json(found.to_json())
        return
    out.print(metrics_table(found.metrics, bundle.dataset.schema.label, split))
    if found.probability is not None:
        out.print(probability_table(found.probability, split))
    if found.classification is not None:
        out.print(classification_table(found.classification))
