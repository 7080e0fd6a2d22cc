"""`kg complete`."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from kg.cli.answering import answering, is_store
from kg.cli.ask import say_what_is_known
from kg.cli.candidate_page import layout_of, print_candidates
from kg.cli.command import ANSWERS, command
from kg.cli.console import note, print_json, some_predicates
from kg.cli.interruption import saving
from kg.cli.options import ANSWERS as WHICH
from kg.cli.options import (
    OUTPUT,
    TYPES,
    Answering,
    Device,
    Json,
    KnownFrom,
    Language,
    Plain,
    Types,
    Wide,
    device_named,
    option,
)
from kg.cli.progress_bar import ConsoleProgress
from kg.errors import UserError
from kg.search.page import Order

if TYPE_CHECKING:
    from kg.query.candidates.candidate import Candidates
    from kg.query.candidates.shapes import Shapes
    from kg.query.predictor import Predictor

_SHOWN = 20


@command(
    ANSWERS,
    "kg complete model",
    "kg complete model -o best.trig --top 5000",
    "kg complete model --relation memberOf --min-probability 0.5",
    "kg complete model --entity Germany --json",
    "kg complete world.kg",
)
def complete(
    model: Answering,
    relations: Annotated[
        list[str] | None, option(WHICH, "NAME", "Of this predicate (repeat it); otherwise of all.", "--relation")
    ] = None,
    entity: Annotated[str | None, option(WHICH, "NAME", "Facts of this entity alone.")] = None,
    top: Annotated[int | None, option(WHICH, "N", "The best so many (1000).")] = None,
    per_relation: Annotated[int | None, option(WHICH, "N", "The best so many of each predicate instead.")] = None,
    min_probability: Annotated[float, option(WHICH, "P", "Leave out what is less probable.")] = 0.0,
    order: Annotated[
        Order | None,
        option(
            WHICH, None, "A varied page: at most a tenth of one predicate and object (or subject); or the bare list."
        ),
    ] = None,
    types: Annotated[Types, option(WHICH, None, f"{TYPES} (observed).")] = "observed",
    minutes: Annotated[
        float | None,
        option(WHICH, "N", "Of a path network: search for so long, the likeliest questions first (a store: 0.25)."),
    ] = None,
    shapes: Annotated[
        Path | None,
        option(WHICH, "FILE", "Note what its SHACL shapes forbid, of those that evidence is looked for of."),
    ] = None,
    store: KnownFrom = None,
    device: Device = "cpu",
    out_: Annotated[
        Path | None,
        option(OUTPUT, "FILE", "Write them there: .tsv, .jsonl, or RDF (.trig, .nq ...), also .gz.", "--out", "-o"),
    ] = None,
    rdf11: Annotated[bool, option(OUTPUT, None, "RDF 1.1 reification instead of RDF 1.2 reifiers.", "--rdf11")] = False,
    evidence: Annotated[
        int | None,
        option(OUTPUT, "N", "Of how many to look for what speaks for them, up to a second for each (100; 20 shown)."),
    ] = None,
    language: Language = None,
    wide: Wide = False,
    plain: Plain = False,
    json_: Json = False,
) -> None:
    """The most probable new facts of the whole graph.

    Every subject, predicate and object that is not known is tried. Of those that say the same, or have the same
    predicate and object, a page shows some and counts the others. Stopped or killed, the search goes on where it was:
    with -o, the same command. The best twenty are printed, with what speaks for them. Of a store, with nothing trained,
    a pretrained network gives them, the likeliest questions first; stopped, the best so far.
    """
    from kg.query.candidates.completion import EVIDENCE, Completion, complete_into, looked_at
    from kg.query.candidates.files import check_writable

    layout = layout_of(wide, plain)
    if evidence is not None and evidence < 0:
        raise UserError(f"evidence must be at least 0: got {evidence}", "evidence")
    whole = json_ or plain or out_ is not None
    if not whole and top is None and per_relation is None:
        top = _SHOWN
    if minutes is None and is_store(model):
        from kg.api import SECONDS

        minutes = SECONDS / 60
    wanted = Completion(relations, entity, top, per_relation, min_probability, types, order, minutes)
    if out_ is not None:  # said before the model is loaded, not after the search
        check_writable(out_, rdf11)
    predictor = answering(model, store, device_named(device), language, probabilities=True)
    rules = None if shapes is None else _shapes(predictor, store, shapes)
    stoppable = saving("the same command goes on") if out_ is not None else nullcontext()
    looked = evidence if evidence is not None else EVIDENCE if whole else _SHOWN
    with stoppable, ConsoleProgress() as progress:
        if out_ is None:
            found = looked_at(predictor, wanted.candidates(predictor, progress=progress), looked, rules, progress)
        else:
            found = complete_into(predictor, wanted, out_, rdf11, looked, rules, progress)
    if out_ is not None:
        note(f"{len(found):,} candidates are in {out_}")
    if json_:
        print_json([candidate.to_json() for candidate in found])
    else:
        print_candidates(found if plain else found[:_SHOWN], layout)
    say_what_is_known(predictor)
    _say_what_is_left_out(found, found if whole else found[:_SHOWN], looked)
    _say_what_is_not_offered(predictor, relations is not None)
    if any(each.probability is None for each in found):
        note(f"without probabilities: {predictor.plausibility.uncalibrated}")


def _shapes(predictor: "Predictor", store: Path | None, file: Path) -> "Shapes":
    from kg.query.candidates.shapes import Shapes
    from kg.store.store import Store

    if predictor.bundle.dataset.generation is None and store is None:
        raise UserError("shapes look at all that a store says, and the model was trained on a folder", "shapes")
    with Store(store or predictor.bundle.store()) as opened:
        return Shapes(opened, file)


def _say_what_is_not_offered(predictor: "Predictor", named: bool) -> None:
    policy, known = predictor.plausibility.eligible.policy, predictor.knowledge
    withheld = predictor.plausibility.withheld
    others = [each for each in (~policy.relations).nonzero()[:, 0].tolist() if each not in withheld]
    for why, left_out in (("they annotate or build axioms", others), ("their probabilities did not hold", withheld)):
        if left_out and not named:
            names = [known.label(known.vocabulary.relations[each]) for each in left_out]
            note(f"not offered unless named, as {why}: {some_predicates(names, known.num_relations)}")
    for relation in policy.cut:
        name = known.label(known.vocabulary.relations[relation])
        note(f"of {name} so much follows from known facts that not all of it was looked for: some may be offered")


def _say_what_is_left_out(found: "Candidates", given: "Candidates", looked: int) -> None:
    if len(given) < len(found):
        note(f"these are the first {len(given):,} of {len(found):,}: --plain, --json or -o FILE give all")
    if looked < len(given):
        note(f"what speaks for a fact was looked for of the first {looked:,} alone: --evidence {len(given)} for all")
    if found.unasked:
        note(f"{found.unasked:,} less likely questions were not reached: --minutes N searches for longer")
    if found.restated:
        note(f"{found.restated:,} that restate known facts by another predicate are left out: --order probability")
