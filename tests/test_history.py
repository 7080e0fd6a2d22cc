"""The states that a store keeps: how many, what made them, what they cost, and in which facts two of them differ."""

import json
from pathlib import Path
from typing import Any

import pytest
from pyoxigraph import DefaultGraph, Literal, NamedNode, Quad
from seen import Seen

from kg import generations
from kg.errors import UserError
from kg.manifest import MANIFEST, own_bytes, read_manifest, write_manifest
from kg.store import draft
from kg.store.history import FIRST, Compared, Generation, compare, history
from kg.store.store import Store

EX = "http://example.org/"


def fact(number: int, graph: str | None = None) -> Quad:
    name = NamedNode(EX + graph) if graph else DefaultGraph()
    return Quad(NamedNode(f"{EX}e{number}"), NamedNode(EX + "p"), NamedNode(f"{EX}e{number + 1}"), name)


def changed(path: Path, **changes: Any) -> None:
    """The manifest of the published generation says something else, and agrees with its checksum."""
    directory = generations.current(path)
    manifest = read_manifest(directory)
    (directory / MANIFEST).unlink()
    write_manifest(
        directory, {**{name: manifest[name] for name in manifest if name not in ("files", "crc32")}, **changes}
    )


def test_what_made_each(tmp_path: Path) -> None:
    path, file = tmp_path / "a.kg", tmp_path / "some.nt"
    file.write_text("".join(f"<{EX}e{i}> <{EX}p> <{EX}e{i + 1}> .\n" for i in range(3)))
    with Store(path, create=True) as store:
        store.load([file] * 25)
        store.add([fact(7), fact(0)])
        store.remove_files(file)
        store.replace({EX + "g": [fact(1), fact(2)]}, by="publish")
        store.replace_files(file)
        store.remove_graph(EX + "g")
    generations.restore(path, 1)
    found = history(path)
    assert [(each.number, each.published, each.facts, each.by, each.added, each.removed) for each in found] == [
        (7, True, 3, "restore", None, None),
        (6, False, 3, "remove", 0, 2),
        (5, False, 5, "replace", 3, 1),
        (4, False, 3, "publish", 2, 0),
        (3, False, 1, "remove", 0, 3),
        (2, False, 4, "add", 1, 0),
        (1, False, 3, "load", 3, 0),
    ]
    assert [each.of for each in found[:4]] == [("1",), (EX + "g",), ("some.nt",), (EX + "g",)]
    assert found[-1].of == ("some.nt",) * 20 and found[-1].others == 5
    times = [each.at or "" for each in found]
    assert times == sorted(times, reverse=True) and all(each.endswith("+00:00") for each in times)


def test_ten_stay_and_the_oldest_goes(tmp_path: Path) -> None:
    with Store(tmp_path / "a.kg", create=True) as store:
        for number in range(12):
            store.add([fact(number)])
    assert draft.HISTORY == 10 and [each.number for each in history(tmp_path / "a.kg")] == list(range(12, 2, -1))
    with Store(tmp_path / "a.kg", generation=3) as store:
        assert store.count() == 3
        store.verify()


