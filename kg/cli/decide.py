"""What people say of candidates: `kg decide`, `kg decisions` and `kg review`."""

import csv
import getpass
import io
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich import box
from rich.table import Table

from kg.cli.command import DECISIONS, command
from kg.cli.console import ask, data, note, out, print_json, say
from kg.cli.options import ANSWERS, OUTPUT, Json, KnownFrom, Language, ModelPath, StorePath, argument, option
from kg.cli.progress_bar import ConsoleProgress
from kg.errors import UserError

if TYPE_CHECKING:
    from kg.decisions.journal import Decision, Verdict
    from kg.decisions.verdicts import Verdicts
    from kg.graph.names import Names
    from kg.query.candidates.candidate import Candidate
    from kg.query.review import Review, Wanted
    from kg.store.store import Store

Person = Annotated[str | None, option(OUTPUT, "NAME", "Who says so (the name you are logged in with).", "--by")]
_SHOWN = 20
_COLUMNS = ("verdict", "subject", "predicate", "object", "person", "at", "probability", "model", "note")
_KEYS: dict[str, "Verdict"] = {"a": "accept", "x": "reject", "": "unsure", "u": "unsure"}


@command(
    DECISIONS,
    "kg decide world.kg accept Germany memberOf NATO",
    'kg decide world.kg reject Germany borders Spain --note "not adjacent"',
    "kg decide world.kg undo",
)
def decide(
    store: StorePath,
    verdict: Annotated[
        Literal["accept", "reject", "unsure", "undo"], argument("VERDICT", "accept, reject, unsure, undo.")
    ],
    fact: Annotated[list[str] | None, argument("SUBJECT PREDICATE OBJECT", "By label, prefix:name or IRI.")] = None,
    by: Person = None,
    note_: Annotated[str | None, option(OUTPUT, "TEXT", "Why.", "--note")] = None,
    json_: Json = False,
) -> None:
    """Say what you hold of a fact, or take back what you said last.

    It is on disk when this returns. An accepted fact is known from then on, a rejected one is offered by nothing again;
    the next load or training takes accepted ones into the graph urn:kg:accepted.
    """
    from kg.decisions.folding import unfold
    from kg.decisions.journal import Decision, Journal, Undo
    from kg.store.store import Store

    person, id_ = by or getpass.getuser(), str(uuid.uuid4())
    with Store(store) as opened:
        journal = Journal(store)
        if verdict == "undo":
            if fact or note_:
                raise UserError("undo takes back what was said last: it takes neither a fact nor a note")
            last = next((each for each in reversed(journal.decisions()) if each.person == person), None)
            if last is None:
                raise UserError(f"{person} has nothing to take back")
            made = journal.undo(Undo(id_, last.batch, person))
        else:
            terms = _terms(opened, fact or [])
            made = [Decision(id_, *terms, verdict, person, note=note_)]
            journal.append(made)
        if verdict != "accept":
            unfold(store, [each.fact for each in made])
        label = _labels(opened)
    if json_:
        print_json({"verdict": verdict, "decisions": [each.to_json() for each in made]})
        return
    for each in made:
        what = f"{person} takes back: {each.verdict}" if verdict == "undo" else f"{person}: {each.verdict}"
        say(f"{what} ({', '.join(label(term) for term in each.fact)})")


def _terms(store: "Store", fact: list[str]) -> tuple[str, str, str]:
    """By what the store calls them. An IRI that it does not have is a UserError, too: a slip would be kept for good."""
    import numpy as np

    from kg.graph.from_store import schema_from_store
    from kg.graph.names import Names

    if len(fact) != 3:
        raise UserError(f"expected SUBJECT PREDICATE OBJECT: got {len(fact)} names")
    terms, rows, schema = store.terms(), store.facts(), schema_from_store(store)

    def named(columns: list[int], what: str) -> "Names":
        return Names([terms[i] for i in np.unique(rows[:, columns]).tolist()], schema, what)

    ends, predicates = named([0, 2], "entity"), named([1], "relation")
    return ends.term(fact[0]), predicates.term(fact[1]), ends.term(fact[2])


def _labels(store: "Store") -> Callable[[str], str]:
    from kg.graph.schema import Schema
    from kg.store.labels import labels

    return Schema(labels=labels(store.texts)).label


