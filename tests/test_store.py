"""The store: what goes in comes out, from the database and from the arrays alike, and it is whole or as it was."""

import gzip
import io
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from damage import replaced
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyoxigraph import BlankNode, DefaultGraph, Literal, NamedNode, Quad, Triple
from seen import Seen

from kg import generations
from kg.errors import UserError
from kg.manifest import Draft, write_manifest
from kg.namespaces import KG, PREDICTIONS
from kg.store import draft, facts
from kg.store.facts import Facts, FactsDraft
from kg.store.sparql import Results, Solutions
from kg.store.store import Store

EX = "http://example.org/"
TURTLE = """
@prefix ex: <http://example.org/> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
ex:ann ex:knows ex:bob ; rdfs:label "Ann"@en ; ex:age 007 .
ex:bob ex:knows _:someone .
_:someone ex:knows ex:ann .
"""
CROSS_PRODUCT = "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l . ?m ?n1 ?o . ?p ?q ?r }"


def ex(name: str) -> NamedNode:
    return NamedNode(EX + name)


def fact(subject: str, predicate: str, object_: str, graph: str | None = None) -> Quad:
    return Quad(ex(subject), ex(predicate), ex(object_), ex(graph) if graph else DefaultGraph())


def decoded(store: Store) -> list[tuple[str, str, str, str]]:
    """The rows as terms, without the namespace."""
    terms = [*(term.removeprefix(EX) for term in store.terms()), "default"]
    return [(terms[s], terms[p], terms[o], terms[g]) for s, p, o, g in store.facts().tolist()]


def listing(store: Store) -> set[str]:
    return {entry.name for entry in store.path.iterdir()}


@pytest.fixture
def turtle(tmp_path: Path) -> Path:
    path = tmp_path / "people.ttl"
    path.write_text(TURTLE)
    return path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "a.kg", create=True) as opened:
        yield opened


# ---- opening


def test_a_store_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such directory"):
        Store(tmp_path / "a.kg")


def test_a_path_that_holds_something_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    for path in (tmp_path, tmp_path / "thesis.tex"):
        with pytest.raises(UserError, match="is no store"):
            Store(path, create=True)


def test_an_empty_store_makes_no_directory(store: Store) -> None:
    assert (store.generation, store.count(), store.prefixes, store.terms()) == (0, 0, {}, [])
    assert list(store.match()) == []
    assert store.facts().shape == (0, 4)
    assert not store.path.exists()
    store.verify()
    with pytest.raises(UserError, match="is empty"):
        store.sparql("ASK {}")


def test_another_format_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draft, "FORMAT", 99)
    store_later = draft.StoreDraft
    with generations.write(store.path) as new:
        store_later(new).finish({}, by="add")
    monkeypatch.undo()
    with pytest.raises(UserError, match="format 99: this version reads format 1"):
        Store(store.path)


# ---- loading


def test_one_file_by_hand(store: Store, turtle: Path) -> None:
    loaded = store.load(turtle)
    assert (loaded.read, loaded.added, loaded.quarantined, loaded.generation) == (5, 5, 0, 1)
    assert store.generation == 1
    someone = next(term for term in store.terms() if term.startswith("_:"))
    assert decoded(store) == [
        ("ann", "knows", "bob", "default"),
        ("bob", "knows", someone, "default"),
        (someone, "knows", "ann", "default"),
    ]
    assert store.facts().tolist() == [[0, 1, 2, -1], [2, 1, 3, -1], [3, 1, 0, -1]]
    assert store.facts().dtype == np.int64
    counts = {name: store.manifest[name] for name in ("facts", "literals", "entities", "relations")}
    assert counts == {"facts": 5, "literals": 2, "entities": 3, "relations": 1}
    assert store.prefixes == {"ex": EX, "rdfs": "http://www.w3.org/2000/01/rdf-schema#"}
    store.verify()


def test_a_file_twice_adds_nothing(store: Store, turtle: Path) -> None:
    store.load(turtle)
    before = (set(store.match()), store.facts().tolist(), store.terms())
    again = store.load([turtle, turtle])
    assert (again.read, again.added) == (10, 0)
    assert (set(store.match()), store.facts().tolist(), store.terms()) == before
    assert store.count() == 5


