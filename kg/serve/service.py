"""What the pages and the API answer from: models, a store, its journal, and one lock around them."""

import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import final

from kg import generations
from kg.decisions.folding import unfold
from kg.decisions.journal import Decision, Fact, Journal, Undo
from kg.decisions.verdicts import Verdicts
from kg.errors import UserError
from kg.graph.graph import Graph
from kg.progress import SILENT, Progress
from kg.query.candidates.candidate import Candidate, Candidates
from kg.query.explain.evidence import Evidence
from kg.query.held_out import HeldOut
from kg.query.pattern import Pattern
from kg.query.predictor import Predictor
from kg.query.review import Precision, Review, Wanted, fact_of

_EVIDENCE = 2048  # facts of which it is kept
_EDGES = 50  # known facts of an entity that are shown, each way
_NAMES = 20  # that a search gives
_GROUP = 50  # candidates that are decided on at once


@final
@dataclass(frozen=True)
class Item:
    """A candidate to decide on. place: its number in the queue, from 0; left: how long that is. group: what stands
    there of the same predicate and subject, itself first."""

    candidate: Candidate
    evidence: Evidence
    place: int
    left: int
    group: tuple[Candidate, ...]
    others: tuple[Decision, ...]
    precision: Precision


@final
@dataclass(frozen=True)
class OfEntity:
    """What there is of an entity: facts of which it is the subject, and the object; what is predicted."""

    term: str
    types: tuple[str, ...]
    out: list[Fact]
    into: list[Fact]
    predicted: Candidates


@final
@dataclass(frozen=True)
class OfRelation:
    """What there is of a predicate. ends: labels of its declared subjects and objects. held_out: how often what the
    model says of it came true."""

    term: str
    count: int
    facts: list[Fact]
    ends: list[str]
    precision: Precision
    held_out: HeldOut


@final
@dataclass(frozen=True)
class OfModel:
    """What there is of the model. written: when its folder last changed. mrr: on its valid facts, None without any.
    uncalibrated: why it gives no probabilities, None where it does. counts: of what people decided, by standing."""

    scorer: str
    facts: str
    written: str
    mrr: float | None
    uncalibrated: str | None
    counts: Mapping[str, int]


