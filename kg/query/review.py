"""A queue of candidates for a person to decide on, in the terminal and on a page alike."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, final

import torch
from torch import Tensor

from kg.decisions.journal import Decision, Verdict
from kg.decisions.verdicts import Verdicts
from kg.errors import UserError, check_choice
from kg.graph.class_axioms import OF_CLASSES
from kg.graph.schema import Schema
from kg.graph.vocabulary import Vocabulary
from kg.progress import SILENT, Progress
from kg.query.candidates.candidate import Candidate
from kg.query.knowledge import Knowledge
from kg.query.predictor import Predictor

Order = Literal["subject", "surest", "uncertain"]
ORDERS: tuple[Order, ...] = ("subject", "surest", "uncertain")
TOP = 1000


@final
@dataclass(frozen=True)
class Wanted:
    """Which candidates, and in which order. relation, type: a predicate and a class of subjects, by IRI. at_least,
    at_most: bounds of the probability; what has none is within them.

    order: `subject`, by predicate and then by subject, the most probable groups first, as to identify a thing costs
    more than to check a fact of it (Gao et al., PVLDB 12(11), 2019); `surest`; or the most `uncertain` first.
    """

    relation: str | None = None
    type: str | None = None
    at_least: float = 0.0
    at_most: float = 1.0
    order: Order = "subject"

    def __post_init__(self) -> None:
        check_choice("order", self.order, ORDERS)
        if not 0 <= self.at_least <= self.at_most <= 1:
            raise UserError(f"expected bounds 0 <= {self.at_least:g} <= {self.at_most:g} <= 1", "at_least")


@final
@dataclass(frozen=True)
class Precision:
    """Of the facts decided on, the share that was accepted, with the bounds of Wilson's 95 % interval."""

    accepted: int
    rejected: int

    @property
    def share(self) -> float | None:
        return self.accepted / total if (total := self.accepted + self.rejected) else None

    @property
    def bounds(self) -> tuple[float, float]:
        """0 and 1 where nothing was decided. (Wilson, JASA 22, 1927.)"""
        total, z = self.accepted + self.rejected, 1.959964
        if not total:
            return 0.0, 1.0
        share = self.accepted / total
        middle = share + z * z / (2 * total)
        half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
        scale = 1 + z * z / total
        return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


@final
class Review:
    """The most probable candidates of a model, and what is still to be decided of them.

    `candidates` were looked for when it was made; `predictor` may be refreshed meanwhile, then what was decided is left
    out of the queue at once. `renewed` looks for them again.
    """

    def __init__(self, predictor: Predictor, top: int = TOP, progress: Progress = SILENT) -> None:
        self.predictor = predictor
        self._top = top
        if predictor.knowledge.decided is None:
            raise UserError(f"{predictor.bundle.path} answers without a store, and decisions are kept in one", "store")
        self.candidates = tuple(predictor.complete(top, progress=progress))
        self._facts = tuple(map(fact_of, self.candidates))
        self._typed: tuple[Schema | None, list[str]] = (None, [])
        self._numbered: tuple[Vocabulary | None, Tensor] = (None, torch.zeros(0))  # the candidates by its ids
        self._open: tuple[Knowledge | None, list[bool]] = (None, [])  # which of them are, by what is known

    def renewed(self, progress: Progress = SILENT) -> "Review":
        return Review(self.predictor, self._top, progress)

    @property
    def verdicts(self) -> Verdicts:
        decided = self.predictor.knowledge.decided
        assert decided is not None
        return decided.verdicts

    def queue(self, person: str, wanted: Wanted | None = None) -> list[Candidate]:
        """Those that are wanted, are candidates still, by all that is known and was rejected since, and that this
        person has not decided on."""
        wanted, verdicts = wanted or Wanted(), self.verdicts
        is_open = self._are_open()
        types = self.predictor.knowledge.schema.types
        found = [
            each
            for each, fact, may_be in zip(self.candidates, self._facts, is_open, strict=True)
            if may_be
            and wanted.relation in (None, each.predicate)
            and (wanted.type is None or wanted.type in types.get(each.subject, ()))
            and (each.probability is None or wanted.at_least <= each.probability <= wanted.at_most)
            and (fact not in verdicts.by_fact or person not in verdicts.said(fact))
        ]
        return _ordered(found, wanted.order)

    def left(self, person: str) -> int:
        """How many there are in the whole queue of this person."""
        verdicts = self.verdicts
        said = sum(
            person in verdicts.said(fact)
            for fact, may_be in zip(self._facts, self._are_open(), strict=True)
            if may_be and fact in verdicts.by_fact
        )
        return sum(self._are_open()) - said

    @cached_property
    def relations(self) -> list[str]:
        """The predicates of the candidates."""
        return list(dict.fromkeys(each.predicate for each in self.candidates))

    @property
    def types(self) -> list[str]:
        """The classes of their subjects."""
        schema = self.predictor.knowledge.schema
        if self._typed[0] is not schema:
            every = (cls for each in self.candidates for cls in schema.types.get(each.subject, ()))
            self._typed = schema, list(dict.fromkeys(every))
        return self._typed[1]

    def _are_open(self) -> list[bool]:
        """Which of the candidates are neither known by now, nor follow from what is, nor were rejected."""
        known, names = self.predictor.knowledge, self.predictor.knowledge.vocabulary
        if self._numbered[0] is not names:
            rows = names.numbered(self._facts)
            self._numbered = names, torch.tensor(rows, dtype=torch.long, device=known.device).reshape(-1, 3)
        if self._open[0] is not known:
            is_closed, hrt = (self._numbered[1] < 0).any(1), self._numbered[1].clamp(min=0)
            is_closed |= known.known.contains(*hrt.T.contiguous())
            is_closed |= self.predictor.plausibility.eligible.policy.excludes(hrt)
            self._open = known, (~is_closed).tolist()
        return self._open[1]

    def decision(self, candidate: Candidate, verdict: Verdict, person: str, id: str, batch: str = "") -> Decision:
        """What a person says of a candidate, with what they were shown."""
        bundle, schema = self.predictor.bundle, self.predictor.knowledge.schema
        is_axiom = candidate.predicate not in OF_CLASSES and schema.is_class(candidate.subject)
        return Decision(
            id,
            *fact_of(candidate),
            verdict,
            person,
            batch,
            restriction=bundle.dataset.restrictions and is_axiom,
            model=bundle.path.resolve().name,
            model_sha256=bundle.sha256,
            probability=candidate.probability,
            evidence=candidate.because,
        )

    def precision(self, relation: str | None = None) -> Precision:
        """Of the candidates that were decided on, of one predicate or all."""
        found = self.verdicts.counts(relation)
        return Precision(found["accepted"], found["rejected"])


def fact_of(candidate: Candidate) -> tuple[str, str, str]:
    return candidate.subject, candidate.predicate, candidate.object


def _ordered(candidates: Sequence[Candidate], order: Order) -> list[Candidate]:
    if order == "uncertain":
        return sorted(candidates, key=lambda each: abs((each.probability or 0) - 0.5))
    if order == "surest":
        return list(candidates)  # as they were found
    of_relation: dict[str, dict[str, list[Candidate]]] = defaultdict(lambda: defaultdict(list))
    for each in candidates:  # a group stands where its most probable member does
        of_relation[each.predicate][each.subject].append(each)
    return [each for subjects in of_relation.values() for group in subjects.values() for each in group]
