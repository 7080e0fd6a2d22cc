"""TSV and CSV: headers, and cells in quotes that go over commas and lines."""

import csv
import io
import random
from pathlib import Path

import pytest
from fact_files import FACT, MIB, A, B, E, Make, Notes, P, error
from pyoxigraph import NamedNode, Quad

from kg import files
from kg.errors import UserError
from kg.namespaces import iri_of
from kg.store.quarantine import Quarantine
from kg.store.reading import read
from kg.store.store import Store
from kg.store.writing import write


def fact(head: str, relation: str = "p", tail: str = "b") -> Quad:
    return Quad(*(NamedNode(iri_of(name, E)) for name in (head, relation, tail)))


def facts(path: Path, header: bool | None = None) -> tuple[list[Quad], list[str]]:
    """And what was told, less the file's name."""
    notes = Notes()
    found = list(read(path, base=E, header=header, progress=notes))
    return found, [told.removeprefix(str(path)) for told in notes.told]


# ---- headers


@pytest.mark.parametrize(("name", "mark"), [("a.tsv", "\t"), ("a.csv", ","), ("a.csv.gz", ",")])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_header_is_no_fact_and_said(file: Make, tmp_path: Path, name: str, mark: str, end: str) -> None:
    text = end.join(mark.join(row) for row in [["Subject", "predicate", "OBJECT"], ["a", "p", "b"], []])
    with files.replacing(tmp_path / name) as stream:
        stream.write(text.encode("utf-8-sig"))
    told = ":1: a header, no fact: head 'Subject', relation 'predicate', tail 'OBJECT'"
    assert facts(tmp_path / name) == facts(tmp_path / name, True) == ([FACT], [told])
    assert facts(tmp_path / name, False) == ([fact("Subject", "predicate", "OBJECT"), FACT], [])


def test_columns_by_name(file: Make) -> None:
    text = '"object",Predicate,source,subject\nb,p,"x, y",a\n'
    told = ":2: a header, no fact: head 'subject', relation 'Predicate', tail 'object'; not read: source"
    assert facts(file("a.csv", "\n" + text)) == ([FACT], [told])
    assert error(file("a.csv", text + "a,p,b\n")) == (
        "a.csv:3:1: expected 4 cells, as the header has, comma-separated; got 3 cells"
    )
    assert error(file("a.csv", text + "b,p,,\n")) == "a.csv:3:6: the head is empty"


def test_a_header_in_other_words(file: Make) -> None:
    path = file("a.tsv", "von\tart\tnach\na\tp\tb\n")
    assert facts(path)[0] == [fact("von", "art", "nach"), FACT]
    assert facts(path, True) == ([FACT], [":1: a header, no fact: head 'von', relation 'art', tail 'nach'"])


def test_a_header_that_is_not_clear_is_an_error_and_no_bad_line(file: Make, tmp_path: Path) -> None:
    path = file("a.csv", "source,target,weight\na,b,3\n")
    said = (
        "a.csv:1:1: a header, of head, relation and tail, names each once; this row names head by 'source', "
        "relation by none, tail by 'target'; if it is a fact, say no-header"
    )
    assert error(path) == error(path, header=True) == said
    with Quarantine(tmp_path / "bad") as quarantine:
        assert error(path, quarantine=quarantine) == said
    assert facts(path, False)[0] == [fact("source", "target", "weight"), fact("a", "b", "3")]


def test_a_header_before_bad_rows(file: Make, tmp_path: Path) -> None:
    """Read a second time, row by row, it is still no fact; and no bad row."""
    path = file("a.csv", "object,predicate,subject\nb,p\nb,p,a\n\xff\n")
    with Quarantine(tmp_path / "bad") as quarantine:
        assert list(read(path, base=E, quarantine=quarantine)) == [FACT]
    assert quarantine.count == 2


@pytest.mark.parametrize("name", ["a.nt", "a.ttl", "a.rdf"])
def test_only_a_table_has_a_header(file: Make, name: str) -> None:
    with pytest.raises(UserError, match="has no header: only TSV and CSV may have one") as caught:
        list(read(file(name, ""), header=True))
    assert caught.value.setting == "header"


@pytest.mark.parametrize("name", ["a.tsv", "a.csv"])
@pytest.mark.parametrize("first", [("head", "relation", "tail"), ("source", "x", "target"), ("a", "p", "b")])
def test_what_is_written_comes_back_though_its_first_fact_look_like_a_header(
    tmp_path: Path, name: str, first: tuple[str, str, str]
) -> None:
    quads = [Quad(*(NamedNode(iri_of(term)) for term in first)), Quad(A, P, B)]
    write(quads, tmp_path / name)
    assert list(read(tmp_path / name)) == quads


def test_a_store_takes_the_setting(file: Make, tmp_path: Path) -> None:
    path = file("a.csv", "s,p,o\na,p,b\n")
    for header, count in ((None, 1), (True, 1), (False, 2)):
        notes = Notes()
        with Store(tmp_path / f"{header}.kg", create=True) as store:
            assert (
                store.load([path, file("b.nt", b"")] if header is None else path, header=header, progress=notes).read
                == count
            )
        assert len(notes.told) == {None: 2, True: 1, False: 0}[header]


