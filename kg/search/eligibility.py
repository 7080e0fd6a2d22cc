"""Which facts are candidates at all: the one answer to that for questions, for searches and for samples."""

from copy import copy
from functools import cached_property
from typing import final

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from kg.graph.dataset import Dataset
from kg.graph.known import KnownAnswers
from kg.search.policy import Policy
from kg.search.type_constraints import Constraint, DeclaredTypes, ObservedTypes, observed_line, observed_types


@final
class Eligibility:
    """A candidate is a fact that is not known, does not follow from what is and was not rejected, between entities that
    the model can be asked about and that policy and types allow there. (h, r, h) is one only where the relation is
    known to have such facts.

    answerable: the entities that can stand in a question, of all N. learned_from: the data that says where the line
    between fitting and not fitting lies for observed types.
    """

    def __init__(
        self,
        known: KnownAnswers,
        num_entities: int,
        answerable: Int[Tensor, " A"],
        declared: DeclaredTypes,
        learned_from: Dataset,
        policy: Policy,
    ) -> None:
        self.known = known
        self.answerable = answerable
        self._num_entities = num_entities
        self._declared = declared
        self._learned_from = learned_from
        self.policy = policy

    def of(self, known: KnownAnswers, policy: Policy) -> "Eligibility":
        """The same, where other facts are known, or others excluded."""
        if known is not self.known:
            rest = self.answerable, self._declared, self._learned_from
            return Eligibility(known, self._num_entities, *rest, policy)
        made = copy(self)  # with what it keeps of its known facts
        made.policy = policy
        return made

    def allowed(self, relation: int, types: Constraint) -> Bool[Tensor, " N"]:
        """The entities that may be heads of a directed relation."""
        device = self.answerable.device
        if types == "declared":
            return self._declared.allowed(relation).to(device)
        if types == "observed":
            fit, line = self.observed
            return (fit.fit(relation) >= line).to(device)
        return torch.ones(self._num_entities, dtype=torch.bool, device=device)

    def allowed_of(self, entities: slice, types: Constraint, relations: Int[Tensor, " Q"]) -> Bool[Tensor, "B Q"]:
        """Of these entities, which may be heads of each of these directed relations."""
        if types == "declared":
            return self._declared_to_all[entities][:, relations]
        if types == "observed":
            fit, line = self.observed
            return fit.of_entities(entities, relations.cpu()) >= line
        return torch.ones(len(range(*entities.indices(self._num_entities))), len(relations), dtype=torch.bool)

    def heads(self, relation: int, types: Constraint, named: int | None = None) -> Int[Tensor, " H"]:
        """Of those, the ones that the model can be asked about and the policy allows; named: this one in any case."""
        offered = self.policy.entities
        if named is not None:
            offered = offered.clone()
            offered[named] = True
        return self.answerable[(self.allowed(relation, types) & offered)[self.answerable]]

    def of_questions(
        self, head: Int[Tensor, " B"], relation: Int[Tensor, " B"], new_only: bool, types: Constraint
    ) -> tuple[Bool[Tensor, "B N"], Bool[Tensor, "B N"]]:
        """Which entities are known answers to (head, relation, ?), and which may be shown as answers: unless
        `new_only`, known ones and those that follow from what is known, too; what was rejected in no case."""
        num = self.known.num_relations
        known = torch.zeros(len(head), self._num_entities, dtype=torch.bool, device=head.device)
        known[self.known.lookup(head, relation)] = True
        eligible = known | self.policy.entities
        if self.policy.rejected is not None:
            place = self.policy.rejected.lookup(head, relation)
            eligible[place] = known[place]
        if new_only:
            eligible &= ~known
            for each in self.policy.excluded:
                eligible[each.lookup(head, relation)] = False
        if types != "off":
            fitting = {each: self.allowed((each + num) % (2 * num), types) for each in relation.tolist()}
            eligible &= torch.stack([fitting[each] for each in relation.tolist()])
        row = torch.arange(len(head), device=head.device)
        eligible[row, head] &= self.known.reflexive[relation % num] | known[row, head]
        return known, eligible

    @classmethod
    def of_training(cls, dataset: Dataset, *parts: str, device: torch.device | str = "cpu") -> "Eligibility":
        """Of the entities of a dataset, what is not known from these parts of it."""
        answerable = torch.arange(dataset.num_entities, device=device)
        declared = DeclaredTypes(dataset.schema, dataset.vocabulary)
        known = dataset.known(*parts).to(device)
        policy = Policy.of(dataset.vocabulary, dataset.schema, known, dataset.named, dataset.restrictions)
        return cls(known, dataset.num_entities, answerable, declared, dataset, policy)

    def are_candidates(self, hrt: Int[Tensor, "F 3"]) -> Bool[Tensor, " F"]:
        """Of facts, those that are candidates of observed types."""
        head, relation, tail = hrt.unbind(1)
        is_new = ~self.known.contains(head, relation, tail) & ~self.policy.excludes(hrt)
        found: Tensor = is_new & self.policy.entities[hrt[:, [0, 2]]].all(1)
        fit, line = self.observed
        found &= (fit.of_facts(hrt.cpu()) >= line).to(hrt.device)
        return found & ((head != tail) | self.known.reflexive[relation])

    def no_candidates(
        self, relation: int, heads: Int[Tensor, " H"], tails: Int[Tensor, " T"]
    ) -> tuple[Int[Tensor, " K"], Int[Tensor, " K"]]:
        """(row, column) of the pairs of heads and tails that are no candidates: known, entailed by what is, rejected,
        or an entity with itself."""
        column_of = tails.new_full((self._num_entities,), -1)
        column_of[tails] = torch.arange(len(tails), device=tails.device)
        asked = heads, torch.full_like(heads, relation)
        row, tail = map(
            torch.cat, zip(*(each.lookup(*asked) for each in (self.known, *self.policy.excluded)), strict=True)
        )
        if not self.known.reflexive[relation]:
            row = torch.cat([row, torch.arange(len(heads), device=row.device)])
            tail = torch.cat([tail, heads])
        column = column_of[tail]
        return row[column >= 0], column[column >= 0]

    @cached_property
    def _declared_to_all(self) -> Bool[Tensor, "N R2"]:
        return torch.stack([self._declared.allowed(each) for each in range(2 * self.known.num_relations)], 1)

    @cached_property
    def num_heads(self) -> Int[np.ndarray, " R2"]:
        """How many entities may be heads of each directed relation, by observed types."""
        return np.array([len(self.heads(each, "observed")) for each in range(2 * self.known.num_relations)])

    @property
    def num_candidates(self) -> int:
        """About how many there are of observed types: known facts are counted, too."""
        heads, tails = np.split(self.num_heads, 2)
        return int(heads @ tails)

    @cached_property
    def observed(self) -> tuple[ObservedTypes, float]:
        """How well entities fit, and the line from which on they may stand somewhere."""
        return observed_types(self.known, self._num_entities), observed_line(self._learned_from)