@pytest.mark.parametrize("small", [1, 1000])
def test_both_ways_in_count_the_same(tmp_path: Path, turtle: Path, monkeypatch: pytest.MonkeyPatch, small: int) -> None:
    """One by one, and as a bulk; "7" and "007" are one integer to the database."""
    monkeypatch.setattr(draft, "SMALL", small)
    with Store(tmp_path / "b.kg", create=True) as store:
        store.load(turtle)
        seven = Quad(ex("ann"), ex("age"), Literal("7", datatype=NamedNode("http://www.w3.org/2001/XMLSchema#integer")))
        new = fact("bob", "knows", "ann")
        added = store.add([seven, fact("ann", "knows", "bob"), new, new])
        assert (added, store.count(), store.manifest["literals"]) == (1, 6, 2)
        assert len(list(store.match())) == 6
        assert len(store.facts()) == 4


def test_blank_nodes_of_two_files_never_meet(store: Store, turtle: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.ttl"
    other.write_text(TURTLE.replace("007", "008"))
    store.load([turtle, other])
    assert len([term for term in store.terms() if term.startswith("_:")]) == 2


def test_a_named_graph(store: Store, turtle: Path, tmp_path: Path) -> None:
    quads = tmp_path / "quads.nq"
    quads.write_text(f"<{EX}a> <{EX}p> <{EX}b> <{EX}own> .\n<{EX}a> <{EX}p> <{EX}b> .\n<{EX}a> <{EX}p> <{EX}b> _:g .\n")
    store.load([turtle, quads], graph=f"{EX}people")
    assert {graph for *_, graph in decoded(store)} >= {"people", "own"}
    assert store.count(graph=f"{EX}people") == 6
    assert store.count(graph=DefaultGraph()) == 0
    assert store.count("ex:a", "ex:p", "ex:b") == 3
    assert store.manifest["entities"] == 5


def test_a_bad_file_changes_nothing(store: Store, turtle: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.nt"
    bad.write_text(f"<{EX}a> <{EX}p> <{EX}b> .\n<{EX}a> oops\n")
    with pytest.raises(UserError, match=r"bad\.nt:2:"):
        store.load([turtle, bad])
    assert not store.path.exists()
    store.load(turtle)
    with pytest.raises(UserError, match=r"bad\.nt:2:"):
        store.load(bad)
    assert (store.generation, store.count(), listing(store)) == (1, 5, {"CURRENT", "LOCK", "1"})
    with pytest.raises(UserError, match="missing"):
        store.load(tmp_path / "missing.nt")


def test_bad_lines_go_to_quarantine(store: Store, tmp_path: Path) -> None:
    bad = tmp_path / "bad.nt"
    bad.write_text(f"<{EX}a> <{EX}p> <{EX}b> .\n<{EX}a> oops\n<{EX}b> <{EX}p> <{EX}c> .\n")
    loaded = store.load(bad, quarantine=tmp_path / "quarantined")
    assert (loaded.added, loaded.quarantined) == (2, 1)
    assert "oops" in (tmp_path / "quarantined").read_text()


def test_a_quarantine_is_none_of_the_sources(store: Store, turtle: Path) -> None:
    before = turtle.read_bytes()
    with pytest.raises(UserError, match="would overwrite"):
        store.load(turtle, quarantine=turtle.parent / "." / turtle.name)
    assert turtle.read_bytes() == before


def test_progress_tells_the_facts_so_far(store: Store, turtle: Path) -> None:
    seen = Seen()
    store.load([turtle, turtle], progress=seen)
    assert seen.told == [("facts", 10, None)]


def test_a_compressed_table(store: Store, tmp_path: Path) -> None:
    table = tmp_path / "facts.tsv.gz"
    table.write_bytes(gzip.compress(b"ann\tknows\tbob\r\nbob\tknows\tann\r\n"))
    store.load(table, base=EX)
    assert decoded(store) == [("ann", "knows", "bob", "default"), ("bob", "knows", "ann", "default")]


def test_a_prefix_that_means_two_things_gets_a_number() -> None:
    old = {"ex": "http://one/"}
    assert draft.merged_prefixes(old, {"ex": "http://one/"}) == old
    assert draft.merged_prefixes(old, {"ex": "http://two/"}) == {**old, "ex1": "http://two/"}
    assert draft.merged_prefixes({**old, "ex1": "http://two/"}, {"ex": "http://two/"}) == {**old, "ex1": "http://two/"}
    assert draft.merged_prefixes(old, {"x": "http://one/"}) == {**old, "x": "http://one/"}
    assert old == {"ex": "http://one/"}


# ---- adding and removing


def test_add_and_remove_by_hand(store: Store) -> None:
    ann_bob = Triple(ex("ann"), ex("knows"), ex("bob"))
    assert store.add([ann_bob, ann_bob, fact("bob", "knows", "cid", "g")]) == 2
    assert store.add([ann_bob]) == 0
    assert store.remove([ann_bob, ann_bob, fact("cid", "knows", "ann")]) == 1
    assert decoded(store) == [("bob", "knows", "cid", "g")]
    assert store.add([ann_bob]) == 1
    assert decoded(store) == [("bob", "knows", "cid", "g"), ("ann", "knows", "bob", "default")]
    assert (store.count(), store.manifest["entities"], store.generation) == (2, 3, 4)
    assert store.remove([*store.match()]) == 2
    assert (store.facts().shape, store.manifest["entities"], store.manifest["relations"]) == ((0, 4), 0, 0)


def test_ids_are_never_reused(store: Store) -> None:
    store.add([fact("ann", "knows", "bob")])
    store.remove([fact("ann", "knows", "bob")])
    store.add([fact("cid", "knows", "ann")])
    assert store.terms() == [f"{EX}{name}" for name in ("ann", "knows", "bob", "cid")]


def test_many_writes_are_merged(store: Store) -> None:
    names = [f"e{count}" for count in range(18)]
    for count in range(17):
        store.add([fact(names[count], "knows", names[count + 1])])
    store.remove([fact("e3", "knows", "e4")])
    assert decoded(store) == [(names[i], "knows", names[i + 1], "default") for i in range(17) if i != 3]
    directory = store.path / str(store.generation)
    for part in ("facts", "terms"):
        assert 1 <= len(list((directory / part).iterdir())) <= facts.MERGE_ABOVE
    store.verify()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "remove", "replace"]),
        st.lists(
            st.builds(
                Quad,
                st.sampled_from([ex("a"), ex("b"), BlankNode("x")]),
                st.sampled_from([ex("p"), ex("q")]),
                st.sampled_from([ex("a"), BlankNode("x"), Literal("a"), Triple(ex("a"), ex("p"), Literal("1"))]),
                st.sampled_from([DefaultGraph(), ex("g"), BlankNode("g")]),
            ),
            max_size=6,
        ),
    ),
    max_size=6,
)


