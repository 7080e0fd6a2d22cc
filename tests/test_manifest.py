"""The list of a generation's files, each with its sha256: what is damaged is named, and never taken over."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from seen import Seen

from kg import generations, manifest
from kg.errors import UserError
from kg.manifest import Draft, damages, first_damage, read_manifest, strays, verify, write_manifest


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory of one generation with two files."""
    with generations.write(tmp_path / "a") as draft:
        (draft.path / "deep").mkdir()
        (draft.path / "deep" / "text").write_text("hello")
        (draft.path / "other").write_text("other")
        draft.finish({"said": 1})
    return tmp_path / "a"


def damage(path: Path) -> None:
    """One bit, in the file that other generations have, too."""
    data = path.read_bytes()
    with path.open("r+b") as file:
        file.write(bytes([data[0] ^ 1]))


def test_a_flipped_bit_is_named(root: Path) -> None:
    verify(root / "1")
    damage(root / "1" / "deep" / "text")
    with pytest.raises(UserError, match=r"deep/text is damaged"):
        verify(root / "1")
    verify(root / "1", under="elsewhere/")
    (root / "1" / "deep" / "text").unlink()
    with pytest.raises(UserError, match=r"deep/text is missing"):
        verify(root / "1")


def test_all_damage_is_named_and_how_much_was_read(root: Path) -> None:
    files, seen = read_manifest(root / "1")["files"], Seen()
    assert damages(root / "1", files, seen) == [] and len(seen.told) == 2
    damage(root / "1" / "deep" / "text")
    (root / "1" / "other").unlink()
    (root / "1" / "other").mkdir()
    assert damages(root / "1", files) == [
        f"{root}/1/deep/text is damaged: its sha256 is not the one in the manifest",
        f"{root}/1/other is missing: the manifest lists it",
    ]


def test_strays_are_named(root: Path) -> None:
    files = read_manifest(root / "1")["files"]
    assert strays(root / "1", files) == []
    (root / "1" / "deep" / ".DS_Store").touch()
    (root / "1" / "link").symlink_to("other")
    assert [line.split(" is a stray")[0] for line in strays(root / "1", files)] == [
        f"{root}/1/deep/.DS_Store",
        f"{root}/1/link",
    ]


@pytest.mark.parametrize("text", ["", "[]", "{}", "{", '{"files": 3}'])
def test_a_damaged_manifest_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UserError, match=r"manifest\.json"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "deep/../../a", "", ".", "./a", "deep//a", "a\0"])
def test_a_manifest_lists_files_of_its_own_folder(tmp_path: Path, name: str) -> None:
    lists(tmp_path, {name: "0" * 64})
    with pytest.raises(UserError, match="expected files in its folder, each with its sha256"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("digest", [3, "", "0" * 63, "G" * 64])
def test_a_manifest_gives_a_sha256(tmp_path: Path, digest: Any) -> None:
    lists(tmp_path, {"a": digest})
    with pytest.raises(UserError, match="expected files in its folder, each with its sha256"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("name", ["deep/text", "other"])
def test_a_reader_is_told_of_damage_by_the_crc(root: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "sha256", lambda path: pytest.fail(f"{path} was hashed"))
    listed = read_manifest(root / "1")
    assert first_damage(root / "1", listed, listed["files"]) is None
    damage(root / "1" / name)
    assert first_damage(root / "1", listed, [name]) == (
        f"{root}/1/{name} is damaged: its CRC-32 is not the one in the manifest"
    )
    assert first_damage(root / "1", listed, {"deep/text", "other"} - {name}) is None


def test_a_manifest_without_crcs_is_read_by_its_sha256(root: Path) -> None:
    """As kg 0.3 and older wrote them; what is carried of such a generation has none either."""
    listed = {key: value for key, value in read_manifest(root / "1").items() if key != "crc32"}
    (root / "1" / "manifest.json").write_text(manifest._manifest_text(listed))
    with generations.write(root) as draft:
        draft.carry("deep/text")
        draft.carry("other")
        (draft.path / "more").write_text("more")
        draft.finish({})
    listed = read_manifest(root / "2")
    assert [*listed["crc32"]] == ["more"]
    assert first_damage(root / "2", listed, listed["files"]) is None
    damage(root / "2" / "other")
    line = f"{root}/2/other is damaged: its sha256 is not the one in the manifest"
    assert first_damage(root / "2", listed, listed["files"]) == line


@pytest.mark.parametrize("crcs", [3, {"a": 1}, {"a": "0" * 7}, {"b": "0" * 8}])
def test_a_manifest_gives_the_crcs_of_its_files(tmp_path: Path, crcs: Any) -> None:
    text = manifest._manifest_text({"files": {"a": "0" * 64}, "crc32": crcs})
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UserError, match="expected the CRC-32 of files that it lists"):
        read_manifest(tmp_path)


def lists(folder: Path, files: dict[str, Any]) -> None:
    """A manifest that lists these, whose sha256 is right."""
    (folder / "manifest.json").write_text(manifest._manifest_text({"files": files}))


# A draft


def test_what_is_carried_is_read_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = manifest.checksums
    read: list[str] = []
    monkeypatch.setattr(manifest, "checksums", lambda path: (read.append(path.name), digest(path))[1])
    with generations.write(root) as draft:
        draft.begin_checks()
        draft.end_checks()
        draft.carry("deep/text")
        (draft.path / "more").write_text("more")
        draft.finish({})
    assert sorted(read) == ["more", "other", "text"]
    verify(generations.current(root))
    before, now = (read_manifest(root / number)["crc32"] for number in ("1", "2"))
    assert now.keys() == {"deep/text", "more"} and now["deep/text"] == before["deep/text"]
    assert (root / "2" / "deep" / "text").samefile(root / "1" / "deep" / "text")


def test_damage_is_not_carried(root: Path) -> None:
    damage(root / "1" / "deep" / "text")
    said = r"^.*/1/deep/text is damaged: .*; nothing was written \(kg verify .*/a tells what else, and what to do\)$"
    with pytest.raises(UserError, match=said), generations.write(root) as draft:
        draft.carry("other")
        draft.carry("deep/text")
    assert generations.current(root).name == "1" and {each.name for each in root.iterdir()} == {"1", "CURRENT", "LOCK"}


def test_damage_is_not_linked_past_the_check(root: Path) -> None:
    damage(root / "1" / "other")
    with pytest.raises(UserError, match="1/other is damaged"), generations.write(root) as draft:
        os.link(root / "1" / "other", draft.path / "other")
        draft.finish({})


def test_all_is_checked_beside(root: Path) -> None:
    damage(root / "1" / "other")
    with pytest.raises(UserError, match="1/other is damaged"), generations.write(root) as draft:
        draft.begin_checks()
        draft.finish({})
        draft.end_checks()
    assert generations.current(root).name == "1"


def test_what_the_generation_before_has_not_is_not_carried(root: Path) -> None:
    with pytest.raises(UserError, match="1 has no file some"), generations.write(root) as draft:
        draft.carry("some")


def test_a_first_draft_has_nothing_before_it(tmp_path: Path) -> None:
    (tmp_path / "draft").mkdir()
    draft = Draft(tmp_path / "draft", 1, None)
    draft.begin_checks()
    draft.end_checks()
    assert (
        json.loads(json.dumps(draft.finish({"a": 1})))
        == read_manifest(tmp_path / "draft")
        == {"a": 1, "files": {}, "crc32": {}}
    )
    assert write_manifest(tmp_path / "draft", {}, {"manifest.json": ("0" * 64, None)})["files"] == {
        "manifest.json": "0" * 64
    }
