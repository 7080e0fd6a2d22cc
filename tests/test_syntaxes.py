"""Which syntax a file is in; and that a new one is a class and a line in SYNTAXES."""

from pathlib import Path

import pytest
from fact_files import COMPRESS, FACT, A, B, P, error
from pyoxigraph import Literal, Quad
from templates import module_of

from kg.errors import UserError
from kg.store.quarantine import Quarantine
from kg.store.reading import read
from kg.store.store import Store
from kg.store.syntaxes import SYNTAXES, syntax_of
from kg.store.writing import write


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a.nt", "ntriples"), ("a.nq", "nquads"), ("a.ttl", "turtle"), ("a.trig", "trig"), ("a.rdf", "rdfxml"),
        ("a.owl", "rdfxml"), ("a.xml", "rdfxml"), ("a.jsonld", "jsonld"), ("a.json", "jsonld"), ("a.n3", "n3"),
        ("a.tsv", "tsv"), ("a.txt", "tsv"), ("a.csv", "csv"), ("A.TTL.GZ", "turtle"), ("a.b.nt.zst", "ntriples"),
    ],
)  # fmt: skip
def test_the_suffix_says_the_syntax(path: str, name: str) -> None:
    assert syntax_of(path).name == name


@pytest.mark.parametrize("path", ["facts", "facts.doc", "facts.gz", "facts.zip", ".nt"])
def test_an_unknown_suffix(path: str) -> None:
    with pytest.raises(UserError, match=r"the suffix names no syntax: expected .nt .nq .*\.csv, each also with .gz"):
        syntax_of(path)
    with pytest.raises(UserError, match=r"unknown syntax 'doc': expected one of ntriples, nquads"):
        syntax_of(path, "doc")


@pytest.mark.parametrize("suffix", ["", *COMPRESS])
def test_a_new_syntax(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    module = module_of("syntax", "arrows", tmp_path, monkeypatch)
    monkeypatch.setitem(SYNTAXES, "arrows", module.Arrows())
    path = tmp_path / f"facts.ARROWS{suffix}"
    assert write([FACT, Quad(A, P, Literal("x")), Quad(B, P, A)], path) == 2
    assert list(read(path)) == list(read(path, syntax="arrows")) == [FACT, Quad(B, P, A)]
    with pytest.raises(UserError, match="arrows holds no named graph, as <http://e/b> is: expected one of nquads"):
        write([Quad(A, P, B, B)], path)
    with Store(tmp_path / "facts.kg", create=True) as store:
        store.add([FACT])
        assert store.dump(path) == 1
    (tmp_path / "bad.arrows").write_text("http://e/a --http://e/p--> http://e/b\nbad\n")
    assert error(tmp_path / "bad.arrows") == "bad.arrows:2:1: expected subject --predicate--> object"
    with Quarantine(tmp_path / "aside") as quarantine:
        assert list(read(tmp_path / "bad.arrows", quarantine=quarantine)) == [FACT] and quarantine.count == 1
