"""`kg ask`."""

import math
from typing import TYPE_CHECKING, Annotated, Literal

from kg.cli.answering import answering, is_store
from kg.cli.candidate_page import layout_of, print_candidates
from kg.cli.command import START, command
from kg.cli.console import note, out, print_json, say
from kg.cli.options import (
    ANSWERS,
    HOW,
    TYPES,
    Answering,
    Device,
    Json,
    KnownFrom,
    Language,
    Plain,
    Types,
    Wide,
    argument,
    device_named,
    option,
)
from kg.cli.tables import answer_table
from kg.errors import UserError

if TYPE_CHECKING:
    from kg.query.predictor import Predictor
    from kg.query.uncertainty import Uncertainty


@command(
    START,
    'kg ask model "(Germany, memberOf, ?)" --new-only',
    'kg ask model "(?, borders, Germany)" --top 3 --json',
    'kg ask model "(?x, borders, France) & (?x, memberOf, NATO)"',
    'kg ask model "(Germany, borders, ?x) & (?x, language, ?y)"',
)
def ask(
    model: Answering,
    question: Annotated[str, argument("QUESTION", "A fact with '?' in it, or several with variables.")],
    top: Annotated[int, option(ANSWERS, "N", "How many (10).")] = 10,
    new_only: Annotated[bool, option(ANSWERS, None, "Leave known facts out.", "--new-only")] = False,
    types: Annotated[Types, option(ANSWERS, None, f"{TYPES} (off).")] = "off",
    store: KnownFrom = None,
    uncertainty: Annotated[
        int | None,
        option(HOW, "N", "How unsure the model is, from N samples with dropout (32 are enough)."),
    ] = None,
    tnorm: Annotated[
        Literal["product", "minimum"] | None,
        option(HOW, None, "What makes one probability of several facts (product)."),
    ] = None,
    device: Device = "cpu",
    language: Language = None,
    wide: Wide = False,
    plain: Plain = False,
    json_: Json = False,
) -> None:
    """The most plausible answers to a question, known or new.

    Of one fact: (subject, predicate, ?), (?, predicate, object) or (subject, ?, object). Of several, with variables:
    a chain, or facts that meet; "-> ?y" at the end says which variable is asked for, where that is not plain. Names are
    labels, prefix:name or IRIs.
    """
    from kg.query.complex import cqd
    from kg.query.complex.conjunctive_query import Conjunction, parse_question

    asked = parse_question(question)
    several = isinstance(asked, Conjunction)
    for name, given in (
        ("uncertainty", uncertainty is not None),
        ("types", types != "off"),
        ("wide", wide),
        ("plain", plain),
    ):
        if several and given:
            raise UserError(f"{name} is for one fact with '?', not for a question with variables", name)
    if tnorm is not None and not several:
        example = "(?x, borders, France) & (?x, memberOf, NATO)"
        raise UserError(f"tnorm is for questions with variables, such as {example}", "tnorm")
    if several and is_store(model):
        raise UserError(f"a question with variables needs probabilities, which a model has: kg train {model} MODEL")
    predictor = answering(model, store, device_named(device), language)
    if isinstance(asked, Conjunction):
        answers = cqd.answers(predictor.plausibility, asked, top, new_only, tnorm or "product")
        if json_:
            print_json([answer.to_json() for answer in answers])
        else:
            out.print(answer_table(asked.asked, answers, predictor.label))
    else:
        candidates = predictor.ask(asked, top, new_only, types)
        unsure = None if uncertainty is None else predictor.uncertainty(asked, uncertainty, new_only=new_only)
        if json_:
            added = {"uncertainty": unsure.to_json()} if unsure else {}
            print_json([candidate.to_json() | added for candidate in candidates])
        else:
            print_candidates(candidates, layout_of(wide, plain))
            if unsure:
                say(uncertainty_line(unsure))
    say_what_is_known(predictor)


def uncertainty_line(found: "Uncertainty") -> str:
    total, most = found.aleatoric + found.epistemic, math.log(found.candidates)
    return (
        f"uncertainty {total:.2f} nats of at most {most:.2f}: {found.aleatoric:.2f} aleatoric (several answers fit), "
        f"{found.epistemic:.2f} epistemic (the {found.samples} samples disagree)"
    )


def say_what_is_known(predictor: "Predictor") -> None:
    known = predictor.knowledge
    note(f"known facts: {known.facts_from}")
    if known.facts_left_out:
        note(f"{known.facts_left_out:,} facts of relations it was not trained with were left out")
