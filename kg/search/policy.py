"""What may be a candidate at all, whatever the model says of it."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from kg.graph.entailment import Entailment
from kg.graph.known import KnownAnswers
from kg.graph.plumbing import is_annotation, is_plumbing, not_of_the_graph
from kg.graph.schema import Schema
from kg.graph.vocabulary import Vocabulary


@final
@dataclass(frozen=True, eq=False)
class Policy:
    """entities: those that may stand in a candidate. relations: those that are offered where none is named.
    entailed: facts that follow from what is known and are not known themselves, which are no candidates; None: none do.
    rejected: facts that people rejected, which are none either; None: there are none.
    cut: the relations of which too many follow for all of them to be found (see Entailment.facts).
    """

    entities: Bool[Tensor, " N"]
    relations: Bool[Tensor, " R"]
    entailed: KnownAnswers | None = None
    cut: tuple[int, ...] = ()
    rejected: KnownAnswers | None = None

    @classmethod
    def of(
        cls,
        vocabulary: Vocabulary,
        schema: Schema,
        known: KnownAnswers,
        named: Collection[str] = (),
        restrictions: bool = False,
        rejected: KnownAnswers | None = None,
    ) -> "Policy":
        """By kg.graph.plumbing: entities that the graph is about, and predicates that neither annotate nor build
        axioms, or were named. A graph that has annotations alone is about these: then they are offered.

        known: from which follows what is entailed. named, restrictions: as of the dataset that was trained on.
        """
        terms = vocabulary.relations
        built = torch.tensor([is_plumbing(each) for each in terms], dtype=torch.bool)
        notes = torch.tensor([is_annotation(each, schema) for each in terms], dtype=torch.bool)
        chosen = torch.tensor([each in named for each in terms], dtype=torch.bool)
        offered = chosen | ~(built | notes)
        entities = torch.ones(len(vocabulary.entities), dtype=torch.bool)
        entities[not_of_the_graph(vocabulary, schema)] = False
        relations = offered if bool(offered.any()) else ~built
        device = known.tails.device
        found, cut = Entailment(vocabulary, schema, restrictions).facts(known)
        return cls(entities.to(device), relations.to(device), found, cut, rejected)

    @property
    def excluded(self) -> tuple[KnownAnswers, ...]:
        """Facts that are no candidates, though they are not known."""
        return tuple(each for each in (self.entailed, self.rejected) if each is not None)

    def excludes(self, hrt: Int[Tensor, "F 3"]) -> Bool[Tensor, " F"]:
        """Which of these facts are among them."""
        found = torch.zeros(len(hrt), dtype=torch.bool, device=hrt.device)
        for each in self.excluded:
            found |= each.contains(*hrt.T.contiguous())
        return found
