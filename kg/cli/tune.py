"""`kg tune`."""

from pathlib import Path
from typing import Annotated

import typer

from kg.cli.command import LEARN, command
from kg.cli.console import err, print_json, say
from kg.cli.options import Device, Epochs, Json, Source, device_named
from kg.cli.source import saving


@command(LEARN)
def tune(
    source: Source,
    out_: Annotated[Path, typer.Argument(metavar="OUT", help="The folder for the study, best.py and report.md.")],
    model: Annotated[str, typer.Option(help="The model whose settings are looked for.")],
    trials: Annotated[int, typer.Option(help="How many trials, those of earlier calls included.")] = 50,
    timeout: Annotated[float | None, typer.Option(help="Begin no trial after so many seconds.")] = None,
    epochs: Epochs = None,
    seed: Annotated[int, typer.Option(help="Decides the trainings and what is tried.")] = 0,
    device: Device = "cpu",
    json_: Json = False,
) -> None:
    """Look for a model's best settings by the MRR on valid: OUT/best.py is a preset, OUT/report.md tells of the trials.

    Ctrl-C exits 130; the same command goes on. Test facts are never looked at.
    """
    from kg.graph.sources import open_dataset
    from kg.studies.tune import tune as tuned

    device = device_named(device)
    with saving("the same command goes on"):
        found = tuned(
            open_dataset(source),  # as `kg bench` and `kg train` split it
            model,
            out_,
            trials=trials,
            timeout_seconds=timeout,
            epochs=epochs,
            seed=seed,
            device=device,
            console=err,
            quiet=json_,
        )
    if json_:
        print_json(found.to_json())
        return
    counts = f"best of {found.complete + found.pruned} trials, {found.pruned} of them given up"
    say(f"{out_}: valid MRR {found.valid_mrr:.4f}, {counts}\ntrain it: kg train {source} MODEL --preset {found.preset}")
