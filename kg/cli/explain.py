"""`kg explain`."""

from pathlib import Path
from typing import Annotated

from kg.cli.answering import answering
from kg.cli.ask import say_what_is_known
from kg.cli.command import ANSWERS, command
from kg.cli.console import note, print_json, say
from kg.cli.options import ANSWERS as WHICH
from kg.cli.options import OUTPUT, Answering, Json, KnownFrom, Language, argument, option
from kg.errors import UserError


@command(
    ANSWERS,
    "kg explain model Germany continent Europe",
    'kg explain model "(Germany, continent, Europe)" --svg why.svg',
)
def explain(
    model: Answering,
    fact: Annotated[list[str], argument("FACT", 'Three names, or one text: "(Germany, continent, Europe)".')],
    top: Annotated[int, option(WHICH, "N", "How many paths (5).")] = 5,
    store: KnownFrom = None,
    svg: Annotated[Path | None, option(OUTPUT, "FILE", "Draw the paths there, as SVG.")] = None,
    language: Language = None,
    json_: Json = False,
) -> None:
    """The evidence for a fact, known or not, and what is against it.

    Paths of known facts, like facts, and what the model attended to.
    """
    from kg.query.pattern import parse_fact

    if len(fact) not in (1, 3):
        raise UserError(f"a fact is three names, or one text in brackets: got {len(fact)} of them")
    subject, predicate, object_ = fact if len(fact) == 3 else parse_fact(fact[0])
    predictor = answering(model, store, language=language)
    found = predictor.explain(subject, predicate, object_, top)
    if svg is not None:
        from kg.query.explain.picture import write_svg

        write_svg(found, svg)
        note(f"the picture is in {svg}")
    if json_:
        print_json(found.to_json())
    else:
        say(str(found))
    say_what_is_known(predictor)
