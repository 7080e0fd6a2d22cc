"""`kg sparql`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from kg.cli.command import STORE, command
from kg.cli.console import PlainConsole, note, out
from kg.cli.options import ANSWERS, HOW, OUTPUT, StorePath, argument, option
from kg.cli.tables import solutions_table

if TYPE_CHECKING:
    from kg.store.sparql import Answer

Format = Literal["table", "json", "csv", "tsv", "xml", "ntriples", "turtle"]


@command(
    STORE,
    'kg sparql world.kg "SELECT ?c { ?c world:borders world:Germany }"',
    'kg sparql world.kg "SELECT * { ?s ?p ?o } LIMIT 9" --format csv',
    'kg sparql world.kg --model model "ASK { FILTER(kg:known(ex:a, ex:b, ex:c)) }"',
)
def sparql(
    store: StorePath,
    query: Annotated[str, argument("QUERY", "SELECT, ASK, CONSTRUCT or DESCRIBE.")],
    model: Annotated[
        Path | None, option(ANSWERS, "MODEL", "A trained model that answers kg:score, kg:probability and kg:known.")
    ] = None,
    with_predictions: Annotated[
        bool, option(ANSWERS, None, "Published predictions answer as other facts do.", "--with-predictions")
    ] = False,
    timeout_seconds: Annotated[float, option(HOW, "SECONDS", "Stop the query after so long (30).", "--timeout")] = 30.0,
    format: Annotated[
        Format,
        option(OUTPUT, None, "table (the default); ntriples and turtle for what CONSTRUCT and DESCRIBE give."),
    ] = "table",
) -> None:
    """Query a store in SPARQL.

    The default graph is the union of all graphs but that of published predictions. The store's prefixes are declared,
    and kg:, so that kg:probability(?s, ?p, ?o) needs nothing but --model.
    """
    from kg.query.sparql.scored import ScoredStore
    from kg.store.store import Store

    with Store(store) as opened:
        if model is None:
            answer = opened.answer(query, with_predictions=with_predictions, timeout_seconds=timeout_seconds)
        else:
            with ScoredStore(opened, model) as scored:
                answer = scored.answer(query, with_predictions=with_predictions, timeout_seconds=timeout_seconds)
        print_answer(answer, format, opened.prefixes, out)
    for each in answer.notes:
        note(each)


def print_answer(answer: "Answer", format: Format, prefixes: Mapping[str, str], console: PlainConsole) -> None:
    """A table, IRIs shortened by the prefixes, with the number of solutions; true or false; or in a format."""
    from kg.query.sparql.results import solutions, written

    if format != "table":
        console.write(written(answer, format, prefixes))
        return
    found = solutions(answer)
    if isinstance(found, bool):
        console.write(f"{str(found).lower()}\n")
        return
    console.print(solutions_table(found, prefixes))
    count = len(found.rows)
    console.print("1 solution" if count == 1 else f"{count:,} solutions")
