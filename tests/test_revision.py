"""Facts of files taken out of a store, and graphs that become what files say: both all or nothing, and counted."""

import gzip
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyoxigraph import BlankNode, DefaultGraph, Literal, NamedNode, Quad, Triple
from seen import Seen

import kg
from kg import generations
from kg.decisions.folding import fold
from kg.decisions.journal import Decision, Journal
from kg.errors import UserError
from kg.namespaces import ACCEPTED, DECISIONS
from kg.store import draft
from kg.store.store import Store
from kg.store.writes import Removed

EX = "http://example.org/"
PREFIX = f"@prefix ex: <{EX}> .\n"
PEOPLE = (
    PREFIX
    + """
ex:ann ex:knows ex:bob, ex:cid ; ex:age 7 ; ex:lives [ ex:in ex:oslo ] .
ex:bob ex:knows ex:cid .
"""
)


def ex(name: str) -> NamedNode:
    return NamedNode(EX + name)


def fact(subject: str, predicate: str, object_: str, graph: str | None = None) -> Quad:
    return Quad(ex(subject), ex(predicate), ex(object_), ex(graph) if graph else DefaultGraph())


def written(folder: Path, text: str, name: str = "some.ttl") -> Path:
    path = folder / name
    path.write_text(PREFIX + text if name.endswith(("ttl", "trig")) else text)
    return path


def check_agrees(store: Store) -> None:
    """The database, the arrays and the manifest say the same, and every file is as its checksum says."""
    store.verify()
    assert store.count() == len(list(store.match())) == len(store.facts()) + store.manifest["literals"]
    rows = store.facts()
    assert store.manifest["entities"] == len(set(rows[:, [0, 2]].ravel().tolist()))
    assert store.manifest["relations"] == len(set(rows[:, 1].tolist()))


@pytest.fixture
def people(tmp_path: Path) -> Path:
    path = tmp_path / "people.ttl"
    path.write_text(PEOPLE)
    return path


@pytest.fixture
def store(tmp_path: Path, people: Path) -> Iterator[Store]:
    with Store(tmp_path / "a.kg", create=True) as opened:
        opened.load(people)
        yield opened
        check_agrees(opened)


# ---- what goes


def test_facts_go_and_what_was_not_there_is_counted(store: Store, tmp_path: Path) -> None:
    file = written(tmp_path, 'ex:ann ex:knows ex:bob, ex:dan ; ex:age 007 ; ex:age "7" . ex:ann ex:knows ex:bob .')
    removed = store.remove_files(file)
    # ann knows bob twice, and 007 is the number 7; that ann knows dan, and that her age is a text, nobody said
    assert (removed.read, removed.removed, removed.missing) == (5, 2, 2)
    assert removed.generation == store.generation == 2
    assert store.count() == 4 and store.count("ex:ann", "ex:knows") == 1
    made = store.manifest["made"]
    assert made == {"at": made["at"], "by": "remove", "of": ["some.ttl"], "others": 0, "added": 0, "removed": 2}


def test_the_very_file_that_was_loaded_is_gone_whole(store: Store, people: Path, tmp_path: Path) -> None:
    """Its blank nodes, too, and however it is compressed; terms that lost their last fact count no more."""
    packed = tmp_path / "again.ttl.gz"
    packed.write_bytes(gzip.compress(people.read_bytes()))
    removed = store.remove_files(packed)
    assert (removed.read, removed.removed, removed.missing, store.count()) == (6, 6, 0, 0)
    assert (store.manifest["entities"], store.manifest["relations"], store.facts().shape) == (0, 0, (0, 4))
    terms = store.terms()
    store.load(people)
    assert store.terms() == terms and store.count() == 6  # an id is that of its term for ever


def test_facts_that_are_not_there_bring_no_terms(store: Store, tmp_path: Path) -> None:
    terms = store.terms()
    file = written(tmp_path, "ex:new ex:unheard ex:of . ex:bob ex:knows ex:cid .")
    assert store.remove_files(file).removed == 1
    assert store.terms() == terms
    assert store.remove([fact("new", "unheard", "of")]) == 0
    assert store.terms() == terms


