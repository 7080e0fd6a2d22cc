"""Candidates as a page of text, in the width of a terminal; in lines that are never broken; in columns."""

import textwrap
from collections.abc import Iterator
from itertools import zip_longest
from typing import TYPE_CHECKING, Literal

from rich.cells import cell_len

from kg.cli.console import data, out
from kg.errors import UserError, visible

if TYPE_CHECKING:
    from kg.query.candidates.candidate import Candidate, Candidates

Layout = Literal["page", "wide", "plain"]
_GAP = "  "
_FIGURES = f"{'rank':>4}{_GAP}{'prob.':>5}{_GAP}"  # a line begins with these two
_BELOW = " " * 8  # before what speaks for a candidate and against it


def layout_of(wide: bool, plain: bool) -> Layout:
    """UserError where both are asked for."""
    if wide and plain:
        raise UserError("wide and plain are two layouts: choose one", "wide")
    return "wide" if wide else "plain" if plain else "page"


def print_candidates(candidates: "Candidates", layout: Layout) -> None:
    """page: names, and below them what speaks for the fact and against it, none of it cut. wide: a line each, as wide
    as it takes. plain: the columns of .tsv, between tabs."""
    if layout == "plain":
        from kg.query.candidates.tsv import rows

        for line in rows(candidates):
            out.write(f"{line}\n")
        return
    lines = str(candidates).splitlines() if layout == "wide" else page_lines(candidates, min(out.width, 120))
    for line in lines:
        out.print(data(line), soft_wrap=True)


def page_lines(candidates: "Candidates", width: int) -> Iterator[str]:
    """Lines of at most `width` cells, as far as no single word is wider."""
    known = any(each.known for each in candidates)  # then each says whether it is
    rows = [
        [*map(visible, (*each.names, *(["known" if each.known else "new"] if known else [])))] for each in candidates
    ]
    titles = ["subject", "predicate", "object", *(["known"] if known else [])]
    widths = _widths([titles, *rows], width - len(_FIGURES))
    yield _FIGURES + _row(titles, widths)
    for each, row in zip(candidates, rows, strict=True):
        figures = f"{each.rank:>4}{_GAP}{'-' if each.probability is None else f'{each.probability:.3f}':>5}{_GAP}"
        names = _in_columns(row, widths) or _flowing(row, width - len(_FIGURES))
        yield figures + names[0]
        for line in names[1:]:
            yield " " * len(_FIGURES) + line
        yield from _below(each, width)


def _below(candidate: "Candidate", width: int) -> Iterator[str]:
    said = (
        ("", candidate.because),
        ("note: ", candidate.note),
        ("", f"and {candidate.alike:,} like it" if candidate.alike else None),
    )
    for title, text in said:
        if text:
            yield from _wrapped(f"{title}{visible(text)}", width, _BELOW, _BELOW + _GAP)


def _widths(rows: list[list[str]], width: int) -> list[int]:
    """Of each column: what its cells take, where all fit; else the widest give until they do."""
    widths = [max(cell_len(cell) for cell in column) for column in zip(*rows, strict=True)]
    while sum(widths) + len(_GAP) * (len(widths) - 1) > width and max(widths) > len("predicate"):
        widths[widths.index(max(widths))] -= 1
    return widths


def _row(cells: list[str], widths: list[int]) -> str:
    padded = (cell + " " * (most - cell_len(cell)) for cell, most in zip(cells, widths, strict=True))
    return _GAP.join(padded).rstrip()


def _in_columns(cells: list[str], widths: list[int]) -> list[str]:
    """Each cell broken into lines of its column by words; none where a word is wider."""
    columns = [_wrapped(cell, most, "", "") for cell, most in zip(cells, widths, strict=True)]
    lines = [_row(list(parts), widths) for parts in zip_longest(*columns, fillvalue="")]
    fits = all(cell_len(part) <= most for parts, most in zip(columns, widths, strict=True) for part in parts)
    return lines if fits else []


def _flowing(names: list[str], width: int) -> list[str]:
    """The names one after another, whole, each on the line of the one before where it fits there."""
    lines = [""]
    for name in names:
        together = f"{lines[-1]}{_GAP}{name}" if lines[-1] else name
        if cell_len(together) <= width:
            lines[-1] = together
        else:
            lines += _wrapped(name, width, "" if lines == [""] else _GAP, _GAP)
    return lines if lines[0] else lines[1:]


def _wrapped(text: str, width: int, first: str, later: str) -> list[str]:
    """By words. Where characters are wider than a cell, lines are shorter by as much."""
    wide = cell_len(text) / max(1, len(text))
    narrow = max(8, int(width / max(1.0, wide)))
    return textwrap.wrap(
        text, narrow, initial_indent=first, subsequent_indent=later, break_long_words=False, break_on_hyphens=False
    )
