"""What the worker of a ScoredStore runs: queries in which a model answers kg:score, kg:probability and kg:known."""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float, Int
from pyoxigraph import BlankNode, Literal, NamedNode
from torch import Tensor

from kg.bundle import Bundle
from kg.errors import UserError
from kg.models.scorer import Queries
from kg.namespaces import KG
from kg.progress import Progress
from kg.query.knowledge import Knowledge
from kg.query.plausibility import Plausibility
from kg.store import sparql
from kg.store.sparql import Functions, Term
from kg.store.store import Store
from kg.store.terms import term_text

_CACHE = 1 << 28  # bytes of rows of scores, and as many of probabilities and of known answers


def load(progress: Progress, model: str, store: str, generation: int) -> None:
    """Reads the model and the facts of a generation of a store, for the queries that follow."""
    _values(model, store, generation)


def answer(progress: Progress, model: str, store: str, generation: int, **request: Any) -> dict[str, Any]:
    """As sparql.answer."""
    calls = Calls(_values(model, store, generation))
    found = sparql.answer(progress, **request, functions=calls.functions())
    if calls.failed:
        raise calls.failed
    return {**found, "notes": calls.notes()}


@lru_cache(maxsize=1)
def _values(model: str, store: str, generation: int) -> "FactValues":
    bundle = Bundle.load(model)
    with Store(store, generation=generation) as opened:  # which whoever asks has open, though it be published no more
        return FactValues(Plausibility(bundle, Knowledge.of_store(bundle, opened)))


class Unknown(Exception):
    """The model has no value for a fact. The message says why."""


@final
class FactValues:
    """Values of facts from rows of all answers to a question, as a query compares many facts that share an end.

    A question is an entity and a directed relation. The rows used last are kept.
    """

    def __init__(self, plausibility: Plausibility) -> None:
        self.plausibility, self.knowledge = plausibility, plausibility.knowledge
        most = max(1, _CACHE // (4 * self.knowledge.num_entities))
        self._scores = lru_cache(most)(self._of_scores)
        self._probabilities = lru_cache(most)(self._of_probabilities)
        self._known = lru_cache(most)(self._of_known)

    def score(self, head: int, relation: int, tail: int) -> float:
        """Asked as (head, relation, ?)."""
        self._check(head, tail)
        return _shortest(self._scores(head, relation)[tail])

    def probability(self, head: int, relation: int, tail: int) -> float:
        """As Plausibility.of_facts has it."""
        self._check(head, tail)
        if relation in self.plausibility.withheld:
            raise Unknown(f"probabilities of {self.knowledge.vocabulary.relations[relation]} are withheld")
        return _shortest(self._probabilities(head, relation)[tail])

    def known(self, head: int, relation: int, tail: int) -> bool:
        return tail in self._known(head, relation)

    def _check(self, *entities: int) -> None:
        count = len(self.plausibility.answerable)
        for entity in entities:
            if entity >= count:
                raise Unknown(f"{self.knowledge.vocabulary.entities[entity]} came after the model's training")

    @torch.no_grad()
    def _of_scores(self, entity: int, relation: int) -> Float[np.ndarray, " N"]:
        asked, directed = self._question(entity, relation)
        return _array(self.plausibility.scorer.score_tails(Queries(asked, directed, self.knowledge.graph)))

    @torch.no_grad()
    def _of_probabilities(self, entity: int, relation: int) -> Float[np.ndarray, " N"]:
        return _array(self.plausibility.of_answers(*self._question(entity, relation)))

    def _of_known(self, entity: int, relation: int) -> frozenset[int]:
        return frozenset(self.knowledge.known.lookup(*self._question(entity, relation))[1].tolist())

    def _question(self, entity: int, relation: int) -> tuple[Int[Tensor, " 1"], Int[Tensor, " 1"]]:
        asked = torch.tensor([[entity], [relation]], device=self.knowledge.device)
        return asked[0], asked[1]


@final
class Calls:
    """What one query calls. The database makes an unbound value of any exception, so none goes through it.

    failed: the first that is no mere Unknown; every call after it is in vain. unknown: how many calls had no value.
    """

    def __init__(self, values: FactValues) -> None:
        self.failed: Exception | None = None
        self.unknown = 0
        self._first = ""
        self._values = values

    def functions(self) -> Functions:
        """By their IRIs. Numbers are xsd:double, known is xsd:boolean."""
        named = {"score": self._values.score, "probability": self._values.probability, "known": self._values.known}
        return {NamedNode(KG + name): partial(self._called, name, value) for name, value in named.items()}

    def notes(self) -> list[str]:
        if not self.unknown:
            return []
        calls = "1 call" if self.unknown == 1 else f"{self.unknown:,} calls"
        return [f"{calls} had no value: the first, as {self._first}"]

    def _called(self, name: str, value: Callable[[int, int, int], float | bool], *terms: Term) -> Literal | None:
        try:
            if self.failed is None:
                return Literal(value(*self._fact(name, terms)))
        except Unknown as error:
            self.unknown += 1
            self._first = self._first or str(error)
        except Exception as error:
            self.failed = error
        return None

    def _fact(self, name: str, terms: tuple[Term, ...]) -> tuple[int, int, int]:
        """Head, relation, tail."""
        if len(terms) != 3:
            raise UserError(f"kg:{name} takes a subject, a predicate and an object: got {len(terms)} arguments")
        names = self._values.knowledge.vocabulary
        subject, predicate, object_ = terms
        return _id(names.entity_ids, subject), _id(names.relation_ids, predicate), _id(names.entity_ids, object_)


def _id(ids: Mapping[str, int], term: Term) -> int:
    found = ids.get(term_text(term)) if isinstance(term, NamedNode | BlankNode) else None
    if found is None:
        raise Unknown(f"the model does not know {term}")
    return found


def _array(rows: Float[Tensor, "1 N"]) -> Float[np.ndarray, " N"]:
    row: np.ndarray = rows[0].cpu().numpy()
    return row


def _shortest(value: np.floating) -> float:
    """The number of fewest digits that is this one in single precision: 0.9, where 0.8999999761581421 says no more."""
    return float(str(value))
