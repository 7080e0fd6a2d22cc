"""Answers to questions of several facts, by the probabilities of the single facts."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import reduce
from typing import Any, Literal, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kg.errors import check_at_least_one
from kg.graph.known import KnownAnswers
from kg.query.complex.conjunctive_query import Conjunction, Shape
from kg.query.plausibility import Plausibility

BEAM = 32  # new assignments of a variable that are walked on, beside the known ones
_MOST_KNOWN = 1024  # known ones that the model is asked about; from further ones only known facts lead on
_CELLS = 1 << 22  # truths at once

Probabilities = Callable[[Int[Tensor, " B"], Int[Tensor, " B"]], Float[Tensor, "B N"]]
Norm = Literal["product", "minimum"]
_NORMS: dict[Norm, Callable[[Tensor, Tensor], Tensor]] = {"product": torch.mul, "minimum": torch.minimum}
_ALMOST = 1 - 2**-53  # what only a model says is never quite certain: 1 is known, and nothing else


@dataclass(frozen=True)
class AnswerFact:
    """A fact that an answer rests on."""

    subject: str
    predicate: str
    object: str
    probability: float
    known: bool


@dataclass(frozen=True)
class ConjunctiveAnswer:
    """What the variable asked for may stand for, by the most probable facts that make it so.

    probability: the t-norm of theirs. known: whether all of them are in the graph.
    """

    term: str
    rank: int
    probability: float
    known: bool
    facts: tuple[AnswerFact, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def answers(
    plausibility: Plausibility, question: Conjunction, top: int = 10, new_only: bool = False, norm: Norm = "product"
) -> list[ConjunctiveAnswer]:
    """The best answers, most probable first. Names are IRIs, prefix:name or labels, of which UserError if one is none.

    A known fact counts as 1, one of an entity with itself as 0 where its relation has none such. new_only: without the
    answers that the graph has already, all their facts known.
    """
    check_at_least_one(top=top)
    knowledge = plausibility.knowledge
    num_relations, entities = knowledge.num_relations, knowledge.vocabulary.entities
    hops = [
        (
            -1 if hop.given is None else knowledge.entity(hop.given),
            knowledge.relation(hop.predicate) + num_relations * hop.inverse,
        )
        for hop in question.hops
    ]
    reached = reasoner(plausibility, norm).reach(question.shape, torch.tensor(hops, device=knowledge.device))
    truth = reached.truth.masked_fill(reached.truth == 1, 0) if new_only else reached.truth
    order = truth.topk(min(top, int((truth > 0).sum()))).indices.tolist()

    def fact(head: int, relation: int, tail: int, truth: float) -> AnswerFact:
        ends = (head, tail) if relation < num_relations else (tail, head)
        return AnswerFact(*knowledge.terms(ends[0], relation % num_relations, ends[1]), truth, truth == 1)

    return [
        ConjunctiveAnswer(
            entities[entity],
            rank,
            truth[entity].item(),
            bool(truth[entity] == 1),
            tuple(fact(*each) for each in reached.facts(entity)),
        )
        for rank, entity in enumerate(order, 1)
    ]


def reasoner(plausibility: Plausibility, norm: Norm = "product") -> "Reasoner":
    """By what a model holds likely, and what is known."""
    known = plausibility.knowledge.known
    return Reasoner(plausibility.of_answers, known, known.reflexive, len(plausibility.answerable), norm)


@dataclass(frozen=True, eq=False)
class Walked:
    """One fact on the way to a variable, for each of the N entities it may stand for.

    head: where the most probable walk comes from; fact: how true the last fact of it is; truth: all of it.
    """

    before: "Reached | None"
    relation: int
    head: Int[Tensor, " N"]
    fact: Float[Tensor, " N"]
    truth: Float[Tensor, " N"]


@dataclass(frozen=True, eq=False)
class Reached:
    """How true it is of each entity that a variable stands for it."""

    walked: tuple[Walked, ...]
    truth: Float[Tensor, " N"]

    def facts(self, entity: int) -> Iterator[tuple[int, int, int, float]]:
        """(head, directed relation, tail, truth) of those that make the entity an answer, numbered as in the Shape."""
        for each in self.walked:
            head = int(each.head[entity])
            if each.before is not None:
                yield from each.before.facts(head)
            yield head, each.relation, entity, each.fact[entity].item()


@final
class Reasoner:
    """Truth of a conjunction = max over assignments of its other variables of the t-norm of its facts' probabilities.

    Complex Query Answering with Neural Link Predictors (Arakelyan, Daza, Minervini and Cochez, ICLR 2021), by
    combinatorial search. A variable hands on its best assignment for each entity it may stand for, since both t-norms
    (product; minimum, Goedel's) are monotone: the search is exact where the beam holds all N entities. It holds the
    `beam` best new ones, and the known ones, whose truth is 1.

    probabilities: of every entity as the answer of directed questions; known facts count as 1 whatever it says (None:
    nothing is known). reflexive: which relations hold between an entity and itself, for others that counts as 0 (None:
    nothing is ruled out). Of entities from number `trained` on the model knows nothing: only known facts lead on from
    there. In double precision. O((beam + known) N) for each fact that leaves a variable.
    """

    def __init__(
        self,
        probabilities: Probabilities,
        known: KnownAnswers | None,
        reflexive: Bool[Tensor, " R"] | None = None,
        trained: int | None = None,
        norm: Norm = "product",
        beam: int = BEAM,
    ) -> None:
        self._probabilities = probabilities
        self._known = known
        self._reflexive = reflexive
        self._trained = trained
        self._norm = _NORMS[norm]
        self._beam = beam

    @torch.no_grad()
    def reach(self, shape: Shape, hops: Int[Tensor, "F 2"]) -> Reached:
        """hops: (head, directed relation) of each fact, numbered as in the shape; -1 for a head that is a variable."""
        walked: list[Walked] = []
        first = 0
        for source in shape.sources:
            at = first if source is None else first + len(source)
            relation = int(hops[at, 1])
            if source is None:
                walked.append(self._from_entity(hops[at, :1], relation))
            else:
                walked.append(self._from_variable(self.reach(source, hops[first:at]), relation))
            first = at + 1
        return Reached(tuple(walked), reduce(self._norm, [each.truth for each in walked]))

    def _from_entity(self, head: Int[Tensor, " B"], relation: int) -> Walked:
        truth = self._facts(head, relation)[0]
        return Walked(None, relation, head.expand_as(truth), truth, truth)

    def _from_variable(self, before: Reached, relation: int) -> Walked:
        truth = torch.full_like(before.truth, -1.0)
        head = torch.zeros_like(truth, dtype=torch.long)
        fact = torch.zeros_like(truth)
        beam = self._beam_of(before.truth)
        rows = max(1, _CELLS // len(truth))
        for start in range(0, len(beam), rows):
            heads = beam[start : start + rows]
            facts = self._facts(heads, relation)
            best, row = self._norm(before.truth[heads, None], facts).max(0)
            better = best > truth
            truth = torch.where(better, best, truth)
            head = torch.where(better, heads[row], head)
            fact = torch.where(better, facts.gather(0, row[None])[0], fact)
        if self._known is not None:
            certain = (before.truth == 1).nonzero()[:, 0]
            row, tail = self._known.lookup(certain, torch.full_like(certain, relation))
            head[tail], fact[tail], truth[tail] = certain[row], 1.0, 1.0
        return Walked(before, relation, head, fact, truth.clamp(min=0))

    def _beam_of(self, truth: Float[Tensor, " N"]) -> Int[Tensor, " K"]:
        """The assignments to walk on from, best first."""
        known = truth[: self._trained] == 1
        certain = known.nonzero()[:_MOST_KNOWN, 0]
        new = truth[: self._trained].masked_fill(known, -1.0)
        best = new.topk(min(self._beam, len(new) - int(known.sum()))).indices
        return torch.cat([certain, best])

    def _facts(self, head: Int[Tensor, " B"], relation: int) -> Float[Tensor, "B N"]:
        """How true (head, relation, each entity) is."""
        relations = torch.full_like(head, relation)
        truth = self._probabilities(head, relations).double().clamp(0, _ALMOST)
        if self._reflexive is not None and not self._reflexive[relation % len(self._reflexive)]:
            truth[torch.arange(len(head), device=head.device), head] = 0.0
        if self._known is not None:
            truth[self._known.lookup(head, relations)] = 1.0
        return truth
