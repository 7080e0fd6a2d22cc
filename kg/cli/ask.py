"""`kg ask`."""

import math
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kg.cli.command import START, command
from kg.cli.console import note, out, print_json, say
from kg.cli.options import Device, Json, KnownFrom, ModelPath, Types, device_named
from kg.cli.tables import answer_table, candidate_table
from kg.errors import UserError

if TYPE_CHECKING:
    from kg.query.complex.conjunctive_query import Conjunction
    from kg.query.predictor import Predictor, Uncertainty


@command(START)
def ask(
    model: ModelPath,
    pattern: Annotated[
        str,
        typer.Argument(
            help='Such as "(Germany, borders, ?)", or several facts: "(?x, borders, France) & (?x, memberOf, NATO)".'
        ),
    ],
    top: Annotated[int, typer.Option(help="How many answers.")] = 10,
    new_only: Annotated[bool, typer.Option("--new-only", help="Leave known facts out.")] = False,
    types: Types = "off",
    store: KnownFrom = None,
    uncertainty: Annotated[
        int | None, typer.Option(metavar="N", help="How unsure the model is, from N samples with dropout (32 will do).")
    ] = None,
    tnorm: Annotated[
        Literal["product", "minimum"] | None,
        typer.Option(help="How the facts of a question make one probability (product).", show_default=False),
    ] = None,
    device: Device = "cpu",
    json_: Json = False,
) -> None:
    """The most plausible answers: (subject, predicate, ?), (?, predicate, object) or (subject, ?, object).

    Or of several facts with variables, as ?x: a chain "(Germany, borders, ?x) & (?x, language, ?y)", or facts that
    meet. "-> ?y" at the end says which variable is asked for, where that is not plain.
    """
    from kg.query.complex.conjunctive_query import Conjunction, parse_question
    from kg.query.predictor import Predictor

    question = parse_question(pattern)
    if isinstance(question, Conjunction):
        for option, given in (("--uncertainty", uncertainty is not None), ("--types", types != "off")):
            if given:
                raise UserError(f"{option} is for one fact with '?', not for a question with variables")
        predictor = Predictor.load(model, store, device_named(device))
        print_answers(question, predictor, top, new_only, tnorm or "product", json_)
        say_what_is_known(predictor)
        return
    if tnorm is not None:
        raise UserError("--tnorm is for questions with variables, such as (?x, borders, France) & (?x, memberOf, NATO)")
    predictor = Predictor.load(model, store, device_named(device))
    candidates = predictor.ask(question, top, new_only, types)
    unsure = None if uncertainty is None else predictor.uncertainty(question, uncertainty, new_only=new_only)
    if json_:
        told = {"uncertainty": unsure.to_json()} if unsure else {}
        print_json([candidate.to_json() | told for candidate in candidates])
    else:
        out.print(candidate_table(candidates))
        if unsure:
            say(uncertainty_line(unsure))
    say_what_is_known(predictor)


def print_answers(
    question: "Conjunction",
    predictor: "Predictor",
    top: int,
    new_only: bool,
    norm: Literal["product", "minimum"],
    json_: bool,
) -> None:
    from kg.query.complex.cqd import answers

    found = answers(predictor, question, top, new_only, norm)
    if json_:
        print_json([answer.to_json() for answer in found])
        return
    out.print(answer_table(question.asked, found, predictor.label))


def uncertainty_line(found: "Uncertainty") -> str:
    total, most = found.aleatoric + found.epistemic, math.log(found.candidates)
    return (
        f"uncertainty {total:.2f} nats of at most {most:.2f}: {found.aleatoric:.2f} aleatoric (several answers fit), "
        f"{found.epistemic:.2f} epistemic (the {found.samples} samples disagree)"
    )


def say_what_is_known(predictor: "Predictor") -> None:
    note(f"known facts: {predictor.facts_from}")
    if predictor.facts_left_out:
        note(f"{predictor.facts_left_out:,} facts of relations it was not trained with were left out")
