"""Which terms are those of the graph's subject, and which say how it is written."""

import pytest

from kg.graph.plumbing import is_annotation, is_plumbing, not_of_the_graph
from kg.graph.schema import Schema
from kg.graph.vocabulary import Vocabulary
from kg.namespaces import DCTERMS, OBO_IN_OWL, OWL, RDF, RDFS, SHACL, SKOS, XSD

SCHEMA = Schema(
    types={
        "note": (OWL + "AnnotationProperty",),
        "both": (OWL + "AnnotationProperty", OWL + "ObjectProperty"),
        "part": (OWL + "ObjectProperty",),
        "Pizza": (OWL + "Class",),
        "Room": (OWL + "Class", SHACL + "NodeShape"),
        "RoomShape": (SHACL + "NodeShape",),
        "here": (OWL + "Ontology", OWL + "NamedIndividual"),
        "berlin": (OWL + "NamedIndividual",),
    },
    subproperty_of={"remark": ("note",), "hint": ("remark",), "author": (DCTERMS + "creator",)},
)


@pytest.mark.parametrize(
    "predicate", [RDF + "first", RDF + "rest", RDF + "_1", OWL + "onProperty", OWL + "unionOf", SHACL + "path"]
)
def test_words_that_build_lists_axioms_and_shapes_are_plumbing(predicate: str) -> None:
    assert is_plumbing(predicate)


@pytest.mark.parametrize("predicate", [RDF + "type", RDFS + "subClassOf", RDFS + "seeAlso", OWL + "sameAs", "partOf"])
def test_words_that_state_something_of_terms_are_not(predicate: str) -> None:
    assert not is_plumbing(predicate)


@pytest.mark.parametrize(
    ("predicate", "does"),
    [
        ("note", True),
        ("hint", True),
        ("author", True),
        (DCTERMS + "contributor", True),
        (OBO_IN_OWL + "inSubset", True),
        (SKOS + "scopeNote", True),
        (RDFS + "isDefinedBy", True),
        (SKOS + "broader", False),
        (RDFS + "subClassOf", False),
        ("both", False),
        ("part", False),
        ("undeclared", False),
    ],
)
def test_annotations_are_declared_so_or_known_or_below_one(predicate: str, does: bool) -> None:
    assert is_annotation(predicate, SCHEMA) is does


@pytest.mark.parametrize(
    ("entity", "is_one"),
    [
        ("_:b0", False),
        (RDF + "nil", False),
        (OWL + "Thing", False),
        (XSD + "string", False),
        ("RoomShape", False),
        ("here", False),
        ("note", False),
        ("Room", True),
        ("Pizza", True),
        ("part", True),
        ("berlin", True),
        ("untyped", True),
    ],
)
def test_entities_that_the_graph_is_about(entity: str, is_one: bool) -> None:
    assert (not_of_the_graph(Vocabulary([entity, "other"], ()), SCHEMA) == []) is is_one
