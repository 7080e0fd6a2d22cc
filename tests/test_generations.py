"""Directories that change by whole generations."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kg import files, generations
from kg.errors import UserError
from kg.manifest import read_manifest, verify


def publish(root: Path, text: str) -> Path:
    with generations.write(root) as draft:
        (draft.path / "deep").mkdir()
        (draft.path / "deep" / "text").write_text(text)
        draft.finish({"text": text})
    return generations.current(root)


def text_of(generation: Path) -> str:
    return (generation / "deep" / "text").read_text()


def test_a_write_publishes_the_next_number_and_two_stay(tmp_path: Path) -> None:
    root = tmp_path / "some" / "world.kg"
    for count in range(1, 5):
        generation = publish(root, f"text {count}")
        assert generations.number(generation) == count
        assert text_of(generation) == f"text {count}"
    assert {entry.name for entry in root.iterdir()} == {"CURRENT", "LOCK", "3", "4"}
    assert (root / "CURRENT").read_text() == "4\n"


def test_the_draft_knows_what_it_follows(tmp_path: Path) -> None:
    with generations.write(tmp_path / "a") as draft:
        assert (draft.number, draft.previous, draft.before) == (1, None, {})
        draft.finish({"said": 1})
    with generations.write(tmp_path / "a") as draft:
        assert (draft.number, draft.previous) == (2, tmp_path / "a" / "1")
        assert draft.before == {"said": 1, "files": {}, "crc32": {}}


def test_a_copied_directory_works(tmp_path: Path) -> None:
    publish(tmp_path / "a", "hello")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    shutil.rmtree(tmp_path / "a")
    assert text_of(generations.current(tmp_path / "b")) == "hello"
    assert generations.number(publish(tmp_path / "b", "next")) == 2


def test_a_failed_write_changes_nothing(tmp_path: Path) -> None:
    root = tmp_path / "a"
    publish(root, "old")
    with pytest.raises(ZeroDivisionError), generations.write(root) as draft:
        (draft.path / "half").write_text("half")
        raise ZeroDivisionError
    assert {entry.name for entry in root.iterdir()} == {"CURRENT", "LOCK", "1"}
    assert text_of(generations.current(root)) == "old"


def test_a_failed_first_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), generations.write(tmp_path / "a"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_write_left_goes_at_the_next(tmp_path: Path) -> None:
    root = tmp_path / "a"
    publish(root, "old")
    for name in ("2", "7.0a1b.draft", "1.0a1b.gone.draft"):
        (root / name / "rdf").mkdir(parents=True)
        (root / name / "rdf" / "bulk-1.sst").write_text("half")
    (root / ".123.CURRENT").write_text("2")
    assert text_of(publish(root, "new")) == "new"
    assert {entry.name for entry in root.iterdir()} == {"CURRENT", "LOCK", "1", "2"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "there is no such directory"),
        (lambda path: path.write_text("hello"), "it is a file"),
        (lambda path: path.mkdir(), "it has no file CURRENT"),
        (lambda path: (path.mkdir(), (path / "CURRENT").write_text("../x\n")), "should hold a number"),
        (lambda path: (path.mkdir(), (path / "CURRENT").write_bytes(b"\xff")), "cannot be read"),
        (lambda path: (path.mkdir(), (path / "CURRENT").mkdir()), "cannot be read"),
        (lambda path: (path.mkdir(), (path / "CURRENT").write_text("3\n")), "cannot be opened"),
    ],
)
def test_what_is_no_store_is_said(tmp_path: Path, make, message: str) -> None:
    make(tmp_path / "a")
    with pytest.raises(UserError, match=message):
        generations.Reader(tmp_path / "a")


def test_the_noun_is_the_callers(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a is no model: "):
        generations.current(tmp_path / "a", noun="model")


def test_a_directory_of_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match=r"it holds other files, such as thesis\.tex"), generations.write(tmp_path):
        pass
    with pytest.raises(UserError, match="it is a file"), generations.write(tmp_path / "thesis.tex"):
        pass
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    root = tmp_path / "a"
    publish(root, "old")
    with (
        pytest.raises(UserError, match=f"the store is in use by process {os.getpid()}"),
        generations.write(root),
        generations.write(root),
    ):
        pass
    assert text_of(publish(root, "new")) == "new"


HOLDER = """
import sys, time
from pathlib import Path
from kg import files, generations
with generations.write(Path(sys.argv[1]), noun="model") as draft:
    (draft.path / "half").write_text("half")
    print("ready", flush=True)
    time.sleep(600)
