"""The values of a dataset."""

from dataclasses import replace
from pathlib import Path

import pytest

from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.graph.from_folder import dataset_from_folder


def test_the_graph_is_of_training_facts_over_all_entities(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("a\tr\tb\n")
    (tmp_path / "test.tsv").write_text("b\tr\tc\n")
    data = dataset_from_folder(tmp_path)
    assert data.graph().num_entities == 3 and data.graph().num_edges == 2
    assert len(data.known("train").tails) == 2 and len(data.known("train", "test").tails) == 4


def test_a_part_by_another_name(random_dataset: Dataset) -> None:
    with pytest.raises(UserError, match="train, valid, test"):
        random_dataset.part("tests")


def test_a_digest_knows_facts_their_parts_and_names(random_dataset: Dataset) -> None:
    whole = random_dataset.digest()
    assert replace(random_dataset, source="elsewhere").digest() == whole
    swapped = replace(random_dataset, valid=random_dataset.test, test=random_dataset.valid)
    reordered = replace(random_dataset, train=random_dataset.train.flip(0))
    names = type(random_dataset.vocabulary)([f"x{i}" for i in range(50)], random_dataset.vocabulary.relations)
    others = [each.digest() for each in (swapped, reordered, replace(random_dataset, vocabulary=names))]
    assert len({whole, *others}) == 4