def test_nothing_to_remove_writes_nothing(store: Store, tmp_path: Path) -> None:
    before = generations.current(store.path)
    removed = store.remove_files([written(tmp_path, "ex:x ex:y ex:z ."), written(tmp_path, "# nothing", "none.nt")])
    assert (removed.read, removed.removed, removed.missing, removed.generation) == (1, 0, 1, 1)
    assert generations.current(store.path) == before
    assert {each.name for each in store.path.iterdir()} == {"CURRENT", "LOCK", "1"}


def test_blank_nodes_go_by_the_names_that_the_store_gave_them(store: Store, tmp_path: Path) -> None:
    other = written(tmp_path, "ex:ann ex:lives [ ex:in ex:oslo ] .")
    seen = Seen()
    removed = store.remove_files(other, progress=seen)
    assert (removed.read, removed.removed, removed.missing) == (2, 0, 2)
    notes = [each for each in seen.told if isinstance(each, str)]
    assert len(notes) == 1 and notes[0].startswith("2 of the facts that are not there speak of blank nodes")
    store.dump(tmp_path / "dumped.nq")
    removed = store.remove_files(tmp_path / "dumped.nq")
    assert (removed.read, removed.removed, removed.missing, store.count()) == (6, 6, 0, 0)


def test_a_blank_node_that_was_loaded_is_not_taken_for_another(store: Store, tmp_path: Path) -> None:
    """A file whose labels are the store's own was loaded: it names its own blank nodes, not those of the store."""
    store.dump(tmp_path / "dumped.nq")
    store.load(tmp_path / "dumped.nq")
    assert store.count() == 8
    ours = {term for term in store.terms() if term.startswith("_:")}
    assert len(ours) == 2
    store.add([fact("ann", "knows", "bob"), fact("ann", "knows", "cid"), fact("bob", "knows", "cid")])
    removed = store.remove_files(tmp_path / "dumped.nq")
    assert (removed.removed, removed.missing, store.count()) == (6, 0, 2)
    removed = store.remove_files(tmp_path / "dumped.nq")  # only now it is about those that the store calls so
    assert (removed.removed, removed.missing, store.count()) == (2, 4, 0)


def test_triple_terms_and_texts(store: Store, tmp_path: Path) -> None:
    said = written(tmp_path, 'ex:eve ex:says <<( ex:ann ex:knows "b\\nc\\"" )>> ; ex:name "eve"@EN-gb .')
    assert store.load(said).added == 2
    assert store.remove_files(said).removed == 2
    assert not store.count(ex("eve"))


def test_a_fact_in_two_graphs_goes_from_the_one_that_is_named(store: Store, tmp_path: Path) -> None:
    file = written(tmp_path, "ex:bob ex:knows ex:cid .")
    store.load(file, graph="ex:g")
    seen = Seen()
    assert store.remove_files(file, graph=EX + "h", progress=seen).missing == 1
    line = f"<{EX}bob> <{EX}knows> <{EX}cid> is not in the graph <{EX}h>, but in "
    assert [each for each in seen.told if isinstance(each, str) and each.startswith(line)]
    assert store.remove_files(file, graph="ex:g").removed == 1  # by a prefix of the store
    assert list(store.match("ex:bob", "ex:knows", "ex:cid")) == [fact("bob", "knows", "cid")]
    quads = written(tmp_path, f"<{EX}bob> <{EX}knows> <{EX}cid> <{EX}g> .\n", "some.nq")
    assert store.remove_files(quads).missing == 1
    assert store.remove_files(file).removed == 1 and not store.count("ex:bob", "ex:knows")


def test_a_whole_graph(store: Store, people: Path) -> None:
    store.load(people, graph=EX + "g")
    assert store.count() == 12
    removed = store.remove_graph("ex:g")
    assert removed == Removed(read=0, removed=6, missing=0, seconds=removed.seconds, generation=3)
    assert store.count() == 6 and not store.has_graph(EX + "g")
    assert store.manifest["made"]["of"] == [EX + "g"]
    with pytest.raises(UserError, match=f"has no graph <{EX}g>"):
        store.remove_graph("ex:g")
    with pytest.raises(UserError, match="is no IRI"):
        store.remove_graph("a b")
    assert store.generation == 3


def test_a_bad_line_changes_nothing(store: Store, tmp_path: Path) -> None:
    good = written(tmp_path, "ex:bob ex:knows ex:cid .")
    bad = written(tmp_path, f"<{EX}ann> <{EX}knows> <{EX}bob> .\n<{EX}ann> knows .\n", "bad.nt")
    for revised in (store.remove_files, store.replace_files):
        with pytest.raises(UserError, match=r"bad\.nt:2:"):
            revised([good, bad])
    assert (store.generation, store.count()) == (1, 6)
    assert {each.name for each in store.path.iterdir()} == {"CURRENT", "LOCK", "1"}


