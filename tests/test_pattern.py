"""Questions as people write them."""

import pytest

from kg.errors import UserError
from kg.query.pattern import Pattern, parse


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
