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
    without a name, are neither type nor domain. A class without types, but with one above it, stands for its members.
    """

    def __init__(self, schema: Schema, vocabulary: Vocabulary) -> None:
        self._schema = schema
        self._vocabulary = vocabulary
        self.above = lru_cache(maxsize=None)(partial(all_above, parents=schema.subclass_of))

    def allowed(self, relation: int) -> Bool[Tensor, " N"]:
        """The entities that may be heads of a directed relation."""
        entities = self._vocabulary.entities
        if not self._classes(relation):
            return torch.ones(len(entities), dtype=torch.bool)
        return torch.tensor([self.clash(entity, relation) is None for entity in range(len(entities))])

    def clash(self, entity: int, relation: int) -> str | None:
        """The declared class that the entity is not of, if it may not be the head of a directed relation."""
        classes = self._classes(relation)
        types = self.types(entity) if classes else ()
        return next((each for each in classes if types and not self.fits(types, each)), None)

    def types(self, entity: int) -> tuple[str, ...]:
        """The classes that an entity is of: of a class that stands for its members, itself."""
        term = self._vocabulary.entities[entity]
        types = _telling(self._schema.types.get(term, ()))
        return types or ((term,) if _telling(self._schema.subclass_of.get(term, ())) else ())

    def _classes(self, relation: int) -> tuple[str, ...]:
        num = len(self._vocabulary.relations)
        declared: Mapping[str, tuple[str, ...]] = self._schema.domain if relation < num else self._schema.range
        return _telling(declared.get(self._vocabulary.relations[relation % num], ()))

    def fits(self, types: Iterable[str], wanted: str) -> bool:
        """Whether one of these classes is below or above another, and none is disjoint with it."""
        above = self.above(wanted)
        related = any(wanted in self.above(each) or each in above for each in types)
        return related and not any(self.apart(each, wanted) for each in types)

    def apart(self, left: str, right: str) -> tuple[str, str] | None:
        """Two disjoint classes, or predicates, that these are, or are below of."""
        above = self.above(right)
        for each in sorted(self.above(left)):
            for other in self._schema.disjoint.get(each, ()):
                if other in above:
                    return each, other
        return None


def _telling(classes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(each for each in classes if each not in _SAYS_NOTHING and not each.startswith("_:"))
