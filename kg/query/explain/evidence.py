"""Evidence: what speaks for a fact and what against it, whatever model asks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from heapq import nlargest
from operator import itemgetter
from typing import Any, Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cosine_similarity

from kg.errors import check_at_least_one
from kg.graph.entailment import Fact
from kg.models.path_scorer import PathScorer
from kg.models.rules import RuleScorer
from kg.models.scorer import EmbeddingScorer, Queries, Scorer
from kg.progress import SILENT, Progress
from kg.query.candidates.candidate import Candidates
from kg.query.consistency import ENDS, OTHER, End
from kg.query.explain.rules import RuleNames
from kg.query.plausibility import Plausibility
from kg.rules.evidence import Grounding, evidence, joining_rules
from kg.rules.rule import Atom, Rule, Rules
from kg.walks.similarity import shared_edges

Found = tuple[Rule, list[Grounding]]
_NEAREST = 3  # known facts shown at each end of the fact
_LOOKS = 5  # edges shown at each end of the fact


@dataclass(frozen=True)
class Reason:
    """A rule that gives the fact, and facts of the graph that stand for its atoms.

    rule, text: in labels. See kg.rules.rule.Rules for its figures; sampled: they are scaled up from a part.
    """

    rule: str
    confidence: float
    support: int
    body: int
    sampled: bool
    facts: tuple[Fact, ...]
    text: str


@dataclass(frozen=True)
class Nearest:
    """A known fact with another subject, or object, that is like this one.

    similarity: the cosine of the model's vectors; where it has none, the share of edges that both have of all that
    either has (Jaccard). `by` says which.
    """

    fact: Fact
    end: End
    similarity: float
    by: Literal["vectors", "edges"]


@dataclass(frozen=True)
class Look:
    """A known fact that the model attended to, asked for the other end; share: of 1 for all that it looked at there."""

    fact: Fact
    end: End
    share: float


@dataclass(frozen=True)
class Carried:
    """Known facts along a path whose messages brought the model to its score, asked for the object.

    share: of what the score has above the mean of all entities', so much falls when these are taken away; None where it
    has nothing above it.
    """

    facts: tuple[Fact, ...]
    share: float | None


@final
@dataclass(frozen=True)
class Evidence:
    """What is known for and against a fact. The fact itself and what restates it are never evidence.

    known: whether the fact is in the graph. probability: see kg.probability.calibration; None where the model has not
    been calibrated, or cannot be asked about an end. paths: facts that lead from subject to object, the surest rule
    first, each rule once. complete: whether all paths between the two were looked at; there may be too many. features:
    rules with constants, which say that entities with one feature often have another; only a model that holds rules has
    them. follows_from: of a fact that is not known, those that it follows from by what the schema says, in one step
    (see kg.graph.entailment). nearest: like facts. attended: what a model with attention looked at, for either end.
    carried: the paths that a path network read its score off.
    against: in words.
    """

    fact: Fact
    known: bool
    probability: float | None
    paths: tuple[Reason, ...] = ()
    features: tuple[Reason, ...] = ()
    nearest: tuple[Nearest, ...] = ()
    attended: tuple[Look, ...] = ()
    carried: tuple[Carried, ...] = ()
    against: tuple[str, ...] = ()
    follows_from: tuple[Fact, ...] = ()
    complete: bool = True
    labels: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def count(self) -> int:
        """How many things speak for it."""
        return len(self.paths) + len(self.features) + len(self.nearest) + len(self.attended) + len(self.carried)

    @property
    def because(self) -> str:
        """The first of it in words: of the surest rule the facts, else the known fact that is most like this one, else
        what the model looked at, or read its score off."""
        for reason in (*self.paths, *self.features):
            return f"{reason.text} ({reason.confidence:.2f})"
        if self.nearest:
            near = max(self.nearest, key=lambda each: each.similarity)
            return f"like {', '.join(self.label(term) for term in near.fact)} ({near.similarity:.2f})"
        for look in self.attended:
            return f"the model looked at {', '.join(self.label(term) for term in look.fact)} ({look.share:.2f})"
        for path in self.carried:
            return f"the score was read off {' '.join(self._text(fact) for fact in path.facts)}"
        return "none found"

    def label(self, term: str) -> str:
        return self.labels.get(term, term)

    def to_json(self) -> dict[str, Any]:
        subject, predicate, object_ = self.fact
        others = asdict(self)
        del others["fact"]
        return {"subject": subject, "predicate": predicate, "object": object_, **others, "count": self.count}

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        sure = "" if self.probability is None else f", probability {self.probability:.3f}"
        yield f"{self._text(self.fact)}: {'known' if self.known else 'not known'}{sure}"
        yield from (f"    follows from {self._text(fact)}" for fact in self.follows_from)
        partly = "" if self.complete else " (too many to look at all)"
        yield from _section(f"paths{partly}", [line for each in self.paths for line in _reason(each)])
        if self.features:
            yield from _section("features", [line for each in self.features for line in _reason(each)])
        yield from _section("like facts that are known", [self._like(each) for each in self.nearest])
        if self.attended:
            seen = [f"{self._text(each.fact)}  {each.share:.2f} from {self._at(each.end)}" for each in self.attended]
            yield from _section("the model looked at", seen)
        if self.carried:
            yield from _section("the score was read off", [self._carrying(each) for each in self.carried])
        yield from _section("against it", list(self.against))

    def _carrying(self, path: Carried) -> str:
        share = "" if path.share is None else f"  {path.share:.2f} of it falls without them"
        return f"{' '.join(self._text(fact) for fact in path.facts)}{share}"

    def _like(self, near: Nearest) -> str:
        other = self.label(near.fact[0 if near.end == "subject" else 2])
        return f"{self._text(near.fact)}  {other} is like {self._at(near.end)}: {near.similarity:.2f} by {near.by}"

    def _at(self, end: End) -> str:
        return self.label(self.fact[0 if end == "subject" else 2])

    def _text(self, fact: Fact) -> str:
        return f"({', '.join(self.label(term) for term in fact)})"


def _section(title: str, lines: list[str]) -> Iterator[str]:
    yield title
    yield from (f"    {line}" for line in lines or ["none found"])


def _reason(reason: Reason) -> list[str]:
    about = "~" if reason.sampled else ""
    figures = f"{reason.confidence:.2f}  ({about}{reason.support:,}/{reason.body:,})"
    return [f"{reason.rule}  {figures}", f"    {reason.text}"]


def explain(
    plausibility: Plausibility, subject: str, predicate: str, object: str, top: int = 5, in_brief: bool = False
) -> Evidence:
    """Evidence for a fact, known or not; names are IRIs, prefix:name or labels. At most `top` paths, and features.

    Nothing that restates the fact is looked at: an edge between its two ends, in either direction, whose predicate is
    that of the fact or declared its inverse (owl:inverseOf). So a known fact has the evidence that it would have if it
    were not; only what the model attended to, and its vectors, are those it answers with. Paths are those of the rules
    that kg.rules.evidence.joining_rules gives, with the confidences of the model where it holds them. in_brief: for the
    first of it: without the probability, and without what carried a score where something else speaks for the fact.
    """
    check_at_least_one(top=top)
    known = plausibility.knowledge
    head, tail = (known.entity(name) for name in (subject, object))
    return _Case(plausibility, head, known.relation(predicate), tail).evidence(top, in_brief)


def with_evidence(
    plausibility: Plausibility, candidates: Candidates, most: int, progress: Progress = SILENT
) -> Candidates:
    """The candidates, the first `most` of them with what speaks for them. Up to a second for each."""
    found = []
    for done, each in enumerate(candidates[:most], 1):
        why = explain(plausibility, each.subject, each.predicate, each.object, in_brief=True)
        found.append(replace(each, evidence=why.count, because=why.because))
        progress.at("evidence", done, min(most, len(candidates)))
    return replace(candidates, items=(*found, *candidates.items[most:]))


class _Case:
    """One fact, and the graph without what restates it."""

    def __init__(self, plausibility: Plausibility, head: int, relation: int, tail: int) -> None:
        known = plausibility.knowledge
        self.plausibility, self.scorer, self.knowledge = plausibility, plausibility.scorer, known
        self.names, self.schema = known.vocabulary, known.schema
        self.head, self.relation, self.tail = head, relation, tail
        same = {relation, *known.consistency.inverse(relation)}
        self.restated = {(h, r, t) for r in same for h, t in ((head, tail), (tail, head))}
        rows = self._tensor(sorted(self.restated))
        there = known.known.contains(*rows.T.contiguous())
        self.known = [head, relation, tail] in rows[there].tolist()
        self.graph = known.graph.hide(rows) if bool(there.any()) else known.graph  # to hide costs a sort

    def _tensor(self, rows: Sequence[Sequence[int]]) -> Int[Tensor, "M K"]:
        return torch.tensor(rows, device=self.knowledge.device)

    def evidence(self, top: int, in_brief: bool) -> Evidence:
        rules, complete = joining_rules(self.graph, self.head, self.relation, self.tail, self._held)
        found = Evidence(
            self.knowledge.terms(self.head, self.relation, self.tail),
            self.known,
            None if in_brief else self._probability(),
            self._paths(rules, top),
            self._features(top),
            tuple(near for end in ENDS for near in self._nearest(end)),
            tuple(look for end in ENDS for look in self._attended(end)),
            against=tuple(self._against()),
            follows_from=() if self.known else self.plausibility.premises(self.head, self.relation, self.tail),
            complete=complete,
        )
        if not in_brief or not found.count:
            found = replace(found, carried=self._carried(top))
        facts = [found.fact, *found.follows_from, *(each.fact for each in found.nearest + found.attended)]
        facts += [fact for each in found.paths + found.features + found.carried for fact in each.facts]
        return replace(found, labels={term: self._label(term) for fact in facts for term in fact})

    def _label(self, term: str) -> str:
        return " ".join(self.schema.label(term).split())  # on one line

    def _probability(self) -> float | None:
        return self.plausibility.of_facts_if_any(self._tensor([[self.head, self.relation, self.tail]]))[0]

    # For it

    @cached_property
    def _held(self) -> Rules | None:
        """The rules of the model, or of its part that answers by rules."""
        return next((part.rules for part in self.scorer.modules() if isinstance(part, RuleScorer)), None)

    def _paths(self, rules: Rules, top: int) -> tuple[Reason, ...]:
        """A rule that only says another way round what a surer one says, of symmetric or inverse relations, is none."""
        found: dict[tuple[Atom, ...], Found] = {}
        for rule, groundings in evidence(rules, self.graph, self.head, self.relation, self.tail, len(rules) or 1, 1):
            found.setdefault(tuple(self._plain(atom) for atom in rule.atoms), (rule, groundings))
        return self._reasons(list(found.values())[:top])

    def _plain(self, atom: Atom) -> Atom:
        """The same for all ways in which the schema says that this can be written."""
        number, left, right = atom
        term = self.names.relations[number]
        inverse = [self.names.relation_ids.get(other, number) for other in self.schema.inverse.get(term, ())]
        if min(inverse, default=number) < number:
            number, left, right = min(inverse), right, left
        if self.names.relations[number] in self.schema.symmetric:
            left, right = sorted((left, right), key=str)
        return Atom(number, left, right)

    def _features(self, top: int) -> tuple[Reason, ...]:
        held = self._held
        if held is None:
            return ()
        closed, counts, sampled = held.closed[:0], held.closed_counts[:0], held.sampled[:0]
        rules = replace(held, closed=closed, closed_counts=counts, sampled=sampled)
        return self._reasons(evidence(rules, self.graph, self.head, self.relation, self.tail, top, 1))

    def _reasons(self, found: Sequence[Found]) -> tuple[Reason, ...]:
        names = RuleNames(self.names, self.schema)
        return tuple(
            Reason(
                names.text(rule),
                rule.confidence,
                rule.support,
                rule.body,
                rule.sampled,
                tuple(self.knowledge.terms(int(atom.left), atom.relation, int(atom.right)) for atom in grounding),
                names.facts(grounding),
            )
            for rule, (grounding,) in found
        )

    def _asked_at(self, end: End) -> tuple[int, int]:
        """The entity at this end, and the relation that the entity at the other end is a tail of from there."""
        if end == "subject":
            return self.head, self.relation
        return self.tail, self.relation + len(self.names.relations)

    def _answers(self, entity: int, relation: int) -> Int[Tensor, " K"]:
        """The known tails of this question."""
        head, wanted = self._tensor([[entity], [relation]])
        return self.knowledge.known.lookup(head, wanted)[1]

    def _nearest(self, end: End) -> Iterator[Nearest]:
        """Known facts with another entity at this end, those that are most like it."""
        own, _ = self._asked_at(end)
        given, relation = self._asked_at(OTHER[end])
        others = self._answers(given, relation)
        others = others[others != own]
        similarity, by = self._similarity(end, own, others)
        for i in similarity.argsort(descending=True, stable=True)[:_NEAREST].tolist():
            other, alike = int(others[i]), float(similarity[i])
            if alike > 0:
                ends = (other, self.relation, given) if end == "subject" else (given, self.relation, other)
                yield Nearest(self.knowledge.terms(*ends), end, alike, by)

    @torch.no_grad()
    def _similarity(
        self, end: End, own: int, others: Int[Tensor, " K"]
    ) -> tuple[Float[Tensor, " K"], Literal["vectors", "edges"]]:
        for part in self.scorer.modules():
            if isinstance(part, EmbeddingScorer) and own < (num := len(part.entities(self.graph))):
                vectors = part.head_entities if end == "subject" else part.entities
                ours = vectors(self.graph, others.new_tensor([own]))
                theirs = vectors(self.graph, others.clamp(max=num - 1))
                return cosine_similarity(ours, theirs).masked_fill(others >= num, 0), "vectors"
        return shared_edges(self.graph, own, others), "edges"

    def _attended(self, end: End) -> Iterator[Look]:
        """What the model looked at from this end, asked for the other: in the graph that it answers with."""
        own, relation = self._asked_at(end)
        graph, back = self.knowledge.graph, len(self.names.relations)
        if not int(graph.degree()[own]):
            return
        head, wanted = self._tensor([[own], [relation]])
        queries = Queries(head, wanted, graph)
        weights = (part.attention_weights(queries) for part in self.scorer.modules() if isinstance(part, Scorer))
        looks = next((each for each in weights if each is not None), None)
        if looks is None:
            return
        seen = []
        for r, t, share in zip(looks.relation.tolist(), looks.tail.tolist(), looks.share.tolist(), strict=True):
            edge = (own, r, t) if r < back else (t, r - back, own)
            if edge not in self.restated:
                seen.append((share, edge))
        for share, edge in nlargest(_LOOKS, seen, key=itemgetter(0)):
            yield Look(self.knowledge.terms(*edge), end, share)

    def _carried(self, top: int) -> tuple[Carried, ...]:
        """Of the model, or of its part that answers by paths: in the graph without what restates the fact."""
        part = next((part for part in self.scorer.modules() if isinstance(part, PathScorer)), None)
        if part is None:
            return ()
        head, relation = self._tensor([[self.head], [self.relation]])
        back = len(self.names.relations)

        def fact(h: int, r: int, t: int) -> Fact:
            return self.knowledge.terms(h, r, t) if r < back else self.knowledge.terms(t, r - back, h)

        found = part.carrying_paths(Queries(head, relation, self.graph), self.tail, top)
        return tuple(Carried(tuple(fact(*edge) for edge in path.edges.tolist()), path.share) for path in found)

    # Against it

    def _against(self) -> Iterator[str]:
        said = self.knowledge.said(self.head, self.relation, self.tail)
        if said is not None and not self.known:
            yield said
        for entity in (self.head, self.tail):
            if entity >= self.scorer.num_entities:
                yield f"{self._label(self.names.entities[entity])} is new to the model: it was not trained with it"
        yield from self.knowledge.consistency.of(self.head, self.relation, self.tail)
