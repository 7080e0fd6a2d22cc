"""Predictor: questions in RDF terms in, ranked candidate facts out."""

import hashlib
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kg.bundle import Bundle
from kg.errors import UserError, check_at_least_one, check_choice
from kg.graph.splitting import twins
from kg.models.scorer import Queries
from kg.namespaces import RDFS
from kg.progress import SILENT, Progress
from kg.query.candidates.candidate import Candidate, Candidates
from kg.query.change import Change
from kg.query.knowledge import Knowledge
from kg.query.pattern import Pattern
from kg.query.plausibility import Plausibility
from kg.query.uncertainty import Uncertainty, dropout_uncertainty, ensemble_uncertainty
from kg.search.discovery import Checkpoint, Search, best_new_facts
from kg.search.page import ORDERS, Order, first_page, pool
from kg.search.type_constraints import Constraint
from kg.store.store import Store

if TYPE_CHECKING:
    from kg.query.explain.evidence import Evidence


class _Ranked(NamedTuple):
    """Facts best first, and of each how many others are alike; how many were left out, as they restate known ones."""

    hrt: Int[Tensor, "F 3"]
    probabilities: list[float | None]
    alike: list[int]
    restated: int = 0


@final
class Predictor:
    """Answers questions with a trained model and what is known today.

    Names are IRIs, prefix:name or labels, of which UserError if one is none, or of several things.
    """

    def __init__(self, bundle: Bundle, knowledge: Knowledge) -> None:
        self.bundle = bundle
        self.plausibility = Plausibility(bundle, knowledge)

    @classmethod
    def load(
        cls,
        model: Path | str,
        store: Path | str | None = None,
        device: torch.device | str = "cpu",
        language: str | None = None,
    ) -> "Predictor":
        """The model at this path, with the facts of `store`; None: of the store it was trained on (Bundle.store), or of
        the model's own copy where that is not to be had, which `knowledge.facts_from` says. UserError if `store` is
        named and does not open. language: of labels, see Knowledge.of_store; those of a model's own copy are as they
        were chosen in training.
        """
        bundle = Bundle.load(model, device)
        if store is None and bundle.dataset.generation is None:  # it was trained on a folder, or on facts in Python
            return cls(bundle, Knowledge.of_model(bundle))
        try:
            live = Store(store or bundle.store())
        except UserError as error:
            if store is not None:
                raise
            return cls(bundle, Knowledge.of_model(bundle, str(error)))
        with live:
            return cls(bundle, Knowledge.of_store(bundle, live, language))

    @property
    def knowledge(self) -> Knowledge:
        return self.plausibility.knowledge

    def refresh(self) -> Change:
        """Answer from now on with what the store holds now: see Knowledge.refresh. What changed."""
        knowledge, change = self.knowledge.refresh()
        if knowledge is not self.knowledge:
            self.plausibility = self.plausibility.refreshed(knowledge)
        return change

    def label(self, term: str) -> str:
        return self.knowledge.label(term)

    # Questions

    def ask(self, pattern: Pattern, top: int = 10, new_only: bool = False, types: Constraint = "off") -> Candidates:
        """The best answers to a pattern with one '?', by the score of the direction asked, as evaluation ranks them.

        types: which entities may answer, see kg.search.type_constraints.
        """
        return self.ask_all([pattern], top, new_only, types)[0]

    @torch.no_grad()
    def ask_all(
        self, patterns: Sequence[Pattern], top: int = 10, new_only: bool = False, types: Constraint = "off"
    ) -> list[Candidates]:
        """`ask` of several patterns: faster than one after the other."""
        check_at_least_one(top=top)
        questions = {
            i: self._question(pattern, pattern.predicate)
            for i, pattern in enumerate(patterns)
            if pattern.predicate is not None
        }
        answered = dict(zip(questions, self._answers(list(questions.values()), top, new_only, types), strict=True))
        return [
            answered[i] if i in answered else self._relations(pattern, top, new_only)
            for i, pattern in enumerate(patterns)
        ]

    def tails(
        self, subject: str, predicate: str, top: int = 10, new_only: bool = False, types: Constraint = "off"
    ) -> Candidates:
        """(subject, predicate, ?): the most plausible objects."""
        return self.ask(Pattern(subject, predicate, None), top, new_only, types)

    def heads(
        self, predicate: str, object: str, top: int = 10, new_only: bool = False, types: Constraint = "off"
    ) -> Candidates:
        """(?, predicate, object): the most plausible subjects, scored as tails of the inverse relation."""
        return self.ask(Pattern(None, predicate, object), top, new_only, types)

    def relations(self, subject: str, object: str, top: int = 10, new_only: bool = False) -> Candidates:
        """(subject, ?, object): the most plausible relations, by the mean of the scores of both directions."""
        return self.ask(Pattern(subject, None, object), top, new_only)

    def score(self, subject: str, predicate: str, object: str) -> float:
        """The score of one fact, in both directions: see Plausibility.scores."""
        return self.plausibility.scores(self._fact(subject, predicate, object)).item()

    def probability(self, subject: str, predicate: str, object: str) -> float:
        """How probable one fact is: see Plausibility.of_facts."""
        return self.plausibility.of_facts(self._fact(subject, predicate, object)).item()

    def complete(
        self,
        top: int = 1000,
        *,
        relations: Sequence[str] | None = None,
        entity: str | None = None,
        per_relation: int | None = None,
        types: Constraint = "observed",
        min_probability: float = 0.0,
        order: Order = "probability",
        checkpoint: Path | None = None,
        seconds: float | None = None,
        progress: Progress = SILENT,
    ) -> Candidates:
        """The most probable new facts of the whole graph: the best of all candidates, by probability, then by the logit
        it is made of. per_relation: so many of each relation instead of `top`. order: `page` chooses of many more a
        varied page, see kg.search.page: what the ontology speaks against comes last, and what restates a known fact, by
        a relation that the graph uses for the same pairs, is not on it. Relations whose
        probabilities are withheld are left out, but where they are named.

        Where the model gives no probability, the order is that of the mean log-softmax of both directions. Of a
        bilinear scorer all candidates of a relation are one product of matrices; of any other the scores of both
        directions are computed, but for a path network's: it is asked one way, the likeliest questions first, so it may
        be interrupted, or given so many seconds, and `unasked` of the candidates says how many questions are left.
        checkpoint: a file that takes what was found so far, so that a search that was killed
        goes on from there. UserError where it is of another search, and for an entity that the model cannot be asked
        about.
        """
        known, likely = self.knowledge, self.plausibility
        relation_ids = None if relations is None else tuple(known.relation(name) for name in relations)
        entity_id = None if entity is None else known.entity(entity)
        if relation_ids is None and likely.withheld:
            offered = likely.eligible.policy.relations.nonzero()[:, 0].tolist()
            relation_ids = tuple(each for each in offered if each not in likely.withheld)
        elif min_probability and (named := set(relation_ids or ()) & set(likely.withheld)):
            name = self.label(known.vocabulary.relations[min(named)])
            raise UserError(f"min_probability: no probability is given of {name}", "min_probability")
        check_choice("order", order, ORDERS)
        check_at_least_one(top=top)
        if seconds is not None and not likely.query_scores.asked:
            why = "which it was not calibrated for: do it anew" if likely.scorer.hides else "which is a path network's"
            raise UserError(f"minutes: the search asks the likeliest questions first, {why}", "minutes")
        if order == "page" and per_relation is not None:
            raise UserError("order page is for the best of all, not of each relation: choose one", "order")
        looked_at = pool(top) if order == "page" else top
        search = Search(looked_at, per_relation, relation_ids, entity_id, types, min_probability)
        if entity_id is not None and entity_id >= len(likely.answerable):
            name = self.label(known.vocabulary.entities[entity_id])
            raise UserError(f"the model cannot be asked about {name}, which came after its training: train again")
        saved = None if checkpoint is None else Checkpoint(checkpoint, self._fingerprint())
        floor = likely.lowest_logit(min_probability)
        until = math.inf if seconds is None else time.monotonic() + seconds
        best = best_new_facts(search, likely.logits, likely.eligible, floor, saved, until, progress)
        ranked = self._ranked(best.hrt, best.logits)
        page = self._page(ranked, top, entity_id) if order == "page" else ranked
        return replace(self._new(page).at_least(min_probability), unasked=best.unasked)

    # Why, and how sure

    def explain(self, subject: str, predicate: str, object: str, top: int = 5) -> "Evidence":
        """What speaks for a fact, known or not, and what against it: see kg.query.explain.evidence."""
        from kg.query.explain.evidence import explain  # with it comes Numba, which no other question needs

        return explain(self.plausibility, subject, predicate, object, top)

    def uncertainty(self, pattern: Pattern, samples: int = 32, seed: int = 0, new_only: bool = False) -> Uncertainty:
        """How unsure the answer to a pattern is, by dropout: see kg.query.uncertainty."""
        return dropout_uncertainty(self.bundle, *self._alternatives(pattern, new_only), samples, seed)

    def ensemble_uncertainty(self, pattern: Pattern, others: Sequence[Bundle], new_only: bool = False) -> Uncertainty:
        """The same by this model and others, which look at what this one knows."""
        return ensemble_uncertainty([self.bundle, *others], *self._alternatives(pattern, new_only))

    # As integers

    def _fact(self, subject: str, predicate: str, object: str) -> Int[Tensor, "1 3"]:
        known = self.knowledge
        fact = [known.entity(subject), known.relation(predicate), known.entity(object)]
        return torch.tensor([fact], device=known.device)

    def _question(self, pattern: Pattern, predicate: str) -> tuple[int, int]:
        """The entity that is given and the relation that its candidates are tails of: r + R where heads are asked."""
        given = pattern.subject if pattern.object is None else pattern.object
        assert given is not None
        entity, relation = self.knowledge.entity(given), self.knowledge.relation(predicate)
        return entity, relation if pattern.object is None else relation + self.knowledge.num_relations

    def _queries(self, questions: Sequence[tuple[int, int]]) -> Queries:
        asked = torch.tensor(questions, device=self.knowledge.device)
        return Queries(asked[:, 0], asked[:, 1], self.knowledge.graph)

    def _alternatives(self, pattern: Pattern, new_only: bool) -> tuple[Queries, Bool[Tensor, " N"]]:
        """A pattern's question, and which entities may answer it."""
        if pattern.predicate is None:
            raise UserError("uncertainty is that of a subject or an object: the predicate must be given")
        queries = self._queries([self._question(pattern, pattern.predicate)])
        _, (eligible,) = self.plausibility.eligible.of_questions(queries.head, queries.relation, new_only, "off")
        return queries, eligible

    def _answers(
        self, questions: Sequence[tuple[int, int]], top: int, new_only: bool, types: Constraint
    ) -> list[Candidates]:
        """The best answers to (entity, directed relation, ?)."""
        if not questions:
            return []
        num, queries = self.knowledge.num_relations, self._queries(questions)
        known, eligible = self.plausibility.eligible.of_questions(queries.head, queries.relation, new_only, types)
        scores, best = self.plausibility.best_answers.of(queries, eligible, top)
        counts = eligible.sum(1).clamp(max=top).tolist()
        rows = []
        for (entity, relation), ids, count in zip(questions, best, counts, strict=True):
            given, found = torch.full_like(ids[:count], entity), ids[:count]
            ends = (given, found) if relation < num else (found, given)
            rows.append(torch.stack([ends[0], torch.full_like(given, relation % num), ends[1]], 1))
        probability = iter(self.plausibility.of_facts_if_any(torch.cat(rows)))
        return [
            self._candidates(facts, scores[i], known[i, best[i]], [next(probability) for _ in facts])
            for i, facts in enumerate(rows)
        ]

    def _relations(self, pattern: Pattern, top: int, new_only: bool) -> Candidates:
        assert pattern.subject is not None and pattern.object is not None  # parse() leaves one place open
        known, num = self.knowledge, self.knowledge.num_relations
        head, tail = known.entity(pattern.subject), known.entity(pattern.object)
        relation = torch.arange(num, device=known.device)
        ends = torch.tensor([head, tail], device=known.device)
        there, back = self.plausibility.scorer.score_relations(ends, ends.flip(0), known.graph)
        scores = (there[:num] + back[num:]) / 2
        hrt = torch.stack([torch.full_like(relation, head), relation, torch.full_like(relation, tail)], 1)
        is_known = known.known.contains(*hrt.unbind(1))
        policy = self.plausibility.eligible.policy
        rejected = torch.zeros_like(is_known) if policy.rejected is None else policy.rejected.contains(*hrt.unbind(1))
        eligible = is_known | (policy.relations & ~rejected)
        if head == tail:
            eligible &= is_known | known.known.reflexive
        if new_only:
            eligible &= ~is_known & ~policy.excludes(hrt)
        best = scores.masked_fill(~eligible, -torch.inf).topk(min(top, int(eligible.sum()))).indices
        return self._candidates(hrt[best], scores[best], is_known[best], self.plausibility.of_facts_if_any(hrt[best]))

    @torch.no_grad()
    def _ranked(self, hrt: Int[Tensor, "F 3"], logits: Float[Tensor, " F"]) -> "_Ranked":
        """These facts by probability, then by the logit it is made of; after them those of `withheld` relations."""
        hrt, logits = (each.to(self.knowledge.device) for each in (hrt, logits))
        probabilities = self.plausibility.logits.calibration.probabilities(logits)
        withheld = torch.isin(hrt[:, 1], hrt.new_tensor(self.plausibility.withheld))
        order = np.lexsort([each.cpu().numpy() for each in (-logits, -probabilities, withheld)])
        chosen = torch.from_numpy(order).to(hrt.device)
        given = self.plausibility.given(hrt[chosen, 1], probabilities[chosen])
        return _Ranked(hrt[chosen], given, [0] * len(hrt))

    def _page(self, ranked: "_Ranked", most: int, entity: int | None) -> "_Ranked":
        """Of these a page. What the ontology speaks against comes last, and a second domain or range: the two would be
        their intersection."""
        known = self.knowledge
        facts, hrt = known.facts.cpu().numpy(), ranked.hrt.cpu().numpy()
        statement = twins(np.concatenate([facts, hrt]), known.vocabulary, known.schema, facts)
        says = statement[len(facts) :]
        fresh = np.flatnonzero(~np.isin(says, statement[: len(facts)]))
        one_at_most = [known.vocabulary.relation_ids.get(RDFS + name, -1) for name in ("domain", "range")]
        taken = {(head, relation) for head, relation, _ in facts[np.isin(facts[:, 1], one_at_most)].tolist()}
        against = [fact[:2] in taken or any(known.consistency.of(*fact)) for fact in map(tuple, hrt[fresh].tolist())]
        fresh = fresh[np.argsort(against, kind="stable")]
        page = first_page(hrt[fresh], says[fresh], most, entity)
        places = fresh[page.places].tolist()
        given = [ranked.probabilities[i] for i in places]
        return _Ranked(ranked.hrt[places], given, page.alike.tolist(), len(hrt) - len(fresh))

    @torch.no_grad()
    def _new(self, ranked: "_Ranked") -> Candidates:
        """As candidates, all of them new."""
        scores = self.plausibility.scores(ranked.hrt)
        found = self._candidates(ranked.hrt, scores, torch.zeros(len(scores), dtype=torch.bool), ranked.probabilities)
        items = tuple(replace(each, alike=alike) for each, alike in zip(found, ranked.alike, strict=True))
        return replace(found, items=items, restated=ranked.restated)

    def _candidates(
        self,
        hrt: Int[Tensor, "F 3"],
        scores: Float[Tensor, " _"],
        known: Bool[Tensor, " _"],
        probabilities: Sequence[float | None],
    ) -> Candidates:
        """These facts in this order; of scores and `known` as many as there are facts are looked at."""
        found = []
        follow = self.plausibility.follow(hrt).tolist() if len(hrt) else []
        rows = zip(hrt.tolist(), scores.tolist(), known.tolist(), probabilities, follow, strict=False)
        for rank, (fact, score, is_known, probability, follows) in enumerate(rows, 1):
            note = self.knowledge.said(*fact) if is_known else "; ".join(self._notes(follows, *fact)) or None
            terms = self.knowledge.terms(*fact)
            subject, predicate, object_ = (" ".join(self.label(term).split()) or None for term in terms)  # on one line
            found.append(Candidate(*terms, rank, score, is_known, probability, note, subject, predicate, object_))
        return Candidates(tuple(found))

    def _notes(self, follows: bool, head: int, relation: int, tail: int) -> Iterator[str]:
        """What is to be said of a fact that is not known: that it follows from others, or says what another does, and
        what is against it."""
        if follows and (premises := self.plausibility.premises(head, relation, tail)):
            yield f"follows from {self.knowledge.schema.text(premises)}"
        elif (same := self.knowledge.restated(head, relation, tail)) is not None:
            yield f"restates {self.knowledge.schema.text([same])}"
        yield from self.knowledge.consistency.of(head, relation, tail)

    def _fingerprint(self) -> str:
        """Of the facts and the model."""
        facts = hashlib.sha256(self.knowledge.facts.cpu().numpy().tobytes()).hexdigest()
        return json.dumps([facts, self.bundle.manifest.get("files", {})], sort_keys=True)
