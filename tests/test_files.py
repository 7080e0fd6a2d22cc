"""Compressed streams, and files that are written whole or not at all."""

import gzip
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kg import files
from kg.errors import UserError


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.tsv", ".tsv"), ("a.b.TSV.GZ", ".tsv"), ("a.nt.zst", ".nt"), ("a.gz", ""), ("a", ""), (".gz", "")],
)
def test_the_suffix_before_that_of_a_compression(name: str, suffix: str) -> None:
    assert files.suffix_of(Path(name)) == suffix


@pytest.mark.parametrize("compression", ["", *files.COMPRESSIONS])
def test_lines_come_back(tmp_path: Path, compression: str) -> None:
    path = tmp_path / f"a.txt{compression}"
    assert files.write_lines(path, ["Zürich", "b"]) == 2
    assert b"".join(files.chunks(path)) == "Zürich\nb\n".encode()
    assert (path.read_bytes() == "Zürich\nb\n".encode()) == (not compression)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"

    def lines() -> Iterator[str]:
        yield "new"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        files.write_lines(path, lines())
    assert list(tmp_path.iterdir()) == []
    files.write_text(path, "old")
    with pytest.raises(ZeroDivisionError):
        files.write_lines(path, lines())
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x80\x04}q\x00.", "can't decode byte 0x80"),
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b"[NaN]", "NaN is no number of JSON"),
        (b'["\\ud800"]', "half of a surrogate pair"),
        (b"[" * 100_000 + b"]" * 100_000, "nested deeper than 100 levels"),
        (b'{"a":' * 101 + b"1" + b"}" * 101, "nested deeper than 100 levels"),
        (b"9" * 5000, "Exceeds the limit"),
    ],
)
def test_what_is_no_json_is_refused_in_one_line(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"a\.json is no JSON that can be read: .*{reason}") as caught:
        files.read_json(path)
    assert str(caught.value).isprintable()


def test_json_is_read_up_to_its_greatest_depth(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[["Zürich \\ud83d\\ude00"]]', encoding="utf-8")
    assert files.read_json(path) == [["Zürich \N{GRINNING FACE}"]]
    path.write_text("[" * 100 + "]" * 100 + " " * 100)
    assert str(files.read_json(path)) == "[" * 100 + "]" * 100
    path.write_text(str([[1]] * 200))  # many, and not deep
    assert files.read_json(path) == [[1]] * 200
    with pytest.raises(UserError, match="nowhere: No such file"):
        files.read_json(tmp_path / "nowhere")


KILLED = """
import os, signal, sys
from pathlib import Path
from kg.files import replacing
with replacing(Path(sys.argv[1])) as stream:
    stream.write(b"half")
    stream.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_writer_leaves_is_known_and_removed(tmp_path: Path) -> None:
    path, other = tmp_path / "a.txt", tmp_path / ".1.b.a.txt"
    files.write_text(path, "old")
    other.touch()
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    (left,) = set(tmp_path.iterdir()) - {path, other}
    assert files.is_unfinished(left, "a.txt")
    files.remove(path)
    assert list(tmp_path.iterdir()) == [other]


def test_all_is_on_disk_before_the_name_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = []
    replace = Path.replace

    def noted_replace(path: Path, target: Path) -> Path:
        events.append(f"-> {target.name}")
        return replace(path, target)

    monkeypatch.setattr(files, "to_disk", lambda path: events.append(path.name))
    monkeypatch.setattr(Path, "replace", noted_replace)
    files.write_text(tmp_path / "a.txt", "text")
    assert events == [f".{os.getpid()}.a.txt", "-> a.txt", tmp_path.name]


def test_what_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere/a\.txt: No such file or directory$"):
        files.write_text(tmp_path / "nowhere" / "a.txt", "text")
    with pytest.raises(UserError, match="a directory: expected a file to write"):
        files.write_text(tmp_path, "text")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="pipe: a device: expected a file to write"):
        files.write_text(tmp_path / "pipe", "text")


def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="pipe: expected a regular file"):
        next(files.chunks(tmp_path / "pipe"))


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"], ids=["empty", "a byte order mark"])
def test_a_file_of_nothing_has_no_chunks(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    assert list(files.chunks(tmp_path / "a")) == []
    (tmp_path / "a.gz").write_bytes(gzip.compress(content))
    assert list(files.chunks(tmp_path / "a.gz")) == []


@pytest.mark.parametrize("compression", files.COMPRESSIONS)
def test_no_bytes_at_all_are_no_compressed_file(tmp_path: Path, compression: str) -> None:
    path = tmp_path / f"a{compression}"
    path.touch()
    with pytest.raises(UserError, match=rf"a{compression}: the {compression} file is cut short"):
        list(files.chunks(path))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("compression", ["", ".gz"])
def test_another_encoding_is_named(tmp_path: Path, encoding: str, compression: str) -> None:
    with files.replacing(tmp_path / f"a{compression}") as stream:
        stream.write("<http://e/a>".encode(encoding))
    with pytest.raises(UserError, match=r"a(\.gz)?: the text is UTF-16 or UTF-32, by its first bytes: expected UTF-8"):
        list(files.chunks(tmp_path / f"a{compression}"))