def rows_of(quads: set[Quad]) -> set[tuple[str, str, str, str]]:
    def text(term: object) -> str:
        return term.value.removeprefix(EX) if isinstance(term, NamedNode) else str(term)

    return {
        (text(s), text(p), text(o), "default" if isinstance(g, DefaultGraph) else text(g))
        for s, p, o, g in quads
        if isinstance(o, (NamedNode, BlankNode))
    }


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, small=st.sampled_from([2, 1000]))
def test_it_behaves_like_a_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: list[tuple[str, list[Quad]]], small: int
) -> None:
    monkeypatch.setattr(draft, "SMALL", small)
    model: set[Quad] = set()
    with Store(tmp_path / "model.kg", create=True) as store:
        for what, quads in steps:
            if what == "replace":
                before = {quad for quad in model if quad.graph_name == ex("g")}
                assert store.replace({EX + "g": quads}) == len(before)
                model = (model - before) | {Quad(s, p, o, ex("g")) for s, p, o, _ in quads}
            else:
                after = model | set(quads) if what == "add" else model - set(quads)
                changed = store.add(quads) if what == "add" else store.remove(quads)
                assert changed == len(after ^ model)
                model = after
            assert set(store.match()) == model
            assert store.count() == len(model)
            assert set(decoded(store)) == rows_of(model)
            assert len(store.facts()) == len(rows_of(model)) == store.manifest["facts"] - store.manifest["literals"]
    shutil.rmtree(tmp_path / "model.kg", ignore_errors=True)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["add", "remove", "replace"]), st.sets(st.integers(0, 8), max_size=5)),
        min_size=20,
        max_size=30,
    )
)
def test_arrays_alone_behave_like_a_set(tmp_path: Path, steps: list[tuple[str, set[int]]]) -> None:
    """Through many merges, in the order in which facts came."""
    model: dict[int, None] = {}
    shutil.rmtree(tmp_path / "arrays", ignore_errors=True)
    held, before = Facts(None), None
    for step, (what, numbers) in enumerate(steps):
        directory = tmp_path / "arrays" / str(step)
        directory.mkdir(parents=True)
        writing = FactsDraft(held)
        if what == "replace":
            writing.clear(EX + "g")
            model.clear()
        quads = (fact(f"s{n}", "p", f"o{n}", "g") for n in sorted(numbers))
        assert len(list(writing.noted(quads, gone=what == "remove"))) == len(numbers)
        new = Draft(directory, step, before)
        writing.write(new)
        for number in sorted(numbers):
            if what != "remove":
                model.setdefault(number)
            else:
                model.pop(number, None)
        held, before = Facts(directory, new.finish({})["files"]), directory
        terms = held.terms()
        assert [terms[row[0]] for row in held.rows().tolist()] == [f"{EX}s{number}" for number in model]
        assert len(set(terms)) == len(terms)


