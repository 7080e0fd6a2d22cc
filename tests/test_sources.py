"""A store or a folder: whichever lies there."""

import subprocess
import sys
from pathlib import Path

import pytest
from stored import named, store_of

from kg.errors import UserError
from kg.graph.sources import open_dataset

TRIG = ":a :p :b . :b :p :c . :c :q :a . :c :p :a . :a :q :b ."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.tsv").write_text("a\tp\tb\n")
    return tmp_path


def test_a_store(tmp_path: Path) -> None:
    with store_of(tmp_path, TRIG) as store:
        path = store.path
    assert len(open_dataset(path).train) == 5  # each fact has a name that the others lack, or a twin
    data = open_dataset(path, relations=[":q"], valid=0, test=0.0)
    assert named(data, "train") == {("c", "q", "a"), ("a", "q", "b")}
    assert data.generation == 1 and data.source == str(path)


@pytest.mark.parametrize("settings", [{"relations": ["p"]}, {"graphs": [""]}, {"valid": 0.0}, {"restrictions": True}])
def test_a_folder_is_taken_as_it_is(folder: Path, settings: dict[str, object]) -> None:
    assert named(open_dataset(str(folder), seed=3), "train") == {("a", "p", "b")}
    with pytest.raises(UserError, match=f"^{next(iter(settings))} chooses from a store: .* is a folder of parts"):
        open_dataset(folder, **settings)  # type: ignore[arg-type]


def test_what_is_neither(folder: Path) -> None:
    with pytest.raises(UserError, match="is a file: load it first"):
        open_dataset(folder / "train.tsv")
    with pytest.raises(UserError, match=r"no train.tsv or train.txt .* and no store either"):
        open_dataset(folder / "nowhere")
    with pytest.raises(UserError, match=r"^seed must be at least 0 and below 2\^63: got -1$"):
        open_dataset(folder, seed=-1)


def test_a_folder_imports_no_store(folder: Path) -> None:
    program = (
        "import sys; from kg.graph.sources import open_dataset; open_dataset(sys.argv[1]);"
        "print([name for name in sys.modules if name.startswith(('kg.store', 'pyoxigraph'))])"
    )
    done = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
