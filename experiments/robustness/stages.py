"""A `kg` command in a process of its own that says which stage of its work begins: `python stages.py FD kg-arguments`.

A stage is what Progress.at calls it, and what SPOKEN adds: functions whose call begins one.
"""

import os
import selectors
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

SPOKEN = {"kg.graph.sources:open_dataset": "reading", "kg.bundle:save": "saving"}


def start(arguments: Sequence[object], **options: Any) -> tuple["subprocess.Popen[bytes]", int]:
    """The process, and the descriptor where each line is a stage that begins."""
    reading, writing = os.pipe()
    command = [sys.executable, __file__, str(writing), *map(str, arguments)]
    process = subprocess.Popen(command, pass_fds=[writing], **options)
    os.close(writing)
    return process, reading


def wait_for(reading: int, stage: str, turn: int = 1, seconds: float = 600.0) -> bool:
    """Whether the stage began, for the turn-th time, before the process ended."""
    said, deadline = b"", time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        selector.register(reading, selectors.EVENT_READ)
        while said.decode().splitlines().count(stage) < turn:
            if not selector.select(deadline - time.monotonic()):
                raise TimeoutError(f"{stage} did not begin within {seconds:g} seconds")
            piece = os.read(reading, 1 << 16)
            if not piece:
                return False
            said += piece
    return True


def main() -> None:
    said, arguments = int(sys.argv[1]), sys.argv[2:]
    last = ""

    def say(stage: str) -> None:
        nonlocal last
        if stage != last:
            os.write(said, f"{stage}\n".encode())
        last = stage

    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    sys.argv = ["kg", *arguments]
    from kg.cli.app import main as kg
    from kg.cli.progress_bar import ConsoleProgress

    at = ConsoleProgress.at

    def telling(self: ConsoleProgress, what: str, *rest: Any) -> None:
        say(what)
        at(self, what, *rest)

    ConsoleProgress.at = telling  # type: ignore[method-assign]
    for home, stage in SPOKEN.items():
        _tell(home, stage, say)
    kg()


def _tell(home: str, stage: str, say: Any) -> None:
    module, name = home.split(":")
    original = resolve_name(home)

    def spoken(*arguments: Any, **options: Any) -> Any:
        say(stage)
        return original(*arguments, **options)

    setattr(resolve_name(module), name, spoken)


if __name__ == "__main__":
    main()
