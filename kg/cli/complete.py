"""`kg complete`."""

from pathlib import Path
from typing import Annotated, Any

from kg.cli.ask import say_what_is_known
from kg.cli.command import ANSWERS, command
from kg.cli.console import count_bar, note, out, print_json
from kg.cli.options import ANSWERS as WHICH
from kg.cli.options import OUTPUT, TYPES, Device, Json, KnownFrom, ModelPath, Types, device_named, option
from kg.cli.tables import candidate_table
from kg.errors import UserError


@command(
    ANSWERS,
    "kg complete model",
    "kg complete model -o best.trig --top 5000",
    "kg complete model --relation memberOf --min-probability 0.5",
    "kg complete model --entity Germany --json",
)
def complete(
    model: ModelPath,
    relations: Annotated[
        list[str] | None, option(WHICH, "NAME", "Of this predicate (repeat it); otherwise of all.", "--relation")
    ] = None,
    entity: Annotated[str | None, option(WHICH, "NAME", "Facts of this entity alone.")] = None,
    top: Annotated[int | None, option(WHICH, "N", "The best so many (1000).")] = None,
    per_relation: Annotated[int | None, option(WHICH, "N", "The best so many of each predicate instead.")] = None,
    min_probability: Annotated[float, option(WHICH, "P", "Leave out what is less probable.")] = 0.0,
    types: Annotated[Types, option(WHICH, None, f"{TYPES} (observed).")] = "observed",
    store: KnownFrom = None,
    device: Device = "cpu",
    out_: Annotated[
        Path | None,
        option(OUTPUT, "FILE", "Write them there: .tsv, .jsonl, or RDF (.trig, .nq ...), also .gz.", "--out", "-o"),
    ] = None,
    rdf11: Annotated[bool, option(OUTPUT, None, "RDF 1.1 reification instead of RDF 1.2 reifiers.", "--rdf11")] = False,
    evidence: Annotated[
        bool, option(OUTPUT, None, "Count in RDF what speaks for each, up to a second for each (yes).")
    ] = True,
    json_: Json = False,
) -> None:
    """The most probable new facts of the whole graph.

    Every subject, predicate and object that is not known is tried. Killed, the search goes on where it was: with -o,
    the same command. Of the best twenty a table is printed.
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
            relations=relations,
            entity=entity,
            per_relation=per_relation,
            types=types,
            min_probability=min_probability,
            checkpoint=None if out_ is None else out_.with_name(f".{out_.name}.search"),
            progress=progress,
        )
    if out_ is not None:
        asked: dict[str, Any] = {"relations": relations, "entity": entity, "top": top, "per_relation": per_relation}
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
