"""The sides of a comparison, each in a process (and perhaps an interpreter) of its own, measured in turn."""

import json
import resource
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any


class Side:
    """A child that says hello with a line of JSON, then answers every line it is sent with one measurement."""

    def __init__(self, python: Path | str, script: Path | str, *arguments: Path | str) -> None:
        command = [str(part) for part in (python, script, *arguments)]
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


def peak_mb() -> float:
    """The most memory that this process has held at once, libraries included.

    Linux: VmHWM. getrusage would do, but for a child it starts from its parent's peak.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if "VmHWM" in line) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)  # macOS counts bytes


@dataclass
class Taken:
    """What a side said of itself, and its measurements in the order taken."""

    about: dict[str, Any]
    samples: list[dict[str, float]] = field(default_factory=list)

    def all(self, figure: str) -> list[float]:
        return [sample[figure] for sample in self.samples]

    def median(self, figure: str) -> float:
        return median(self.all(figure))

    def peak_mb(self) -> int:
        return round(max(self.all("peak_mb")))


def in_turn(
    commands: Mapping[str, Sequence[Path | str]],
    figure: str,
    repetitions: int,
    slow: Collection[str] = (),
    slow_every: int = 1,
) -> dict[str, Taken]:
    """Start every side, then measure one after the other, `repetitions` times; `slow` ones every so many times only.

    `figure` is printed of each as it comes. A command is interpreter, script, arguments.
    """
    with ExitStack() as stack:
        sides = {name: stack.enter_context(Side(*command)) for name, command in commands.items()}
        taken = {name: Taken(side.about) for name, side in sides.items()}
        for repetition in range(repetitions):
            for name, side in sides.items():
                if name not in slow or repetition % slow_every == 0:
                    taken[name].samples.append(side.measure())
            last = (f"{name} {sample.samples[-1][figure]:,.5g}" for name, sample in taken.items())
            print(f"{figure}:", *last, flush=True)
    return taken


def ratio(left: Taken, right: Taken, figure: str) -> dict[str, float]:
    """left / right: of the medians, and the median of the pairs where both were measured as often."""
    found = {"of_medians": round(left.median(figure) / right.median(figure), 3)}
    if len(left.samples) == len(right.samples):
        pairs = [a / b for a, b in zip(left.all(figure), right.all(figure), strict=True)]
        found["pair_by_pair"] = round(median(pairs), 3)
    return found


def spread(values: list[float]) -> dict[str, Any]:
    """The median, and every sample in the order taken: neighbours on the machine are seen, not hidden."""
    return {"median": round(median(values), 4), "samples": [round(x, 4) for x in values]}
