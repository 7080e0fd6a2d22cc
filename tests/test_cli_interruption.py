"""What a command that is stopped leaves and says."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import PRESET, Ran, done, run

from kg.bundle import Bundle
from kg.cli.progress_bar import ConsoleProgress
from kg.search import discovery

Stopped = Callable[..., Ran]


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM])
def stopped(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Stopped:
    """A command that is sent a signal at the n-th step of a piece of work."""

    def made(what: str, turn: int, *arguments: object) -> Ran:
        seen = 0

        def at(self: ConsoleProgress, name: str, *rest: Any) -> None:
            nonlocal seen
            seen += name == what
            if name == what and seen == turn:
                signal.raise_signal(request.param)

        with monkeypatch.context() as patch:
            patch.setattr(ConsoleProgress, "at", at)
            ran = run(*arguments)
        assert seen >= turn, f"{what} is not told {turn} times"
        return ran

    return made


@pytest.mark.parametrize(
    ("what", "arguments"),
    [
        ("ranking", ["evaluate"]),
        ("sampling candidates", ["evaluate"]),
        ("sampling candidates", ["calibrate"]),
        ("candidates", ["complete"]),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_what_asks_a_model_ends_at_once(stopped: Stopped, country_model: Path, what: str, arguments: list[str]) -> None:
    before = (country_model / "CURRENT").read_text()
    ran = stopped(what, 1, *arguments, country_model)
    assert (ran.code, ran.stdout, ran.stderr) == (130, "", "")
    assert (country_model / "CURRENT").read_text() == before


def test_rules(stopped: Stopped, country_store: Path) -> None:
    ran = stopped("mining constants", 1, "rules", country_store)
    assert ran.code == 130 and ran.stdout == ""


def test_a_search_keeps_what_it_found(
    stopped: Stopped, country_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when a checkpoint was not due."""
    monkeypatch.setattr(discovery, "_HEADS", 5)
    out = tmp_path / "new.tsv"
    ran = stopped("candidates", 3, "complete", country_model, "-o", out)
    assert ran.code == 130 and ran.stderr == "Stopped and saved: the same command goes on\n"
    assert [path.name for path in tmp_path.iterdir()] == [".new.tsv.search"]
    asked: list[int] = []
    take = discovery.Best.take

    def taking(*arguments: Any) -> None:
        asked.append(1)
        take(*arguments)

    monkeypatch.setattr(discovery.Best, "take", taking)
    done("complete", country_model, "-o", out)
    rest, asked[:] = len(asked), []
    done("complete", country_model, "-o", tmp_path / "whole.tsv")
    assert rest == len(asked) - 3 and out.read_text() == (tmp_path / "whole.tsv").read_text()


@pytest.mark.parametrize(("what", "turn"), [("training", 3), ("ranking", 1), ("sampling candidates", 1)])
def test_a_stopped_training_is_resumed_to_its_end(
    stopped: Stopped, country_store: Path, tmp_path: Path, what: str, turn: int
) -> None:
    """Trained, measured and calibrated, as if nobody had stopped it."""
    (tmp_path / "presets.py").write_text(PRESET)
    train = ["train", country_store, "--preset", f"{tmp_path / 'presets.py'}:small"]
    model, whole = tmp_path / "model", tmp_path / "whole"
    ran = stopped(what, turn, *train, model)
    assert ran.code == 130
    assert ran.stderr.splitlines()[-1] == f"Stopped and saved: kg train {country_store} {model} --resume goes on"
    done("train", country_store, model, "--resume")
    done(*train, whole)
    ends = [Bundle.load(each) for each in (model, whole)]
    assert ends[0].calibration == ends[1].calibration is not None
    assert ends[0].metrics["valid"] == ends[1].metrics["valid"] is not None


def test_before_there_is_a_model(stopped: Stopped, country_store: Path, tmp_path: Path) -> None:
    """A part of a combination is saved on its own; the whole is not there yet."""
    train = ["train", country_store, tmp_path / "both", "--model", "combine", "--parts", "frequency"]
    ran = stopped("sampling candidates", 1, *train)
    assert ran.code == 130 and "Stopped before there was a model: the same command goes on" in ran.stderr
    assert Bundle.load(tmp_path / "both-frequency").metrics["finished"] and not (tmp_path / "both").exists()
    assert json.loads(done(*train, "--json"))["epochs"] == 1
