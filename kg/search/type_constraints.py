"""Which entities may stand where: by what the ontology declares, or by what has been observed."""

from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from typing import Literal, final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy import sparse
from torch import Tensor

from kg.graph.dataset import Dataset
from kg.graph.known import KnownAnswers
from kg.graph.schema import Schema, all_above
from kg.graph.vocabulary import Vocabulary
from kg.namespaces import OWL, RDFS

Constraint = Literal["declared", "observed", "off"]
CONSTRAINTS: tuple[Constraint, ...] = ("declared", "observed", "off")

_KEPT = 0.98  # of the valid facts: at what share of them the line is drawn
_SAYS_NOTHING = {OWL + "Thing", OWL + "NamedIndividual", OWL + "Class", RDFS + "Resource", RDFS + "Class"}


@final
class ObservedTypes:
    """How well an entity fits as the head of a directed relation q, by the other relations P that it stands in:

        fit(e, q) = (n_q / N + sum over p in P of n_pq / n_p) / (1 + |P|)

    with n_p the entities that are heads of p, n_pq those of both. It is what a random relation of the entity says of q,
    and what all entities say where it stands in few. An entity that is known as a head of q fits whatever it is.
    """

    def __init__(self, known: KnownAnswers, num_entities: int) -> None:
        self._head, self._relation = (each.cpu() for each in known.heads_and_relations())
        self._num_entities = num_entities
        num = 2 * known.num_relations
        ones = np.ones(len(self._head), dtype=np.float32)
        stands = sparse.csr_array((ones, (self._head.numpy(), self._relation.numpy())), shape=(num_entities, num))
        together = (stands.T @ stands).toarray()
        count = together.diagonal().copy()
        np.fill_diagonal(together, 0)
        self._share = torch.from_numpy(together / np.maximum(count, 1)[:, None]).float()
        self._rate = torch.from_numpy(count / num_entities).float()
        self._own = torch.bincount(self._head, minlength=num_entities).float()

    def fit(self, relation: int) -> Float[Tensor, " N"]:
        """Of every entity as a head of a directed relation; infinite where it is known as one. O(N + (e, p) pairs)."""
        of_pairs = self._share[self._relation, relation].double()
        said = torch.bincount(self._head, of_pairs, minlength=self._num_entities).float()
        fit = (self._rate[relation] + said) / (1 + self._own)
        fit[self._head[self._relation == relation]] = torch.inf
        return fit

    def of_facts(self, hrt: Int[Tensor, "T 3"]) -> Float[Tensor, " T"]:
        """How well the worse fitting end of each fact fits."""
        worse = torch.full((len(hrt),), torch.inf)
        num_relations = len(self._rate) // 2
        for relation in torch.unique(hrt[:, 1]).tolist():
            of_it = hrt[:, 1] == relation
            for place, directed in ((0, relation), (2, relation + num_relations)):
                worse[of_it] = torch.minimum(worse[of_it], self.fit(directed)[hrt[of_it, place]])
        return worse


def observed_line(dataset: Dataset) -> float:
    """How well an entity must fit: so that 98 % of the valid facts do, by what training knew; 0 without valid facts."""
    if not len(dataset.valid):
        return 0.0
    fits = ObservedTypes(dataset.known("train"), dataset.num_entities).of_facts(dataset.valid).sort().values
    return float(fits[int(len(fits) * (1 - _KEPT))])


@final
class DeclaredTypes:
    """What rdfs:domain, rdfs:range, rdf:type, rdfs:subClassOf and owl:disjointWith say of who stands where.

    An entity may be the subject of a predicate unless it has types of which none is a domain, below one or above one,
    or one is disjoint with a domain (or with a class above it); each domain must let it. So of objects and ranges.
    An entity without types, and a predicate that declares nothing, are let be; owl:Thing and its like, and classes
    without a name, are neither type nor domain.
    """

    def __init__(self, schema: Schema, vocabulary: Vocabulary) -> None:
        self._schema = schema
        self._vocabulary = vocabulary
        self._above = lru_cache(maxsize=None)(partial(all_above, parents=schema.subclass_of))

    def allowed(self, relation: int) -> Bool[Tensor, " N"]:
        """The entities that may be heads of a directed relation."""
        entities = self._vocabulary.entities
        if not self._classes(relation):
            return torch.ones(len(entities), dtype=torch.bool)
        return torch.tensor([self.clash(entity, relation) is None for entity in range(len(entities))])

    def clash(self, entity: int, relation: int) -> str | None:
        """The declared class that the entity is not of, if it may not be the head of a directed relation."""
        types = _telling(self._schema.types.get(self._vocabulary.entities[entity], ()))
        return next((each for each in self._classes(relation) if types and not self._fits(types, each)), None)

    def _classes(self, relation: int) -> tuple[str, ...]:
        num = len(self._vocabulary.relations)
        declared: Mapping[str, tuple[str, ...]] = self._schema.domain if relation < num else self._schema.range
        return _telling(declared.get(self._vocabulary.relations[relation % num], ()))

    def _fits(self, types: Iterable[str], wanted: str) -> bool:
        above = self._above(wanted)
        apart = {other for each in above for other in self._schema.disjoint.get(each, ())}
        related = False
        for each in types:
            mine = self._above(each)
            if mine & apart:
                return False
            related |= wanted in mine or each in above
        return related


def _telling(classes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(each for each in classes if each not in _SAYS_NOTHING and not each.startswith("_:"))