# ---- cells in quotes


def test_a_cell_in_quotes_holds_commas_quotes_and_line_ends(file: Make) -> None:
    text = 'a,p,b\r\n"x\ny",p,"b"\n"a ""b"", c",p,b\r\n\n"1\r\n2",p,"3\n\n4"\na,"p",b'
    expected = [FACT, fact("x\ny"), fact('a "b", c'), fact("1\r\n2", "p", "3\n\n4"), FACT]
    assert facts(file("a.csv", text))[0] == expected


def test_a_row_may_begin_in_one_block_and_end_in_another(file: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kg.files.BLOCK", 1000)
    path = file("a.csv", '"x\ny",p,b\n' * 500 + 'q,p,"' + "1\n" * 2000 + '"\n' + "a,p\n")
    with pytest.raises(UserError, match=r"a\.csv:3002:1: .*got 2 cells"):
        list(read(path))


def test_a_cell_longer_than_the_csv_module_takes(file: Make) -> None:
    said = "a.csv:2:1: not a row of CSV: field larger than field limit (131072)"
    assert error(file("a.csv", 'a,p,b\n"' + "x" * 200_000 + '",p,b\n')) == said


def test_rows_at_random_are_read_as_the_csv_module_reads_them(file: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kg.files.BLOCK", 7)
    generator = random.Random(0)
    for _ in range(100):
        rows = [
            ["".join(generator.choice('ab,"\n\r ') for _ in range(generator.randrange(1, 6))) + "." for _ in range(3)]
            for _ in range(generator.randrange(1, 6))
        ]
        text = io.StringIO(newline="")
        csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator=generator.choice(["\n", "\r\n"])).writerows(rows)
        assert facts(file("a.csv", text.getvalue()))[0] == [fact(*row) for row in rows]


def test_text_at_random_is_facts_or_an_error_of_its_line(file: Make, tmp_path: Path) -> None:
    """Whatever it is: what is read with a quarantine and what is put there are together all rows."""
    generator = random.Random(1)
    for _ in range(150):
        text = "".join(generator.choice(["a", "p", ",", '"', '""', "\n", "a,p,b\n", '","']) for _ in range(20))
        path = file("a.csv", text)
        try:
            whole = facts(path)[0]
        except UserError as refused:
            assert str(refused).startswith(f"{path}:")
            with Quarantine(tmp_path / "bad") as quarantine:
                list(read(path, quarantine=quarantine))
            assert quarantine.count
        else:
            assert whole == [fact(*row) for row in csv.reader(io.StringIO(text, newline="")) if "".join(row).strip()]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('a,p,b\na,"p,b\n', "a.csv:2:3: not a row of CSV: a quote that is never closed"),
        ('a,p,b\n"x\ny",p,"b\na,p,b\n', "a.csv:3:6: not a row of CSV: a quote that is never closed"),
        ('a,p,"', "a.csv:1:5: not a row of CSV: a quote that is never closed"),
        ('a,p,b\n\n"x\ny"z,p,b\n', "a.csv:3:1: not a row of CSV: ',' expected after '\"'"),
        ('"x\ny",p\n', "a.csv:1:1: expected head, relation and tail, comma-separated; got 2 cells"),
        (
            '"x\n",p,b\na;p;b',
            "a.csv:3:1: expected head, relation and tail, comma-separated; got 1 cell and 2 semicolons",
        ),
    ],
)
def test_a_bad_row_has_the_place_where_it_begins(file: Make, text: str, message: str) -> None:
    assert error(file("a.csv", text)) == message


def test_a_quote_that_is_never_closed_takes_no_more_than_its_limit(file: Make, tmp_path: Path) -> None:
    text = 'a,p,b\na,"p\n,b\n' + "a,p,b\n" * (5 * MIB)
    path = file("a.csv", text)
    assert error(path) == "a.csv:2:3: not a row of CSV: a quote that is never closed"


def test_whole_rows_go_aside(file: Make, tmp_path: Path) -> None:
    path = file("a.csv", 'a,p,b\n"x\r\ny",p\na,p,b\n"z\n"z,p,b\na,p,b\n"open,p,b\na,p,b\n')
    with Quarantine(tmp_path / "bad") as quarantine:
        assert list(read(path, base=E, quarantine=quarantine)) == [FACT] * 4
    rows = [row.split("\t") for row in (tmp_path / "bad").read_text().splitlines()[1:]]
    assert [(number, text) for number, _, text in rows] == [
        ("2", '"x\\r\\ny",p'),
        ("5", '"z\\n"z,p,b'),
        ("8", '"open,p,b'),
    ]


def test_a_row_longer_than_the_limit_goes_aside(file: Make, tmp_path: Path) -> None:
    path = file("a.csv", 'a,p,b\n"' + "x" * (17 * MIB) + '",p,b\na,p,b\n')
    assert error(path) == "a.csv:2:1: a line longer than 16 MiB"
    with Quarantine(tmp_path / "bad") as quarantine:
        assert list(read(path, base=E, quarantine=quarantine)) == [FACT, FACT] and quarantine.count == 1
