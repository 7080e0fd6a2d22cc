"""What goes into a store, and what it holds."""

from pathlib import Path
from typing import Annotated

import typer

from kg.cli.command import START, STORE, command
from kg.cli.console import facts_bar, note, out, print_json, say
from kg.cli.options import Json, StorePath
from kg.cli.tables import counts_table


@command(START)
def load(
    store: StorePath,
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="RDF or TSV/CSV files, plain or .gz .bz2 .xz .zst."),
    ],
    graph: Annotated[str | None, typer.Option(help="IRI of the graph for facts that stand outside any graph.")] = None,
    base: Annotated[str | None, typer.Option(help="What relative IRIs and plain TSV names are relative to.")] = None,
    syntax: Annotated[str | None, typer.Option(help="The files' syntax by name (turtle, ntriples, tsv ...).")] = None,
    quarantine: Annotated[
        Path | None, typer.Option(help="Put bad lines of N-Triples, N-Quads, TSV and CSV here and load the rest.")
    ] = None,
    json_: Json = False,
) -> None:
    """Load files into a store: all of them, or on an error none. The store is made if need be."""
    from kg.store.store import Store

    with Store(store, create=True) as opened:
        with facts_bar() as progress:
            loaded = opened.load(files, graph=graph, base=base, syntax=syntax, quarantine=quarantine, progress=progress)
        if json_:
            print_json(vars(loaded))
            return
        rate = loaded.read / max(loaded.seconds, 1e-9)
        say(
            f"{store}: {loaded.read:,} facts read in {loaded.seconds:.1f} s ({rate:,.0f} facts/s), "
            f"{loaded.added:,} of them new; generation {loaded.generation}"
        )
        if loaded.quarantined:
            note(f"{loaded.quarantined:,} bad lines are in {quarantine}")


@command(STORE)
def info(store: StorePath, json_: Json = False) -> None:
    """What a store holds. Published predictions are counted apart, and not among its facts and entities."""
    from kg.store.store import Store

    with Store(store) as opened:
        counts = opened.counts() | {"generation": opened.generation}
        if json_:
            print_json(counts)
            return
        out.print(counts_table(counts))
