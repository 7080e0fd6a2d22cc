"""Bad lines go aside, and the rest is loaded."""

import gzip
import os
from pathlib import Path

import pytest
from fact_files import FACT, LINE, MIB, A, E, Make, P, error
from pyoxigraph import NamedNode, Quad

from kg.errors import UserError
from kg.store.quarantine import Quarantine
from kg.store.reading import read


def quarantined(file: Make, name: str, content: bytes, count: int) -> tuple[list[Quad], list[str]]:
    path = file(name, content)
    with Quarantine(path.with_name("bad")) as quarantine:
        facts = list(read(path, quarantine=quarantine, base=E))
    lines = path.with_name("bad").read_text().splitlines()
    assert quarantine.count == count
    assert lines[:1] == ([f"# {path}"] if count else [])
    return facts, lines[1:]


def test_bad_lines_go_aside_and_the_rest_loads(file: Make) -> None:
    other = LINE.replace(b"/b>", b"/c>")
    content = (
        LINE + b"bad line\n" + b'<http://e/a> <http://e/p> "\xff" .\r\n' + other
        + b"<http://e/a> <http://e/p> " + b"<<( " * 500 + b"\n" + b'<http://e/a> <http://e/p> "open\n' + other + b"last"
    )  # fmt: skip
    facts, bad = quarantined(file, "a.nt", content, 5)
    assert facts == [FACT, Quad(A, P, NamedNode(E + "c")), Quad(A, P, NamedNode(E + "c"))]
    rows = [line.split("\t", 2) for line in bad]
    assert [row[0] for row in rows] == ["2", "3", "5", "6", "8"]
    assert rows[0][2] == "bad line" and "must be an IRI" in rows[0][1]
    assert rows[1][1:] == ["not UTF-8: byte 0xff", '<http://e/a> <http://e/p> "�" .']
    assert rows[2][1] == "nested more than 128 deep"


def test_bad_rows_of_tables_go_aside(file: Make) -> None:
    facts, bad = quarantined(file, "a.tsv", b"a\tp\tb\na\tp\n\tp\tb\n\xff\tp\tb\na\tp\tb\n", 3)
    assert facts == [FACT, FACT]
    assert bad[0] == "2\texpected head, relation and tail, tab-separated; got 2 cells\ta\tp"
    facts, bad = quarantined(file, "a.csv", b'a,p,b\n"a,p\na,p,b\n', 1)
    assert facts == [FACT, FACT] and bad[0].startswith("2\tnot a row of CSV")


def test_a_line_too_long_goes_aside(file: Make) -> None:
    for tail in (b"\n" + LINE, b""):
        facts, bad = quarantined(file, "a.nt", LINE + b"x" * (40 * MIB) + tail, 1)
        assert len(facts) == 1 + (tail != b"")
        assert bad == ["2\ta line longer than 16 MiB (only its beginning is kept)\t" + "x" * 1000]
    facts, bad = quarantined(file, "b.nt", b"x" * (17 * MIB) + b"\n" + LINE + b"bad\n", 2)
    assert facts == [FACT] and bad[1].startswith("3\t")


def test_nothing_bad_is_an_empty_quarantine(file: Make) -> None:
    assert quarantined(file, "a.nt", LINE, 0) == ([FACT], [])


def test_a_document_has_no_lines_to_leave_out(file: Make) -> None:
    with Quarantine(file("bad", b"")) as quarantine:
        assert error(file("a.ttl", b"x"), quarantine=quarantine).startswith("a.ttl:1:")


def test_a_load_that_fails_leaves_its_quarantine(file: Make, tmp_path: Path) -> None:
    lines = "".join(f"<http://e/{os.urandom(20).hex()}> <http://e/p> 1 .\n" for _ in range(40_000)).replace("1", '"1"')
    whole = gzip.compress(b"bad\n" + lines.encode())
    with Quarantine(tmp_path / "bad") as quarantine:
        assert "cut short" in error(file("a.nt.gz", whole[: len(whole) - 10]), quarantine=quarantine)
        assert (tmp_path / "bad").read_text().splitlines()[1].startswith("1\t")


def test_a_quarantine_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere/bad: No such file or directory"):
        Quarantine(tmp_path / "nowhere" / "bad")
