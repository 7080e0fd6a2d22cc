"""A model trained anew, in its own folder: the old one answers until the new one is whole."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kg import generations
from kg.bundle import Bundle
from kg.graph.class_axioms import OF_CLASSES
from kg.graph.dataset import Dataset
from kg.interruption import finishing
from kg.manifest import MANIFEST, read_manifest

_SHARE = 0.1  # held out for valid, and for test, of the store of a model that does not say how much was to be


@contextmanager
def in_its_place(model: Path) -> Iterator[Path]:
    """A folder to train and calibrate a model in, of which the last generation becomes the next one of `model` when the
    block ends well. Otherwise, killed at any moment included, `model` stays as it is.

    Nobody else writes into `model` meanwhile: UserError where somebody does.
    """
    with generations.write(model, noun="model") as draft:
        folder = draft.path / "training"
        yield folder
        with finishing():
            trained = generations.current(folder, noun="model")
            manifest = read_manifest(trained)
            if store := manifest["store"]:  # from here it lies elsewhere
                store["path"] = os.path.relpath(os.path.normpath(folder.resolve() / store["path"]), model.resolve())
            for each in trained.iterdir():
                if each.name != MANIFEST:
                    each.rename(draft.path / each.name)
            shutil.rmtree(folder)
            draft.finish(manifest)


def read_as(dataset: Dataset) -> dict[str, Any]:
    """What open_dataset is asked for to read a store as that of this dataset was read; {} of a folder's files."""
    if dataset.generation is None:
        return {}
    valid, test = dataset.shares or (_SHARE if len(part) else 0.0 for part in (dataset.valid, dataset.test))
    chosen = {"valid": valid, "test": test, "language": dataset.schema.language, "graphs": dataset.graphs}
    if dataset.named:
        return chosen | {"relations": dataset.named, "restrictions": dataset.restrictions}
    of_itself = dataset.restrictions and set(OF_CLASSES) & set(dataset.vocabulary.relations)  # nobody asked for them
    return chosen | {"restrictions": None if of_itself else dataset.restrictions}


def minutes_of(old: Bundle) -> float | None:
    """How long a model was trained where the clock ended it."""
    cut = old.metrics.get("cut_short")
    minutes = cut.get("minutes") if isinstance(cut, dict) else None
    return minutes if isinstance(minutes, int | float) else None
