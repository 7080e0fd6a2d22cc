"""The one border between RDF terms and tensors: no IRI reaches a model, no integer reaches a person."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from kg.errors import UserError
from kg.graph.packed import Order, PackedIds, PackedTexts, beginning_with


class Vocabulary:
    """Entity and relation terms, each known by its position.

    A term is a bare IRI, a blank node `_:label`, or the plain name that a benchmark file uses. Ids are positions:
    entity 0 ... N - 1, relation 0 ... R - 1; relation r + R means the inverse of r and has no term of its own.

    Raises UserError where a term stands twice, is empty or goes over several lines.
    """

    entities: Sequence[str]
    relations: tuple[str, ...]
    _order: Order | None = None  # of packed entities

    def __init__(self, entities: Iterable[str], relations: Iterable[str]) -> None:
        self.entities = tuple(entities)
        self.relations = tuple(relations)
        if len(self.entity_ids) < len(self.entities) or len(self.relation_ids) < len(self.relations):
            raise UserError("a vocabulary holds each term once; some term stands twice")
        for ids in (self.entity_ids, self.relation_ids):
            if "" in ids or any("\n" in term for term in ids):
                raise UserError("a term of a vocabulary is one line, and not an empty one")

    @classmethod
    def packed(cls, entities: PackedTexts, ids: PackedIds, order: Order, relations: Iterable[str]) -> "Vocabulary":
        """Of entities that were looked through; `order` is theirs. See kg.graph.index."""
        made = cls((), relations)
        made.entities, made.entity_ids, made._order = entities, ids, order
        return made

    @cached_property
    def entity_ids(self) -> Mapping[str, int]:
        return {term: i for i, term in enumerate(self.entities)}

    @cached_property
    def relation_ids(self) -> dict[str, int]:
        return {term: i for i, term in enumerate(self.relations)}

    def extended(self, entities: Sequence[str]) -> "Vocabulary":
        """These entities appended after the known ones; those already known are skipped, and no id changes."""
        fresh = dict.fromkeys(e for e in entities if e not in self.entity_ids)
        if not fresh:
            return self
        ids = self.entity_ids.as_dict if isinstance(self.entity_ids, PackedIds) else dict(self.entity_ids)
        made = Vocabulary((), self.relations)
        made.entities = (*self.entities, *fresh)
        made.entity_ids = ids | {term: i for i, term in enumerate(fresh, len(self.entities))}
        return made

    def entities_beginning_with(self, prefixes: tuple[str, ...]) -> list[int]:
        """The ids of those that begin with one of these."""
        if isinstance(self.entities, PackedTexts) and self._order is not None:
            return [i for prefix in prefixes for i in beginning_with(prefix, self._order, self.entities)]
        return [i for i, term in enumerate(self.entities) if term.startswith(prefixes)]

    def numbered(self, facts: Iterable[tuple[str, str, str]]) -> list[tuple[int, int, int]]:
        """Facts by their ids; -1 for a term that is not here."""
        entities, relations = self.entity_ids, self.relation_ids
        return [(entities.get(s, -1), relations.get(p, -1), entities.get(o, -1)) for s, p, o in facts]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary) or self.relations != other.relations:
            return False
        return self is other or tuple(self.entities) == tuple(other.entities)

    def __hash__(self) -> int:
        return hash((len(self.entities), self.relations))

    def __repr__(self) -> str:
        return f"Vocabulary({len(self.entities):,} entities, {len(self.relations):,} relations)"
