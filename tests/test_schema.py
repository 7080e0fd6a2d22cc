"""What a graph says of its own words."""

import json

import pytest

from kg.graph.from_store import schema_from_store
from kg.graph.schema import Schema
from kg.store.store import Store

TURTLE = """
@prefix : <http://x.example/> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .

:Country a owl:Class ; rdfs:subClassOf :Place .
:Country owl:disjointWith :Person, :Number . :Number owl:disjointWith :Person .
:borders a owl:ObjectProperty, owl:SymmetricProperty ; rdfs:domain :Country ; rdfs:range :Country .
:capital a owl:FunctionalProperty ; owl:inverseOf :capitalOf .
:seat owl:inverseOf :capitalOf .

:de a :Country ; rdfs:label "Deutschland"@de, "Germany"@en, "DE" ; skos:prefLabel "Federal Republic"@en .
:fr rdfs:label "Frankreich"@de, "FR" .
:it rdfs:label "Italien"@de, "Italia"@it .
:uk rdfs:label "UK"@en-GB, "a plain label" .
:ch skos:prefLabel "Switzerland"@en ; rdfs:comment "no label"@en .
:de :borders :fr .
"""


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    folder = tmp_path_factory.mktemp("schema")
    (folder / "x.ttl").write_text(TURTLE, encoding="utf-8")
    with Store(folder / "x.kg", create=True) as store:
        store.load(folder / "x.ttl")
        return schema_from_store(store)


def x(name: str) -> str:
    return f"http://x.example/{name}"


def test_labels_english_first_then_without_language(schema: Schema) -> None:
    labels = {name: schema.label(x(name)) for name in ("de", "fr", "it", "uk", "ch", "nowhere")}
    assert labels == {
        "de": "Germany",
        "fr": "FR",
        "it": "Italia",  # neither English nor plain: the first in the alphabet, so that every run says the same
        "uk": "UK",
        "ch": "Switzerland",
        "nowhere": "nowhere",
    }


def test_inverse_holds_both_ways(schema: Schema) -> None:
    assert schema.inverse == {
        x("capital"): (x("capitalOf"),),
        x("seat"): (x("capitalOf"),),
        x("capitalOf"): (x("capital"), x("seat")),
    }


def test_disjoint_holds_both_ways(schema: Schema) -> None:
    assert schema.disjoint == {
        x("Country"): (x("Number"), x("Person")),
        x("Number"): (x("Country"), x("Person")),
        x("Person"): (x("Country"), x("Number")),
    }


def test_an_older_model_says_nothing_of_it(schema: Schema) -> None:
    stored = json.loads(json.dumps(schema.to_json()))
    del stored["disjoint"]
    assert Schema.from_json(stored).disjoint == {} and Schema.from_json(stored).inverse == schema.inverse


def test_the_rest_of_the_schema(schema: Schema) -> None:
    assert schema.symmetric == (x("borders"),) and schema.functional == (x("capital"),)
    assert schema.domain == schema.range == {x("borders"): (x("Country"),)}
    assert schema.subclass_of == {x("Country"): (x("Place"),)}
    assert schema.types[x("de")] == (x("Country"),)
    assert schema.prefixes[""] == "http://x.example/"


def test_json_round_trip(schema: Schema) -> None:
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema
    assert Schema.from_json(json.loads(json.dumps(Schema().to_json()))) == Schema()


def test_the_name_of_a_table_is_its_label() -> None:
    names = {"urn:kg:An%20odd%20%5Bone%5D": "An odd [one]", "urn:kg:/m/1": "/m/1"}
    for term, name in names.items():
        assert Schema().label(term) == name


@pytest.mark.parametrize("most", [["many"], [], ["1", "2"], ["٣"], ["-1"]])
def test_of_values_there_are_at_most_a_number(most: list[str]) -> None:
    with pytest.raises(ValueError, match="at_most must be numbers"):
        Schema.from_json({"at_most": {"C p": most}})
    assert Schema.from_json({"at_most": {"C p": ["1"]}}).at_most == {"C p": ("1",)}
