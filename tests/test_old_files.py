"""A store and models that kg 0.1.0 wrote still answer, evaluate and can be calibrated; see fixtures/README.md."""

import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kg.bundle import Bundle
from kg.cli.app import app
from kg.errors import UserError
from kg.training.train import resume

FIXTURES = Path(__file__).parent / "fixtures"
MODELS = ("complex", "rescal", "rescal_tied", "rules", "combine")
ANSWERS: list[dict[str, Any]] = json.loads((FIXTURES / "old_answers.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(FIXTURES / "old_files.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
def here(old: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(old)
    return old


def kg(*command: str) -> Any:
    result = CliRunner().invoke(app, list(command), catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize("asked", ANSWERS, ids=lambda asked: " ".join(asked["command"][:2]))
def test_they_answer_as_they_did(here: Path, asked: dict[str, Any]) -> None:
    """More may be said of each answer than they said. How good probabilities are is measured among other candidates:
    those of observed types, of all that there were."""
    now = dict(_flat(kg(*asked["command"])))
    if "/probability/candidates" in now:
        assert 0 < now["/probability/candidates"] < asked["answer"]["probability"]["candidates"]
    for place, value in _flat(asked["answer"]):
        if place.startswith("/probability/"):
            continue
        assert now[place] == (pytest.approx(value, rel=1e-5, abs=1e-7) if isinstance(value, float) else value), place


def _flat(value: Any, place: str = "") -> Any:
    """Every figure with where it stands: approx compares no nested dicts."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _flat(item, f"{place}/{key}")
    else:
        yield place, value


def test_every_model_is_asked() -> None:
    assert {asked["command"][1] for asked in ANSWERS} == {*MODELS, "family.kg"}


@pytest.mark.parametrize("model", ["complex", "combine"])
def test_they_can_be_calibrated(here: Path, tmp_path: Path, model: str) -> None:
    shutil.copytree(here / model, tmp_path / model)
    assert CliRunner().invoke(app, ["calibrate", str(tmp_path / model)], catch_exceptions=False).exit_code == 0
    assert Bundle.load(tmp_path / model).calibration is not None
    with pytest.raises(UserError, match=r"was trained by kg 0\.1\.0"):  # a newer generation, and still their training
        resume(tmp_path / model)


@pytest.mark.parametrize("model", MODELS)
def test_their_training_does_not_go_on(here: Path, model: str) -> None:
    with pytest.raises(UserError, match=r"was trained by kg 0\.1\.0") as refused:
        resume(here / model)
    assert "\n" not in str(refused.value)
