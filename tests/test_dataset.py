"""Facts from folders and stores, and the holding out of some without giving their answers away."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmark_data import benchmark

from kg.errors import UserError
from kg.files import shipped
from kg.graph import dataset as dataset_module
from kg.graph.dataset import PARTS, Dataset
from kg.store.store import Store

Named = tuple[str, str, str]


def named(data: Dataset, part: str) -> set[Named]:
    """The facts of a part in words; IRIs by their last letters."""
    entities, relations = data.vocabulary.entities, data.vocabulary.relations
    triples = ((entities[h], relations[r], entities[t]) for h, r, t in data.part(part).tolist())
    return {(short(h), short(r), short(t)) for h, r, t in triples}


def short(term: str) -> str:
    return term.removeprefix("http://x.example/").removeprefix("http://world.example/")


# From a folder


def test_a_folder_by_hand(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_bytes(b"a\tlikes\tb\nb\tlikes\tc\na\tlikes\tb\n")
    (tmp_path / "valid.txt").write_bytes("a\tlikes\tç\r\n\r\n".encode())  # CRLF, a blank line, a letter beyond ASCII
    (tmp_path / "test.tsv").write_bytes(b"z\thates\ta")  # an entity and a relation of its own, no line end
    data = Dataset.from_folder(tmp_path)
    assert data.vocabulary.entities == ("a", "b", "c", "ç", "z") and data.num_entities == 5
    assert data.vocabulary.relations == ("likes", "hates") and data.num_relations == 2
    assert data.train.tolist() == [[0, 0, 1], [1, 0, 2]]  # a fact given twice counts once
    assert data.valid.tolist() == [[0, 0, 3]]
    assert data.test.tolist() == [[4, 1, 0]]
    assert data.describe() == "5 entities, 2 relations, 2 / 1 / 1 train / valid / test facts"
    assert data.source == str(tmp_path.resolve()) and data.generation is None


def test_the_graph_is_of_training_facts_over_all_entities(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("a\tr\tb\n")
    (tmp_path / "test.tsv").write_text("b\tr\tc\n")
    data = Dataset.from_folder(tmp_path)
    assert data.graph().num_entities == 3 and data.graph().num_edges == 2
    assert len(data.known("train").tails) == 2 and len(data.known("train", "test").tails) == 4


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".xz"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_compressed_parts(tmp_path: Path, suffix: str, ending: str) -> None:
    pack = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}[suffix]
    (tmp_path / f"train.tsv{suffix}").write_bytes(pack(f"a\tr\tb c{ending}b c\tr\ta{ending}".encode()))
    data = Dataset.from_folder(tmp_path)
    assert data.vocabulary.entities == ("a", "b c") and len(data.train) == 2
    assert len(data.valid) == len(data.test) == 0


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("a\tr\tb\nb\tr\ta\n", encoding="utf-8-sig")
    assert Dataset.from_folder(tmp_path).vocabulary.entities == ("a", "b")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\tr\tb\nc\tr\n", r"train\.tsv:2: .*got 2 columns"),
        (b"a\tr\tb\td\n", r"train\.tsv:1: .*got 4 columns"),
        (b"a r b\n", r"train\.tsv:1: .*got 1 column"),
        (b"a\tr\tb\n\n\t\tb\n", r"train\.tsv:3: .*empty"),
        (b"a\tr\tb\n\xff\tr\tb\n", r"train\.tsv:2: not UTF-8"),
        (b"", r"train\.tsv: .*empty"),
        (b"\n\n", r"train\.tsv: .*empty"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "train.tsv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        Dataset.from_folder(tmp_path)


def broken_deflate(content: bytes) -> bytes:
    """A gzip file whose header is right and whose compressed data is not."""
    packed = bytearray(gzip.compress(content))
    packed[10:14] = b"\xff\xff\xff\xff"
    with pytest.raises(zlib.error):
        gzip.decompress(bytes(packed))
    return bytes(packed)


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        (".gz", gzip.compress(b"a\tr\tb\n" * 100)[:-12]),
        (".gz", b"a\tr\tb\n"),
        (".gz", broken_deflate(b"a\tr\tb\n" * 100)),
        (".xz", lzma.compress(b"a\tr\tb\n" * 100)[:-12]),
        (".xz", b"a\tr\tb\n"),
        (".bz2", bz2.compress(b"a\tr\tb\n" * 100)[:-12]),
        (".bz2", b"a\tr\tb\n"),
    ],
)
def test_a_damaged_archive_is_named(tmp_path: Path, suffix: str, content: bytes) -> None:
    (tmp_path / f"train.tsv{suffix}").write_bytes(content)
    with pytest.raises(UserError, match=rf"train\.tsv{suffix}: the {suffix} file is (damaged|cut short)"):
        Dataset.from_folder(tmp_path)


def test_a_folder_without_train(tmp_path: Path) -> None:
    (tmp_path / "test.tsv").write_text("a\tr\tb\n")
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UserError, match=r"no train\.tsv"):
            Dataset.from_folder(folder)


def test_labels_beside_the_parts(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("Q1\tP1\tQ2\n")
    (tmp_path / "entity_labels.tsv").write_text("Q1\tOne\tthe first number\nQ2\n")
    (tmp_path / "relation_labels.tsv.gz").write_bytes(gzip.compress(b"P1\tfollowed by\n"))
    schema = Dataset.from_folder(tmp_path).schema
    assert [schema.label(term) for term in ("Q1", "Q2", "P1")] == ["One", "Q2", "followed by"]


def test_a_part_by_another_name(random_dataset: Dataset) -> None:
    with pytest.raises(UserError, match="train, valid, test"):
        random_dataset.part("tests")


def test_a_benchmark() -> None:
    assert Dataset.from_folder(benchmark("umls")).describe() == (
        "135 entities, 46 relations, 5,216 / 652 / 661 train / valid / test facts"
    )


def test_facts_of_another_file(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_bytes(b"a\tlikes\tb\nb\tlikes\tc\n")
    (tmp_path / "wrong.txt.gz").write_bytes(gzip.compress(b"c\tlikes\ta\nb\tlikes\ta\nc\tlikes\ta\n"))
    data = Dataset.from_folder(tmp_path)
    ids = data.vocabulary.entity_ids
    assert data.facts_named(tmp_path, "wrong").tolist() == [[ids["c"], 0, ids["a"]], [ids["b"], 0, ids["a"]]]
    with pytest.raises(UserError, match=r"no right\.tsv or right\.txt"):
        data.facts_named(tmp_path, "right")
    for line, name in ((b"d\tlikes\ta", "d"), (b"a\thates\tb", "hates"), (b"a\tlikes\te", "e")):
        (tmp_path / "right.tsv").write_bytes(line)
        with pytest.raises(UserError, match=rf"right\.tsv: {name} is not among"):
            data.facts_named(tmp_path, "right")


# From a store

PREFIXES = """
@prefix : <http://x.example/> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def store_of(folder: Path, trig: str) -> Store:
    file = folder / "facts.trig"
    file.write_text(PREFIXES + trig, encoding="utf-8")
    store = Store(folder / "facts.kg", create=True)
    store.load(file)
    return store


