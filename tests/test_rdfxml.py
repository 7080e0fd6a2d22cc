"""The entities of XML: plain ones pass, and no other."""

import pytest

from kg.store.guard import Refused
from kg.store.syntaxes.rdfxml import MAX_ENTITY, Entities


@pytest.mark.parametrize(
    ("declaration", "reason"),
    [
        (b'<!ENTITY a "&b;">', "made of other entities"),
        (b'<!ENTITY a "&#38;b;">', "made of other entities"),
        (b'<!ENTITY % a "b">', "a parameter entity"),
        (b'<!ENTITY a SYSTEM "file:///etc/passwd">', "an external entity"),
        (b'<!ENTITY a PUBLIC "x" "http://e/">', "an external entity"),
        (b'<!ENTITY a "%s">' % (b"x" * (MAX_ENTITY + 1)), "longer than"),
        (b'<!-- <!ENTITY a "&b;"> -->', "made of other entities"),  # the parser looks into comments
    ],
)
def test_entities_that_are_refused(declaration: bytes, reason: str) -> None:
    with pytest.raises(Refused, match=reason) as refused:
        Entities().feed(b"<?xml version='1.0'?>\n<!DOCTYPE a [\n" + declaration + b"]>")
    assert refused.value.line == 3


def test_plain_entities_pass_and_get_the_quotes_the_parser_knows() -> None:
    text = b"<!DOCTYPE a [<!ENTITY owl \"http://o/\"> <!ENTITY x 'http://x/' > <!ENTITY e ''>]>"
    assert Entities().feed(text) == text.replace(b"'", b'"')


def test_entities_may_not_blow_up_the_text() -> None:
    entities = Entities()
    entities.feed(b'<!ENTITY a "%s">' % (b"x" * MAX_ENTITY))
    with pytest.raises(Refused, match="times as long"):
        entities.feed(b"&a;" * 1000)
