"""The IRIs that kg knows, each in one place; names and the IRIs that they stand for."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyoxigraph import NamedNode

from kg import namespaces
from kg.namespaces import BASE, iri_of, local_name, name_of

KG = Path(namespaces.__file__).parent
IRIS = {name: iri for name, iri in vars(namespaces).items() if name.isupper() and isinstance(iri, str)}


def texts(source: str) -> Iterator[str]:
    """The strings of a source that the code uses: all but the docstrings."""
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def test_no_iri_is_written_elsewhere() -> None:
    assert len(set(IRIS.values())) == len(IRIS) >= 10
    found = {
        (path.relative_to(KG).as_posix(), text)
        for path in KG.rglob("*.py")
        if path.name != "namespaces.py"
        for text in texts(path.read_text(encoding="utf-8"))
        if any(iri in text for iri in IRIS.values()) or "http://www.w3.org/" in text
    }
    assert found == set()


@pytest.mark.parametrize(
    ("term", "name"),
    [
        ("http://x.example/a/b", "b"),
        ("http://x.example/a#b", "b"),
        ("http://x.example/a/", "a"),
        ("http://x.example/a/b#", "b"),
        ("urn:isbn:123", "123"),
        ("http://", "http://"),
        ("a/b#c", "a/b#c"),  # a plain name of a benchmark file is no IRI
        ("/m/0abc", "/m/0abc"),
        ("_:b0", "_:b0"),
    ],
)
def test_local_name(term: str, name: str) -> None:
    assert local_name(term) == name


@pytest.mark.parametrize(
    ("name", "iri"),
    [
        ("Germany", "urn:kg:Germany"),
        ("South Korea", "urn:kg:South%20Korea"),
        ("Côte d'Ivoire", "urn:kg:Côte%20d'Ivoire".replace("%20", "%20")),
        ("100%", "urn:kg:100%25"),
        ("/people/person", "urn:kg:/people/person"),
        ("a#b?c", "urn:kg:a%23b%3Fc"),
        ("<tag>", "urn:kg:%3Ctag%3E"),
        ("http://e/a", "http://e/a"),
        ("<https://e/a>", "https://e/a"),
        ("urn:x:y", "urn:x:y"),
        ("<mailto:a@e>", "mailto:a@e"),
    ],
)
def test_a_name_becomes_an_iri(name: str, iri: str) -> None:
    assert iri_of(name) == iri
    assert iri_of(name_of(iri)) == iri


@given(st.text(min_size=1), st.sampled_from([BASE, "http://e/", "http://e/#"]))
def test_a_plain_name_comes_back(name: str, base: str) -> None:
    iri = iri_of(name, base)
    NamedNode(iri) if iri.startswith(base) else None
    assert iri_of(name_of(iri, base), base) == iri
    if iri.startswith(base) and name.strip() and not name.startswith("_:"):
        assert name_of(iri, base) == name