def test_old_ones_take_no_more_disk_than_the_published_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With files of three sizes, none of them shared: two stay whatever they take."""
    monkeypatch.setattr(generations, "ROOM", 0)
    path = tmp_path / "a"

    def written(size: int, keep: int) -> list[int]:
        with generations.write(path, keep=keep) as new:
            (new.path / "file").write_bytes(bytes(size))
            new.finish({})
        return [generations.number(each) for each in generations.numbered(path)]

    assert written(100_000, 10) == [1]
    assert written(10_000, 10) == [2, 1]
    assert written(10_000, 10) == [3, 2]  # 1 would take ten times what 3 does
    assert written(50_000, 10) == [4, 3, 2]
    assert written(50_000, 10) == [5, 4]  # 4, 3 and 2 would take 70,000
    monkeypatch.setattr(generations, "ROOM", 1 << 20)
    assert written(10, 10) == [6, 5, 4]
    assert written(10, 2) == [7, 6]


def test_shared_files_are_counted_once(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "2" / "sub").mkdir(parents=True)
    (tmp_path / "1" / "old").write_bytes(bytes(30))
    (tmp_path / "1" / "shared").write_bytes(bytes(500))
    (tmp_path / "2" / "sub" / "shared").hardlink_to(tmp_path / "1" / "shared")
    (tmp_path / "2" / "twin").hardlink_to(tmp_path / "1" / "shared")
    (tmp_path / "2" / "new").write_bytes(bytes(7))
    assert own_bytes([tmp_path / "2", tmp_path / "1"]) == [507, 30]
    assert own_bytes([tmp_path / "2", tmp_path / "gone"]) == [507, 0]


def test_old_ones_can_be_dropped_but_for_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.kg"
    with Store(path, create=True) as store:
        for number in range(5):
            store.add([fact(number)])
    with Store(path, generation=2) as reader:
        assert generations.drop(path, 3) == [1]
        assert generations.drop(path, 1) == [4, 3]
        assert reader.count() == 2
        assert [each.number for each in history(path)] == [5, 2]
    assert generations.drop(path, 1) == [2]
    assert generations.drop(path, 1) == []
    for keep in (0, -3):
        with pytest.raises(UserError, match="keep must be at least 1"):
            generations.drop(path, keep)
    with pytest.raises(UserError, match="is no store"):
        generations.drop(tmp_path / "none", 1)
    assert not (tmp_path / "none").exists()
    with Store(path) as store:
        assert store.count() == 5
        store.verify()


def test_where_the_published_one_is_lost_nothing_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "a.kg"
    with Store(path, create=True) as store:
        for number in range(3):
            store.add([fact(number)])
    (path / "CURRENT").write_text("9\n")
    with pytest.raises(UserError, match="CURRENT names this generation and it is not there"):
        generations.drop(path, 1)
    assert {each.name for each in path.iterdir()} == {"CURRENT", "LOCK", "1", "2", "3"}


def test_a_store_of_an_older_version_and_what_others_wrote(tmp_path: Path) -> None:
    path = tmp_path / "a.kg"
    with Store(path, create=True) as store:
        store.add([fact(0)])
    changed(path, made=["x"])
    assert history(path)[0] == Generation(1, True, history(path)[0].bytes, 1)
    changed(path, made={"at": 5, "by": "\x1b[6n", "of": [1, {}], "added": True, "removed": "9", "others": 1.5})
    assert history(path)[0] == Generation(1, True, history(path)[0].bytes, 1, by="\x1b[6n", of=("1", "{}"))
    with Store(path) as store:
        store.add([fact(1)])
    (path / "1" / MANIFEST).write_text("{")
    found = history(path)
    assert [each.facts for each in found] == [2, None] and "manifest.json" in (found[1].damaged or "")


# ---- two of them


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Generation 1 holds 15 facts; 2 a text more and three facts less; 3 is 1 once more."""
    path = tmp_path / "a.kg"
    with Store(path, create=True) as store:
        store.add([*(fact(number) for number in range(13)), fact(0, "g"), fact(1, "g")])
        text = Quad(NamedNode(EX + "e0"), NamedNode(EX + "p"), Literal('a\n"b"', language="en"))
        store.replace({EX + "g": [Quad(text.subject, text.predicate, text.object), fact(1)]})
        store.remove([fact(3), fact(4)])
    generations.restore(path, 1)
    return Store(path)


def test_two_generations_by_hand(store: Store, tmp_path: Path) -> None:
    seen = Seen()
    found = compare(store.path, 1, 3, progress=seen)
    text = f'<{EX}e0> <{EX}p> "a\\n\\"b\\""@en <{EX}g> .'
    assert (found.old, found.new, found.added, found.removed, found.unchanged) == (1, 3, 1, 3, 12)
    assert found.first_added == [text]
    in_g = f"<{EX}e0> <{EX}p> <{EX}e1> <{EX}g> ."
    assert sorted(found.first_removed) == sorted([in_g, *(f"<{EX}e{i}> <{EX}p> <{EX}e{i + 1}> ." for i in (3, 4))])
    assert seen.told[-1] == ("facts compared", 15 + 13, 15 + 13)
    back = compare(store.path, 3)
    assert back == Compared(3, 4, 3, 1, 12, found.first_removed, [text])


def test_one_that_was_restored_is_the_same(store: Store) -> None:
    seen = Seen()
    assert compare(store.path, 1, 4, progress=seen) == Compared(1, 4, 0, 0, 15, [], [])
    assert seen.told == []  # its files are the same: nothing was read
    assert compare(store.path, 4) == Compared(4, 4, 0, 0, 15, [], [])


def test_a_difference_in_files_leads_from_one_to_the_other(store: Store, tmp_path: Path) -> None:
    added, removed = tmp_path / "added.trig", tmp_path / "removed.nq.gz"
    compare(store.path, 3, 1, added=added, removed=removed)
    store.close()
    with Store(store.path) as now, Store(store.path, generation=3) as before:
        target = set(before.match())
        assert now.remove_files(added).removed == 3
        assert now.load(removed).added == 1
        assert set(now.match()) == target
    with pytest.raises(UserError, match="holds no named graph"):
        compare(store.path, 3, 1, added=tmp_path / "added.nt")
    assert not (tmp_path / "added.nt").exists()


def test_the_first_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.kg"
    with Store(path, create=True) as store:
        store.add([fact(0)])
        store.add(fact(number) for number in range(1, 30_000))
        store.remove(fact(number) for number in range(500))
    found = compare(path, 1, 2)
    assert (found.added, found.removed, found.unchanged) == (29_999, 0, 1)
    assert len(set(found.first_added)) == FIRST == 10 and found.first_removed == []
    found = compare(path, 2, 3)
    assert (found.added, found.removed, found.unchanged) == (0, 500, 29_500)
    found = compare(path, 3, 1, added=tmp_path / "all.nt")
    assert (found.added, found.removed, found.unchanged) == (1, 29_500, 0)


@pytest.mark.parametrize(("old", "new"), [(9, None), (1, 9), (0, None), (-1, None)])
def test_generations_that_are_not_there(store: Store, old: int, new: int | None) -> None:
    with pytest.raises(UserError, match="is not there any more"):
        compare(store.path, old, new)


def test_history_is_json(store: Store) -> None:
    assert json.loads(json.dumps([vars(each) for each in history(store.path)]))[0]["by"] == "restore"
