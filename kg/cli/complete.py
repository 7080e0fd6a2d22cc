"""`kg complete`."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

from kg.cli.ask import say_what_is_known
from kg.cli.command import ANSWERS, command
from kg.cli.console import note, out, print_json
from kg.cli.interruption import saving
from kg.cli.options import ANSWERS as WHICH
from kg.cli.options import OUTPUT, TYPES, Device, Json, KnownFrom, Language, ModelPath, Types, device_named, option
from kg.cli.progress_bar import ConsoleProgress
from kg.cli.tables import candidate_table


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
    language: Language = None,
    json_: Json = False,
) -> None:
    """The most probable new facts of the whole graph.

    Every subject, predicate and object that is not known is tried. Stopped or killed, the search goes on where it was:
    with -o, the same command. Of the best twenty a table is printed.
    """
    from kg.query.candidates.completion import Completion, complete_into
    from kg.query.candidates.files import check_writable
    from kg.query.predictor import Predictor

    wanted = Completion(relations, entity, top, per_relation, min_probability, types)
    if out_ is not None:  # said before the model is loaded, not after the search
        check_writable(out_, rdf11)
    predictor = Predictor.load(model, store, device_named(device), language)
    stoppable = saving("the same command goes on") if out_ is not None else nullcontext()
    with stoppable, ConsoleProgress() as progress:
        if out_ is None:
            found = wanted.candidates(predictor, progress=progress)
        else:
            found = complete_into(predictor, wanted, out_, rdf11, evidence, progress)
    if out_ is not None:
        note(f"{len(found):,} candidates are in {out_}")
    if json_:
        print_json([candidate.to_json() for candidate in found])
    else:
        out.print(candidate_table(found[:20]))
    say_what_is_known(predictor)
    if found and found[0].probability is None:
        note(f"without probabilities: {predictor.plausibility.uncalibrated}")
