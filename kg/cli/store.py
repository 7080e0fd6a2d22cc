"""What goes into a store, and what it holds."""

from pathlib import Path
from typing import Annotated

from kg.cli.command import START, STORE, command
from kg.cli.console import note, out, print_json, say
from kg.cli.options import Json, StorePath, argument, option
from kg.cli.progress_bar import ConsoleProgress
from kg.cli.tables import counts_table

READ = "How the files are read"


@command(
    START,
    "kg load world.kg world.ttl",
    "kg load world.kg facts.nt.gz more.trig --quarantine bad.txt",
    "kg load world.kg table.csv --base http://example.org/ --header",
)
def load(
    store: StorePath,
    files: Annotated[list[Path], argument("FILE...", "RDF, TSV or CSV, plain or .gz .bz2 .xz .zst.")],
    graph: Annotated[str | None, option(READ, "IRI", "The graph for facts that stand outside any graph.")] = None,
    base: Annotated[str | None, option(READ, "IRI", "What relative IRIs and plain TSV names are relative to.")] = None,
    syntax: Annotated[
        str | None, option(READ, "NAME", "turtle, ntriples, tsv ...: otherwise by the ending of a file's name.")
    ] = None,
    header: Annotated[
        bool | None,
        option(
            READ,
            None,
            "Whether the first line of TSV and CSV names the columns: otherwise if it says head, relation, tail "
            "or subject, predicate, object.",
            "--header/--no-header",
        ),
    ] = None,
    quarantine: Annotated[
        Path | None,
        option(READ, "FILE", "Put bad lines of N-Triples, N-Quads, TSV and CSV there and load the rest."),
    ] = None,
    json_: Json = False,
) -> None:
    """Put files of facts into a store.

    All of them, or on an error none. The store is made if there is none. Of a bad line the file, the line and the
    column are given.
    """
    from kg.decisions.folding import fold_at
    from kg.store.store import Store

    with ConsoleProgress() as progress:
        fold_at(store, progress)
    with Store(store, create=True) as opened:
        with ConsoleProgress() as progress:
            loaded = opened.load(
                files,
                graph=graph,
                base=base,
                syntax=syntax,
                header=header,
                quarantine=quarantine,
                progress=progress,
            )
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


@command(STORE, "kg info world.kg", "kg info world.kg --json")
def info(store: StorePath, json_: Json = False) -> None:
    """Count what a store holds.

    Published predictions are counted apart, and not among its facts and entities.
    """
    from kg.store.store import Store

    with Store(store) as opened:
        counts = opened.counts() | {"generation": opened.generation}
        if json_:
            print_json(counts)
            return
        out.print(counts_table(counts))