def test_among() -> None:
    rows = np.array([[0, 1, 2, -1], [0, 1, 2, 5], [2, 1, 0, -1], [0, 3, 2, -1]])
    assert facts.among(rows, rows[[2, 0]]).tolist() == [True, False, True, False]
    assert facts.among(rows, rows[:0]).tolist() == [False] * 4
    assert facts.among(rows[:0], rows).tolist() == []


# ---- reading


def test_match_takes_terms_and_strings(store: Store, turtle: Path) -> None:
    store.load(turtle)
    expected = [fact("ann", "knows", "bob")]
    assert list(store.match(ex("ann"), ex("knows"))) == expected
    assert list(store.match("ex:ann", "ex:knows")) == expected
    assert list(store.match(f"{EX}ann", f"<{EX}knows>", "ex:bob")) == expected
    someone = next(term for term in store.terms() if term.startswith("_:"))
    assert store.count(someone) == 1
    assert [quad.object for quad in store.match("ex:ann", object=Literal("Ann", language="en"))] == [
        Literal("Ann", language="en")
    ]
    assert store.count(graph="ex:nothing") == 0
    assert store.count(Literal("a")) == store.count(predicate=BlankNode("x")) == 0
    for text in ("Ann", "", "ex:a b", "_:", "_:a b"):
        with pytest.raises(UserError, match="is no IRI, prefix:name or _:label"):
            store.match(text)


def test_pairs_and_texts(store: Store, turtle: Path) -> None:
    store.load(turtle)
    assert (f"{EX}ann", f"{EX}bob") in set(store.entity_pairs("ex:knows"))
    assert list(store.entity_pairs("rdfs:label")) == []
    assert list(store.texts("rdfs:label")) == [(f"{EX}ann", "Ann", "en")]
    assert list(store.texts("ex:age")) == [(f"{EX}ann", "7", None)]


def test_a_reader_is_frozen(store: Store, turtle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draft, "HISTORY", 2)
    store.load(turtle)
    with Store(store.path) as reader:
        for count in range(5):
            store.add([fact("ann", "knows", f"e{count}")])
        assert (reader.generation, reader.count(), len(list(reader.match())), len(reader.facts())) == (1, 5, 5, 3)
        assert reader.sparql("ASK { ex:ann ex:knows ex:e0 }") is False
        assert listing(store) == {"CURRENT", "LOCK", "1", "5", "6"}
        shutil.rmtree(reader.path / "1")
        assert (len(list(reader.match())), len(reader.facts()), len(reader.terms())) == (5, 3, 4)
    assert store.sparql("ASK { ex:ann ex:knows ex:e0 }") is True