"""


def test_a_dead_holder_does_not_block(tmp_path: Path) -> None:
    root = tmp_path / "a"
    publish(root, "old")
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(root)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"ready\n"
        with pytest.raises(UserError, match=f"in use by process {holder.pid}"), generations.write(root):
            pass
        assert text_of(generations.current(root)) == "old"
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert text_of(publish(root, "new")) == "new"
    assert {entry.name for entry in root.iterdir()} == {"CURRENT", "LOCK", "1", "2"}


def test_a_reader_keeps_its_generation(tmp_path: Path) -> None:
    root = tmp_path / "a"
    publish(root, "1")
    with generations.Reader(root) as reader:
        for count in range(2, 6):
            publish(root, str(count))
        assert text_of(reader.path) == "1"
        assert {entry.name for entry in root.iterdir()} == {"CURRENT", "LOCK", "1", "4", "5"}
    publish(root, "6")
    assert {entry.name for entry in root.iterdir()} == {"CURRENT", "LOCK", "5", "6"}


def test_a_reader_follows_when_current_moves_under_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "a"
    publish(root, "1")
    shared = generations._shared
    opened = []

    def overtaken(generation: Path) -> int:
        if not opened:
            publish(root, "2")
            publish(root, "3")
        opened.append(generation.name)
        return shared(generation)

    monkeypatch.setattr(generations, "_shared", overtaken)
    with generations.Reader(root) as reader:
        assert text_of(reader.path) == "3"
    assert opened == ["1", "3"]


def test_everything_is_on_disk_before_current_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "a"
    publish(root, "old")
    events = []
    to_disk, replace = files.to_disk, Path.replace

    def noted(path: Path) -> None:
        events.append(path.name)
        to_disk(path)

    def noted_replace(path: Path, target: Path) -> Path:
        events.append(f"replace {target.name}")
        return replace(path, target)

    monkeypatch.setattr(generations, "to_disk", noted)
    monkeypatch.setattr(files, "to_disk", noted)
    monkeypatch.setattr(Path, "replace", noted_replace)
    publish(root, "new")
    moved = events.index("replace CURRENT")
    assert {"text", "deep", "manifest.json", "a", f".{os.getpid()}.CURRENT"} <= set(events[:moved])
    assert any(name.endswith(".draft") for name in events[:moved])
    assert events[moved + 1 :] == ["a"]


# What was lost or damaged


def two(root: Path) -> Path:
    publish(root, "old")
    publish(root, "new")
    return root


def damage(generation: Path) -> None:
    (generation / "deep" / "text").write_text("damaged")


def test_a_lost_CURRENT_is_no_empty_place(tmp_path: Path) -> None:
    """The next write would have taken all generations for leftovers."""
    root = two(tmp_path / "a")
    (root / "CURRENT").unlink()
    with pytest.raises(UserError, match=r"has lost its file CURRENT: kg restore .* publishes the newest"):
        publish(root, "newer")
    with pytest.raises(UserError, match=r"has no file CURRENT: kg restore"):
        generations.current(root)
    assert {entry.name for entry in root.iterdir()} >= {"1", "2"}


def test_a_CURRENT_that_names_nothing_costs_no_generation(tmp_path: Path) -> None:
    root = two(tmp_path / "a")
    (root / "CURRENT").write_text("9\n")
    with pytest.raises(UserError, match=r"a/9: CURRENT names this generation and it is not there: kg restore"):
        publish(root, "newer")
    assert {entry.name for entry in root.iterdir()} >= {"1", "2"}


def test_what_a_check_finds(tmp_path: Path) -> None:
    root = two(tmp_path / "a")
    assert generations.check(root) == generations.Findings(root / "2", 1, 3, [], [])
    (root / "2" / "stray").touch()
    damage(root / "2")
    (root / "3").mkdir()
    found = generations.check(root)
    assert (found.generation, found.files) == (root / "2", 1)
    assert [line.split(":")[0] for line in found.damaged] == [f"{root}/2/deep/text is damaged"]
    assert [line.split(":")[0] for line in found.strays] == [
        f"{root}/2/stray is a stray",
        f"{root}/3 is newer than what CURRENT names",
    ]
    (root / "2" / "manifest.json").write_text("{}")
    assert generations.check(root).damaged == [f"{root}/2/manifest.json is no manifest: it lists no files"]
    (root / "CURRENT").write_text("x")
    found = generations.check(root)
    assert found.generation is None and "CURRENT should hold a number" in found.damaged[0]
    with pytest.raises(UserError, match="there is no such directory"):
        generations.check(tmp_path / "none")


@pytest.mark.parametrize(
    ("broken", "following"),
    [
        (lambda root: damage(root / "2"), 3),
        (lambda root: (root / "2" / "manifest.json").write_text("{"), 3),
        (lambda root: (root / "2" / "manifest.json").unlink(), 3),
        (lambda root: shutil.rmtree(root / "2"), 3),  # which CURRENT still names
        (lambda root: (damage(root / "2"), (root / "CURRENT").write_bytes(b"\xff")), 3),
    ],
)
def test_the_newest_whole_generation_is_restored(tmp_path: Path, broken: Callable[[Path], Any], following: int) -> None:
    root = two(tmp_path / "a")
    first = read_manifest(root / "1")
    broken(root)
    assert generations.newest_whole(root) == root / "1"
    assert generations.restore(root) == generations.Restored(1, following)
    now = generations.current(root)
    assert (now.name, text_of(now)) == (str(following), "old")
    restored = read_manifest(now)
    how = restored["made"]
    assert how == {"at": how["at"], "by": "restore", "of": ["1"], "others": 0}
    assert {**restored, "sha256": 0} == {**first, "sha256": 0, "restored": 1, "made": how} and restored["text"] == "old"
    verify(now)
    assert {entry.name for entry in root.iterdir()} <= {"CURRENT", "LOCK", "1", str(following), str(following - 1)}
    assert text_of(publish(root, "newer")) == "newer" and generations.current(root).name == str(following + 1)


def test_a_generation_is_gone_back_to(tmp_path: Path) -> None:
    root = two(tmp_path / "a")
    restored = generations.restore(root, 1)
    assert (restored.generation, text_of(generations.current(root))) == (3, "old")


def test_a_lost_CURRENT_is_restored(tmp_path: Path) -> None:
    root = two(tmp_path / "a")
    (root / "CURRENT").unlink()
    assert generations.restore(root) == generations.Restored(2, 3)
    assert text_of(generations.current(root)) == "new"


def test_what_is_not_restored(tmp_path: Path) -> None:
    root = two(tmp_path / "a")
    for wanted, message in (
        (None, r"a/2 is whole: name an older generation to go back to it; there is 1"),
        (2, r"a/2 is the published generation; there is 1"),
        (7, r"a/7 is not there; there is 1"),
    ):
        with pytest.raises(UserError, match=message):
            generations.restore(root, wanted)
    damage(root / "1")
    with pytest.raises(UserError, match=r"a/1/deep/text is damaged"):
        generations.restore(root, 1)
    damage(root / "2")
    with pytest.raises(UserError, match=r"a: no older generation is whole: nothing can be restored"):
        generations.restore(root)
    (root / "CURRENT").unlink()
    with pytest.raises(UserError, match=r"a: no generation is whole: nothing can be restored"):
        generations.restore(root)
    assert {entry.name for entry in root.iterdir()} == {"1", "2"}
    with pytest.raises(UserError, match="is no store: there is no such directory"):
        generations.restore(tmp_path / "none")
    with generations.write(two(tmp_path / "b")) as draft:
        draft.finish({})
        with pytest.raises(UserError, match="in use by process"):
            generations.restore(tmp_path / "b")


DEADLY = """
import os, signal, sys
from pathlib import Path
from kg import generations

