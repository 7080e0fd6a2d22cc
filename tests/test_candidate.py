"""Candidates as a table: for a terminal, for a notebook."""

from kg.query.candidates.candidate import Candidate, Candidates

FOUND = Candidates(
    (
        Candidate("http://e/a", "http://e/p", "http://e/b", 1, 2.5, False, 0.25, "a second capital", "Ann & Ben"),
        Candidate("http://e/b", "http://e/p", "http://e/<c>", 2, -1.0, True),
    )
)


def test_a_sequence_whose_slices_keep_their_labels() -> None:
    assert len(FOUND) == 2 and FOUND[1].rank == 2 and [each.rank for each in FOUND] == [1, 2]
    assert FOUND[:1][0].names == ("Ann & Ben", "http://e/p", "http://e/b") and len(FOUND[:1]) == 1


def test_a_probability_that_is_not_known_is_a_dash() -> None:
    first, second = FOUND.rows()
    assert first == ("1", "Ann & Ben", "http://e/p", "http://e/b", "0.250", "2.500", "new", "", "", "a second capital")
    assert second[4] == "-" and second[6] == "known"


def test_printed_in_columns() -> None:
    heading, first, second = str(FOUND).splitlines()
    assert heading.index("predicate") == first.index("http://e/p") == second.index("http://e/p")


def test_a_notebook_reads_no_markup_from_names() -> None:
    shown = FOUND._repr_html_()
    assert shown.count("<tr>") == 3 and "Ann &amp; Ben" in shown
    assert "http://e/&lt;c&gt;" in shown and "<c>" not in shown