def test_a_hostile_file_kills_no_more_than_its_worker(store: Store, tmp_path: Path) -> None:
    deep = written(tmp_path, "ex:a ex:b " + "[ ex:c " * 500 + "ex:d" + "]" * 500 + " .")
    entities = written(
        tmp_path, '<!DOCTYPE r [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><r xmlns="http://x/">&b;</r>', "bomb.rdf"
    )
    for revised in (store.remove_files, store.replace_files):
        for file in (deep, entities, tmp_path, tmp_path / "none.nt"):
            with pytest.raises(UserError):
                revised(file)
    assert (store.generation, store.count()) == (1, 6)


def test_an_empty_store_has_nothing_to_remove(tmp_path: Path, people: Path) -> None:
    with Store(tmp_path / "new.kg", create=True) as store, pytest.raises(UserError, match="there is nothing to remove"):
        store.remove_files(people)
    assert not (tmp_path / "new.kg").exists()


def test_what_people_decided_is_no_graph_to_change(store: Store, tmp_path: Path) -> None:
    Journal(store.path).append([Decision("1", EX + "a", EX + "p", EX + "b", "accept", "me")])
    assert fold(store) == 1
    by_graph = written(tmp_path, f"<{ACCEPTED}> {{ ex:a ex:p ex:b }}", "some.trig")
    for change in (
        lambda: store.remove_files(by_graph),
        lambda: store.replace_files(by_graph),
        lambda: store.replace_files(written(tmp_path, "ex:a ex:p ex:b ."), graph=DECISIONS),
        lambda: store.remove_graph(ACCEPTED),
        lambda: store.remove_graph(DECISIONS),
    ):
        with pytest.raises(UserError, match="is made from the journal of decisions"):
            change()
    store.remove_files(written(tmp_path, "ex:bob ex:knows ex:cid ."))
    assert store.count(graph=ex("none")) == 0 and store.count("ex:a", graph=NamedNode(ACCEPTED)) == 1
    assert fold(store) is None  # the journal and its graphs are as they were
    store.replace({DECISIONS: ()})  # of which nothing is learnt, as check_agrees expects


# ---- what stays


def test_a_graph_becomes_what_its_new_file_says(store: Store, people: Path, tmp_path: Path) -> None:
    store.load(people, graph=EX + "g")
    new = written(tmp_path, "ex:ann ex:knows ex:bob, ex:dan ; ex:age 007, 007 . ex:ann ex:knows ex:dan .")
    replaced = store.replace_files(new, graph="ex:g")
    assert (replaced.read, replaced.added, replaced.removed, replaced.unchanged) == (5, 1, 4, 2)
    assert replaced.generation == store.generation == 3
    assert {str(quad.triple) for quad in store.match(graph=ex("g"))} == {
        str(triple)
        for triple in (
            Triple(ex("ann"), ex("knows"), ex("bob")),
            Triple(ex("ann"), ex("knows"), ex("dan")),
            next(store.match("ex:ann", "ex:age")).triple,
        )
    }
    assert store.count(graph=DefaultGraph()) == 6


def test_a_new_version_writes_what_changed_alone(store: Store, tmp_path: Path) -> None:
    """So that a reader that goes on from before reads no more than that."""
    mark, ids = store.mark, {term: id for id, term in enumerate(store.terms())}
    new = PEOPLE.replace("ex:bob ex:knows ex:cid", "ex:bob ex:knows ex:ann").replace("[ ex:in ex:oslo ]", "ex:oslo")
    replaced = store.replace_files(written(tmp_path, new))
    assert (replaced.added, replaced.removed, replaced.unchanged) == (2, 3, 3)
    since = store.since(mark)
    assert since is not None and since.labelled == frozenset() and since.terms == []
    bob, knows, ann, lives, oslo = (ids[EX + name] for name in ("bob", "knows", "ann", "lives", "oslo"))
    assert sorted(since.added.tolist()) == sorted([[bob, knows, ann, -1], [ann, lives, oslo, -1]])
    assert len(since.removed) == 3


