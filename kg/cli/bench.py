"""`kg bench`."""

from pathlib import Path
from typing import Annotated

import typer

from kg.cli.command import LEARN, command
from kg.cli.console import err, out, print_json, say
from kg.cli.options import Device, Json, Source, device_named
from kg.cli.source import saving
from kg.cli.tables import leaderboard_table


@command(LEARN)
def bench(
    source: Source,
    presets: Annotated[
        list[str], typer.Option(metavar="FILE[:A,B,...]", help="Functions in FILE that give Runs: these, or all.")
    ],
    out_: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the models and the results go.")],
    seeds: Annotated[int, typer.Option(help="How many trainings of each: with the seeds 0, 1, 2 ...")] = 3,
    device: Device = "cpu",
    json_: Json = False,
) -> None:
    """Compare presets: train each with several seeds, measure them on test, write results.json and .md and two plots.

    Ctrl-C saves and exits 130; the same command goes on. Other presets and more seeds join what is in DIR.
    """
    from kg.graph.sources import open_dataset
    from kg.studies import bench as benchmark
    from kg.studies.presets import presets as read

    runs = read(*presets)
    device = device_named(device)
    with saving("the same command goes on"):
        dataset = open_dataset(source)
        results = benchmark.bench(dataset, runs, out_, seeds=seeds, device=device, console=err, quiet=json_)
    if json_:
        print_json(results.to_json())
        return
    out.print(leaderboard_table(benchmark.leaderboard(results)))
    say(f"written to {out_ / 'results.md'}")
