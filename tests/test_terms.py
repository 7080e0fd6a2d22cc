"""Terms as text."""

import pytest
from pyoxigraph import BlankNode, NamedNode

from kg.errors import UserError
from kg.store.terms import node, term_of, term_text

EX = "http://example.org/"


@pytest.mark.parametrize("term", [NamedNode(EX + "a"), NamedNode("urn:x:y"), BlankNode("b0")])
def test_what_is_listed_comes_back(term: NamedNode | BlankNode) -> None:
    assert node(term_text(term)) == term


@pytest.mark.parametrize(
    ("text", "term"),
    [
        (EX + "a", NamedNode(EX + "a")),
        (f"<{EX}a>", NamedNode(EX + "a")),
        ("ex:a", NamedNode(EX + "a")),
        (":a", NamedNode(EX + "x/a")),
        ("http://e/a", NamedNode("http://e/a")),  # though http is a prefix here
        ("_:b0", BlankNode("b0")),
    ],
)
def test_what_a_person_writes(text: str, term: NamedNode | BlankNode) -> None:
    assert term_of(text, {"ex": EX, "": EX + "x/", "http": "urn:h:"}) == term


@pytest.mark.parametrize("text", ["", "a", "a b", "<a", "_:"])
def test_what_is_no_term(text: str) -> None:
    with pytest.raises(UserError, match="is no IRI, prefix:name or _:label"):
        term_of(text, {"ex": EX})
