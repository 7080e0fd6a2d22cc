"""What answers: a model, or, where a store is named instead, the pretrained network with nothing trained."""

from pathlib import Path
from typing import TYPE_CHECKING

from kg.cli.console import note
from kg.cli.progress_bar import ConsoleProgress
from kg.errors import UserError

if TYPE_CHECKING:
    from kg.query.predictor import Predictor


def answering(
    path: Path,
    store: Path | None,
    device: str = "cpu",
    language: str | None = None,
    probabilities: bool = False,
) -> "Predictor":
    """Predictor.load of the model at this path; of a store, of a network that knows its facts and is written nowhere.
    probabilities: it gives some, which take a while to fit."""
    from kg.query.predictor import Predictor

    if not is_store(path):
        return Predictor.load(path, store, device, language)
    from kg.api import untrained

    with ConsoleProgress() as progress:
        made = untrained(
            path, probabilities=probabilities, known_from=store, device=device, language=language, progress=progress
        )
    say_untrained(path)
    return made


def say_untrained(store: Path) -> None:
    note(f"pretrained, nothing was trained on {store}: kg train {store} MODEL does better")


def is_store(path: Path) -> bool:
    """Whether what lies there is no model, but could be one. What is neither is for its reader to say."""
    from kg.generations import current
    from kg.manifest import read_manifest

    try:
        return "config.json" not in read_manifest(current(path))["files"]
    except UserError:
        return False
