"""What people see of long work."""

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from kg.cli import console
from kg.cli.progress_bar import ConsoleProgress, Pace, counts, duration


def test_counts() -> None:
    assert counts(0, None, 0.0) == ""
    assert counts(3000, None, 1500.0) == "3,000, 1,500 a second"
    assert counts(0, 10, 1.0) == "0 of 10" and counts(10, 10, 1.0) == "10 of 10"
    assert counts(5, 10, 0.0) == "5 of 10"  # nothing is known yet, as after a resume
    assert counts(1000, 4000, 50.0) == "1,000 of 4,000, 1:00 left"
    assert counts(1000, 4000, 50.0, "loss 0.5") == "loss 0.5, 1:00 left" and counts(10, 10, 1.0, "loss") == "loss"


HOUR, DAY = 3600, 86400


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.4, "0:00"),
        (65, "1:05"),
        (HOUR, "1:00:00"),
        (DAY - 1, "23:59:59"),
        (DAY, "1 d 0 h"),
        (25 * HOUR, "1 d 1 h"),
        (364 * DAY, "364 d 0 h"),
        (3 * 365 * DAY + 2 * DAY + 5 * HOUR, "3 y 2 d"),
        (1e12, "31,709 y 289 d"),
    ],
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_the_pace_is_that_of_the_later_half() -> None:
    pace = Pace(0.0)
    for second in range(1, 101):  # ten units a second, then one, as where another program took the machine
        pace.add(float(second), min(second, 50) * 10 + max(0, second - 50))
    assert pace.a_second() == pytest.approx(1, rel=0.2)


def test_the_pace_has_validations_in_it() -> None:
    """An epoch of ten steps takes ten seconds, its validation ninety: a step takes ten."""
    pace = Pace(0.0)
    for step in range(1, 101):
        pace.add(step + 90.0 * ((step - 1) // 10), step)
    assert pace.a_second() == pytest.approx(0.1, rel=0.1)


def test_a_resumed_pace_counts_from_where_it_began() -> None:
    pace = Pace(100.0)
    pace.add(100.0, 5000)
    assert pace.a_second() == 0
    pace.add(110.0, 5020)
    assert pace.a_second() == 2


@pytest.fixture(params=[True, False])
def terminal(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def written(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    stream = io.StringIO()
    monkeypatch.setattr(console, "err", Console(file=stream, force_terminal=terminal, width=80))
    return stream


def test_a_bar_is_for_a_terminal_and_notes_are_for_all(terminal: bool, written: io.StringIO) -> None:
    asked = 0

    def figures() -> str:
        nonlocal asked
        asked += 1
        return "loss 0.5"

    times = iter(range(100_000))
    with ConsoleProgress(lambda: next(times) / 1000) as progress:
        for done in range(1, 10_001):
            progress.at("epoch [1]", done, 10_000, figures)
        progress.note("a note [bold] as it is")
    text = written.getvalue()
    assert "a note [bold] as it is\n" in text
    assert ("loss 0.5" in text) == terminal
    assert terminal <= asked <= 101  # they are computed when they are shown
    assert terminal or text.count("\n") == 1


class Clock:
    """Seconds, as many as a test says."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def ticks(self, count: int, seconds: float) -> Iterator[int]:
        for tick in range(1, count + 1):
            self.now += seconds
            yield tick


@pytest.mark.parametrize("terminal", [False], indirect=True)
def test_a_line_every_thirty_seconds(written: io.StringIO) -> None:
    """Of what is under way then; and a last one of what took longer."""
    clock = Clock()
    with ConsoleProgress(clock) as progress:
        for done in clock.ticks(100, 1.0):
            progress.at("training", done, 1000, lambda: "epoch 0/10, loss 0.5")
        for done in clock.ticks(40, 1.0):
            progress.at("ranking", done, 40)
        for done in clock.ticks(5, 1.0):
            progress.at("ranking", done, 5)  # once more, and quickly
        for done in clock.ticks(31, 10.0):
            progress.at("facts", done * 1000)
    text = written.getvalue()
    assert "\x1b" not in text and "\r" not in text
    assert text.splitlines() == [
        "training: 30 of 1,000, epoch 0/10, loss 0.5, 16:10 left",
        "training: 60 of 1,000, epoch 0/10, loss 0.5, 15:40 left",
        "training: 90 of 1,000, epoch 0/10, loss 0.5, 15:10 left",
        "ranking: 20 of 40, 0:20 left",
        "ranking: 40 of 40",
        *(f"facts: {done:,}, 100 a second" for done in range(3000, 31000, 3000)),
        "facts: 31,000, 100 a second",
    ]
