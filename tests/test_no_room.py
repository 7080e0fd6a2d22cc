"""Where nothing more can be written: one line that says what was not, and the state of before."""

import errno
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib  # noqa: F401  which looks for semaphores on import: they are files
import optuna  # noqa: F401
import pytest
from commands import done, refused, run
from safetensors import SafetensorError

from kg import bundle
from kg.bundle import Bundle
from kg.errors import UserError
from kg.files import replacing
from kg.store.store import Store

FULL = os.strerror(errno.ENOSPC)


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """Of this process, and of the workers that it starts: to write on is an OSError, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("facts", [5_000, 30_000])  # one by one, and as a bulk
@pytest.mark.parametrize("size", [0, 1000, 20_000])
def test_a_load(tmp_path: Path, facts: int, size: int) -> None:
    store, file = tmp_path / "s.kg", tmp_path / "many.nt"
    with Store(store, create=True) as opened:
        (tmp_path / "one.nt").write_text("<urn:a> <urn:p> <urn:b> .\n")
        opened.load(tmp_path / "one.nt")
    file.write_text("".join(f"<urn:{i}> <urn:p> <urn:{i + 1}> .\n" for i in range(facts)))
    with no_file_above(size):
        line = refused("load", store, file)
    assert line == f"error: {store}: the store was not written and is as it was: {os.strerror(errno.EFBIG)}"
    assert sorted(each.name for each in store.iterdir()) == ["1", "CURRENT", "LOCK"]
    with Store(store) as opened:
        opened.verify()
        assert opened.count() == 1
        assert opened.load(file).added == facts


def test_a_training(country_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise SafetensorError(f"Error while serializing: I/O error: {FULL} (os error 28)")

    model, train = tmp_path / "m", ("--dim", 4, "--epochs", 1)
    with monkeypatch.context() as patch:
        patch.setattr(bundle, "save_file", full)
        ran = run("train", country_store, model, *train)
        assert ran.code == 1 and ran.stderr.endswith(f"\nerror: {model}: the model was not written: {FULL}\n")
        assert not model.exists()
    done("train", country_store, model, *train)
    before = Bundle.load(model).sha256
    monkeypatch.setattr(bundle, "save_file", full)
    line = refused("train", country_store, model, "--resume", "--epochs", 3)
    assert line == f"error: {model}: the model was not written and is as it was: {FULL}"
    assert Bundle.load(model).sha256 == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("complete", "--top", 50, "-o", "best.jsonl"),
        ("evaluate", "--plot", "plot.png"),
        ("evaluate", "--plot", "plot.svg"),
        ("export", "vectors.npz"),
        ("export", "vectors.tsv"),
        ("explain", "ex:c1", "ex:borders", "ex:c2", "--svg", "why.svg"),
        ("rules", "-o", "rules.tsv"),
    ],
    ids=str,
)
def test_a_file(country_store: Path, country_model: Path, tmp_path: Path, arguments: tuple[object, ...]) -> None:
    name, *options, file = arguments
    options = [str(option).replace("ex:", "http://example.org/") for option in options]
    path = tmp_path / str(file)
    source = country_store if name == "rules" else country_model
    done(name, source, *options, path)  # compiled loops are files, too
    path.unlink()
    with no_file_above(16):
        line = refused(name, source, *options, path)
    assert line == f"error: {path}: {os.strerror(errno.EFBIG)}"
    assert not list(tmp_path.iterdir())


def test_a_study(country_store: Path, tmp_path: Path) -> None:
    with no_file_above(16):
        line = refused("tune", country_store, tmp_path / "t", "--model", "distmult", "--trials", 1, "--epochs", 1)
    assert line.startswith(f"error: {tmp_path / 't' / 'study.db'}: ")


def test_an_error_of_another_file_names_that_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"other: No such file or directory$"), replacing(tmp_path / "out"):
        (tmp_path / "other").read_bytes()
    with pytest.raises(UserError, match=rf"out: {FULL}$"), replacing(tmp_path / "out"):
        raise OSError(errno.ENOSPC, FULL)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes.")]
)
def test_too_little_memory_is_one_line(error: Exception, country_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(Store, "counts", fail)
    assert refused("info", country_store).startswith("error: there is not enough memory: ")


def test_a_defect_stays_one(country_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(Store, "counts", fail)
    with pytest.raises(RuntimeError, match="a defect"):
        run("info", country_store)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names of files are UTF-8")
def test_names_that_are_no_utf_8(country_store: Path, tmp_path: Path) -> None:
    """Files work; a path that a database or an array must be opened at again is refused in one line."""
    odd = tmp_path / os.fsdecode(b"caf\xe9")
    facts = odd.with_suffix(".nt")
    facts.write_text("<urn:a> <urn:p> <urn:b> .\nbad\n")
    assert "caf\\xe9.nt:2:" in refused("load", tmp_path / "s.kg", facts)
    quarantine = odd.with_suffix(".txt")
    done("load", tmp_path / "s.kg", facts, "--quarantine", quarantine)
    assert b"caf\xe9.nt\n2\t" in quarantine.read_bytes()
    for arguments in (
        ("load", odd, facts),
        ("train", country_store, odd, "--dim", 4),
        ("tune", country_store, odd, "--model", "distmult"),
    ):
        assert "caf\\xe9: the path of a " in refused(*arguments)
    odd.mkdir()
    for part, count in (("train", 40), ("valid", 4), ("test", 4)):
        (odd / f"{part}.tsv").write_text("".join(f"{i % 7}\tp\t{i % 5}\n" for i in range(count)))
    done("train", odd, tmp_path / "m", "--dim", 4, "--epochs", 1)
    assert Bundle.load(tmp_path / "m").dataset.source.endswith("caf\\xe9")
    done("export", tmp_path / "m", odd / "vectors.npz")
    done("rules", odd, "-o", odd / "rules.tsv")


def test_a_graph_may_be_named_by_a_prefix_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "a.ttl").write_text("@prefix ex: <http://example.org/> . ex:a ex:p ex:b .")
    for _ in range(2):  # the first load brings the prefix
        done("load", tmp_path / "s.kg", tmp_path / "a.ttl", "--graph", "http://example.org/g")
    done("load", tmp_path / "s.kg", tmp_path / "a.ttl", "--graph", "ex:other")
    with Store(tmp_path / "s.kg") as store:
        assert {str(quad.graph_name) for quad in store.match()} == {
            "<http://example.org/g>",
            "<http://example.org/other>",
        }