@final
class Service:
    """One model over one store. Every method may be called from any thread; they take turns.

    What people decide, what is loaded into the store and another generation of the model show at the next call.
    """

    def __init__(
        self, model: Path, store: Path, top: int, language: str | None = None, progress: Progress = SILENT
    ) -> None:
        self.model, self.store = model, store
        self.journal = Journal(store)
        self._top, self._language = top, language
        self._lock = threading.RLock()
        self._loaded = generations.current(model, noun="model")
        self._predictor = Predictor.load(model, store, language=language)
        self._review = Review(self._predictor, top, progress)
        self._named: tuple[object, object, list[tuple[str, str]]] = (None, None, [])
        self._cached = lru_cache(_EVIDENCE)(self._explain)
        self._ahead = threading.Event()
        self._kept = False

    # Freshness

    def _fresh(self) -> None:
        """Under the lock: up to what model and store hold now."""
        now = generations.current(self.model, noun="model")
        if now != self._loaded and not self._kept:
            self._take(*self._loading(), now)
            return
        before = self._predictor.knowledge
        change = self._predictor.refresh()
        if self._predictor.knowledge.known is not before.known or change.schema:
            self._cached.cache_clear()

    def _loading(self) -> tuple[Predictor, Review]:
        predictor = Predictor.load(self.model, self.store, language=self._language)
        return predictor, Review(predictor, self._top)

    def _take(self, predictor: Predictor, review: Review, generation: Path) -> None:
        """Under the lock."""
        self._predictor, self._review, self._loaded = predictor, review, generation
        self._cached.cache_clear()

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Meanwhile the model that is loaded goes on answering, whatever its folder comes to hold. At the end the next
        one is loaded beside it, while it still answers, and takes its place."""
        self._kept = True
        try:
            yield
            now = generations.current(self.model, noun="model")
            if now != self._loaded:
                loaded = self._loading()
                with self._lock:
                    self._take(*loaded, now)
        finally:
            self._kept = False

    @property
    def generation(self) -> Path | None:
        """What the model's folder holds now; None where that is no model."""
        with suppress(UserError):
            return generations.current(self.model, noun="model")
        return None

    def fresh(self) -> Predictor:
        """The predictor, up to now."""
        with self._lock:
            self._fresh()
            return self._predictor

    @property
    def predictor(self) -> Predictor:
        """As the last call left it."""
        return self._predictor

    # The queue

    def item(self, person: str, wanted: Wanted, place: int = 0, fact: Fact | None = None) -> Item | None:
        """What stands at this place of the queue, or this fact wherever it stands; None where nothing is left."""
        with self._lock:
            self._fresh()
            queue = self._review.queue(person, wanted)
            if fact is not None:
                shown: Candidate | None = self._shown(fact)
                place = next((i for i, each in enumerate(queue) if fact_of(each) == fact), -1)
            else:
                place = max(0, min(place, len(queue) - 1))
                shown = queue[place] if queue else None
            if shown is None:
                return None
            said = self._review.verdicts.said(fact_of(shown))
            found = Item(
                shown,
                self._explained(*fact_of(shown)),
                place,
                len(queue),
                tuple(_group(queue, shown)[:_GROUP]),
                tuple(each for name, each in said.items() if name != person),
                self._review.precision(shown.predicate),
            )
        self._look_ahead(queue[place + 1 : place + 3])
        return found

    def _shown(self, fact: Fact) -> Candidate:
        """As the queue shows it, or as it would."""
        found = next((each for each in self._review.candidates if fact_of(each) == fact), None)
        if found is not None:
            return found
        why = self._explained(*fact)
        return Candidate(*why.fact, 1, self._predictor.score(*fact), why.known, why.probability)

    def decide(self, decisions: Sequence[Decision]) -> int:
        """Write them; how many are new. On disk when this returns."""
        with self._lock:
            self._fresh()
            verdicts = self._review.verdicts
        were = [each.fact for each in decisions if verdicts.standing(each.fact) == "accepted"]
        count = self.journal.append(decisions)
        if were:
            unfold(self.store, were)
        return count

    def undo(self, undo: Undo) -> list[Decision]:
        """Take back what a person said; it is stated by nothing of ours afterwards."""
        back = self.journal.undo(undo)
        unfold(self.store, [each.fact for each in back])
        return back

    def last_of(self, person: str) -> tuple[Decision, int] | None:
        """What this person said last, and did not take back, and how many facts they decided on with it."""
        return self._review.verdicts.last_of(person)

    def last(self, most: int) -> tuple[Verdicts, list[Decision]]:
        """What all decisions come to, and the last of them, the newest first."""
        with self._lock:
            self._fresh()
            return self._review.verdicts, self.journal.decisions()[: -most - 1 : -1]

    def decision(self, fact: Fact, verdict: str, person: str, id: str, batch: str = "", note: str = "") -> Decision:
        """As this person makes it, with what was shown of the fact: of one in a batch no evidence. UserError: `verdict`
        is none."""
        if verdict not in ("accept", "reject", "unsure"):
            raise UserError(f"verdict must be one of accept, reject, unsure: got {verdict[:40]!r}", "verdict")
        with self._lock:
            shown = self._shown(fact)
            if not batch:
                shown = replace(shown, because=self._explained(*fact).because)
            made = self._review.decision(shown, verdict, person, id, batch)  # type: ignore[arg-type]
        return replace(made, note=note or None)

    @property
    def relations(self) -> list[tuple[str, str]]:
        """The predicates of the queue: term and label."""
        return [(term, self._predictor.label(term)) for term in self._review.relations]

    @property
    def types(self) -> list[tuple[str, str]]:
        """The classes of its subjects, the same way."""
        named = ((term, self._predictor.label(term)) for term in self._review.types)
        return sorted(named, key=lambda pair: pair[1].casefold())

    def terms(self, names: Fact) -> Fact:
        """The terms of what a person wrote: labels, prefix:name or IRIs."""
        known = self.fresh().knowledge
        fact = known.entity(names[0]), known.relation(names[1]), known.entity(names[2])
        return known.terms(*fact)

    def progress(self, person: str) -> tuple[int, int]:
        """How many candidates of the queue this person or all have settled, and how many there are."""
        with self._lock:
            every = len(self._review.candidates)
            return every - self._review.left(person), every

    def renew(self) -> None:
        """Look for candidates again, by what is known now."""
        with self._lock:
            self._fresh()
            self._review = self._review.renewed()

    # Answers

    def ask(self, pattern: Pattern, top: int, new_only: bool) -> Candidates:
        """As Predictor.ask. UserError unless one of the three places is open."""
        if [pattern.subject, pattern.predicate, pattern.object].count(None) != 1:
            raise UserError("two of subject, predicate and object are given, and the third is asked for")
        with self._lock:
            self._fresh()
            return self._predictor.ask(pattern, top, new_only)

    def explain(self, fact: Fact) -> Evidence:
        with self._lock:
            self._fresh()
            return self._explained(*fact)

    def of_entity(self, name: str) -> OfEntity:
        """What is known of an entity, at most 50 facts each way, and what is predicted."""
        with self._lock:
            self._fresh()
            known = self._predictor.knowledge
            entity = known.entity(name)
            term, edges = known.vocabulary.entities[entity], _edges(known.graph, entity)
            out, into = ([known.terms(*each) for each in facts] for facts in edges)
            predicted: Candidates = Candidates(())
            if entity < self._predictor.bundle.scorer.num_entities:
                predicted = self._predictor.complete(20, entity=term, order="page")
            return OfEntity(term, known.schema.types.get(term, ()), out, into, predicted)

    def of_relation(self, name: str, most: int) -> OfRelation:
        """Of a predicate how many facts it has, and the first of them."""
        with self._lock:
            self._fresh()
            known = self._predictor.knowledge
            relation = known.relation(name)
            rows = known.facts[known.facts[:, 1] == relation]
            facts = [known.terms(*each) for each in rows[:most].tolist()]
            term, said = known.vocabulary.relations[relation], (known.schema.domain, known.schema.range)
            ends = [", ".join(known.label(each) for each in declared.get(term, ())) for declared in said]
            held_out = self._predictor.plausibility.held_out(relation)
            return OfRelation(term, len(rows), facts, ends, self._review.precision(term), held_out)

    def of_model(self) -> OfModel:
        """What answers, as it is loaded."""
        with self._lock:
            self._fresh()
            bundle, plausible = self._predictor.bundle, self._predictor.plausibility
            figures, why = bundle.metrics["valid"], None if plausible.is_calibrated else plausible.uncalibrated
            written = str(bundle.manifest.get("written", ""))[:16].replace("T", " ")
            mrr = figures["mrr"] if figures else None
            counts = {str(name): count for name, count in self._review.verdicts.counts().items()}
            return OfModel(bundle.run["scorer"]["name"], bundle.dataset.describe(), written, mrr, why, counts)

    def search(self, beginning: str) -> list[tuple[str, str]]:
        """Entities whose label begins so, whatever the case: term and label."""
        with self._lock:
            self._fresh()
            known = self._predictor.knowledge
            if self._named[0] is not known.schema or self._named[1] is not known.vocabulary:
                names = sorted((known.label(term).casefold(), term) for term in known.vocabulary.entities)
                self._named = known.schema, known.vocabulary, names
            names, wanted = self._named[2], beginning.strip().casefold()
            at = bisect_left(names, (wanted, ""))
            found = [term for name, term in names[at : at + _NAMES] if name.startswith(wanted)]
            return [(term, known.label(term)) for term in found] if wanted else []

    def _explained(self, subject: str, predicate: str, object: str) -> Evidence:
        """As it was looked for, if what people said of the fact is the same; known facts are, see _fresh."""
        said = self._review.verdicts.said((subject, predicate, object))
        verdicts = tuple(sorted((person, each.verdict) for person, each in said.items()))
        return self._cached(subject, predicate, object, verdicts)

    def _explain(self, subject: str, predicate: str, object: str, said: tuple[tuple[str, str], ...]) -> Evidence:
        return self._predictor.explain(subject, predicate, object)

    def _look_ahead(self, coming: Sequence[Candidate]) -> None:
        """Evidence for what a person will see next is looked for while they read."""
        if self._ahead.is_set():
            return
        self._ahead.set()

        def look() -> None:
            try:
                for each in coming:
                    with self._lock:
                        self._explained(*fact_of(each))
            finally:
                self._ahead.clear()

        threading.Thread(target=look, daemon=True).start()


def _group(queue: Sequence[Candidate], shown: Candidate) -> list[Candidate]:
    rest = [each for each in queue if (each.predicate, each.subject) == (shown.predicate, shown.subject)]
    return [shown, *(each for each in rest if each is not shown)]


def _edges(graph: Graph, entity: int) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
    """The facts of an entity, as subject and as object: the first so many."""
    start, stop = graph.offsets[entity : entity + 2].tolist()
    relation, tail, num = graph.relation[start:stop], graph.tail[start:stop], graph.num_relations
    upright = relation < num
    out = zip(relation[upright][:_EDGES].tolist(), tail[upright][:_EDGES].tolist(), strict=True)
    into = zip(relation[~upright][:_EDGES].tolist(), tail[~upright][:_EDGES].tolist(), strict=True)
    return [(entity, r, t) for r, t in out], [(h, r - num, entity) for r, h in into]
