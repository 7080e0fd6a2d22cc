"""Which columns hold the facts: headers that are recognised, those that are not clear, and rows that are none."""

import pytest

from kg.columns import Columns

POSITIONS = (0, 1, 2)


@pytest.mark.parametrize(
    ("row", "places"),
    [
        ("head relation tail", POSITIONS),
        ("HEAD Relation tail", POSITIONS),
        ("subject predicate object", POSITIONS),
        ("s p o", POSITIONS),
        ("h r t", POSITIONS),
        ("S P O G", POSITIONS),
        ("source relation target", POSITIONS),
        ("Subject property Object", POSITIONS),
        ("?subject ?predicate ?object", POSITIONS),  # what SPARQL answers as TSV
        ("#head rel tail", POSITIONS),
        ("object predicate subject", (2, 1, 0)),
        ("id subject predicate object source", (1, 2, 3)),
        ("source subject relation object", (1, 2, 3)),
        ("subject relation target", POSITIONS),
    ],
)
def test_a_header_that_names_the_three(row: str, places: tuple[int, int, int]) -> None:
    cells = row.split()
    for header in (None, True):
        found = Columns.of(cells, header)
        assert (found.places, found.count, found.heading) == (places, len(cells), tuple(cells))
    assert Columns.of(cells, False) == Columns()


@pytest.mark.parametrize(
    "row", ["a p b", "tail likes head2", "t r h", "o p s", "a head b", "target b c", "a", "a b c d"]
)
def test_a_fact_and_what_is_neither_are_no_header(row: str) -> None:
    assert Columns.of(row.split()) == Columns()


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ("source target weight", "head by 'source', relation by none, tail by 'target'"),
        ("subject verb object", "head by 'subject', relation by none, tail by 'object'"),
        ("source relation name", "head by 'source', relation by 'relation', tail by none"),
        ("head tail relation source target", "head by 'head' and 'source', relation by 'relation', tail by"),
        ("subject object predicate pred", "head by 'subject', relation by 'predicate' and 'pred', tail by 'object'"),
    ],
)
def test_a_header_that_is_not_clear(row: str, named: str) -> None:
    for header in (None, True):
        with pytest.raises(ValueError, match=named):
            Columns.of(row.split(), header)
    assert Columns.of(row.split(), False) == Columns()


def test_a_header_in_other_words_is_one_when_it_is_said_to_be() -> None:
    assert Columns.of(["von", "art", "nach"], True) == Columns(heading=("von", "art", "nach"))
    for row in ("von art nach quelle", "von", "von relation nach"):
        with pytest.raises(ValueError, match="a header, of head, relation and tail"):
            Columns.of(row.split(), True)


def test_what_a_person_is_told() -> None:
    assert Columns.of(["Object", "p\x1b", "rel", "subject"]).described() == (
        "a header, no fact: head 'subject', relation 'rel', tail 'Object'; not read: p\\x1b"
    )


@pytest.mark.parametrize(
    ("cells", "separator", "message"),
    [
        (["a;p;b"], ",", "expected head, relation and tail, comma-separated; got 1 cell and 2 semicolons"),
        (["a", "p b"], "\t", "expected head, relation and tail, tab-separated; got 2 cells and 1 space"),
        (["a b", "c", "d", "e"], "\t", "expected head, relation and tail, tab-separated; got 4 cells"),
    ],
)
def test_a_row_with_other_cells_says_what_may_separate_it(cells: list[str], separator: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        Columns().check(cells, separator)


def test_a_row_has_as_many_cells_as_its_header() -> None:
    columns = Columns.of(["s", "p", "o", "g"])
    columns.check(["a", "b", "c", "d"], ",")
    with pytest.raises(ValueError, match="expected 4 cells, as the header has, comma-separated; got 3 cells"):
        columns.check(["a", "b", "c"], ",")
