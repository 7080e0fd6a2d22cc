"""`kg evaluate`."""

from pathlib import Path
from typing import Annotated, Literal

from kg.cli.command import MODELS, command
from kg.cli.console import note, out, print_json
from kg.cli.options import OUTPUT, Device, Json, ModelPath, device_named, option
from kg.cli.progress_bar import ConsoleProgress
from kg.cli.tables import classification_table, metrics_table, probability_table
from kg.errors import UserError

MEASURED = "What is measured"


@command(
    MODELS,
    "kg evaluate model",
    "kg evaluate model --split valid --json",
    "kg evaluate model --sample 5000",
    "kg evaluate model --plot reliability.svg",
)
def evaluate(
    model: ModelPath,
    split: Annotated[
        Literal["valid", "test"], option(MEASURED, None, "Which held-out facts: test, or those to choose by.")
    ] = "test",
    sample: Annotated[
        int | None, option(MEASURED, "N", "Rank so many of the facts, drawn at random: where all take too long.")
    ] = None,
    threshold: Annotated[
        float, option(MEASURED, "P", "Count precision and recall from this probability on (0.5).")
    ] = 0.5,
    negatives: Annotated[
        Path | None, option(MEASURED, "FOLDER", "Tell facts from its valid_negatives and test_negatives.")
    ] = None,
    device: Device = "cpu",
    plot: Annotated[
        Path | None, option(OUTPUT, "FILE", "Draw predicted against observed probabilities: .png or .svg.")
    ] = None,
    json_: Json = False,
) -> None:
    """Measure how well a model ranks held-out facts.

    The ranks are filtered, of both directions and against all entities. Then its probabilities.
    """
    import torch

    from kg.bundle import Bundle
    from kg.probability import assessment, reliability
    from kg.probability.calibration import calibration_of

    if plot is not None:  # said before the ranking, not after it
        reliability.check_plot(plot)
    bundle = Bundle.load(model, device_named(device))
    calibration = calibration_of(bundle)
    why = f"kg calibrate {model}" if calibration is None else calibration.reason
    if why is not None:
        if plot is not None:
            raise UserError(f"plot: {model} gives no probabilities ({why})", "plot")
        note(f"{model} gives no probabilities ({why})")
    with ConsoleProgress() as progress:
        found = assessment.evaluate(bundle, split, threshold, negatives, sample, progress)
    if calibration is not None and calibration.reason is None and calibration.withheld:
        facts = int(torch.isin(bundle.dataset.part(split)[:, 1], torch.tensor(calibration.withheld)).sum())
        note(f"probabilities: without {len(calibration.withheld):,} withheld predicates, of {facts:,} {split} facts")
    if plot is not None and found.probability is not None:
        reliability.plot(found.probability, plot, f"{model.name}, {split}")
    elif plot is not None:
        note(f"{plot} was not drawn: there are no probabilities of {split} facts")
    if json_:
        print_json(found.to_json())
        return
    out.print(metrics_table(found.metrics, bundle.dataset.schema.label, split))
    if found.mrr_within is not None:
        low, high = found.mrr_within
        out.print(f"{sample:,} facts drawn at random: the MRR of all is from {low:.4f} to {high:.4f} (95 % confidence)")
    if found.probability is not None:
        out.print(probability_table(found.probability, split))
    if found.classification is not None:
        out.print(classification_table(found.classification))
