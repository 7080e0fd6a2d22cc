"""`kg complete`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from kg.cli.ask import say_what_is_known
from kg.cli.command import ANSWERS, command
from kg.cli.console import count_bar, note, out, print_json
from kg.cli.options import Device, Json, KnownFrom, ModelPath, Types, device_named
from kg.cli.tables import candidate_table
from kg.errors import UserError


@command(ANSWERS)
def complete(
    model: ModelPath,
    out_: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Write them there: .tsv, .jsonl, or RDF (.trig, .nq ...), also .gz."
        ),
    ] = None,
    relation: Annotated[list[str] | None, typer.Option(help="Of this predicate (repeat it); otherwise of all.")] = None,
    entity: Annotated[str | None, typer.Option(help="Facts of this entity alone.")] = None,
    top: Annotated[int | None, typer.Option(help="The best so many (1000).", show_default=False)] = None,
    per_relation: Annotated[
        int | None, typer.Option(metavar="K", help="The best K of each predicate instead.", show_default=False)
    ] = None,
    min_probability: Annotated[float, typer.Option(help="Leave out what is less probable.")] = 0.0,
    types: Types = "observed",
    store: KnownFrom = None,
    rdf11: Annotated[bool, typer.Option("--rdf11", help="RDF 1.1 reification instead of RDF 1.2 reifiers.")] = False,
    evidence: Annotated[
        bool, typer.Option(help="Count in RDF how many things speak for each candidate: up to a second for each.")
    ] = True,
    device: Device = "cpu",
    json_: Json = False,
) -> None:
    """The most probable new facts of the whole graph: every subject, predicate and object that is not known is tried.

    Killed, it goes on where it was: with -o, the same command. Of the best twenty a table is printed.
    """
    from datetime import UTC, datetime

    from kg.query.candidates.annotations import Origin
    from kg.query.candidates.files import check_writable, is_rdf, write_candidates
    from kg.query.explain.evidence import counted
    from kg.query.predictor import Predictor

    started = datetime.now(UTC)
    if top is not None and per_relation is not None:
        raise UserError("--top and --per-relation: the best of all, or of each predicate; choose one")
    if top is None and per_relation is None:
        top = 1000
    if out_ is not None:  # said before the search, not after it
        check_writable(out_, rdf11)
    predictor = Predictor.load(model, store, device_named(device))
    with count_bar("candidates") as progress:
        found = predictor.complete(
            1000 if top is None else top,  # of no use beside per_relation
            relations=relation,
            entity=entity,
            per_relation=per_relation,
            types=types,
            min_probability=min_probability,
            checkpoint=None if out_ is None else out_.with_name(f".{out_.name}.search"),
            progress=progress,
        )
    if out_ is not None:
        asked: dict[str, Any] = {"relations": relation, "entity": entity, "top": top, "per_relation": per_relation}
        asked |= {"min_probability": min_probability, "types": types}
        settings = {name: value for name, value in asked.items() if value is not None}
        origin = Origin.of(predictor.bundle, predictor.data, predictor.generation, started, settings)
        counts = None
        if evidence and is_rdf(out_):
            with count_bar("evidence") as progress:
                counts = counted(predictor, found, progress)
        write_candidates(found, out_, origin, rdf11, counts)
        note(f"{len(found):,} candidates are in {out_}")
    if json_:
        print_json([candidate.to_json() for candidate in found])
    else:
        out.print(candidate_table(found[:20]))
    say_what_is_known(predictor)
    if found and found[0].probability is None:
        note(f"without probabilities: {predictor.uncalibrated}")