def test_the_same_again_writes_nothing(store: Store, people: Path) -> None:
    replaced = store.replace_files(people)
    assert (replaced.read, replaced.added, replaced.removed, replaced.unchanged) == (6, 0, 0, 6)
    assert replaced.generation == 1 and {each.name for each in store.path.iterdir()} == {"CURRENT", "LOCK", "1"}


def test_each_graph_that_the_files_speak_of_and_no_other(store: Store, tmp_path: Path) -> None:
    store.add([fact("a", "p", "b", "g"), fact("a", "p", "c", "g"), fact("a", "p", "b", "h")])
    store.add([Quad(ex("a"), ex("p"), Literal("t"), BlankNode("x"))])
    named = written(tmp_path, "GRAPH ex:g { ex:a ex:p ex:b, ex:d }", "some.trig")
    replaced = store.replace_files(named)
    assert (replaced.added, replaced.removed, replaced.unchanged) == (1, 1, 1)
    assert store.count(graph=DefaultGraph()) == 6 and store.count(graph=ex("h")) == 1
    both = written(tmp_path, "ex:a ex:p ex:b . GRAPH ex:h { ex:a ex:p ex:b }", "both.trig")
    replaced = store.replace_files([both, named])
    assert (replaced.added, replaced.removed, replaced.unchanged) == (1, 6, 3)
    assert store.count() == 5


@pytest.mark.parametrize("small", [1, 10_000])
def test_both_ways_in_count_the_same(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: int) -> None:
    """The worker imports its own modules: hence by hand. One by one, and as a bulk."""
    from kg.store import revision

    monkeypatch.setattr(draft, "SMALL", small)
    monkeypatch.setattr(revision, "AT_ONCE", 2)
    new = written(tmp_path, "ex:ann ex:knows ex:bob, ex:dan ; ex:age 007, 8, 08 . ex:bob ex:age 1.50 .")
    with generations.write(store.path) as made:
        how = {"graph": None, "base": None, "syntax": None, "header": None}
        counts = revision.replace(kg.progress.SILENT, str(made.path), 2, str(made.previous), [str(new)], **how)
    assert counts == {"read": 6, "added": 3, "removed": 4, "unchanged": 2}
    store._open()
    assert store.count() == 5
    assert sorted(str(quad.object) for quad in store.match(None, "ex:age")) == [
        '"1.5"^^<http://www.w3.org/2001/XMLSchema#decimal>',
        '"7"^^<http://www.w3.org/2001/XMLSchema#integer>',
        '"8"^^<http://www.w3.org/2001/XMLSchema#integer>',
    ]


def test_nothing_is_no_new_version(store: Store, tmp_path: Path) -> None:
    for name in ("none.nt", "none.ttl"):
        with pytest.raises(UserError, match="no facts: a graph is not replaced by nothing"):
            store.replace_files(written(tmp_path, "# nothing\n", name))
    assert (store.generation, store.count()) == (1, 6)


def test_the_first_version(tmp_path: Path, people: Path) -> None:
    replaced = kg.replace(people, tmp_path / "new.kg", graph=EX + "g")
    assert (replaced.added, replaced.removed, replaced.unchanged, replaced.generation) == (6, 0, 0, 1)
    removed = kg.remove([people], tmp_path / "new.kg", graph=EX + "g")
    assert (removed.removed, removed.generation) == (6, 2)


# ---- others


HOLDER = """
import sys
from pathlib import Path
from kg import generations
with generations.write(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_writers_at_once(store: Store, people: Path) -> None:
    store.add([fact("a", "p", "b", "g")])
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(store.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None and holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        for change in (
            lambda: store.remove_files(people),
            lambda: store.replace_files(people),
            lambda: store.remove_graph("ex:g"),
            lambda: generations.drop(store.path, 1),
        ):
            with pytest.raises(UserError, match=f"the store is in use by process {holder.pid}"):
                change()
        holder.kill()
        holder.communicate()
    assert store.remove_graph("ex:g").removed == 1 and store.remove_files(people).removed == 6


def test_a_reader_sees_what_it_opened(store: Store, people: Path) -> None:
    with Store(store.path) as reader:
        store.remove_files(people)
        assert (reader.generation, reader.count(), len(reader.facts())) == (1, 6, 5)
        assert reader.sparql("ASK { ex:bob ex:knows ex:cid }") is True
