"""The sides of a comparison, each in a process (and perhaps an interpreter) of its own, measured in turn."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any


class Side:
    """A child that says hello with a line of JSON, then answers every line it is sent with one measurement."""

    def __init__(self, python: Path | str, script: Path, *arguments: str) -> None:
        command = [str(python), str(script), *arguments]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.about = self._answer()

    def measure(self) -> dict[str, Any]:
        assert self._child.stdin
        self._child.stdin.write("measure\n")
        self._child.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._child.stdout
        line = self._child.stdout.readline()
        if not line:
            raise SystemExit(f"{self._child.args}: ended with {self._child.wait()}")  # type: ignore[str-bytes-safe]
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> "Side":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._child.stdin
        self._child.stdin.close()  # its loop over the lines ends
        self._child.wait()


def serve(about: dict[str, Any], measure: Callable[[], dict[str, Any]]) -> None:
    """The child's part. Whatever else prints goes to stderr."""
    answers, sys.stdout = sys.stdout, sys.stderr
    print(json.dumps(about), file=answers, flush=True)
    for _ in sys.stdin:
        print(json.dumps(measure()), file=answers, flush=True)


def spread(seconds: list[float]) -> dict[str, Any]:
    """The median, and every sample in the order taken: neighbours on the machine are seen, not hidden."""
    return {"median": round(median(seconds), 4), "samples": [round(x, 4) for x in seconds]}
