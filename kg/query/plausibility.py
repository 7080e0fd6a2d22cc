"""Plausibility: what a model says of facts as integers, given what is known."""

from dataclasses import replace
from functools import cached_property
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kg.bundle import Bundle
from kg.errors import UserError
from kg.graph.entailment import Entailment, Fact
from kg.graph.known import KnownAnswers
from kg.models.scorer import Queries
from kg.probability.calibration import Calibration, by_log_softmax, calibration_of
from kg.probability.fact_logits import FactLogits
from kg.probability.query_scores import BATCH, QueryScores, ScoreBlock, asked_one_way
from kg.query.best_answers import BestAnswers
from kg.query.held_out import HeldOut, Stated
from kg.query.knowledge import Knowledge
from kg.search.eligibility import Eligibility
from kg.search.policy import Policy


@final
class Plausibility:
    """Scores, logits and probabilities of facts, known or not; which facts are candidates.

    What it keeps of earlier questions holds for these facts alone: other facts make another one.
    """

    def __init__(self, bundle: Bundle, knowledge: Knowledge) -> None:
        self.bundle = bundle
        self.scorer = bundle.scorer
        self.knowledge = knowledge
        self.best_answers = BestAnswers(self.scorer)
        self._calibration = calibration_of(bundle)
        self._ends: dict[int, ScoreBlock] = {}

    def refreshed(self, knowledge: Knowledge) -> "Plausibility":
        """Of other knowledge. What is kept of earlier questions stays, where no other facts are known; where some more
        are, since people accepted them, what follows from these is added to what followed before."""
        made = Plausibility(self.bundle, knowledge)
        made.best_answers = self.best_answers
        if knowledge.known is self.knowledge.known:
            made._ends = self._ends
            made.__dict__.update({name: self.__dict__[name] for name in ("query_scores",) if name in self.__dict__})
        if knowledge.stated is not self.knowledge.stated:
            return made
        kept = ("answerable", "_entailment", "_entailed_by_stated")
        made.__dict__.update({name: self.__dict__[name] for name in kept if name in self.__dict__})
        if "eligible" in self.__dict__ and not self.eligible.policy.cut:
            policy = replace(self.eligible.policy, entailed=self._entailed_by(knowledge), rejected=knowledge.rejected)
            made.__dict__["eligible"] = self.eligible.of(knowledge.known, policy)
        return made

    def _entailed_by(self, knowledge: Knowledge) -> KnownAnswers | None:
        """What follows from the same stated facts and others that people accepted."""
        assert self.knowledge.decided is not None and knowledge.decided is not None
        before, now = self.knowledge.decided.accepted, knowledge.decided.accepted
        if len(before.beyond(now)):  # nobody knows any more what followed from these alone
            return self._entailment.more(knowledge.known, self._entailed_by_stated, now.facts())
        return self._entailment.more(knowledge.known, self.eligible.policy.entailed, now.beyond(before))

    @cached_property
    def _entailed_by_stated(self) -> KnownAnswers | None:
        return self._entailment.facts(self.knowledge.stated.known)[0]

    # Scores

    @cached_property
    def query_scores(self) -> QueryScores:
        """A model without probabilities is asked the way that it would be with them."""
        known = self.knowledge
        asked: tuple[int, ...] = ()
        if self.is_calibrated:
            asked = self.calibration.asked
        elif self.scorer.hides:
            asked = asked_one_way(self.eligible)
        return QueryScores(self.scorer, known.graph, known.known, self.bundle.temperature or 1.0, asked)

    @torch.no_grad()
    def scores(self, hrt: Int[Tensor, "F 3"]) -> Float[Tensor, " F"]:
        """Of each fact the mean of the scores of (head, relation, ?) and (?, relation, tail), which differ where the
        scorer learns a relation's inverse apart from it."""
        head, relation, tail = hrt.unbind(1)
        inverse = relation + self.knowledge.num_relations
        both = Queries(torch.cat([head, tail]), torch.cat([relation, inverse]), self.knowledge.graph)
        other = torch.cat([tail, head])
        parts = [self.scorer.score_hrt(both[i : i + BATCH], other[i : i + BATCH]) for i in range(0, len(both), BATCH)]
        there, back = torch.cat([torch.zeros(0, device=hrt.device), *parts]).chunk(2)
        return (there + back) / 2

    # Probabilities

    @property
    def is_calibrated(self) -> bool:
        """Whether it gives probabilities: but for the relations `withheld`."""
        return self._calibration is not None and self._calibration.reason is None

    @property
    def uncalibrated(self) -> str:
        """Why a model gives no probabilities, or none of `withheld`, and what helps."""
        if self.is_calibrated:
            return "those of facts kept apart did not hold"
        if self._calibration is not None and self._calibration.reason is not None:
            return f"they are withheld: {self._calibration.reason}"
        if not len(self.bundle.dataset.valid):
            return "it was trained without valid facts to fit them on"
        return f"it was not calibrated (kg calibrate {self.bundle.path})"

    @property
    def calibration(self) -> Calibration:
        """UserError where the model gives no probabilities."""
        if self._calibration is None or not self.is_calibrated:
            raise UserError(f"{self.bundle.path} gives no probabilities: {self.uncalibrated}")
        return self._calibration

    @property
    def withheld(self) -> tuple[int, ...]:
        """Relations of which no probability is given, as those of their facts did not hold (kg.probability.fitting)."""
        return self.calibration.withheld if self.is_calibrated else ()

    def held_out(self, relation: int) -> HeldOut:
        """How often what is said of a relation came true."""
        tried = None if self._calibration is None else self._calibration.tried
        stated = None if tried is None else [Stated.of(each) for each in tried[relation]]
        facts = int((self.bundle.dataset.valid[:, 1] == relation).sum())
        return HeldOut(stated, facts, not self.is_calibrated or relation in self.withheld)

    @cached_property
    def logits(self) -> FactLogits:
        """What candidates are ordered by: that of the calibration, or the mean log-softmax of both directions."""
        scores = self.query_scores
        if self.is_calibrated:
            return FactLogits(scores, self.calibration)
        return FactLogits(scores, by_log_softmax(self.knowledge.num_relations, scores.asked))

    def lowest_logit(self, probability: float) -> float:
        """Below it every fact is less probable than that: by bisection."""
        if not probability:
            return -torch.inf
        low, high = -1e4, 1e4
        while high - low > 1e-4:
            middle = (low + high) / 2
            enough = self.calibration.probabilities(torch.tensor([middle])).item() >= probability
            low, high = (low, middle) if enough else (middle, high)
        return low

    def of_facts(self, hrt: Int[Tensor, "F 3"]) -> Float[Tensor, " F"]:
        """The probabilities of facts: see kg.probability.calibration. O(F (answers of their relations)) scores.

        A relation may be given in either direction. UserError for an entity that the model cannot be asked about, and
        where the model gives no probabilities, or none of such a relation.
        """
        for relation in torch.unique(hrt[:, 1] % self.knowledge.num_relations).tolist():
            if relation in self.withheld:
                raise UserError(f"{self.bundle.path} gives no probabilities of {self._why_withheld(relation)}")
        return self.calibration.probabilities(self.logits.of_facts(hrt))

    def of_facts_if_any(self, hrt: Int[Tensor, "F 3"]) -> list[float | None]:
        """The same; None where the model gives no probabilities, none of the relation, or cannot be asked about an
        end."""
        can = (hrt[:, [0, 2]] < len(self.answerable)).all(1)
        can &= ~torch.isin(hrt[:, 1] % self.knowledge.num_relations, hrt.new_tensor(self.withheld))
        if not self.is_calibrated or not bool(can.any()):
            return [None] * len(hrt)
        found = torch.full((len(hrt),), torch.nan)
        found[can.cpu()] = self.of_facts(hrt[can]).cpu()
        return [None if value != value else value for value in found.tolist()]

    def given(self, relation: Int[Tensor, " F"], probabilities: Float[Tensor, " F"]) -> list[float | None]:
        """Of these, those that are not withheld."""
        held = torch.isin(relation, relation.new_tensor(self.withheld)) | (not self.is_calibrated)
        pairs = zip(probabilities.tolist(), held.tolist(), strict=True)
        return [None if is_held else value for value, is_held in pairs]

    def _why_withheld(self, relation: int) -> str:
        name = self.knowledge.vocabulary.relations[relation]
        return f"{name}: those of facts kept apart expected too many, or too few"

    def of_answers(self, head: Int[Tensor, " B"], relation: Int[Tensor, " B"]) -> Float[Tensor, "B N"]:
        """The probability of every entity as the answer of (head, relation, ?), relation r + R asking for heads; known
        answers have theirs like any other, and so have relations that are `withheld`. An entity that the model cannot
        be asked about has 0, and so has a fact that was rejected.

        The first question of a relation asks about every entity in the other direction, later ones do not.
        """
        num = self.knowledge.num_relations
        found = torch.zeros(len(head), self.knowledge.num_entities, device=head.device)
        every = self.answerable
        for directed in torch.unique(relation).tolist():
            chosen, inverse = relation == directed, (directed + num) % (2 * num)
            asked = self.query_scores.block(directed, head[chosen], every)
            ends = self._ends_of(inverse)
            others = replace(ends, scores=self.query_scores.scores(inverse, every, head[chosen]))
            forward, backward = (asked, others) if directed < num else (others, asked)
            logits = self.calibration.logits(directed % num, forward, backward)
            found[chosen, : len(every)] = self.calibration.probabilities(logits if directed < num else logits.T)
        if self.knowledge.rejected is not None:
            found[self.knowledge.rejected.lookup(head, relation)] = 0
        return found

    def _ends_of(self, relation: int) -> ScoreBlock:
        """All that can be asked (entity, relation, ?), without candidates."""
        if relation not in self._ends:
            self._ends[relation] = self.query_scores.block(relation, self.answerable, self.answerable[:0])
        return self._ends[relation]

    # Candidates

    def premises(self, head: int, relation: int, tail: int) -> tuple[Fact, ...]:
        """Facts from which a fact that is not known follows by what the schema says; none where it does not."""
        known, entailed = self.knowledge.known, self.eligible.policy.entailed
        if entailed is None or not bool(self.follow(known.tails.new_tensor([[head, relation, tail]]))):
            return ()
        return self._entailment.premises(head, relation, tail, known, entailed)

    def follow(self, hrt: Int[Tensor, "F 3"]) -> Bool[Tensor, " F"]:
        """Which of these facts follow from what is known, and are not known themselves."""
        entailed = self.eligible.policy.entailed
        if entailed is None:
            return torch.zeros(len(hrt), dtype=torch.bool, device=hrt.device)
        return entailed.contains(*hrt.T.contiguous())

    @cached_property
    def _entailment(self) -> Entailment:
        return Entailment(self.knowledge.vocabulary, self.knowledge.schema, self.bundle.dataset.restrictions)

    @cached_property
    def answerable(self) -> Int[Tensor, " A"]:
        """The entities that can stand in a question: the first of all. Most models know but those of their training."""
        count, device = self.knowledge.num_entities, self.knowledge.device
        if count > self.scorer.num_entities:
            newest, first = (torch.tensor([entity], device=device) for entity in (count - 1, 0))
            try:
                self.scorer.score_hrt(Queries(newest, first, self.knowledge.graph), first)
            except UserError:  # which is what such a scorer says
                count = self.scorer.num_entities
        return torch.arange(count, device=device)

    @cached_property
    def eligible(self) -> Eligibility:
        facts, data = self.knowledge, self.bundle.dataset
        known, words = facts.known, (facts.vocabulary, facts.schema)
        policy = Policy.of(*words, known, data.named, data.restrictions, facts.rejected)
        return Eligibility(facts.known, facts.num_entities, self.answerable, facts.consistency.types, data, policy)
