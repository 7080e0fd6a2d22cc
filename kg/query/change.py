"""How far a store was read, and what a refresh found since."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Bool, Int

from kg.bundle import Bundle
from kg.graph.vocabulary import Vocabulary
from kg.store.facts import Mark
from kg.store.store import Store


@dataclass(frozen=True)
class Change:
    """What a refresh found: how many facts and entities came and went, among those that the model can make use of.

    decisions: how many lines the journal of decisions has more. schema: whether what the graph says of its words may be
    different. read_anew: whether all was read: the store could
    not tell what changed (see Store.since), much did, or the model learnt from owl:someValuesFrom restrictions.
    """

    generation: int | None
    facts_added: int = 0
    facts_removed: int = 0
    entities_added: int = 0
    entities_removed: int = 0
    decisions: int = 0
    schema: bool = False
    read_anew: bool = False


@final
@dataclass(frozen=True, eq=False)
class Reading:
    """How a store was read: for which model, how far, its terms by their ids there (None: nothing asked for them yet),
    and the ids of those entities that only the store has, in order."""

    bundle: Bundle
    path: Path
    mark: Mark
    terms: list[str] | None
    others: Int[np.ndarray, " E"]


def read_from(store: Store) -> str:
    return f"the store {store.path}, generation {store.generation}"


def known_of(ids: Int[np.ndarray, " T"], terms: list[str], names: Collection[str]) -> Bool[np.ndarray, " T"]:
    return np.array([terms[i] in names for i in ids.tolist()], dtype=bool)


def numbered(facts: Int[np.ndarray, "T 3"], terms: list[str], names: Vocabulary) -> Int[np.ndarray, "T 3"]:
    """By the ids of a vocabulary, for those of the store."""
    entities, relations = names.entity_ids, names.relation_ids
    rows = [(entities[terms[h]], relations[terms[r]], entities[terms[t]]) for h, r, t in facts.tolist()]
    return np.array(rows, dtype=np.int64).reshape(-1, 3)