def whole(store: Store, **arguments: object) -> set[Named]:
    """All the facts that train, nothing held out."""
    data = Dataset.from_store(store, valid=0.0, test=0.0, **arguments)
    assert len(data.valid) == len(data.test) == 0
    assert data.source == str(store.path) and data.generation == store.generation
    return named(data, "train")


MIXED = """
:a :likes :b ; :age 3 ; rdfs:label "A" ; a :Person ; :knows :c .
:Person rdfs:subClassOf :Being ; rdfs:label "Person" .
:likes rdfs:domain :Person ; owl:inverseOf :likedBy .
:g { :b :likes :c . :a :likes :b . }
"""


def test_facts_between_entities_train_and_the_words_of_the_schema_do_not(folder: Path) -> None:
    assert whole(store_of(folder, MIXED)) == {
        ("a", "likes", "b"),
        ("a", "knows", "c"),
        ("b", "likes", "c"),
    }


def test_what_does_not_train_stays_reachable(folder: Path) -> None:
    schema = Dataset.from_store(store_of(folder, MIXED)).schema
    assert schema.label("http://x.example/a") == "A"
    assert schema.types["http://x.example/a"] == ("http://x.example/Person",)


def test_relations_choose(folder: Path) -> None:
    store = store_of(folder, MIXED)
    assert whole(store, relations=["http://x.example/knows"]) == {("a", "knows", "c")}
    named_type = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
    assert whole(store, relations=[named_type]) == {("a", named_type, "Person")}


