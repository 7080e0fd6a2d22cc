"""What people see of long work."""

import io

import pytest
from rich.console import Console

from kg.cli import console
from kg.cli.progress_bar import ConsoleProgress, counts


def test_counts() -> None:
    assert counts(0, None, 0.0) == ""
    assert counts(3000, None, 2.0) == "3,000, 1,500 a second"
    assert counts(0, 10, 1.0) == "0 of 10" and counts(10, 10, 1.0) == "10 of 10"
    assert counts(1000, 4000, 20.0) == "1,000 of 4,000, 1:00 left"
    assert (
        counts(1000, 4000, 20.0, "loss 0.5") == "loss 0.5, 1:00 left" and counts(10, 10, 1.0, "loss 0.5") == "loss 0.5"
    )
    assert counts(1, 100, 120.0) == "1 of 100, 3:18:00 left"


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_is_for_a_terminal_and_notes_are_for_all(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(console, "err", Console(file=written, force_terminal=terminal, width=80))
    asked = 0

    def figures() -> str:
        nonlocal asked
        asked += 1
        return "loss 0.5"

    with ConsoleProgress() as progress:
        for done in range(1, 10_001):
            progress.at("epoch [1]", done, 10_000, figures)
        progress.at("part of [2]", 10, 10)
        progress.note("a note [bold] as it is")
    text = written.getvalue()
    assert "a note [bold] as it is\n" in text
    assert ("loss 0.5" in text) == ("of [2]" in text) == ("10 of 10" in text) == terminal
    assert terminal <= asked < 1000  # they are computed when they are shown
