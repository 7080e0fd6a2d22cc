"""`kg rules`."""

from pathlib import Path
from typing import Annotated

from kg.cli.command import ANSWERS, command
from kg.cli.console import note, out, print_json
from kg.cli.options import ANSWERS as WHICH
from kg.cli.options import HOW, OUTPUT, Json, Source, option
from kg.cli.progress_bar import ConsoleProgress
from kg.cli.tables import rules_table
from kg.errors import UserError, check_at_least_one


@command(
    ANSWERS,
    "kg rules world.kg",
    "kg rules world.kg --relation memberOf --min-support 5",
    "kg rules world.kg -o rules.tsv --max-length 2",
)
def rules(
    source: Source,
    relations: Annotated[
        list[str] | None, option(WHICH, "NAME", "Show rules for this predicate (repeat it) alone.", "--relation")
    ] = None,
    top: Annotated[int, option(WHICH, "N", "How many are printed (20).")] = 20,
    max_length: Annotated[int, option(HOW, "N", "Facts that a rule asks for, at most (3).")] = 3,
    min_support: Annotated[int, option(HOW, "N", "Facts that a rule must explain (2).")] = 2,
    min_confidence: Annotated[float, option(HOW, "SHARE", "Support / (body + 5), at least (0.001).")] = 0.001,
    seconds: Annotated[
        float | None, option(HOW, "SECONDS", "Look for no more rules after so long.", "--timeout")
    ] = None,
    out_: Annotated[Path | None, option(OUTPUT, "FILE", "Write all of them there, as TSV.", "--out", "-o")] = None,
    json_: Json = False,
) -> None:
    """Find which rules hold in the facts, and how often.

    Of the training facts, those that `kg train` learns from; the surest first. Confidence is support / (body + 5), so
    that few groundings are little trusted; ~ marks counts scaled up from a part.
    """
    from itertools import islice

    from kg.graph.names import Names
    from kg.graph.sources import open_dataset
    from kg.query.explain.rules import RuleNames, ranked, write_rules
    from kg.training.algorithms.mining import Mining

    mining = Mining(max_length, min_support, min_support, min_confidence, seconds)
    check_at_least_one(top=top)
    if out_ is not None and not out_.parent.is_dir():  # said before the mining, not after it
        raise UserError(f"{out_}: no directory {out_.parent}")
    with ConsoleProgress() as progress:
        dataset = open_dataset(source, progress=progress)
        words = Names(dataset.vocabulary.relations, dataset.schema, "relation")
        wanted = (
            None if relations is None else [dataset.vocabulary.relation_ids[words.term(each)] for each in relations]
        )
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
