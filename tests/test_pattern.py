"""Questions as people write them."""

import pytest

from kg.errors import UserError
from kg.graph.schema import Schema
from kg.query.pattern import Names, Pattern, parse

EX = "http://example.org/"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(Germany, borders, ?)", ("Germany", "borders", None)),
        ("(?, borders, Germany)", (None, "borders", "Germany")),
        ("(Germany, ?, France)", ("Germany", None, "France")),
        ("  Germany ,  borders,?", ("Germany", "borders", None)),
        ("(<http://example.org/a,b>, ex:p, ?)", ("http://example.org/a,b", "ex:p", None)),
        ('("Washington, D.C.", capitalOf, ?)', ("Washington, D.C.", "capitalOf", None)),
        ("(United States of America, member of, ?)", ("United States of America", "member of", None)),
        ("(Kiribati (islands), borders, ?)", ("Kiribati (islands)", "borders", None)),
    ],
)
def test_parse(text: str, expected: tuple[str | None, str | None, str | None]) -> None:
    assert parse(text) == Pattern(*expected)


@pytest.mark.parametrize(
    "text",
    ["", "()", "(a, b)", "(a, b, c)", "(?, b, ?)", "(a, b, ?, d)", "(<a, b, ?)", '("a, b, ?)', "(a,, ?)", "(a, , ?)"]
    + ["(a, b, ?,)", "(" * 5000, " " * 9000 + "<", "x" * 10**7],
)
def test_what_is_no_question(text: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(text)
    assert len(str(caught.value).splitlines()) <= 1 and len(str(caught.value)) < 300


@pytest.fixture
def names() -> Names:
    labels = {"de": "Germany", "fr": "France", "x1": "Georgia", "x2": "Georgia", "ie": "IRELAND"}
    labels = {EX + name: label for name, label in labels.items()}
    return Names([*labels, EX + "local#Spain"], Schema(labels=labels, prefixes={"ex": EX}), "entity")


@pytest.mark.parametrize("name", [EX + "de", "ex:de", "Germany", "germany", "de"])
def test_one_term_by_many_names(names: Names, name: str) -> None:
    assert names.term(name) == EX + "de"


def test_a_term_without_label_is_known_by_its_last_part(names: Names) -> None:
    assert names.term("Spain") == EX + "local#Spain"
    assert names.term("Ireland") == EX + "ie"


def test_ambiguous(names: Names) -> None:
    with pytest.raises(UserError, match=f"2 entities: say which of <{EX}x1>, <{EX}x2>"):
        names.term("Georgia")


def test_unknown_lists_the_nearest(names: Names) -> None:
    with pytest.raises(UserError, match="no entity 'Germny': the nearest are Germany"):
        names.term("Germny")
    with pytest.raises(UserError, match="none of the 6 entities has a name like it"):
        names.term("zzzzzzzz")


def test_many_names_are_compared_by_their_beginnings() -> None:
    terms = [f"{EX}e{i}" for i in range(30_000)]
    labels = {term: f"name {i} of many" for i, term in enumerate(terms)} | {terms[7]: "Liechtenstein"}
    with pytest.raises(UserError, match="the nearest are Liechtenstein"):
        Names(terms, Schema(labels=labels), "entity").term("Lichtenstein")
