"""What goes into a store, and what it holds."""

from pathlib import Path
from typing import Annotated

from kg.cli.command import START, STORE, command
from kg.cli.console import note, out, print_json, say
from kg.cli.options import Json, StorePath, argument, option
from kg.cli.progress_bar import ConsoleProgress
from kg.cli.tables import counts_table
from kg.errors import UserError

READ = "How the files are read"
Graph = Annotated[str | None, option(READ, "IRI", "The graph for facts that stand outside any graph.")]
Base = Annotated[str | None, option(READ, "IRI", "What relative IRIs and plain TSV names are relative to.")]
SyntaxName = Annotated[
    str | None,
    option(READ, "NAME", "turtle, ntriples, tsv ...: otherwise by the ending of a file's name.", "--syntax"),
]
Header = Annotated[
    bool | None,
    option(
        READ,
        None,
        "Whether the first line of TSV and CSV names the columns: otherwise if it says head, relation, tail "
        "or subject, predicate, object.",
        "--header/--no-header",
    ),
]


@command(
    START,
    "kg load world.kg world.ttl",
    "kg load world.kg facts.nt.gz more.trig --quarantine bad.txt",
    "kg load world.kg table.csv --base http://example.org/ --header",
    "kg load world.kg world.ttl --replace",
)
def load(
    store: StorePath,
    files: Annotated[list[Path], argument("FILE...", "RDF, TSV or CSV, plain or .gz .bz2 .xz .zst.")],
    graph: Graph = None,
    base: Base = None,
    syntax: SyntaxName = None,
    header: Header = None,
    quarantine: Annotated[
        Path | None,
        option(READ, "FILE", "Put bad lines of N-Triples, N-Quads, TSV and CSV there and load the rest."),
    ] = None,
    replace: Annotated[
        bool,
        option(READ, None, "Each graph that the files speak of holds what they say, and no more.", "--replace"),
    ] = False,
    json_: Json = False,
) -> None:
    """Put files of facts into a store.

    All of them, or on an error none. The store is made if there is none. Of a bad line the file, the line and the
    column are given. With --replace the files are a new version: what else their graphs held (the default graph, for
    what stands outside any) is removed; what changed is said, and nothing is written where nothing did.
    """
    if replace and quarantine:
        raise UserError("quarantine: what is left out of a new version would be removed", "quarantine")
    from kg.decisions.folding import fold_at
    from kg.store.store import Store

    with ConsoleProgress() as progress:
        fold_at(store, progress)
    with Store(store, create=True) as opened:
        if replace:
            with ConsoleProgress() as progress:
                replaced = opened.replace_files(files, graph, base, syntax=syntax, header=header, progress=progress)
            if json_:
                print_json(vars(replaced))
                return
            say(
                f"{store}: {replaced.read:,} facts read in {replaced.seconds:.1f} s; {replaced.added:,} are new, "
                f"{replaced.removed:,} are removed, {replaced.unchanged:,} were there; generation {replaced.generation}"
            )
            return
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


@command(
    STORE,
    "kg remove world.kg wrong.ttl",
    "kg remove world.kg old.nq.gz --graph http://example.org/old",
    "kg remove world.kg --graph http://example.org/old",
)
def remove(
    store: StorePath,
    files: Annotated[
        list[Path] | None, argument("FILE...", "The facts to remove; none: the whole graph that is named.")
    ] = None,
    graph: Annotated[
        str | None, option(READ, "IRI", "The graph that facts outside any graph are removed from.")
    ] = None,
    base: Base = None,
    syntax: SyntaxName = None,
    header: Header = None,
    json_: Json = False,
) -> None:
    """Take the facts of files, or a whole graph, out of a store.

    All that are there, or on an error none; how many were not there is said. Facts outside any graph are removed from
    the default graph unless another is named. kg history lists the states before, kg restore goes back to one.
    """
    from kg.store.store import Store

    if not files and graph is None:
        raise UserError("expected files of facts, or the graph to remove", "graph")
    with Store(store) as opened, ConsoleProgress() as progress:
        if files:
            removed = opened.remove_files(files, graph, base, syntax=syntax, header=header, progress=progress)
        else:
            removed = opened.remove_graph(graph or "", progress)
    if json_:
        print_json({"path": str(store)} | vars(removed))
        return
    missing = f", {removed.missing:,} were not there" if files else ""
    rest = f"{missing}; generation {removed.generation}"
    say(f"{store}: {removed.removed:,} facts removed in {removed.seconds:.1f} s{rest}")


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
