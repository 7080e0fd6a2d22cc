"""The facts of a dataset in a file that every interpreter reads: one array a part, and the two counts."""

from pathlib import Path

import numpy as np
import torch

from kg.graph.dataset import PARTS, Dataset
from kg.graph.vocabulary import Vocabulary


def save(dataset: Dataset, file: Path, num_train: int | None = None, seed: int = 0) -> None:
    """num_train: a random part of the training facts, so many; None: all."""
    parts = {name: dataset.part(name).numpy() for name in PARTS}
    if num_train is not None:
        parts["train"] = np.random.default_rng(seed).permutation(parts["train"])[:num_train]
    np.savez(file, num_entities=dataset.num_entities, num_relations=dataset.num_relations, **parts)


def load(file: str) -> Dataset:
    """Names are the numbers."""
    stored = np.load(file)
    names = Vocabulary(*([str(i) for i in range(stored[key])] for key in ("num_entities", "num_relations")))
    train, valid, test = (torch.from_numpy(stored[name]) for name in PARTS)
    return Dataset(train, valid, test, names)