def test_a_flipped_byte_in_the_arrays(store: Store, turtle: Path) -> None:
    store.load(turtle)
    path = store.path / "1" / "facts" / "+1.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(UserError, match=r"\+1\.npy is damaged"):
        store.facts()
    with pytest.raises(UserError, match=r"\+1\.npy is damaged"):
        store.verify()
    assert len(store.terms()) == 4


def test_a_damaged_database_is_an_error_of_one_line(store: Store, tmp_path: Path) -> None:
    table = tmp_path / "many.tsv"
    table.write_text("".join(f"e{i}\tp\te{i + 1}\n" for i in range(1000)))
    store.load(table)
    for path in (store.path / "1" / "rdf").glob("*.sst"):
        data = path.read_bytes()
        path.unlink()  # the file may be the database's own of another generation
        path.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
    with pytest.raises(UserError, match=r"a\.kg/1: the database cannot be read"), Store(store.path) as other:
        list(other.match())


def test_a_directory_of_generations_without_a_database(tmp_path: Path) -> None:
    with generations.write(tmp_path / "m", noun="model") as new:
        new.finish({"format": draft.FORMAT})
    with pytest.raises(UserError, match="no store: it holds no database"):
        Store(tmp_path / "m")


def test_a_second_process_is_told_who_writes(store: Store) -> None:
    store.add([fact("a", "p", "b")])
    script = (
        "import sys; from kg.store.store import Store; from pyoxigraph import NamedNode, Triple; "
        "n = NamedNode('a:a'); store = Store(sys.argv[1]); print(store.count()); store.add([Triple(n, n, n)])"
    )
    with generations.write(store.path) as new:
        second = subprocess.run(
            [sys.executable, "-c", script, str(store.path)], capture_output=True, text=True, check=False
        )
        draft.StoreDraft(new).finish({}, by="add")
    assert second.stdout == "1\n"
    assert "the store is in use by process " in second.stderr


# ---- SPARQL


def test_select_ask_construct(store: Store, turtle: Path) -> None:
    store.load(turtle, graph=f"{EX}people")
    found = store.sparql("SELECT ?who ?age { ?who ex:knows ex:bob OPTIONAL { ?who ex:years ?age } }")
    assert found == Solutions(["who", "age"], [(ex("ann"), None)])
    assert store.sparql("ASK { ex:ann ex:age 7 }") is True
    assert store.sparql("ASK { ex:bob ex:age 7 }") is False
    assert store.sparql("CONSTRUCT { ?b ex:knownBy ?a } WHERE { ?a ex:knows ?b FILTER(isIRI(?b) && ?b = ex:bob) }") == [
        Triple(ex("bob"), ex("knownBy"), ex("ann"))
    ]
    blank = store.sparql("SELECT ?b { ?b ex:knows ex:ann }")
    assert isinstance(blank, Solutions)
    assert [str(row[0]) for row in blank.rows] == [term for term in store.terms() if term.startswith("_:")]


def test_predictions_answer_where_they_are_asked_for(store: Store) -> None:
    predictions = NamedNode(PREDICTIONS)

    def asked(query: str, with_predictions: bool = False) -> Results:
        return store.sparql(f"PREFIX ex: <{EX}> {query}", with_predictions=with_predictions)

    store.add([Quad(ex("e0"), ex("p"), ex("e1")), Quad(ex("e0"), ex("p"), ex("e2"), ex("g"))])
    query = "SELECT ?o { ex:e0 ex:p ?o } ORDER BY ?o"
    assert asked(query) == asked(query, with_predictions=True)
    store.add([Quad(ex("e0"), ex("p"), ex("e3"), predictions)])
    assert objects(asked(query)) == ["e1", "e2"]
    assert objects(asked(query, with_predictions=True)) == ["e1", "e2", "e3"]
    assert asked("ASK { GRAPH <urn:kg:predictions> { ex:e0 ex:p ex:e3 } }") is True
    assert asked("ASK { ex:e0 ex:p+ ex:e3 }") is False
    assert asked("ASK { ex:e0 ex:p+ ex:e3 }", with_predictions=True) is True
    assert objects(asked("SELECT ?o FROM ex:g { ex:e0 ex:p ?o }")) == ["e2"]
    assert objects(asked("SELECT ?o FROM <urn:kg:predictions> { ex:e0 ex:p ?o }")) == ["e3"]
    assert objects(asked("SELECT ?o FROM NAMED ex:g { GRAPH ?g { ex:e0 ex:p ?o } }")) == ["e2"]
    store.remove([Quad(ex("e0"), ex("p"), ex("e3"), predictions)])
    assert objects(asked(query)) == ["e1", "e2"]


