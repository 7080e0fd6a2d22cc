"""Which terms say how a graph is written, and by whom, rather than what it is about."""

from functools import lru_cache

from kg.graph.class_axioms import LANGUAGE
from kg.graph.schema import Schema, all_above
from kg.graph.vocabulary import Vocabulary
from kg.namespaces import (
    CC,
    DC,
    DCTERMS,
    FOAF,
    OBO_IN_OWL,
    OPEN_VOCAB,
    OWL,
    PAV,
    POWDER,
    PROV,
    RDF,
    RDFS,
    SHACL,
    SKOS,
    VAEM,
    VANN,
    VOAF,
    VOID,
    XSD,
)

_RDFS_NOTES = {RDFS + name for name in ("label", "comment", "seeAlso", "isDefinedBy")}
_STATEMENTS = {  # of the languages' predicates, those that state a fact of terms; the others build axioms and shapes
    RDF + "type",
    *(RDFS + name for name in ("subClassOf", "subPropertyOf", "domain", "range")),
    *(OWL + name for name in ("sameAs", "differentFrom", "equivalentClass", "disjointWith")),
    *(OWL + name for name in ("equivalentProperty", "inverseOf", "propertyDisjointWith")),
}
_NOTES_NAMESPACES = (DCTERMS, DC, PROV, PAV, VANN, CC, VOID, VAEM, VOAF, POWDER, OPEN_VOCAB, OBO_IN_OWL)
_NOTES = _RDFS_NOTES | {
    *(SKOS + name for name in ("note", "changeNote", "definition", "editorialNote", "example", "historyNote")),
    *(SKOS + name for name in ("scopeNote", "prefLabel", "altLabel", "hiddenLabel")),
    *(FOAF + name for name in ("page", "homepage", "isPrimaryTopicOf", "primaryTopic", "depiction", "thumbnail")),
}
_PLUMBING_TYPES = {
    *(RDF + name for name in ("List", "Statement")),
    *(OWL + name for name in ("Restriction", "Axiom", "Annotation", "Ontology", "AnnotationProperty")),
    *(OWL + name for name in ("AllDisjointClasses", "AllDisjointProperties", "AllDifferent")),
    OWL + "NegativePropertyAssertion",
}


def is_plumbing(predicate: str) -> bool:
    """Whether it is a word of RDF, OWL or SHACL that builds a list, an axiom or a shape: rdf:rest, owl:onProperty,
    sh:path."""
    return predicate.startswith(LANGUAGE) and predicate not in _STATEMENTS | _RDFS_NOTES


def is_annotation(predicate: str, schema: Schema) -> bool:
    """Whether it, or a predicate above it, says something of a description, not of what is described: it is declared an
    owl:AnnotationProperty (and not an owl:ObjectProperty besides), or is one of those for notes, sources and authors
    (Dublin Core, PROV, PAV, skos:note, rdfs:seeAlso and their like)."""
    return any(_annotates(each, schema) for each in all_above(predicate, schema.subproperty_of))


def not_of_the_graph(vocabulary: Vocabulary, schema: Schema) -> list[int]:
    """The entities that the graph is not about: blank nodes, words of a language (owl:Thing, xsd:string), and what is a
    restriction, an axiom, a shape, an annotation property or an ontology by all its types."""
    build = lru_cache(maxsize=None)(_all_build)
    by_type = [entity for entity, types in schema.types.items() if build(types)]
    ids = vocabulary.entity_ids
    return vocabulary.entities_beginning_with(("_:", *LANGUAGE, XSD)) + [ids[each] for each in by_type if each in ids]


def _all_build(types: tuple[str, ...]) -> bool:
    """Whether of these types, of which there are some, all are plumbing."""
    telling = [each for each in types if each != OWL + "NamedIndividual"]
    return bool(telling) and all(each in _PLUMBING_TYPES or each.startswith(SHACL) for each in telling)


def _annotates(predicate: str, schema: Schema) -> bool:
    types = schema.types.get(predicate, ())
    declared = OWL + "AnnotationProperty" in types and OWL + "ObjectProperty" not in types
    return declared or predicate in _NOTES or predicate.startswith(_NOTES_NAMESPACES)
