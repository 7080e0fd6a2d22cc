"""`kg rules`."""

from pathlib import Path
from typing import Annotated

import typer

from kg.cli.command import LEARN, command
from kg.cli.console import count_bar, note, out, print_json
from kg.cli.options import Json, Source
from kg.cli.tables import rules_table
from kg.errors import UserError


@command(LEARN)
def rules(
    source: Source,
    max_length: Annotated[int, typer.Option(help="Atoms of a body at most.")] = 3,
    min_support: Annotated[int, typer.Option(help="Facts that a rule must explain.")] = 2,
    min_confidence: Annotated[float, typer.Option(help="Support / (body + 5), at least.")] = 0.001,
    time_limit: Annotated[float | None, typer.Option(help="Look for no more rules after so many seconds.")] = None,
    relation: Annotated[list[str] | None, typer.Option(help="Show rules for this predicate (repeat it) alone.")] = None,
    out_: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write all of them there, as TSV.")
    ] = None,
    top: Annotated[int, typer.Option(help="How many are printed.")] = 20,
    json_: Json = False,
) -> None:
    """Mine rules from the training facts, those that `kg train` learns from. The surest come first.

    Confidence is support / (body + 5), so that few groundings are little trusted; ~ marks counts scaled up from a part.
    """
    from itertools import islice

    from kg.graph.names import Names
    from kg.graph.sources import open_dataset
    from kg.query.explain.rules import RuleNames, ranked, write_rules
    from kg.training.algorithms.mining import Mining

    mining = Mining(max_length, min_support, min_support, min_confidence, time_limit)
    if top < 1:
        raise UserError(f"--top must be at least 1: got {top}")
    if out_ is not None and not out_.parent.is_dir():  # said before the mining, not after it
        raise UserError(f"{out_}: no directory {out_.parent}")
    dataset = open_dataset(source)
    words = Names(dataset.vocabulary.relations, dataset.schema, "relation")
    wanted = None if relation is None else [dataset.vocabulary.relation_ids[words.term(name)] for name in relation]
    with count_bar("mining") as progress:
        mined = mining.rules(dataset.graph(), progress)
    names = RuleNames(dataset.vocabulary, dataset.schema)
    best = list(islice(ranked(mined, names, wanted), top))
    count = None if out_ is None else write_rules(ranked(mined, names, wanted), names, out_)
    if json_:
        print_json([names.row(text, rule) for text, rule in best])
    else:
        out.print(rules_table(best) if best else "no rule was found")
    if count is not None:
        note(f"{count:,} rules are in {out_}")