def objects(found: Results) -> list[str]:
    assert isinstance(found, Solutions)
    return [str(row[0]).removeprefix(f"<{EX}").removesuffix(">") for row in found.rows]


def test_the_prefix_of_this_project_is_declared_unless_the_store_has_another(store: Store, tmp_path: Path) -> None:
    store.add([Quad(ex("a"), NamedNode(KG + "note"), ex("b"))])
    assert store.sparql("ASK { ?s kg:note ?o }") is True
    (tmp_path / "kg.ttl").write_text("@prefix kg: <http://kilo.gram/> . kg:a kg:note kg:b .")
    store.load(tmp_path / "kg.ttl")
    assert objects(store.sparql("SELECT ?s { ?s kg:note ?o }")) == ["<http://kilo.gram/a"]


def test_a_query_is_stopped_at_its_deadline_and_the_next_one_answers(store: Store) -> None:
    store.add([fact(f"e{i}", "p", f"e{j}") for i in range(20) for j in range(20)])
    with pytest.raises(UserError, match="stopped after 1 seconds"):
        store.sparql(CROSS_PRODUCT, timeout_seconds=1)
    assert store.sparql("ASK {}") is True


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT * " + "{" * 5000 + "}" * 5000, "nested"),
        ("SELECT * { FILTER(" + "(" * 5000 + "1" + ")" * 5000 + ") }", "nested"),
        ("SELECT * { SERVICE <http://localhost:1/> { ?s ?p ?o } }", "SERVICE"),
        ("LOAD <http://localhost:1/>", "LOAD"),
        ("INSERT DATA { <a:a> <a:a> <a:a> }", "query: "),
        ("DELETE WHERE { ?s ?p ?o }", "query: "),
        ("SELECT * { ?s ?p", "query: "),
        ("SELECT * { ?s nope:p ?o }", "query: "),
        ("SELECT (<http://example.org/f>(1) AS ?x) {}", "query: "),
        ("SELECT * { ?s ?p ?o FILTER(kg:score(?s, ?p, ?o) > 1) }", "need a model"),
        ("", "query: "),
    ],
)
def test_what_is_refused(store: Store, query: str, message: str) -> None:
    store.add([fact("a", "p", "b")])
    with pytest.raises(UserError, match=message) as error:
        store.sparql(query)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300
    assert store.count() == 1


# ---- dump


@pytest.mark.parametrize("name", ["all.nq", "all.trig.gz", "all.jsonld"])
def test_a_dump_holds_all_graphs(store: Store, turtle: Path, tmp_path: Path, name: str) -> None:
    store.load(turtle, graph=f"{EX}people")
    store.add([fact("ann", "knows", "bob")])
    assert store.dump(tmp_path / name) == 6
    with Store(tmp_path / "b.kg", create=True) as again:
        assert again.load(tmp_path / name).added == 6
        assert again.count(graph=f"{EX}people") == 5


@pytest.mark.parametrize("name", ["one.nt", "one.ttl.xz", "one.rdf", "one.n3"])
def test_a_dump_of_one_graph(store: Store, turtle: Path, tmp_path: Path, name: str) -> None:
    store.load(turtle, graph=f"{EX}people")
    assert store.dump(tmp_path / name, graph=f"{EX}people") == 5
    with Store(tmp_path / "b.kg", create=True) as again:
        assert again.load(tmp_path / name).added == 5
        assert again.count(graph=DefaultGraph()) == 5
    with pytest.raises(UserError, match="named graph"):
        store.dump(tmp_path / name)
    with pytest.raises(UserError, match="has no graph"):
        store.dump(tmp_path / name, graph="ex:nobody")


# ---- damage


