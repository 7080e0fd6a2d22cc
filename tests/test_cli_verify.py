"""What is damaged is named, all of it, and an older state comes back."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import done, refused, run
from damage import replaced, with_arrays
from torch import tensor

from kg.store.store import Store

TURTLE = "@prefix : <http://e/> . :a :p :b . :b :p :c . :c :p :a ; :name 'C' ."


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two generations."""
    for number in (1, 2):
        (tmp_path / "f.ttl").write_text(f"{TURTLE} :a :q :b{number} .")
        done("load", tmp_path / "s.kg", tmp_path / "f.ttl")
    return tmp_path / "s.kg"


def apart(path: Path, content: bytes) -> None:
    """Another content, of this generation alone."""
    path.unlink()
    path.write_bytes(content)


def flip(path: Path) -> None:
    data = path.read_bytes()
    apart(path, data[:-1] + bytes([data[-1] ^ 1]))


def test_what_is_whole(store: Path, country_model: Path) -> None:
    said = done("verify", store)
    assert said.startswith(f"{store}: generation 2 is whole: ") and said.endswith(" bytes\n")
    found = json.loads(done("verify", store, "--json"))
    assert found["files"] == sum(path.is_file() for path in (store / "2").rglob("*")) - 1
    assert (found["damaged"], found["strays"], found["whole"]) == ([], [], None)
    assert "is whole" in done("verify", country_model)


def test_all_that_is_damaged_is_named_and_the_way_back_works(store: Path) -> None:
    now = store / "2"
    flipped = ("facts/+2.npy", "terms/2.txt", "rdf/CURRENT")
    for name in flipped:
        flip(now / name)
    (now / "labels" / "1.txt").unlink()
    (now / "facts" / "+99.npy").touch()
    ran = run("verify", store)
    assert ran.code == 1 and set(ran.stdout.splitlines()) == {
        *(f"{now}/{name} is damaged: its sha256 is not the one in the manifest" for name in flipped),
        f"{now}/labels/1.txt is missing: the manifest lists it",
        f"{now}/facts/+99.npy is a stray: the manifest does not list it, and nothing reads it",
        f"generation 1 is as it was written: kg restore {store} publishes it once more",
    }
    assert json.loads(run("verify", store, "--json").stdout)["whole"] == 1
    assert done("restore", store) == f"{store}: generation 1 is published once more, as generation 3\n"
    assert "generation 3 is whole" in done("verify", store)
    with Store(store) as opened:
        assert opened.count() == 5 and opened.count("http://e/a", "http://e/q", "http://e/b1") == 1
    assert "is whole: name an older generation" in refused("restore", store)


def test_damage_that_generations_share_has_no_way_back_but_the_database(store: Path, tmp_path: Path) -> None:
    with (store / "2" / "terms" / "1.txt").open("r+b") as file:
        file.write(b"H")
    said = run("verify", store).stdout.splitlines()
    assert said[1] == (
        f'no other generation of {store} is whole; kg.Store("{store}").dump("facts.nq") still writes what its database '
        "holds"
    )
    assert "nothing can be restored" in refused("restore", store)
    with Store(store) as opened:
        assert opened.dump(tmp_path / "facts.nq") == 6
    assert "6 of them new" in done("load", tmp_path / "new.kg", tmp_path / "facts.nq")


def test_a_stray_alone_is_told(store: Path) -> None:
    (store / "2" / "rdf" / ".DS_Store").touch()
    ran = run("verify", store)
    assert (ran.code, ran.stdout.count("\n")) == (1, 1) and ".DS_Store is a stray" in ran.stdout


def test_a_lost_CURRENT_and_a_damaged_manifest(store: Path) -> None:
    (store / "CURRENT").unlink()
    ran = run("verify", store)
    assert (
        ran.code == 1 and "it has no file CURRENT" in ran.stdout and "generation 2 is as it was written" in ran.stdout
    )
    assert "has lost its file CURRENT: kg restore" in refused("load", store, store.parent / "f.ttl")
    assert json.loads(done("restore", store, "--json")) == {"path": str(store), "restored": 2, "generation": 3}
    apart(store / "3" / "manifest.json", b'{"files": ')
    assert "manifest.json is no JSON" in run("verify", store).stdout
    assert "manifest.json is no JSON" in refused("info", store)
    assert "generation 2 is published once more, as generation 4" in done("restore", store)
    assert "is whole" in done("verify", store)


def test_what_no_checksum_sees(store: Path, country_model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "two.npy", np.array([[0, 1, 2, -1]] * 2))
    replaced(store, "facts/+2.npy", (tmp_path / "two.npy").read_bytes())
    ran = run("verify", store)
    assert ran.code == 1 and "/2: 6 facts between entities, 5 in the manifest" in ran.stdout
    shutil.copytree(country_model, tmp_path / "m")
    with_arrays(tmp_path / "m", "dataset.safetensors", train=tensor([[0, 0, 10**6]]))
    ran = run("verify", tmp_path / "m")
    assert ran.code == 1 and "dataset.safetensors holds what no training wrote" in ran.stdout


def test_what_is_neither(tmp_path: Path) -> None:
    assert "is no store or model: there is no such directory" in refused("verify", tmp_path / "a")
    assert "is no store or model: it has no file CURRENT" in refused("restore", tmp_path)
