"""Directories that change by whole generations."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kg import files, generations
from kg.errors import UserError


def publish(root: Path, text: str) -> Path:
    with generations.write(root) as draft:
        (draft.path / "deep").mkdir()
        (draft.path / "deep" / "text").write_text(text)
        generations.write_manifest(draft.path, {"text": text})
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
        assert (draft.number, draft.previous) == (1, None)
    with generations.write(tmp_path / "a") as draft:
        assert (draft.number, draft.previous) == (2, tmp_path / "a" / "1")


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
    with (
        generations.write(root),
        pytest.raises(UserError, match=f"the store is in use by process {os.getpid()}"),
        generations.write(root),
    ):
        pass
    with generations.write(root):
        pass


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


def test_a_flipped_byte_is_named(tmp_path: Path) -> None:
    generation = publish(tmp_path / "a", "hello")
    generations.verify(generation)
    (generation / "deep" / "text").write_text("hellp")
    with pytest.raises(UserError, match=r"deep/text is damaged"):
        generations.verify(generation)
    generations.verify(generation, under="elsewhere/")
    (generation / "deep" / "text").unlink()
    with pytest.raises(UserError, match=r"deep/text is missing"):
        generations.verify(generation)


@pytest.mark.parametrize("text", ["", "[]", "{}", "{", '{"files": 3}'])
def test_a_damaged_manifest_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UserError, match=r"manifest\.json"):
        generations.read_manifest(tmp_path)


def test_a_carried_file_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "a"
    first = publish(root, "hello")
    digest = generations.sha256
    read = []
    monkeypatch.setattr(generations, "sha256", lambda path: (read.append(path.name), digest(path))[1])
    with generations.write(root) as draft:
        (draft.path / "deep").mkdir()
        generations.carry(first / "deep" / "text", draft.path / "deep" / "text")
        (draft.path / "more").write_text("more")
        generations.write_manifest(draft.path, {}, previous=draft.previous)
    assert read == ["more"]
    generations.verify(generations.current(root))
