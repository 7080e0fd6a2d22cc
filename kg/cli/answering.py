"""What answers where a store is named instead of a model: the pretrained network, with nothing trained."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from kg.cli.console import note
from kg.errors import UserError
from kg.progress import SILENT, Progress


@contextmanager
def answering(path: Path, progress: Progress = SILENT) -> Iterator[Path]:
    """The model at this path; of a store one that is made for the while and knows all its facts."""
    if not _is_store(path):
        yield path
        return
    from kg.api import pretrained

    with TemporaryDirectory() as folder:
        made = Path(folder) / "pretrained"
        pretrained(path, made, progress)
        note(f"pretrained, nothing was trained on {path}: kg train {path} MODEL does better")
        yield made


def _is_store(path: Path) -> bool:
    """Whether what lies there is no model, but could be one. What is neither is for its reader to say."""
    from kg.generations import current
    from kg.manifest import read_manifest

    try:
        return "config.json" not in read_manifest(current(path))["files"]
    except UserError:
        return False
