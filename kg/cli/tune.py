"""`kg tune`."""

from pathlib import Path
from typing import Annotated

from kg.cli.command import MODELS, command
from kg.cli.console import print_json, say
from kg.cli.interruption import saving
from kg.cli.options import HOW, MODEL, Device, Epochs, Json, Seed, Source, argument, device_named, option
from kg.cli.progress_bar import ConsoleProgress


@command(
    MODELS,
    "kg tune folder tuned --model complex",
    "kg tune world.kg tuned --model rescal --trials 20 --epochs 30",
)
def tune(
    source: Source,
    out_: Annotated[Path, argument("OUT", "The folder for the study, best.py and report.md.")],
    model: Annotated[str, option(MODEL, "NAME", "The model whose settings are looked for.")],
    trials: Annotated[int, option(HOW, "N", "How many trials, those of earlier calls included (50).")] = 50,
    timeout_seconds: Annotated[
        float | None, option(HOW, "SECONDS", "Begin no trial after so long.", "--timeout")
    ] = None,
    epochs: Epochs = None,
    seed: Seed = 0,
    device: Device = "cpu",
    json_: Json = False,
) -> None:
    """Look for a model's best settings by the MRR on valid.

    OUT/best.py is a preset, OUT/report.md tells of the trials. Ctrl-C exits 130; the same command goes on. Test facts
    are never looked at.
    """
    from kg.graph.sources import open_dataset
    from kg.studies.tune import tune as tuned

    device = device_named(device)
    with saving("the same command goes on"), ConsoleProgress() as progress:
        found = tuned(
            open_dataset(source, progress=progress),  # as `kg bench` and `kg train` split it
            model,
            out_,
            trials=trials,
            timeout_seconds=timeout_seconds,
            epochs=epochs,
            seed=seed,
            device=device,
            progress=progress,
        )
    if json_:
        print_json(found.to_json())
        return
    counts = f"best of {found.complete + found.pruned} trials, {found.pruned} of them given up"
    say(f"{out_}: valid MRR {found.valid_mrr:.4f}, {counts}\ntrain it: kg train {source} MODEL --preset {found.preset}")
