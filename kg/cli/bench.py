"""`kg bench`."""

from pathlib import Path
from typing import Annotated

from kg.cli.command import MODELS, command
from kg.cli.console import out, print_json, say
from kg.cli.interruption import saving
from kg.cli.options import HOW, MODEL, OUTPUT, Device, Json, Source, device_named, option
from kg.cli.progress_bar import ConsoleProgress
from kg.cli.tables import leaderboard_table


@command(
    MODELS,
    "kg bench folder --preset presets.py:complex,rescal --out bench",
    "kg bench world.kg --preset presets.py --seeds 5 --out bench",
)
def bench(
    source: Source,
    presets: Annotated[
        list[str],
        option(MODEL, "FILE[:A,B,...]", "Functions in FILE that give Runs: these, or all (repeat it).", "--preset"),
    ],
    out_: Annotated[Path, option(OUTPUT, "FOLDER", "Where the models and the results go.", "--out", "-o")],
    seeds: Annotated[int, option(HOW, "N", "Train each so many times, with the seeds 0, 1, 2 ... (3).")] = 3,
    device: Device = "cpu",
    json_: Json = False,
) -> None:
    """Compare presets, each trained with several seeds.

    Measures them on test; writes results.json, results.md and two plots. Ctrl-C saves and exits 130; the same command
    goes on. Other presets and more seeds join what is there.
    """
    from kg.graph.sources import open_dataset
    from kg.studies import bench as benchmark
    from kg.studies.presets import presets as read

    runs = read(*presets)
    device = device_named(device)
    with saving("the same command goes on"), ConsoleProgress() as progress:
        dataset = open_dataset(source, progress=progress)
        results = benchmark.bench(dataset, runs, out_, seeds=seeds, device=device, progress=progress)
    if json_:
        print_json(results.to_json())
        return
    out.print(leaderboard_table(benchmark.leaderboard(results)))
    say(f"written to {out_ / 'results.md'}")
