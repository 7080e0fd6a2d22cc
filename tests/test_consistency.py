"""What the schema says against a fact, in words."""

from typing import Any

import torch

from kg.graph.known import KnownAnswers
from kg.graph.schema import Schema
from kg.graph.vocabulary import Vocabulary
from kg.namespaces import OWL, RDF, RDFS
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


CLASSES = Vocabulary(["Dish", "Soup", "Hot", "Mild", "Spice", "fish", "soup", "bowl"], ["has", "eats", "below", "type"])
MENU: dict[str, Any] = {
    "types": dict.fromkeys(("Dish", "Soup", "Hot", "Mild", "Spice"), (OWL + "Class",))
    | {"fish": ("Spice",), "soup": ("Soup",), "bowl": ("Bowl",)},
    "subclass_of": {"Soup": ("Dish",), "Hot": ("Spice",), "Mild": ("Spice",)},
    "disjoint": {"Hot": ("Mild",), "Mild": ("Hot",), "Bowl": ("Spice",), "Spice": ("Bowl",)},
}


def of_menu(facts: list[str], fact: str, **schema: Any) -> list[str]:
    """What is against a fact, where these are known."""
    predicates = {"below": RDFS + "subClassOf", "type": RDF + "type"}
    names = Vocabulary(CLASSES.entities, [predicates.get(each, each) for each in CLASSES.relations])
    rows = []
    for each in (*facts, fact):
        head, relation, tail = each.split()
        rows.append([names.entity_ids[head], CLASSES.relation_ids[relation], names.entity_ids[tail]])
    known = KnownAnswers.from_triples(torch.tensor(rows[:-1], dtype=torch.long).reshape(-1, 3), 4)
    return list(Consistency(names, Schema(**MENU | schema), known).of(*rows[-1]))


def test_a_class_may_have_several_values_that_are_not_disjoint() -> None:
    """Its restrictions say of each member that it has one of each; what holds of Dish holds of Soup."""
    functional = {"functional": ("has",)}
    assert of_menu(["Soup has Spice"], "Soup has Hot", **functional) == []
    said = "has has one object for each subject, and Mild, known for Dish, is disjoint with Hot"
    assert of_menu(["Dish has Mild"], "Soup has Hot", **functional) == [said]
    assert of_menu(["Dish has Mild"], "Soup has Hot", at_most={"Dish has": ("1",)}) == [said]
    assert of_menu(["Dish has Mild"], "Soup has Hot", at_most={"Dish has": ("2",)}) == []
    assert of_menu(["Soup has Mild"], "Dish has Hot", **functional) == []
    assert len(of_menu(["soup has fish"], "soup has bowl", **functional)) == 1  # individuals: whatever they are


def test_at_most_so_many_values() -> None:
    said = "Dish has at most 1 of has, and fish is known"
    assert of_menu(["soup has fish"], "soup has bowl", at_most={"Dish has": ("1",), "Soup has": ("2",)}) == [said]
    assert of_menu(["soup has fish"], "soup has fish", at_most={"Dish has": ("1",)}) == []
    assert of_menu([], "soup has fish", at_most={"Dish has": ("0",)}) == ["Dish has at most 0 of has"]


def test_values_of_some_classes_only() -> None:
    only = {"only": {"Dish has": ("Hot", "Spice")}}
    assert of_menu([], "soup has bowl", **only) == ["Dish has has only of Hot or Spice"]
    assert of_menu([], "Soup has Soup", **only) == ["Dish has has only of Hot or Spice"]
    assert of_menu([], "soup has fish", **only) == of_menu([], "Soup has Mild", **only) == []
    assert of_menu([], "bowl has bowl", **only) == of_menu([], "soup eats bowl", **only) == []


def test_what_excludes_a_class_or_a_circle() -> None:
    said = "fish is of Spice, which is disjoint with Bowl"
    names = Vocabulary(["fish", "Bowl"], [RDF + "type"])
    known = KnownAnswers.from_triples(torch.zeros(0, 3, dtype=torch.long), 1)
    assert list(Consistency(names, Schema(**MENU), known).of(0, 0, 1)) == [said]
    assert of_menu([], "Hot below Mild") == ["Hot is disjoint with Mild"]
    below = MENU["subclass_of"] | {"Soup": ("Mild",)}
    assert of_menu([], "Hot below Soup", subclass_of=below) == ["Hot is disjoint with Mild, and Soup is of that"]
    assert of_menu([], "Dish below Soup") == ["Soup is below Dish: both would be the same"]
    assert of_menu([], "Soup below Spice") == of_menu([], "soup type Dish") == of_menu([], "Dish below Dish") == []


def test_what_excludes_a_predicate() -> None:
    kinds = {"has": (OWL + "AsymmetricProperty",), "eats": (OWL + "IrreflexiveProperty",)}
    declared = {"types": MENU["types"] | kinds, "disjoint": {"eats": ("has",), "has": ("eats",)}}
    assert of_menu(["fish has soup"], "soup has fish", **declared) == ["has is never true both ways"]
    assert of_menu([], "soup eats soup", **declared) == ["nothing stands in eats to itself"]
    assert of_menu(["fish has soup"], "fish eats soup", **declared) == [
        "has is known between both, which excludes eats"
    ]
    assert of_menu(["fish has soup"], "soup eats fish", **declared) == []


def test_classes_and_properties_stand_where_they_belong() -> None:
    names = Vocabulary(
        ["has", "eats", "Hot", "Mild", "fish"], [RDFS + "subClassOf", RDFS + "subPropertyOf", RDFS + "range"]
    )
    known = KnownAnswers.from_triples(torch.tensor([[0, 2, 2]]), 3)
    declared = Schema(
        **MENU | {"types": MENU["types"] | {"eats": (OWL + "ObjectProperty",)}, "range": {"has": ("Hot",)}}
    )

    def said(head: int, relation: int, tail: int) -> list[str]:
        return list(Consistency(names, declared, known).of(head, relation, tail))

    assert said(0, 0, 2) == ["has is a property, and no class"] and said(2, 0, 1) == [
        "eats is a property, and no class"
    ]
    assert said(2, 1, 0) == ["Hot is a class, and no property"] and said(1, 2, 0) == ["has is a property, and no class"]
    assert said(0, 1, 1) == said(1, 2, 2) == said(4, 0, 2) == []  # nothing is said of what fish is
    assert said(0, 2, 3) == ["Hot is known as a range, and Mild is disjoint with it"]