name = sys.argv[2]
owner = generations.Draft if name == "carry" else Path
original = getattr(owner, name)
def deadly(*arguments):
    if sys.argv[3] == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    original(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(owner, name, deadly)
"""
RESTORER = f"{DEADLY}generations.restore(Path(sys.argv[1]))"
WRITER = f"""{DEADLY}
with generations.write(Path(sys.argv[1])) as draft:
    (draft.path / "deep").mkdir()
    (draft.path / "deep" / "text").write_text("first")
    draft.finish({{}})
"""


@pytest.mark.parametrize(
    ("name", "when", "published"), [("rename", "before", False), ("rename", "after", True), ("replace", "before", True)]
)
def test_a_first_write_that_is_killed(tmp_path: Path, name: str, when: str, published: bool) -> None:
    """Nothing, or all of it: where generation 1 has its name and CURRENT is not written yet, that one counts."""
    root = tmp_path / "a"
    killed = subprocess.run([sys.executable, "-c", WRITER, str(root), name, when])
    assert killed.returncode == -signal.SIGKILL and not (root / "CURRENT").exists()
    assert generations.is_begun(root) == published
    if published:
        assert text_of(generations.current(root)) == "first" and not generations.check(root).damaged
    assert publish(root, "newer").name == ("2" if published else "1")
    assert text_of(generations.current(root)) == "newer" and not list(root.glob("*.draft"))


def test_a_first_write_that_cannot_be_published_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(generations, "write_lines", full)
    with pytest.raises((OSError, UserError)):
        publish(tmp_path / "a", "first")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("lost", [False, True], ids=["damaged", "CURRENT lost"])
@pytest.mark.parametrize(
    ("name", "when", "number"),
    [("carry", "after", 2), ("rename", "after", 2), ("replace", "before", 2), ("replace", "after", 3)],
)
def test_a_restore_that_is_killed(tmp_path: Path, name: str, when: str, number: int, lost: bool) -> None:
    """The state before it, which can still be restored, or the one after."""
    root = two(tmp_path / "a")
    damage(root / "2")
    if lost:
        (root / "CURRENT").unlink()
    killed = subprocess.run([sys.executable, "-c", RESTORER, str(root), name, when])
    assert killed.returncode == -signal.SIGKILL
    if number == 2:
        if lost:
            assert not (root / "CURRENT").exists()
        else:
            assert generations.current(root).name == "2"
        generations.restore(root)
    assert text_of(generations.current(root)) == "old"
    assert generations.check(root).damaged == generations.check(root).strays == []
    assert text_of(publish(root, "newer")) == "newer" and not list(root.glob("*.draft"))
