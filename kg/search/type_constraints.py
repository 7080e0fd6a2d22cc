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
from kg.graph.graph import spans
from kg.graph.known import KnownAnswers, asked
from kg.graph.schema import Schema, all_above
from kg.graph.vocabulary import Vocabulary
from kg.namespaces import OWL, RDFS

Constraint = Literal["declared", "observed", "off"]
CONSTRAINTS: tuple[Constraint, ...] = ("declared", "observed", "off")

_TOGETHER = 16  # relations whose fits are computed at once
_ROWS, _QUESTIONS = 1 << 13, 1 << 15  # entities, and questions, at a time
_KEPT = 0.98  # of the valid facts: at what share of them the line is drawn
_SAYS_NOTHING = {OWL + "Thing", OWL + "NamedIndividual", OWL + "Class", RDFS + "Resource", RDFS + "Class"}


@final
class ObservedTypes:
    """How well an entity fits as the head of a directed relation q, by the other relations P that it stands in:

        fit(e, q) = (n_q / N + sum over p in P of n_pq / n_p) / (1 + |P|)

    with n_p the entities that are heads of p, n_pq those of both. It is what a random relation of the entity says of q,
    and what all entities say where it stands in few. An entity that is known as a head of q fits whatever it is.

    questions: e * 2 R + q of all heads of q, sorted; as KnownAnswers has them.
    """

    def __init__(self, questions: Int[Tensor, " M"], num_relations: int, num_entities: int) -> None:
        num, keys = 2 * num_relations, questions.cpu().numpy()
        begin = np.searchsorted(keys, num * np.arange(num_entities + 1))
        relation = keys - num * np.repeat(np.arange(num_entities), np.diff(begin))
        self._stands = sparse.csr_array((np.ones(len(keys)), relation, begin), shape=(num_entities, num))
        together = np.zeros((num, num))
        for start in range(0, num_entities, _ROWS):  # a quarter of the time of stands.T @ stands
            rows = self._stands[start : start + _ROWS]
            together += rows.T @ rows.toarray()
        count = together.diagonal().copy()
        np.fill_diagonal(together, 0)
        self._share = (together / np.maximum(count, 1)[:, None]).astype(np.float32).astype(np.float64)
        self._rate = torch.from_numpy(count / num_entities).float()
        self._own = torch.from_numpy(np.diff(begin)).float()
        self._group = lru_cache(maxsize=2)(self._fits)  # two: of relations, and of their inverses

    def fit(self, relation: int) -> Float[Tensor, " N"]:
        """Of every entity as a head of a directed relation; infinite where it is known as one. O(N + (e, p) pairs), of
        16 relations together, which is hardly more than of one."""
        found: Tensor = self._group(relation // _TOGETHER)[:, relation % _TOGETHER]
        return found

    def _fits(self, group: int) -> Float[Tensor, "N G"]:
        last = min((group + 1) * _TOGETHER, len(self._rate))
        return self.of_entities(slice(None), torch.arange(group * _TOGETHER, last))

    def of_entities(self, entities: slice, relations: Int[Tensor, " Q"]) -> Float[Tensor, "B Q"]:
        """Of these as heads of these directed relations."""
        stands = self._stands[entities]
        said = torch.from_numpy(stands @ self._share[:, relations.numpy()]).float()
        fit = said.add_(self._rate[relations]).div_((1 + self._own[entities])[:, None])
        column_of = np.full(len(self._rate), -1)
        column_of[relations.numpy()] = np.arange(len(relations))
        column = column_of[stands.indices]
        head = np.repeat(np.arange(stands.shape[0]), np.diff(stands.indptr))[column >= 0]
        fit[torch.from_numpy(head), torch.from_numpy(column[column >= 0])] = torch.inf
        return fit

    def of_facts(self, hrt: Int[Tensor, "T 3"]) -> Float[Tensor, " T"]:
        """How well the worse fitting end of each fact fits. O(relations of the ends)."""
        num = len(self._rate)
        questions = torch.cat([hrt[:, 0] * num + hrt[:, 1], hrt[:, 2] * num + hrt[:, 1] + num // 2])
        once, place = torch.unique(questions, return_inverse=True)
        fits = [torch.zeros(0), *(self._of_heads(part // num, part % num) for part in torch.split(once, _QUESTIONS))]
        return torch.cat(fits)[place].view(2, -1).amin(0)

    def _of_heads(self, head: Int[Tensor, " T"], relation: Int[Tensor, " T"]) -> Float[Tensor, " T"]:
        begin = torch.from_numpy(self._stands.indptr).long()
        fact, place = spans(begin[head], begin[head + 1] - begin[head])
        other = torch.from_numpy(self._stands.indices).long()[place]
        share = torch.from_numpy(self._share)[other, relation[fact]]
        said = torch.bincount(fact, share, minlength=len(head)).float()
        fit = (self._rate[relation] + said) / (1 + self._own[head])
        fit[fact[other == relation[fact]]] = torch.inf
        return fit


@lru_cache(maxsize=2)
def observed_types(known: KnownAnswers, num_entities: int) -> ObservedTypes:
    """By these facts; kept for the last two that were asked about: what training knew, and what is known now."""
    return ObservedTypes(known.questions, known.num_relations, num_entities)


def observed_line(dataset: Dataset) -> float:
    """How well an entity must fit: so that 98 % of the valid facts do, by what training knew; 0 without valid facts."""
    if not len(dataset.valid):
        return 0.0
    questions = asked(dataset.train, dataset.num_relations)
    fits = ObservedTypes(questions, dataset.num_relations, dataset.num_entities).of_facts(dataset.valid).sort().values
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
