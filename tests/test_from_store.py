"""Datasets from stores: what trains, and by what names it is chosen."""

from pathlib import Path

import pytest
from stored import Named, named, store_of

from kg.errors import UserError
from kg.graph.from_store import dataset_from_store
from kg.namespaces import RDFS
from kg.progress import Progress
from kg.store.store import Store


def whole(store: Store, **arguments: object) -> set[Named]:
    """All the facts that train, nothing held out."""
    data = dataset_from_store(store, valid=0.0, test=0.0, **arguments)
    assert len(data.valid) == len(data.test) == 0
    assert data.source == str(store.path) and data.generation == store.generation
    return named(data, "train")


MIXED = """
:a :likes :b ; :age 3 ; rdfs:label "A" ; a :Person ; :knows :c .
:Person rdfs:subClassOf :Being ; rdfs:label "Person" .
:likes rdfs:domain :Person ; owl:inverseOf :likedBy .
:g { :b :likes :c . :a :likes :b . }
"""


def test_facts_between_entities_train_and_the_words_of_the_schema_do_not(tmp_path: Path) -> None:
    assert whole(store_of(tmp_path, MIXED)) == {
        ("a", "likes", "b"),
        ("a", "knows", "c"),
        ("b", "likes", "c"),
    }


def test_what_does_not_train_stays_reachable(tmp_path: Path) -> None:
    schema = dataset_from_store(store_of(tmp_path, MIXED)).schema
    assert schema.label("http://x.example/a") == "A"
    assert schema.types["http://x.example/a"] == ("http://x.example/Person",)


def test_relations_choose(tmp_path: Path) -> None:
    store = store_of(tmp_path, MIXED)
    assert whole(store, relations=["http://x.example/knows"]) == {("a", "knows", "c")}
    named_type = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
    assert whole(store, relations=[named_type]) == {("a", named_type, "Person")}


def test_graphs_choose(tmp_path: Path) -> None:
    store = store_of(tmp_path, MIXED)
    assert whole(store, graphs=["http://x.example/g"]) == {("b", "likes", "c"), ("a", "likes", "b")}
    assert whole(store, graphs=[""]) == {("a", "likes", "b"), ("a", "knows", "c")}


def test_what_is_chosen_goes_by_any_of_its_names(tmp_path: Path) -> None:
    store = store_of(tmp_path, MIXED + ':knows rdfs:label "is acquainted with" .')
    for name in (":knows", "<http://x.example/knows>", "knows", "Is acquainted with"):
        assert whole(store, relations=[name]) == {("a", "knows", "c")}
    for name in (":g", "<http://x.example/g>", "g"):
        data = dataset_from_store(store, graphs=[name], valid=0.0, test=0.0)
        assert data.graphs == ("http://x.example/g",) and len(data.train) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"relations": ["http://x.example/nothing"]}, "no relation 'http://x.example/nothing'"),
        ({"relations": ["http://x.example/likes", "http://x.example/a"]}, "no relation 'http://x.example/a'"),
        ({"graphs": ["http://x.example/nowhere"]}, "no graph 'http://x.example/nowhere'"),
        ({"valid": 0.5, "test": 0.5}, "shares"),
        ({"valid": -0.1}, "shares"),
    ],
)
def test_a_choice_that_is_not_there(tmp_path: Path, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        dataset_from_store(store_of(tmp_path, MIXED), **arguments)


def test_nothing_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no facts between entities"):
        dataset_from_store(store_of(tmp_path, ':a rdfs:label "A" ; a :Person .'))


ONTOLOGY = """
:Finger rdfs:subClassOf [ a owl:Restriction ; owl:onProperty :partOf ; owl:someValuesFrom :Hand ] , :Organ .
:Hand rdfs:subClassOf [ owl:onProperty :partOf ; owl:someValuesFrom :Arm ] ,
                      [ owl:onProperty :has ; owl:someValuesFrom :Palm ] ,
                      [ owl:onProperty :has ; owl:allValuesFrom :Finger ] .
:Arm :near :Hand .
"""


def test_restrictions_become_facts_on_request(tmp_path: Path) -> None:
    store = store_of(tmp_path, ONTOLOGY)
    assert whole(store, restrictions=False) == {("Arm", "near", "Hand")}
    partial = {("Finger", "partOf", "Hand"), ("Hand", "partOf", "Arm")}
    assert whole(store, restrictions=True) == {("Arm", "near", "Hand"), *partial, ("Hand", "has", "Palm")}
    assert whole(store, restrictions=True, relations=["http://x.example/partOf"]) == partial


class Told(Progress):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_where_classes_prevail_their_facts_train(tmp_path: Path) -> None:
    """No class expression is an entity: neither a restriction, nor the union that a domain is."""
    store, told = (
        store_of(tmp_path, ONTOLOGY + ":near rdfs:domain [ owl:unionOf ( :Arm :Hand ) ] ; rdfs:range :Arm ."),
        Told(),
    )
    subclass, range_ = f"{RDFS}subClassOf", f"{RDFS}range"
    assert whole(store, progress=told) == {
        ("Arm", "near", "Hand"),
        ("Finger", "partOf", "Hand"),
        ("Hand", "partOf", "Arm"),
        ("Hand", "has", "Palm"),
        ("Finger", subclass, "Organ"),
        ("near", range_, "Arm"),
    }
    note, _ = told.notes
    assert "more of classes (4 facts) than of individuals (0)" in note and "3 facts of classes" in note
    assert dataset_from_store(store).restrictions  # so that what is known is read in the same way, whenever asked
    assert not dataset_from_store(store, restrictions=False).restrictions


def test_where_individuals_prevail_nothing_of_classes_trains(tmp_path: Path) -> None:
    told = Told()
    people = ":a :likes :b , :c . :b :likes :c , :a . :c :likes :a ."
    store = store_of(tmp_path, ONTOLOGY + people)
    assert ("Finger", "partOf", "Hand") not in whole(store, progress=told)
    aside = "14 facts of 5 predicates of RDF, RDFS, OWL and SHACL do not train (unless relations are chosen)"
    assert told.notes == [aside]
    named = Told()
    whole(store, progress=named, relations=["http://x.example/likes"])
    assert not named.notes
    (tmp_path / "notes").mkdir()
    annotated = store_of(tmp_path / "notes", f"{ONTOLOGY}{people}:likes a owl:AnnotationProperty .")
    assert ("Finger", "partOf", "Hand") in whole(annotated)  # annotations count for neither side


def test_too_few_facts_to_hold_any_out_are_told_of(tmp_path: Path) -> None:
    told = Told()
    data = dataset_from_store(store_of(tmp_path, ":a :likes :b . :b :knows :c ."), progress=told)
    assert len(data.train) == 2
    (note,) = told.notes
    assert note.startswith("of 2 facts 0 are held out as valid")