def flip(path: Path, place: int) -> None:
    """One bit of a file that generations share."""
    with path.open("r+b") as file:
        file.seek(place, 2 if place < 0 else 0)
        (byte,) = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))


@pytest.mark.parametrize("number", [2, facts.MERGE_ABOVE])
@pytest.mark.parametrize(
    ("name", "place"), [("terms/1.txt", 20), ("facts/+1.npy", -32), ("rdf", 5), ("labels/1.txt", 0)]
)
def test_a_write_launders_no_damage(tmp_path: Path, name: str, place: int, number: int, monkeypatch: Any) -> None:
    """A merge copies what is damaged, and gave it a sha256 of its own."""
    monkeypatch.setattr(facts, "MERGE_ABOVE", 2 if number == 2 else facts.MERGE_ABOVE)
    with Store(tmp_path / "a.kg", create=True) as store:
        label = Quad(ex("s0"), NamedNode("http://www.w3.org/2000/01/rdf-schema#label"), Literal("S"))
        store.add([fact("s0", "p", "o0"), label])
        store.add([fact("s1", "p", "o1")])
        place_ = store.path / "2"
        flip(next((place_ / "rdf").glob("MANIFEST*")) if name == "rdf" else place_ / name, place)
        with pytest.raises(
            UserError, match=r"is damaged: its sha256 is not the one in the manifest; nothing was written"
        ):
            store.add([fact("s0", "p", "new")])
        assert listing(store) == {"CURRENT", "LOCK", "1", "2"}
        with pytest.raises(UserError, match="is damaged"):
            store.verify()


def test_a_load_launders_no_damage(store: Store, turtle: Path) -> None:
    store.load(turtle)
    flip(store.path / "1" / "terms" / "1.txt", 3)
    with pytest.raises(UserError, match=r"1/terms/1\.txt is damaged: .*; nothing was written \(kg verify"):
        store.load(turtle)
    assert listing(store) == {"CURRENT", "LOCK", "1"}


@pytest.mark.parametrize(
    "name", ["facts/+99.npy", "facts/.DS_Store", "facts/x.npy", "terms/99.txt", "terms/.DS_Store", "labels/x.txt"]
)
def test_a_stray_is_not_read(store: Store, name: str) -> None:
    store.add(THREE)
    before = store.facts().tolist(), store.terms()
    stray = store.path / "1" / name
    np.save(stray, np.array([[0, 1, 0, -1]])) if name == "facts/+99.npy" else stray.write_text("http://e/stray\n")
    with Store(store.path) as again:
        assert (again.facts().tolist(), again.terms()) == before
        again.add([fact("ann", "knows", "cid")])
        again.verify()
        assert not (store.path / "2" / name).exists()


THREE = [fact("ann", "knows", "bob"), fact("bob", "knows", "cid"), fact("cid", "knows", "ann")]


def table(rows: Any, dtype: Any = np.int64, **options: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array(rows, dtype), **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("facts/+1.npy", b"", "no file of facts"),
        ("facts/+1.npy", table([[0, 1, 2, -1]])[:-1], "no file of facts"),
        ("facts/+1.npy", table([[0, 1, 2, -1]]) + b"\0", "no file of facts"),
        ("facts/+1.npy", table([[0, 1, 2, -1]])[:60], "no file of facts"),
        ("facts/+1.npy", table([[0, 1, 2, -1]], np.float64), "no file of facts"),
        ("facts/+1.npy", table([[0, 1, 2, -1]], np.int32), "no file of facts"),
        ("facts/+1.npy", table([[0, 1, 2]]), "no file of facts"),
        ("facts/+1.npy", table([0, 1, 2, -1]), "no file of facts"),
        ("facts/+1.npy", table([[{}]], object, allow_pickle=True), "no file of facts"),
        ("facts/+1.npy", table([[0, 1, 4, -1]] * 3), r"a fact of the term 4, where the terms are 0 \.\.\. 3"),
        ("facts/+1.npy", table([[0, 1, 2, 4]] * 3), "a fact of the term 4"),
        ("facts/+1.npy", table([[0, -1, 2, -1]] * 3), "a fact of the term -1"),
        ("facts/+1.npy", table([[0, 1, 2, -2]] * 3), "a fact of the term -2"),
        ("facts/+1.npy", table([[0, 1, 2**62, -1]] * 3), "a fact of the term 4611686018427387904"),
        ("facts/+1.npy", table([[0, 1, 2, -1]]), "1 facts between entities, 3 in the manifest"),
        ("terms/1.txt", b"", "a fact of the term 3"),
        ("terms/1.txt", b"a\nb\n\xff\nd\n", r"terms/1\.txt is no UTF-8"),
        ("terms/1.txt", b"a\nb\nc\nd", r"a fact of the term 3"),
        ("terms/1.txt", b"a\nb\nc\nd\ne", r"terms/1\.txt is cut short: its last line has no end"),
        ("terms/1.txt", b"a\nb\nc\na\n", "a term has two ids"),
        ("labels/1.txt", b"\xff\n", r"labels/1\.txt is no UTF-8"),
    ],
)
def test_what_is_no_array_or_text_is_one_line(store: Store, name: str, content: bytes, message: str) -> None:
    """Checksums are right: someone else wrote it."""
    store.add(THREE)
    replaced(store.path, name, content)
    with Store(store.path) as again:
        with pytest.raises(UserError, match=message):
            again.verify()
        if not name.startswith("labels/"):
            with pytest.raises(UserError, match=message if "manifest" not in message else "."):
                (again.facts(), again.terms(), again.add([fact("a", "b", "c")]))


