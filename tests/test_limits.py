"""What OWL's axioms exclude, as they are read from a store."""

from pathlib import Path

import pytest
from stored import short, store_of

from kg.graph.limits import Limits, Pairs


def brief(found: Pairs) -> dict[str, str]:
    return {" ".join(map(short, key.split())): " ".join(map(short, terms)) for key, terms in found.items()}


@pytest.mark.parametrize(
    ("trig", "disjoint"),
    [
        (":A owl:disjointWith :B .", {"A": "B", "B": "A"}),
        (":p owl:propertyDisjointWith :q .", {"p": "q", "q": "p"}),
        ("[] a owl:AllDisjointClasses ; owl:members ( :A :B :C ) .", {"A": "B C", "B": "A C", "C": "A B"}),
        (":D owl:disjointUnionOf ( :A :B ) .", {"A": "B", "B": "A"}),
        ("_:l rdf:first :A ; rdf:rest _:l . [] owl:members _:l .", {"A": ""}),
    ],
)
def test_disjoint(tmp_path: Path, trig: str, disjoint: dict[str, str]) -> None:
    assert brief(Limits(store_of(tmp_path, trig)).disjoint) == disjoint


def test_closures(tmp_path: Path) -> None:
    store = store_of(
        tmp_path,
        """
:A rdfs:subClassOf [ owl:onProperty :p ; owl:allValuesFrom :X ], [ owl:onProperty :q ;
        owl:allValuesFrom [ owl:unionOf ( :X :Y ) ] ] .
:B owl:equivalentClass [ owl:intersectionOf ( :A [ owl:onProperty :p ; owl:allValuesFrom :Z ] ) ] .
:C rdfs:subClassOf [ owl:onProperty :p ; owl:allValuesFrom [ owl:complementOf :X ] ] .
:D rdfs:subClassOf [ owl:onProperty :p ; owl:allValuesFrom :X ], [ owl:onProperty :p ;
        owl:allValuesFrom [ owl:unionOf ( :X :Y ) ] ] .
""",
    )
    assert brief(Limits(store).only) == {"A p": "X", "A q": "X Y", "B p": "Z", "D p": "X"}


def test_cardinalities(tmp_path: Path) -> None:
    store = store_of(
        tmp_path,
        """
:A rdfs:subClassOf [ owl:onProperty :p ; owl:maxCardinality 2 ], [ owl:onProperty :p ; owl:cardinality 1 ],
    [ owl:onProperty :q ; owl:maxCardinality "many" ], [ owl:onProperty :r ; owl:minCardinality 1 ] .
""",
    )
    assert brief(Limits(store).at_most) == {"A p": "1"}
