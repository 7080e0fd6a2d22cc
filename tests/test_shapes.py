"""What the user's SHACL shapes say of candidates."""

import json
from pathlib import Path

import pytest
from commands import done, refused

import kg
from kg.errors import UserError
from kg.query.candidates.shapes import Shapes
from kg.store.store import Store

EX = "http://example.org/"
PREFIXES = (
    f"@prefix : <{EX}> . @prefix sh: <http://www.w3.org/ns/shacl#> . "
    "@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .\n"
)
FACTS = """
:Man rdfs:subClassOf :Person .
:adam a :Man ; :mother :eve . :eve a :Person . :carl a :Person ; :age 3 . :rex a :Dog ; :mother :eve , :carl .
:mute a :Person ; :mother :rex .
"""
SHAPES = """
:Child a sh:NodeShape ; sh:targetClass :Person ; sh:property [ sh:path :mother ; sh:maxCount 1 ; sh:class :Person ] .
:Mother a sh:NodeShape ; sh:targetClass :Person ; sh:property [ sh:path [ sh:inversePath :mother ] ; sh:maxCount 2 ;
    sh:message "more than two children" ] .
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shapes")
    (folder / "facts.ttl").write_text(PREFIXES + FACTS)
    (folder / "shapes.ttl").write_text(PREFIXES + SHAPES)
    kg.load([folder / "facts.ttl"], folder / "store")
    return folder


@pytest.fixture(scope="module")
def shapes(folder: Path) -> Shapes:
    with Store(folder / "store") as store:
        return Shapes(store, folder / "shapes.ttl")


@pytest.mark.parametrize(
    ("fact", "said"),
    [
        (("carl", "mother", "adam"), []),
        (("adam", "mother", "carl"), ["More than 1 values"]),
        (("carl", "mother", "rex"), ["does not have class"]),
        (("adam", "mother", "rex"), ["More than 1 values", "does not have class"]),
        (("rex", "mother", "adam"), []),  # no shape is of dogs
        (("carl", "mother", "eve"), ["more than two children"]),  # wrong at the object's end
        (("mute", "age", "adam"), []),  # that its mother is a dog stands in the graph already
    ],
)
def test_what_a_fact_would_break(shapes: Shapes, fact: tuple[str, str, str], said: list[str]) -> None:
    found = shapes.broken_by(*(EX + each for each in fact))
    assert len(found) == len(said)
    assert all(any(each in message for message in found) for each in said), found
    assert shapes.broken_by(EX + "carl", EX + "mother", EX + "adam") == ()  # nothing stays of what was tried


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (PREFIXES + FACTS, "no SHACL shapes"),
        (
            PREFIXES + ":S a sh:NodeShape ; sh:targetClass :Person ; sh:property [ sh:path :p ; sh:maxCount 1.5 ] .",
            "shapes|bad",
        ),
        (PREFIXES + ":S a sh:NodeShape ; sh:property [ sh:maxCount 1 ] .", "bad"),
        ("not turtle", ":1:"),
    ],
)
def test_files_that_are_none(folder: Path, text: str, reason: str) -> None:
    (folder / "bad.ttl").write_text(text)
    with Store(folder / "store") as store, pytest.raises(UserError, match=reason) as raised:
        Shapes(store, folder / "bad.ttl")
    assert "bad.ttl" in str(raised.value) and "\n" not in str(raised.value)


def test_at_the_command_line(country_model: Path, tmp_path: Path) -> None:
    shape = PREFIXES + ":S a sh:NodeShape ; sh:targetSubjectsOf :borders ; sh:property [ sh:path :borders ; {} ] ."
    (tmp_path / "shapes.ttl").write_text(shape.format("sh:maxCount 0"))
    asked = ("complete", country_model, "--relation", "borders", "--top", 6, "--order", "probability")
    plain = json.loads(done(*asked, "--json"))
    found = json.loads(done(*asked, "--shapes", tmp_path / "shapes.ttl", "--evidence", 4, "--json"))
    # these ends have borders, and too many of them, as it is: one more breaks nothing that was whole
    assert [each["note"] for each in found] == [each["note"] for each in plain]
    (tmp_path / "shapes.ttl").write_text(shape.format("sh:in ()"))
    done(*asked, "--shapes", tmp_path / "shapes.ttl", "--evidence", 4, "-o", tmp_path / "best.jsonl")
    found = [json.loads(line) for line in (tmp_path / "best.jsonl").read_text().splitlines()]
    assert ["a shape forbids it" in (each["note"] or "") for each in found if each["rank"]] == [True] * 4 + [False] * 2
    assert refused(*asked, "--shapes", tmp_path / "none.ttl").endswith("none.ttl: No such file or directory")
