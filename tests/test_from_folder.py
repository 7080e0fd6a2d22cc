"""Datasets from folders of files."""

import bz2
import gzip
import lzma
import zlib
from pathlib import Path

import pytest
from benchmark_data import benchmark
from fact_files import Notes

from kg.errors import UserError
from kg.graph.from_folder import dataset_from_folder, facts_named


def test_a_folder_by_hand(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_bytes(b"a\tlikes\tb\nb\tlikes\tc\na\tlikes\tb\n")
    (tmp_path / "valid.txt").write_bytes("a\tlikes\tç\r\n\r\n".encode())  # CRLF, a blank line, a letter beyond ASCII
    (tmp_path / "test.tsv").write_bytes(b"z\thates\ta")  # an entity and a relation of its own, no line end
    data = dataset_from_folder(tmp_path)
    assert data.vocabulary.entities == ("a", "b", "c", "ç", "z") and data.num_entities == 5
    assert data.vocabulary.relations == ("likes", "hates") and data.num_relations == 2
    assert data.train.tolist() == [[0, 0, 1], [1, 0, 2]]  # a fact given twice counts once
    assert data.valid.tolist() == [[0, 0, 3]]
    assert data.test.tolist() == [[4, 1, 0]]
    assert data.describe() == "5 entities, 2 relations, 2 / 1 / 1 train / valid / test facts"
    assert data.source == str(tmp_path.resolve()) and data.generation is None


def test_a_header_names_the_columns_and_is_no_fact(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("\nobject\tPREDICATE\tsubject\tsource\nb\tlikes\ta\tx\n")
    (tmp_path / "valid.tsv").write_text("h\tr\tt\n")
    (tmp_path / "test.tsv").write_text("b\tlikes\ta\n")
    notes = Notes()
    data = dataset_from_folder(tmp_path, notes)
    assert data.vocabulary.entities == ("a", "b") and data.vocabulary.relations == ("likes",)
    assert data.train.tolist() == [[0, 0, 1]] and data.test.tolist() == [[1, 0, 0]] and not len(data.valid)
    assert notes.told == [
        f"{tmp_path / 'train.tsv'}:2: a header, no fact: head 'subject', relation 'PREDICATE', tail 'object';"
        " not read: source",
        f"{tmp_path / 'valid.tsv'}:1: a header, no fact: head 'h', relation 'r', tail 't'",
    ]
    (tmp_path / "test.tsv").write_text("head\trelation\ttail\nb\tlikes\ta\nb\tlikes\n")
    with pytest.raises(UserError, match=r"test\.tsv:3: expected head, relation and tail, tab-separated; got 2 cells"):
        dataset_from_folder(tmp_path)


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".xz"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_compressed_parts(tmp_path: Path, suffix: str, ending: str) -> None:
    pack = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}[suffix]
    (tmp_path / f"train.tsv{suffix}").write_bytes(pack(f"a\tr\tb c{ending}b c\tr\ta{ending}".encode()))
    data = dataset_from_folder(tmp_path)
    assert data.vocabulary.entities == ("a", "b c") and len(data.train) == 2
    assert len(data.valid) == len(data.test) == 0


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("a\tr\tb\nb\tr\ta\n", encoding="utf-8-sig")
    assert dataset_from_folder(tmp_path).vocabulary.entities == ("a", "b")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\tr\tb\nc\tr\n", r"train\.tsv:2: .*tab-separated; got 2 cells"),
        (b"a\tr\tb\td\n", r"train\.tsv:1: .*got 4 cells"),
        (b"a r b\n", r"train\.tsv:1: .*got 1 cell and 2 spaces"),
        (b"a\tr\tb\n\n\t\tb\n", r"train\.tsv:3: .*empty"),
        (b"a\tr\tb\n\xff\tr\tb\n", r"train\.tsv:2: not UTF-8"),
        (b"source\tr\ttarget\n", r"train\.tsv:1: a header, .*relation by none"),
        (b"", r"train\.tsv: .*empty"),
        (b"\n\n", r"train\.tsv: .*empty"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "train.tsv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        dataset_from_folder(tmp_path)


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
    ids=["cut short", "no gzip", "broken deflate", "xz cut short", "no xz", "bz2 cut short", "no bz2"],
)
def test_a_damaged_archive_is_named(tmp_path: Path, suffix: str, content: bytes) -> None:
    (tmp_path / f"train.tsv{suffix}").write_bytes(content)
    with pytest.raises(UserError, match=rf"train\.tsv{suffix}: the {suffix} file is (damaged|cut short)"):
        dataset_from_folder(tmp_path)


def test_a_folder_without_train(tmp_path: Path) -> None:
    (tmp_path / "test.tsv").write_text("a\tr\tb\n")
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UserError, match=r"no train\.tsv"):
            dataset_from_folder(folder)


def test_labels_beside_the_parts(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("Q1\tP1\tQ2\n")
    (tmp_path / "entity_labels.tsv").write_text("Q1\tOne\tthe first number\nQ2\n")
    (tmp_path / "relation_labels.tsv.gz").write_bytes(gzip.compress(b"P1\tfollowed by\n"))
    schema = dataset_from_folder(tmp_path).schema
    assert [schema.label(term) for term in ("Q1", "Q2", "P1")] == ["One", "Q2", "followed by"]


def test_a_benchmark() -> None:
    assert dataset_from_folder(benchmark("umls")).describe() == (
        "135 entities, 46 relations, 5,216 / 652 / 661 train / valid / test facts"
    )


def test_facts_of_another_file(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_bytes(b"a\tlikes\tb\nb\tlikes\tc\n")
    (tmp_path / "wrong.txt.gz").write_bytes(gzip.compress(b"c\tlikes\ta\nb\tlikes\ta\nc\tlikes\ta\n"))
    data = dataset_from_folder(tmp_path)
    ids = data.vocabulary.entity_ids
    assert facts_named(data.vocabulary, tmp_path, "wrong").tolist() == [
        [ids["c"], 0, ids["a"]],
        [ids["b"], 0, ids["a"]],
    ]
    with pytest.raises(UserError, match=r"no right\.tsv or right\.txt"):
        facts_named(data.vocabulary, tmp_path, "right")
    for line, name in ((b"d\tlikes\ta", "d"), (b"a\thates\tb", "hates"), (b"a\tlikes\te", "e")):
        (tmp_path / "right.tsv").write_bytes(line)
        with pytest.raises(UserError, match=rf"right\.tsv: {name} is not among"):
            facts_named(data.vocabulary, tmp_path, "right")
