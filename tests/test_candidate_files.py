"""Files of candidates: what goes out comes back, through other tools too; what is wrong in them is one line."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyoxigraph as ox
import pytest
import rdflib
from templates import module_of

from kg.errors import UserError
from kg.namespaces import KG
from kg.query.candidates.annotations import PREFIXES, Origin
from kg.query.candidates.candidate import Candidate, Candidates
from kg.query.candidates.files import FORMATS, read_candidates, read_with_origin, write_candidates
from kg.store.store import Store

EX = "http://example.org/"
TIME = datetime(2026, 1, 2, 3, 4, 5, 678, UTC)
ORIGIN = Origin("m", "ab" * 32, "world.kg", 7, TIME, TIME, {"top": 3})
PLAIN = Candidates(
    (
        Candidate(EX + "a", EX + "p", EX + "b", 1, 0.1 + 0.2, False, 1e-05),
        Candidate("_:x1", EX + "p", EX + "é", 2, -1.5e300, True, 5e-324),
        Candidate(
            "mailto:a@b.c", EX + "q", "urn:kg:b", 1, 3.0, True, None, None, "A", "is at", "B", 28, 4, "q(a,b) (0.50)"
        ),
    )
)
NOTED = Candidates((*PLAIN, Candidate(EX + "a", EX + "q", "_:x1", 4, -0.0, False, 1.0, "a second 'q' of\u2028é")))
EVERY = [".tsv", ".jsonl", ".trig", ".nq", ".ttl", ".nt", ".rdf", ".tsv.gz", ".jsonl.zst", ".trig.bz2", ".nq.xz"]


@pytest.mark.parametrize("suffix", EVERY)
def test_nothing_is_lost(tmp_path: Path, suffix: str) -> None:
    for name, candidates in (("plain", PLAIN), ("noted", NOTED), ("none", Candidates(()))):
        file = tmp_path / f"{name}{suffix}"
        write_candidates(candidates, file, ORIGIN)
        found, origin = read_with_origin(file)
        assert found == candidates
        assert [repr(each.score) for each in found] == [repr(each.score) for each in candidates]
        assert origin == (None if suffix.startswith((".tsv", ".jsonl")) else ORIGIN)


@pytest.mark.parametrize("suffix", [".trig", ".nq.gz", ".ttl", ".rdf", ".n3", ".jsonld"])
def test_nothing_is_lost_in_rdf_1_1(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"found{suffix}"
    write_candidates(NOTED, file, ORIGIN, rdf11=True)
    assert read_with_origin(file) == (NOTED, ORIGIN)


def test_the_tables_by_eye(tmp_path: Path) -> None:
    write_candidates(PLAIN, tmp_path / "found.tsv", ORIGIN)
    lines = (tmp_path / "found.tsv").read_text().splitlines()
    assert lines[0] == (
        "subject\tpredicate\tobject\tprobability\tscore\trank\tknown\t"
        "subject_label\tpredicate_label\tobject_label\tbecause\tevidence\talike\tnote"
    )
    assert lines[1] == f"{EX}a\t{EX}p\t{EX}b\t1e-05\t0.30000000000000004\t1\tfalse\t\t\t\t\t\t0\t"
    assert lines[3] == f"mailto:a@b.c\t{EX}q\turn:kg:b\t\t3.0\t1\ttrue\tA\tis at\tB\tq(a,b) (0.50)\t4\t28\t"
    write_candidates(NOTED, tmp_path / "found.jsonl", ORIGIN)
    rows = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().split("\n")[:-1]]
    assert list(rows[0]) == lines[0].split("\t") and rows[2]["probability"] is None
    assert rows[3]["note"] == "a second 'q' of\u2028é"


def test_a_line_break_is_no_cell(tmp_path: Path) -> None:
    for mark in "\t\n\r":
        noted = Candidates((replace(PLAIN[0], note=f"a{mark}b"),))
        with pytest.raises(UserError, match="a tab or a line break in candidate"):
            write_candidates(noted, tmp_path / "found.tsv", ORIGIN)
        assert list(tmp_path.iterdir()) == []
    write_candidates(noted, tmp_path / "found.jsonl", ORIGIN)
    assert read_candidates(tmp_path / "found.jsonl") == noted


def test_whole_or_not_at_all(tmp_path: Path) -> None:
    bad = Candidates((*PLAIN, Candidate("no IRI", EX + "p", EX + "b", 4, 0.0, False)))
    for suffix in (".trig", ".nq.gz", ".nt"):
        file = tmp_path / f"found{suffix}"
        file.write_text("before")
        with pytest.raises(UserError, match=r"found.*: the candidate \(no IRI, .*\): Invalid IRI code point ' '"):
            write_candidates(bad, file, ORIGIN)
        assert file.read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 3
    with pytest.raises(UserError, match="no directory"):
        write_candidates(PLAIN, tmp_path / "nowhere" / "found.tsv", ORIGIN)


def test_what_a_suffix_cannot_say(tmp_path: Path) -> None:
    for name in ("found", "found.json", "found.txt", "found.gz", "found.csv"):
        for call in (lambda path: write_candidates(PLAIN, path, ORIGIN), read_candidates):
            with pytest.raises(UserError, match=r"the suffix says no way .* expected \.tsv \.jsonl \.nt \.nq"):
                call(tmp_path / name)
    for name in ("found.jsonld", "found.n3"):
        with pytest.raises(UserError, match=r"has no RDF 1.2 reifiers: ask for RDF 1.1, or for .trig or .nq"):
            write_candidates(PLAIN, tmp_path / name, ORIGIN)
    with pytest.raises(UserError, match=r"\.tsv is no RDF"):
        write_candidates(PLAIN, tmp_path / "found.tsv", ORIGIN, rdf11=True)


# Other tools


Row = tuple[str, str, str, float | None, float, int]


def rows_of(candidates: Candidates) -> set[Row]:
    return {(each.subject, each.predicate, each.object, each.probability, each.score, each.rank) for each in candidates}


def text(term: ox.NamedNode | ox.BlankNode) -> str:
    return term.value if isinstance(term, ox.NamedNode) else str(term)


def test_pyoxigraph_reads_all_of_it(tmp_path: Path) -> None:
    write_candidates(PLAIN, tmp_path / "found.trig", ORIGIN)
    store = ox.Store()
    store.extend(ox.parse(path=tmp_path / "found.trig"))
    query = """SELECT ?s ?p ?o ?probability ?score ?rank WHERE { GRAPH <urn:kg:predictions> {
        ?r rdf:reifies <<( ?s ?p ?o )>> ; kg:score ?score ; kg:rank ?rank .
        OPTIONAL { ?r kg:probability ?probability } } }"""
    found = {
        (text(s), text(p), text(o), probability and float(probability.value), float(score.value), int(rank.value))
        for s, p, o, probability, score, rank in store.query(query, prefixes=PREFIXES)
    }
    assert found == rows_of(PLAIN)
    assert not list(store.quads_for_pattern(None, ox.NamedNode(EX + "p"), None))  # nothing is stated


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # rdflib's parser uses what rdflib has given up
def test_rdflib_reads_all_of_rdf_1_1(tmp_path: Path) -> None:
    write_candidates(PLAIN, tmp_path / "found.trig", ORIGIN, rdf11=True)
    dataset = rdflib.Dataset()
    dataset.parse(tmp_path / "found.trig", format="trig")
    graph = dataset.get_context(rdflib.URIRef("urn:kg:predictions"))
    kg = rdflib.Namespace(KG)
    found = set()
    for each in graph.subjects(rdflib.RDF.type, rdflib.RDF.Statement):
        terms = [graph.value(each, place) for place in (rdflib.RDF.subject, rdflib.RDF.predicate, rdflib.RDF.object)]
        names = ["_:x1" if isinstance(term, rdflib.BNode) else str(term) for term in terms]
        probability, score, rank = (graph.value(each, kg[name]) for name in ("probability", "score", "rank"))
        assert score.datatype == rdflib.XSD.double and rank.datatype == rdflib.XSD.integer
        found.add((*names, None if probability is None else probability.toPython(), score.toPython(), rank.toPython()))
    assert found == rows_of(PLAIN)
    activity = graph.value(predicate=rdflib.RDF.type, object=rdflib.PROV.Activity)
    assert graph.value(activity, rdflib.PROV.startedAtTime).toPython() == TIME


def test_a_store_loads_and_gives_back_all_of_it(tmp_path: Path) -> None:
    write_candidates(NOTED, tmp_path / "found.trig", ORIGIN)
    with Store(tmp_path / "found.kg", create=True) as store:
        store.load(tmp_path / "found.trig")
        assert len(store.facts()) == 0 and store.counts()["predictions"] == len(NOTED)  # nothing there to learn
        store.dump(tmp_path / "again.nq")
    found, origin = read_with_origin(tmp_path / "again.nq")
    assert origin == ORIGIN
    renamed = {term for each in found for term in (each.subject, each.object) if term.startswith("_:")}
    assert len(renamed) == 1  # a store names blank nodes anew
    as_before = [
        replace(each, subject=each.subject.replace(*renamed, "_:x1"), object=each.object.replace(*renamed, "_:x1"))
        for each in found
    ]
    assert set(as_before) == set(NOTED)


# Other hands


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a\tp\tb\t0.5\t1\t1", "expected 7 cells between tabs, got 6"),
        ("\tp\tb\t0.5\t1\t1\ttrue", "the subject is missing"),
        ("a\tp\tb\t1.5\t1\t1\ttrue", "the probability '1.5': expected a number from 0 to 1"),
        ("a\tp\tb\tnan\t1\t1\ttrue", "the probability 'nan'"),
        ("a\tp\tb\t0.5\t\t1\ttrue", "the score is missing"),
        ("a\tp\tb\t0.5\t1e999\t1\ttrue", "the score 'inf': expected a finite number"),
        ("a\tp\tb\t0.5\t1_0\t1\ttrue", "the score '1_0'"),
        ("a\tp\tb\t0.5\t1\t1.0\ttrue", "the rank '1.0': expected a whole number from 1"),
        ("a\tp\tb\t0.5\t1\t1\tTrue", "the known 'True': expected true or false"),
    ],
)
def test_a_bad_line_of_a_table(tmp_path: Path, line: str, reason: str) -> None:
    file = tmp_path / "found.tsv"
    file.write_text(f"subject\tpredicate\tobject\tprobability\tscore\trank\tknown\r\na\tp\tb\t\t1\t1\ttrue\r\n{line}\n")
    with pytest.raises(UserError) as caught:
        read_candidates(file)
    assert str(caught.value).startswith(f"{file}:3: {reason}")


def test_columns_in_any_order(tmp_path: Path) -> None:
    (tmp_path / "found.tsv").write_text(
        "rank\tknown\tnote\tscore\tprobability\tobject\tpredicate\tsubject\n3\ttrue\tso\t2\t\tb\tp\ta\n"
    )
    assert read_candidates(tmp_path / "found.tsv") == Candidates((Candidate("a", "p", "b", 3, 2.0, True, None, "so"),))
    for heading in ("a\tp\tb", "subject\tpredicate\tobject\tscore\trank\tknown\tscore"):
        (tmp_path / "found.tsv").write_text(f"{heading}\n")
        with pytest.raises(UserError, match=r"found.tsv:1: expected the columns subject predicate"):
            read_candidates(tmp_path / "found.tsv")


GOOD = {"subject": "a", "predicate": "p", "object": "b", "probability": None, "score": 1, "rank": 1, "known": True}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[1]", "expected a JSON object"),
        ("{", "Expecting property name"),
        ("[" * 100_000, "nested too deep"),
        (json.dumps(GOOD | {"score": float("nan")}), "the score 'nan': expected a finite number"),
        (json.dumps(GOOD | {"score": True}), "the score 'True'"),
        (json.dumps(GOOD | {"score": 10**400}), "the score '1000"),
        (json.dumps(GOOD | {"rank": 1.0}), "the rank '1.0'"),
        (json.dumps(GOOD | {"known": 1}), "the known '1'"),
        (json.dumps(GOOD | {"subject": None}), "the subject 'None': expected a term"),
        (json.dumps(GOOD | {"subject": "\ud800"}), "the subject '\\ud800': expected a term"),
        (json.dumps(GOOD | {"colour": 1}), "'colour' says nothing of a candidate"),
        (json.dumps({name: GOOD[name] for name in GOOD if name != "known"}), "the known is missing"),
    ],
)
def test_a_bad_line_of_json(tmp_path: Path, line: str, reason: str) -> None:
    file = tmp_path / "found.jsonl"
    file.write_text(f"{json.dumps(GOOD)}\n\n{line}\n")
    with pytest.raises(UserError) as caught:
        read_candidates(file)
    assert str(caught.value).startswith(f"{file}:3: {reason}") and "\n" not in str(caught.value)


def test_bad_rdf(tmp_path: Path) -> None:
    file = tmp_path / "found.ttl"
    file.write_text("<http://a> <http://b>\n<http://c> ,, .\n")
    with pytest.raises(UserError, match=r"found.ttl:2:13: , is not a valid RDF object"):
        read_candidates(file)
    file.write_text(f"@prefix kg: <{KG}> .\n<http://r> kg:rank 1 .\n")
    with pytest.raises(UserError, match=r"found.ttl: <http://r>: the subject is missing"):
        read_candidates(file)
    file.write_text("<http://a> <http://b> " + "(" * 5000)
    with pytest.raises(UserError, match=r"found.ttl:1:\d+: .*128"):
        read_candidates(file)
    with pytest.raises(UserError, match="No such file"):
        read_candidates(tmp_path / "none.tsv")
    (tmp_path / "found.tsv").write_bytes(b"subject\xff\n")
    with pytest.raises(UserError, match=r"found.tsv:1: not UTF-8"):
        read_candidates(tmp_path / "found.tsv")


@pytest.mark.parametrize("suffix", [".tsv", ".jsonl", ".trig"])
def test_a_file_of_nothing_is_no_file_of_no_candidates(tmp_path: Path, suffix: str) -> None:
    """To publish it would take away what is published."""
    (tmp_path / f"c{suffix}").touch()
    with pytest.raises(UserError, match=r"the file is empty|no candidates are in it"):
        read_candidates(tmp_path / f"c{suffix}")


def test_a_new_format_is_one_file_and_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = module_of("export format of candidates", "names", tmp_path, monkeypatch)
    monkeypatch.setitem(FORMATS, ".names", module.Names())
    for name in ("found.names", "found.names.gz"):
        write_candidates(PLAIN, tmp_path / name, ORIGIN)
        read, origin = read_with_origin(tmp_path / name)
        assert [each.object for each in read] == [each.object for each in PLAIN] and origin is None
    (tmp_path / "bad.names").write_text("a b c\na b\n")
    with pytest.raises(UserError, match="not enough values"):
        read_candidates(tmp_path / "bad.names")
    with pytest.raises(UserError, match="names is no RDF"):
        write_candidates(PLAIN, tmp_path / "found.names", ORIGIN, rdf11=True)
    with pytest.raises(UserError, match=r"expected \.tsv .*\.names"):
        read_candidates(tmp_path / "found.other")