def test_graphs_choose(folder: Path) -> None:
    store = store_of(folder, MIXED)
    assert whole(store, graphs=["http://x.example/g"]) == {("b", "likes", "c"), ("a", "likes", "b")}
    assert whole(store, graphs=[""]) == {("a", "likes", "b"), ("a", "knows", "c")}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"relations": ["http://x.example/nothing"]}, "no relation http://x.example/nothing"),
        ({"relations": ["http://x.example/likes", "http://x.example/a"]}, "no relation http://x.example/a"),
        ({"graphs": ["http://x.example/nowhere"]}, "no graph http://x.example/nowhere"),
        ({"valid": 0.5, "test": 0.5}, "shares"),
        ({"valid": -0.1}, "shares"),
    ],
)
def test_a_choice_that_is_not_there(folder: Path, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Dataset.from_store(store_of(folder, MIXED), **arguments)


def test_nothing_to_train_on(folder: Path) -> None:
    with pytest.raises(UserError, match="no facts between entities"):
        Dataset.from_store(store_of(folder, ':a rdfs:label "A" ; a :Person .'))


ONTOLOGY = """
:Finger rdfs:subClassOf [ a owl:Restriction ; owl:onProperty :partOf ; owl:someValuesFrom :Hand ] , :Organ .
:Hand rdfs:subClassOf [ owl:onProperty :partOf ; owl:someValuesFrom :Arm ] ,
                      [ owl:onProperty :has ; owl:someValuesFrom :Palm ] ,
                      [ owl:onProperty :has ; owl:allValuesFrom :Finger ] .
:Arm :near :Hand .
"""


def test_restrictions_become_facts_on_request(folder: Path) -> None:
    store = store_of(folder, ONTOLOGY)
    assert whole(store) == {("Arm", "near", "Hand")}
    partial = {("Finger", "partOf", "Hand"), ("Hand", "partOf", "Arm")}
    assert whole(store, restrictions=True) == {("Arm", "near", "Hand"), *partial, ("Hand", "has", "Palm")}
    assert whole(store, restrictions=True, relations=["http://x.example/partOf"]) == partial


# Holding out


def ring(back: str, mirrored: int) -> str:
    """:p from each a_i to the next of 60, `back` as the mirror of so many of these, and :q elsewhere to make up 60."""
    pairs = list(pairwise([f":a{i % 60}" for i in range(61)]))
    facts = [f"{left} :p {right} ." for left, right in pairs]
    facts += [f"{right} {back} {left} ." for left, right in pairs[:mirrored]]
    facts += [f":a{i} :q :a{(i + 7) % 60} ." for i in range(mirrored, 60)]
    return "\n".join(facts)


def padding(size: int) -> str:
    """Other facts of the same entities, so that each may lose some."""
    return "\n".join(f":a{i} :other :a{(i * i + 3) % size} ." for i in range(size))


def mirrors(data: Dataset, relation: str, back: str) -> list[str]:
    """The parts of (h, relation, t) and (t, back, h), wherever they fell apart."""
    part = {fact: name for name in PARTS for fact in named(data, name)}
    both = [(part[h, r, t], part[t, back, h]) for h, r, t in part if r == relation and (t, back, h) in part]
    assert {fallen for fallen, _ in both} == set(PARTS)
    return [f"{left} {right}" for left, right in both if left != right]


@pytest.mark.parametrize(
    ("trig", "relation", "back"),
    [
        (":p owl:inverseOf :q ." + ring(":q", 30), "p", "q"),
        (":q owl:inverseOf :p ." + ring(":q", 30), "p", "q"),
        (":p a owl:SymmetricProperty ." + ring(":p", 30), "p", "p"),
        (ring(":q", 50), "p", "q"),  # nobody says so, but the facts do
        (ring(":p", 50), "p", "p"),
    ],
    ids=["inverseOf", "inverseOf, said of the other", "SymmetricProperty", "overlap", "overlap with itself"],
)
def test_a_fact_and_its_mirror_fall_together(folder: Path, trig: str, relation: str, back: str) -> None:
    data = Dataset.from_store(store_of(folder, trig + padding(60)), valid=0.2, test=0.2)
    assert mirrors(data, relation, back) == []


def test_a_few_mirrors_make_no_twins(folder: Path) -> None:
    """Half of a relation's pairs mirrored, and nothing said: other facts, as the tests above need to tell."""
    data = Dataset.from_store(store_of(folder, ring(":q", 30) + padding(60)), valid=0.2, test=0.2)
    assert mirrors(data, "p", "q") != []


def same_pairs(shared: int) -> str:
    """Relation :p on 60 pairs, :r on `shared` of these and on others up to 60."""
    names = [f":a{i}" for i in range(60)]
    facts = [f"{names[i]} :p {names[(i + 1) % 60]} ." for i in range(60)]
    facts += [f"{names[i]} :r {names[(i + (1 if i < shared else 7)) % 60]} ." for i in range(60)]
    return "\n".join(facts)


def apart(data: Dataset) -> int:
    part = {fact: name for name in PARTS for fact in named(data, name)}
    return sum(part[h, "p", t] != part[h, "r", t] for h, r, t in part if r == "p" and (h, "r", t) in part)


def test_relations_that_overlap_by_more_than_80_percent_are_twins(folder: Path) -> None:
    data = Dataset.from_store(store_of(folder, same_pairs(49) + padding(60)), valid=0.2, test=0.2)
    assert apart(data) == 0


def test_relations_that_overlap_by_80_percent_are_not(folder: Path) -> None:
    data = Dataset.from_store(store_of(folder, same_pairs(48) + padding(60)), valid=0.2, test=0.2)
    assert apart(data) > 0


def test_twins_through_a_third_relation(folder: Path) -> None:
    """p is the inverse of q and q is symmetric: p says the same as q, either way round."""
    trig = ":p owl:inverseOf :q . :q a owl:SymmetricProperty . :x :p :y . :y :p :x . :x :q :y . :x :p :z . :z :o :x ."
    data = Dataset.from_store(store_of(folder, trig), valid=0.0, test=0.0)
    group = dataset_module.twins(data.train.numpy(), data.vocabulary, data.schema)
    entities, relations = data.vocabulary.entities, data.vocabulary.relations
    by_group: dict[int, set[str]] = {}
    for number, (h, r, t) in zip(group.tolist(), data.train.tolist(), strict=True):
        by_group.setdefault(number, set()).add("".join(map(short, (entities[h], relations[r], entities[t]))))
    # z :o x shares its one pair with p turned round: the whole of a relation of one fact, so it is a twin as well
    assert sorted(map(sorted, by_group.values())) == [["xpy", "xqy", "ypx"], ["xpz", "zox"]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store(tmp_path_factory.mktemp("world") / "world.kg", create=True) as store:
        store.load(str(shipped("world.ttl")))
        yield store


@pytest.mark.parametrize("seed", [0, 1])
def test_held_out_names_all_occur_in_train(world: Store, seed: int) -> None:
    data = Dataset.from_store(world, seed=seed)
    entities, relations = data.train[:, [0, 2]].unique(), data.train[:, 1].unique()
    assert len(entities) == data.num_entities and len(relations) == data.num_relations
    facts = torch.cat([data.part(name) for name in PARTS])
    assert len(torch.unique(facts, dim=0)) == len(facts)  # no fact in two parts


def test_the_shares_asked_for(world: Store) -> None:
    for valid, test in ((0.1, 0.1), (0.05, 0.2), (0.0, 0.1), (0.1, 0.0)):
        data = Dataset.from_store(world, valid=valid, test=test)
        total = sum(len(data.part(name)) for name in PARTS)
        # Whole groups of twins are drawn, so a share may be passed by less than one group.
        assert valid * total - 1 <= len(data.valid) <= valid * total + 4
        assert test * total - 1 <= len(data.test) <= test * total + 4


def test_a_split_is_a_function_of_the_seed(world: Store) -> None:
    first, again, other = (Dataset.from_store(world, seed=seed) for seed in (0, 0, 1))
    assert all(torch.equal(first.part(name), again.part(name)) for name in PARTS)
    assert first.vocabulary == again.vocabulary == other.vocabulary
    assert not torch.equal(first.test, other.test)


def test_a_small_graph_gives_what_it_can(folder: Path) -> None:
    data = Dataset.from_store(store_of(folder, ":a :p :b . :b :p :c . :c :q :d ."), valid=0.3, test=0.3)
    assert named(data, "train") == {("a", "p", "b"), ("c", "q", "d")}  # each has a name that the others lack
    assert named(data, "valid") | named(data, "test") == {("b", "p", "c")}


# The leak guard: what the symmetric rule alone gains


def given_away(data: Dataset) -> list[Named]:
    """The test facts that a rule finds in train: (t, r, h), or (t, q, h) where q is the inverse of r."""
    train = named(data, "train")
    inverse = {short(r): [short(q) for q in others] for r, others in data.schema.inverse.items()}
    return [(h, r, t) for h, r, t in named(data, "test") if any((t, q, h) in train for q in [r, *inverse.get(r, ())])]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_symmetric_rule_gains_nothing_on_the_demo(world: Store, seed: int) -> None:
    data = Dataset.from_store(world, seed=seed)
    assert len(data.test) > 200
    assert given_away(data) == []


def test_without_the_guard_it_would(world: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_module, "twins", lambda facts, vocabulary, schema: np.arange(len(facts)))
    data = Dataset.from_store(world)
    leaks = given_away(data)
    assert len(leaks) > 0.1 * len(data.test)
    assert any(relation == "borders" for _, relation, _ in leaks)