@command(DECISIONS, "kg decisions world.kg", "kg decisions world.kg -o decisions.csv")
def decisions(
    store: StorePath,
    out_: Annotated[Path | None, option(OUTPUT, "FILE", "Write all that stand there, as .csv.", "--out", "-o")] = None,
    json_: Json = False,
) -> None:
    """What people said of candidates, and how far they agree.

    Of a person the newest decision of a fact counts. A fact is accepted, or rejected, where more people say so.
    """
    from kg.decisions.journal import Journal
    from kg.decisions.verdicts import Verdicts
    from kg.files import write_text
    from kg.store.store import Store

    with Store(store) as opened:
        made = Journal(store).decisions()
        label = _labels(opened)
    verdicts = Verdicts.of(made)
    if out_ is not None:
        write_text(out_, _csv(made))
        note(f"{len(made):,} decisions are in {out_}")
    if json_:
        print_json({"decisions": [each.to_json() for each in made], **_summary(verdicts)})
        return
    if out_ is None and made:
        table = Table("when", "who", "verdict", "fact", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for each in made[: -_SHOWN - 1 : -1]:
            when = f"{each.at:%Y-%m-%d %H:%M}" if each.at else ""
            table.add_row(when, data(each.person), each.verdict, data(", ".join(map(label, each.fact))))
        out.print(table)
        if len(made) > _SHOWN:
            note(f"these are the last {_SHOWN} of {len(made):,}: --json or -o FILE give all")
    say(_line(verdicts))


def _summary(verdicts: "Verdicts") -> dict[str, object]:
    return {"facts": verdicts.counts(), "agreement": verdicts.agreement()}


def _line(verdicts: "Verdicts") -> str:
    line, alpha = ", ".join(f"{count:,} {name}" for name, count in verdicts.counts().items()), verdicts.agreement()
    agree = "" if alpha is None else f"; people agree by {alpha:.2f} (Krippendorff's alpha; 1: always, 0: as by chance)"
    return f"facts: {line}{agree}"


def _csv(made: "list[Decision]") -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for each in made:
        row = each.to_json()
        writer.writerow(["" if row[name] is None else row[name] for name in _COLUMNS])
    return text.getvalue()


@command(DECISIONS, "kg review model", "kg review model --relation memberOf --order uncertain")
def review(
    model: ModelPath,
    relation: Annotated[str | None, option(ANSWERS, "NAME", "Of this predicate.")] = None,
    order: Annotated[
        Literal["subject", "surest", "uncertain"],
        option(ANSWERS, None, "By predicate and subject; the surest or the most uncertain first (subject)."),
    ] = "subject",
    top: Annotated[int, option(ANSWERS, "N", "Of the most probable so many candidates (1000).")] = 1000,
    store: KnownFrom = None,
    by: Person = None,
    language: Language = None,
) -> None:
    """Decide on candidates one after the other, at the terminal.

    a accepts, x rejects, u (or Return) is unsure, z takes back the last, q ends. Each is on disk when the next is
    shown.
    """
    from kg.query.predictor import Predictor
    from kg.query.review import Review, Wanted

    predictor = Predictor.load(model, store, language=language)
    with ConsoleProgress() as progress:
        queue = Review(predictor, top, progress)
    predicate = None if relation is None else predictor.knowledge.relation_names.term(relation)
    _at_the_terminal(queue, Wanted(predicate, order=order), by or getpass.getuser())
    say(_line(queue.verdicts))


def _at_the_terminal(review: "Review", wanted: "Wanted", person: str) -> None:
    """Asks until the queue is empty or the person has had enough."""
    from kg.decisions.journal import Undo
    from kg.query.candidates.candidate import Candidates
    from kg.query.explain.evidence import with_evidence

    decided = review.predictor.knowledge.decided
    assert decided is not None
    journal, made = decided.journal, list[str]()
    while left := review.queue(person, wanted):
        (shown,) = with_evidence(review.predictor.plausibility, Candidates((left[0],)), 1)
        for line in _question(review, shown, len(left)):
            say(line)
        try:
            key = ask("accept, reject, unsure, undo, quit (a/x/u/z/q)", otherwise="").strip().lower()
        except typer.Abort:  # the end of its input
            return
        if key == "q":
            return
        if key == "z" and made:
            journal.undo(Undo(str(uuid.uuid4()), made.pop(), person))
        elif key in _KEYS:
            made.append(str(uuid.uuid4()))
            journal.append([review.decision(shown, _KEYS[key], person, made[-1])])
        else:
            note("nothing to take back" if key == "z" else f"no such key: {key}")
        review.predictor.refresh()
    say("nothing is left to decide on")


def _question(review: "Review", shown: "Candidate", left: int) -> Iterator[str]:
    sure = "" if shown.probability is None else f"  {shown.probability:.3f}"
    yield ""
    yield f"{'  '.join(shown.names)}{sure}"
    for text in (shown.because, shown.note and f"note: {shown.note}"):
        if text:
            yield f"    {text}"
    so_far = review.precision(shown.predicate)
    if so_far.share is not None:
        low, high = so_far.bounds
        yield f"    of {shown.names[1]} so far {so_far.share:.0%} accepted ({low:.0%} to {high:.0%}); {left:,} left"