@pytest.mark.parametrize("name", ["facts/x.npy", "facts/+1.txt", "terms/+1.txt", "terms/1.npy", "labels/.DS_Store"])
def test_a_name_that_no_file_of_a_store_has(store: Store, name: str) -> None:
    store.add(THREE)
    (store.path / "1" / name).touch()
    replaced(store.path, name, b"")
    with pytest.raises(UserError, match=rf"manifest\.json lists {re.escape(name)}: no file of a store is called so"):
        Store(store.path)


@pytest.mark.parametrize("name", ["facts/+1.npy", "terms/1.txt", "labels/1.txt"])
def test_a_file_that_is_gone(store: Store, name: str) -> None:
    store.add(THREE)
    (store.path / "1" / name).unlink()
    with pytest.raises(UserError, match=rf"1/{re.escape(name)}: No such file"):
        Store(store.path)


@pytest.mark.parametrize(
    "values",
    [{"facts": "x"}, {"literals": -1}, {"prefixes": []}, {"prefixes": {"a": 3}}, {"id": 3}, {"entities": True}],
)
def test_a_manifest_that_is_not_that_of_a_store(store: Store, values: dict[str, Any]) -> None:
    store.add(THREE)
    (store.path / "1" / "manifest.json").unlink()
    contents = {key: value for key, value in {**store.manifest, **values}.items() if key != "files"}
    write_manifest(store.path / "1", contents)
    with pytest.raises(UserError, match=r"1/manifest\.json is not that of a store"):
        Store(store.path)


def test_damaged_labels_are_not_believed(store: Store) -> None:
    """They say which labels a reader that follows has to read again."""
    label = NamedNode("http://www.w3.org/2000/01/rdf-schema#label")
    store.add([Quad(ex("a"), label, Literal("A"))])
    mark = store.mark
    store.add([Quad(ex("b"), label, Literal("B"))])
    since = store.since(mark)
    assert since is not None and since.labelled == {f"{EX}b"}
    flip(store.path / "2" / "labels" / "2.txt", -2)
    with pytest.raises(UserError, match=r"labels/2\.txt is damaged"):
        store.since(mark)


# ---- identity


def test_a_store_keeps_its_identity(store: Store, turtle: Path, tmp_path: Path) -> None:
    assert store.id is None
    store.load(turtle)
    first = store.id
    assert first and len(first) == 32
    store.add([fact("a", "p", "b")])
    shutil.copytree(store.path, tmp_path / "copy.kg")
    generations.restore(store.path, 1)
    with Store(store.path) as restored, Store(tmp_path / "copy.kg") as copy:
        assert restored.generation == 3 and restored.id == copy.id == store.id == first
    with Store(tmp_path / "other.kg", create=True) as other:
        other.load(turtle)
        assert other.id != first
