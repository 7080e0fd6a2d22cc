"""`kg sparql`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from kg.cli.command import STORE, command
from kg.cli.console import note, out
from kg.cli.options import StorePath


@command(STORE)
def sparql(
    store: StorePath,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="SELECT, ASK, CONSTRUCT or DESCRIBE.")],
    model: Annotated[
        Path | None, typer.Option(help="A trained model: it answers kg:score, kg:probability and kg:known.")
    ] = None,
    with_predictions: Annotated[
        bool, typer.Option("--with-predictions", help="Published predictions answer as other facts do.")
    ] = False,
    format: Annotated[
        Literal["table", "json", "csv", "tsv", "xml", "ntriples", "turtle"],
        typer.Option(help="How to print the results; the last two for what CONSTRUCT and DESCRIBE give."),
    ] = "table",
    timeout: Annotated[float, typer.Option(help="Seconds after which the query is stopped.")] = 30.0,
) -> None:
    """Query a store. The default graph is the union of all graphs but that of published predictions.

    The store's prefixes are declared, and kg:, so that kg:probability(?s, ?p, ?o) needs nothing but --model.
    """
    from kg.query.sparql.results import print_answer
    from kg.query.sparql.scored import ScoredStore
    from kg.store.store import Store

    with Store(store) as opened:
        if model is None:
            answer = opened.answer(query, with_predictions=with_predictions, timeout_seconds=timeout)
        else:
            with ScoredStore(opened, model) as scored:
                answer = scored.answer(query, with_predictions=with_predictions, timeout_seconds=timeout)
        print_answer(answer, format, opened.prefixes, out)
    for each in answer.notes:
        note(each)
