"""From what people write to terms."""

import pytest

from kg.errors import UserError
from kg.graph.names import Names
from kg.graph.schema import Schema

EX = "http://example.org/"


@pytest.fixture
def names() -> Names:
    labels = {"de": "Germany", "fr": "France", "x1": "Georgia", "x2": "Georgia", "ie": "IRELAND"}
    labels = {EX + name: label for name, label in labels.items()}
    return Names([*labels, EX + "local#Spain"], Schema(labels=labels, prefixes={"ex": EX}), "entity")


@pytest.mark.parametrize("name", [EX + "de", f"<{EX}de>", "ex:de", "Germany", "germany", "de"])
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
