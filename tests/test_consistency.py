"""What the schema says against a fact, in words."""

import torch

from kg.graph.known import KnownAnswers
from kg.graph.schema import Schema
from kg.graph.vocabulary import Vocabulary
from kg.query.consistency import Consistency

NAMES = Vocabulary(["a", "b", "c", "d", "e", "f"], ["capital", "capitalOf", "borders"])
KNOWN = KnownAnswers.from_triples(torch.tensor([[0, 0, 1], [0, 2, 2], [3, 0, 4]]), 3)
IFP = "http://www.w3.org/2002/07/owl#InverseFunctionalProperty"


def against(head: int, relation: int, tail: int, **schema: object) -> list[str]:
    return list(Consistency(NAMES, Schema(**schema), KNOWN).of(head, relation, tail))  # type: ignore[arg-type]


def test_a_functional_predicate_has_one_object() -> None:
    said = ["capital has one object for each subject, and b is known for a"]
    assert against(0, 0, 2, functional=("capital",)) == said
    assert against(0, 0, 1, functional=("capital",)) == []  # nothing but itself is known
    assert against(2, 0, 1, functional=("capital",)) == []
    assert against(0, 2, 4, functional=("capital",)) == []


def test_so_has_its_inverse_and_what_is_inverse_functional() -> None:
    inverse = {"capital": ("capitalOf",), "capitalOf": ("capital",)}
    said = ["capitalOf has one subject for each object, and b is known for a"]
    assert against(2, 1, 0, functional=("capital",), inverse=inverse) == said
    said = ["capital has one subject for each object, and a is known for b"]
    assert against(2, 0, 1, types={"capital": (IFP,)}) == said


def test_a_type_at_either_end() -> None:
    schema = {"domain": {"capital": ("Country",)}, "range": {"capital": ("City",)}, "types": {"a": ("City",)}}
    said = "a has no type that fits Country, which the subject of capital is declared to be"
    assert against(0, 0, 5, **schema) == [said]
    assert against(5, 0, 0, **schema) == []
