"""What tests/test_serve_jobs.py has done in place of kg.jobs. Not a test: a worker imports it."""

import os
import time
from pathlib import Path

from kg import generations
from kg.errors import UserError
from kg.progress import Progress


def long(progress: Progress, model: str, store: str = "") -> str:
    """Longer than any test, while the file `hold` lies beside the model; then a new generation of the model."""
    hold = Path(model).parent / "hold"
    progress.note(str(os.getpid()))
    progress.at("holding", 1, 3)
    while hold.exists():
        time.sleep(0.02)
    copied(model)
    return "it let go"


def copied(model: str) -> None:
    """The next generation of a model, as the one before is."""
    with generations.write(Path(model), noun="model") as draft:
        for name in draft.before["files"]:
            draft.carry(name)
        draft.finish({**draft.before, "written": "2031-01-01T00:00:00+00:00"})


def done_and_stays(progress: Progress, model: str, store: str = "") -> str:
    """Published, and not over yet."""
    copied(model)
    progress.at("published", 0)
    time.sleep(600)
    return ""


def wrong(progress: Progress, model: str, store: str = "") -> str:
    raise UserError(f"{model}: a line\nand another\x1b[6n <script>")


def defect(progress: Progress, model: str, store: str = "") -> str:
    raise KeyError("the key")


def dies(progress: Progress, model: str, store: str = "") -> str:
    os.kill(os.getpid(), 9)
    return ""


def eats(progress: Progress, model: str, store: str = "") -> str:
    return str(len(bytearray(1 << 60)))
