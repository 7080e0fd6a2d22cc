"""Candidates as text: what fits 80 columns, and that no name is cut."""

import io
from dataclasses import replace

import pytest
from rich.cells import cell_len

from kg.cli import candidate_page
from kg.cli.candidate_page import layout_of, page_lines, print_candidates
from kg.cli.console import PlainConsole
from kg.errors import UserError
from kg.query.candidates.candidate import Candidate, Candidates
from kg.query.candidates.format import COLUMNS

SHORT = Candidate("http://e/a", "http://e/p", "http://e/b", 1, 2.5, False, 0.25, None, "Ann", "knows", "Ben")
LONG = replace(
    SHORT,
    rank=2,
    probability=None,
    subject_label="Center of gravity in the Y axis of a very long vessel indeed",
    object_label="A0E0L1I0M0H0T0D0",
    alike=3928,
    because="borders(Austria,Germany) & memberOf(Germany,the organisation with the longest name of them all) (0.51)",
    note="a second capital",
)
WORD = replace(SHORT, rank=3, subject_label="W" * 60, object_label="M" * 30)


def test_aligned_under_a_heading() -> None:
    assert list(page_lines(Candidates((SHORT,)), 80)) == [
        "rank  prob.  subject  predicate  object",
        "   1  0.250  Ann      knows      Ben",
    ]


def test_names_are_whole_within_the_width() -> None:
    lines = [line for found in ((SHORT, LONG), (WORD,)) for line in page_lines(Candidates(found), 80)]
    assert all(cell_len(line) <= 80 for line in lines)
    assert lines[2:8] == [
        "   2      -  Center of gravity in the Y axis of a    knows      A0E0L1I0M0H0T0D0",
        "             very long vessel indeed",
        "        borders(Austria,Germany) & memberOf(Germany,the organisation with the",
        "          longest name of them all) (0.51)",
        "        note: a second capital",
        "        and 3,928 like it",
    ]
    assert lines[9:] == [f"   3  0.250  {'W' * 60}  knows", f"               {'M' * 30}"]


def test_known_is_said_where_some_are() -> None:
    lines = list(page_lines(Candidates((SHORT, replace(SHORT, rank=2, known=True))), 80))
    assert [line.split()[-1] for line in lines] == ["known", "new", "known"]


def test_wide_characters_count_twice() -> None:
    name = "\u5317\u4eac" * 12
    lines = list(page_lines(Candidates((replace(SHORT, subject_label=name, object_label=name),)), 80))
    assert all(cell_len(line) <= 80 for line in lines) and "".join(lines).count("\u5317") == 24


@pytest.mark.parametrize("width", [80, 200])
def test_plain_and_wide_break_nothing(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Candidates((SHORT, replace(LONG, note="one\ttwo\n")))
    for layout, lines in (("plain", 3), ("wide", 3), ("page", 8 if width == 80 else 6)):
        console = PlainConsole(file=io.StringIO(), width=width)
        monkeypatch.setattr(candidate_page, "out", console)
        print_candidates(found, layout)
        text = console.file.getvalue()
        assert len(text.splitlines()) == lines, text
        if layout == "plain":
            assert [len(line.split("\t")) for line in text.splitlines()] == [len(COLUMNS)] * 3
            assert text.splitlines()[0].split("\t") == list(COLUMNS) and text.endswith("one\\ttwo\\n\n")


def test_one_layout_at_a_time() -> None:
    assert (layout_of(True, False), layout_of(False, True), layout_of(False, False)) == ("wide", "plain", "page")
    with pytest.raises(UserError, match="choose one"):
        layout_of(True, True)
