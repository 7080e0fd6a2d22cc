"""What the class expressions of OWL stand for; how dataset_from_store reads them is in test_from_store.py."""

from pathlib import Path

from stored import named, store_of

from kg.graph.from_store import dataset_from_store
from kg.namespaces import RDFS


def test_definitions_say_what_their_parts_say(tmp_path: Path) -> None:
    """Cheesy = Pizza and some topping that is Cheese; its list of parts may be of any length, and bite its tail."""
    store = store_of(
        tmp_path,
        """
:Cheesy owl:equivalentClass [ owl:intersectionOf ( :Pizza [ owl:onProperty :topping ; owl:someValuesFrom :Cheese ]
        [ owl:intersectionOf ( :Food [ owl:onProperty :from ; owl:hasValue :Italy ] ) ] ) ] .
:Round owl:equivalentClass _:list . _:list owl:intersectionOf _:list ; rdf:first :Thing ; rdf:rest _:list .
:Pizza owl:equivalentClass [ owl:unionOf ( :Cheesy :Plain ) ] ; rdfs:subClassOf :Food .
:Odd rdfs:subClassOf [ owl:onProperty [ owl:inverseOf :topping ] ; owl:someValuesFrom :Pizza ] .
""",
    )
    subclass = f"{RDFS}subClassOf"
    assert named(dataset_from_store(store, valid=0.0, test=0.0), "train") == {
        ("Cheesy", subclass, "Pizza"),
        ("Cheesy", "topping", "Cheese"),
        ("Cheesy", subclass, "Food"),
        ("Cheesy", "from", "Italy"),
        ("Round", subclass, "Thing"),
        ("Pizza", subclass, "Food"),
    }
