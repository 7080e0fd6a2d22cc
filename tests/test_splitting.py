"""The holding out of facts without giving their answers away."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from stored import Named, named, short, store_of

from kg.files import shipped
from kg.graph import from_store, splitting
from kg.graph.dataset import PARTS, Dataset
from kg.graph.from_store import dataset_from_store
from kg.graph.schema import Schema
from kg.graph.splitting import hold_out, twins
from kg.graph.vocabulary import Vocabulary
from kg.store.store import Store


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
def test_a_fact_and_its_mirror_fall_together(tmp_path: Path, trig: str, relation: str, back: str) -> None:
    data = dataset_from_store(store_of(tmp_path, trig + padding(60)), valid=0.2, test=0.2)
    assert mirrors(data, relation, back) == []


def test_a_few_mirrors_make_no_twins(tmp_path: Path) -> None:
    """Half of a relation's pairs mirrored, and nothing said: other facts, as the tests above need to tell."""
    data = dataset_from_store(store_of(tmp_path, ring(":q", 30) + padding(60)), valid=0.2, test=0.2)
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


def test_relations_that_overlap_by_more_than_80_percent_are_twins(tmp_path: Path) -> None:
    data = dataset_from_store(store_of(tmp_path, same_pairs(49) + padding(60)), valid=0.2, test=0.2)
    assert apart(data) == 0


def test_relations_that_overlap_by_80_percent_are_not(tmp_path: Path) -> None:
    data = dataset_from_store(store_of(tmp_path, same_pairs(48) + padding(60)), valid=0.2, test=0.2)
    assert apart(data) > 0


def test_twins_through_a_third_relation(tmp_path: Path) -> None:
    """p is the inverse of q and q is symmetric: p says the same as q, either way round."""
    trig = ":p owl:inverseOf :q . :q a owl:SymmetricProperty . :x :p :y . :y :p :x . :x :q :y . :x :p :z . :z :o :x ."
    data = dataset_from_store(store_of(tmp_path, trig), valid=0.0, test=0.0)
    group = twins(data.train.numpy(), data.vocabulary, data.schema)
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
    data = dataset_from_store(world, seed=seed)
    entities, relations = data.train[:, [0, 2]].unique(), data.train[:, 1].unique()
    assert len(entities) == data.num_entities and len(relations) == data.num_relations
    facts = torch.cat([data.part(name) for name in PARTS])
    assert len(torch.unique(facts, dim=0)) == len(facts)  # no fact in two parts


def test_the_shares_asked_for(world: Store) -> None:
    for valid, test in ((0.1, 0.1), (0.05, 0.2), (0.0, 0.1), (0.1, 0.0)):
        data = dataset_from_store(world, valid=valid, test=test)
        total = sum(len(data.part(name)) for name in PARTS)
        # Whole groups of twins are drawn, so a share may be passed by less than one group.
        assert valid * total - 1 <= len(data.valid) <= valid * total + 4
        assert test * total - 1 <= len(data.test) <= test * total + 4


def test_a_split_is_a_function_of_the_seed(world: Store) -> None:
    first, again, other = (dataset_from_store(world, seed=seed) for seed in (0, 0, 1))
    assert all(torch.equal(first.part(name), again.part(name)) for name in PARTS)
    assert first.vocabulary == again.vocabulary == other.vocabulary
    assert not torch.equal(first.test, other.test)


def test_a_small_graph_gives_what_it_can(tmp_path: Path) -> None:
    data = dataset_from_store(store_of(tmp_path, ":a :p :b . :b :p :c . :c :q :d ."), valid=0.3, test=0.3)
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
    data = dataset_from_store(world, seed=seed)
    assert len(data.test) > 200
    assert given_away(data) == []


def test_without_the_guard_it_would(world: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(from_store, "twins", lambda facts, vocabulary, schema: np.arange(len(facts)))
    data = dataset_from_store(world)
    leaks = given_away(data)
    assert len(leaks) > 0.1 * len(data.test)
    assert any(relation == "borders" for _, relation, _ in leaks)


# Facts as ids


def test_a_relation_of_one_fact_stays_in_train() -> None:
    """Its ends have facts enough; nothing else of it could be learnt."""
    around = [[i, 0, (i + step) % 12] for i in range(12) for step in (1, 2, 3)]
    facts = np.array([*around, [0, 1, 6]])
    for seed in range(30):
        part = hold_out(facts, np.arange(len(facts)), 12, 2, (0.3, 0.3), seed)
        assert part[-1] == 0 and (part > 0).any()


def test_loops_say_nothing_of_symmetry() -> None:
    """A loop is its own mirror: twenty of them beside five facts, two of which mirror each other, make no twins."""
    others = [[0, 0, 1], [1, 0, 0], [2, 0, 3], [3, 0, 4], [4, 0, 5]]
    facts = np.array([*others, *([i, 0, i] for i in range(20))])
    group = twins(facts, Vocabulary([f"e{i}" for i in range(20)], ["p"]), Schema())
    assert group[0] != group[1] and len(set(group.tolist())) == len(facts)


def one_after_the_other(
    facts: np.ndarray, group: np.ndarray, num_entities: int, num_relations: int, shares: tuple[float, float], seed: int
) -> np.ndarray:
    """hold_out as it is said: groups in a random order, test first, each that leaves something of every name."""
    part = np.zeros(len(facts), dtype=np.int64)
    names = np.stack([facts[:, 0], facts[:, 2], facts[:, 1] + num_entities], 1)
    left = np.bincount(names.reshape(-1), minlength=num_entities + num_relations)
    wanted = {number: round(share * len(facts)) for number, share in zip((2, 1), reversed(shares), strict=True)}
    for chosen in np.random.default_rng(seed).permutation(group.max() + 1):
        number = 2 if wanted[2] > 0 else 1
        if wanted[number] <= 0:
            break
        held = group == chosen
        after = left - np.bincount(names[held].reshape(-1), minlength=len(left))
        if (after[names[held]] > 0).all():
            left, part[held] = after, number
            wanted[number] -= held.sum()
    return part


@pytest.mark.parametrize("shares", [(0.1, 0.2), (0.3, 0.0), (0.0, 0.3), (0.45, 0.45), (0.0, 0.0)])
@pytest.mark.parametrize("at_once", [1, 7, 1000])
def test_what_is_held_out_at_once_is_what_is_one_after_the_other(
    shares: tuple[float, float], at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splitting, "_AT_ONCE", at_once)
    generator = np.random.default_rng(0)
    for seed in range(5):
        facts = (generator.random((120, 3)) ** 2 * (60, 5, 60)).astype(np.int64)  # some names are scarce
        group = np.unique(generator.integers(90, size=120), return_inverse=True)[1]
        expected = one_after_the_other(facts, group, 60, 5, shares, seed)
        assert hold_out(facts, group, 60, 5, shares, seed).tolist() == expected.tolist()
