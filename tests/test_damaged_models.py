"""Models that someone else wrote: an error that names the file, or answers, and never the end of the process."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import refused
from damage import with_arrays, with_values
from mutations import KINDS, drawn, make_models, outcome

from kg import generations
from kg.bundle import Bundle
from kg.errors import UserError
from kg.files import read_json
from kg.query.knowledge import Knowledge
from kg.query.predictor import Predictor
from kg.training.train import resume, run_of, trainer_of

_EACH = 16  # mutations of a model; experiments/robustness/mutated_models.py tries 2,000


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def model(request: pytest.FixtureRequest, models: dict[str, Path], tmp_path: Path) -> Path:
    """A copy, to be damaged."""
    return Path(shutil.copytree(models[request.param], tmp_path / "model"))


def of(kind: str) -> Any:
    return pytest.mark.parametrize("model", [kind], indirect=True)


@pytest.mark.parametrize("kind", KINDS)
def test_one_thing_changed(models: dict[str, Path], kind: str, tmp_path: Path) -> None:
    assert outcome(models[kind]) == "answered"
    counts = {"refused": 0, "answered": 0}
    for number, mutation in enumerate(drawn(models[kind], _EACH, seed=7)):
        changed = Path(shutil.copytree(models[kind], tmp_path / str(number)))
        mutation.apply(changed)
        try:
            counts[outcome(changed)] += 1
        except Exception as error:
            raise AssertionError(f"{mutation.file}, {mutation.what}") from error
    assert min(counts.values()) > 0


@of("rules")
@pytest.mark.parametrize(
    ("name", "place", "number", "line"),
    [
        ("constant", (0, 1), 2_000_000_000, r"constant \(c\) must hold numbers from 0 to 19"),
        ("constant", (0, 1), -5000, r"constant \(c\) must hold numbers from 0 to 19"),
        ("constant", (0, 1), 20, r"constant \(c\) must hold numbers from 0 to 19: it holds 0 to 20"),
        ("constant", (0, 0), 6, r"constant \(r\) must hold numbers from 0 to 5"),
        ("constant", (-1, 2), 6, r"constant \(b\) must hold numbers from -1 to 5"),
        ("constant", (-1, 3), 20, r"constant \(d\) must hold numbers from -1 to 19"),
        ("closed", (0, 0), 3, "closed must hold numbers from 0 to 2"),
        ("closed", (0, 1), -1, "closed must hold numbers from 0 to 5"),
        ("closed", (0, 2), 6, "closed must hold numbers from -1 to 5"),
        ("closed_counts", (0, 0), 0, "counts must be a support of at least 1"),
        ("constant_counts", (0, 1), -7, "counts must be a support of at least 1"),
        ("relation_size", (0,), -1, "relation_size must hold numbers from 0"),
    ],
)
def test_a_rule_of_what_is_not_there(model: Path, name: str, place: Any, number: int, line: str) -> None:
    array = getattr(Bundle.load(model).scorer, name)
    array[place] = number
    with_arrays(model, "model.safetensors", **{name: array})
    with pytest.raises(UserError, match=rf"model\.safetensors holds what no training wrote: {line}"):
        Bundle.load(model)
    assert "model.safetensors holds what no training wrote" in refused("ask", model, "(e0, r0, ?)")


@of("rules")
def test_rules_of_other_lengths(model: Path) -> None:
    closed = Bundle.load(model).scorer.get_buffer("closed")
    for changed, line in (
        (closed[:-1], r"closed_counts must be"),
        (closed[:, :1], "closed must hold bodies of 1 to 5 atoms"),
        (torch.cat([closed, closed.repeat(1, 2)], 1), "closed must hold bodies of 1 to 5 atoms"),  # takes for ever
    ):
        with_arrays(model, "model.safetensors", closed=changed)
        with pytest.raises(UserError, match=line):
            Bundle.load(model)


@pytest.mark.parametrize("model", ["path_ranking", "are"], indirect=True)
def test_paths_of_what_is_not_there(model: Path) -> None:
    paths = Bundle.load(model).scorer.get_buffer("paths")
    for place, number, line in (
        ((0, 0, 0), 6, "paths must hold numbers from -1 to 5"),
        ((0, 0, 0), -2, "paths must hold numbers from -1 to 5"),
        ((0, 0, 0), -1, "paths hold a .* behind the"),
        ((0, 0), torch.tensor([-1, 3]), "paths hold a relation behind the end of a path"),
    ):
        changed = paths.clone()
        changed[1:] = -1
        changed[0, :2] = torch.tensor([1, 2])
        changed[place] = number
        with_arrays(model, "model.safetensors", paths=changed)
        with pytest.raises(UserError, match=line):
            Bundle.load(model)


@pytest.mark.parametrize("model", ["path_ranking", "are"], indirect=True)
def test_a_graph_of_other_relations_is_not_walked(model: Path) -> None:
    read = Bundle.load(model)
    known = Knowledge.of_model(read)
    known.graph.__dict__["num_relations"] = 4
    with pytest.raises(ValueError, match="paths of 3 relations lead nowhere in a graph of 4"):
        Predictor(read, known).tails("e0", "r0")


@of("complex")
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("scorer", lambda state: state["scorer"].popitem()),
        ("scorer", lambda state: state["scorer"].update({"table.weight": torch.zeros(20, 5)})),
        ("scorer", lambda state: state["scorer"]["table.weight"].fill_(torch.nan)),
        ("best weights", lambda state: state["best_weights"]["table.weight"].fill_(torch.inf)),
        ("counter", lambda state: state.update(epoch="2")),
        ("counter", lambda state: state.update(step=-1)),
        ("counter", lambda state: state.update(step=10**6)),
        ("counter", lambda state: state.update(best_mrr="high")),
        ("losses", lambda state: state.update(losses=torch.zeros(1))),
        ("schedule", lambda state: state.update(schedule={"best": 1.0})),
        ("group", lambda state: state["optimizer"]["param_groups"][0].update(lr="high")),
        ("group", lambda state: state["optimizer"]["param_groups"][0].update(betas=[0.9])),
        ("groups", lambda state: state["optimizer"]["param_groups"].append({})),
        ("moments", lambda state: state["optimizer"]["state"][0].update(exp_avg=torch.zeros(3))),
        ("moments", lambda state: state["optimizer"]["state"][0].pop("exp_avg_sq")),
        ("moments", lambda state: state["optimizer"]["state"].update({9: {}})),
        ("all", lambda state: state.clear()),
    ],
)
def test_a_state_that_no_training_left(model: Path, name: str, change: Any) -> None:
    saved = Bundle.load(model, state=True)
    trainer_of(saved, run_of(saved))
    saved = Bundle.load(model, state=True)
    change(saved.state)
    with pytest.raises(UserError, match="no training can go on with its state/: ") as caught:
        trainer_of(saved, run_of(saved))
    assert str(caught.value).isprintable()


@of("complex")
def test_settings_that_no_training_has(model: Path) -> None:
    run = read_json(generations.current(model) / "config.json")["run"]
    algorithm = run["algorithm"]["arguments"]
    for change in ({"epochs": "2"}, {"batch_size": 1.5}, {"optimizer": {"name": "adam", "arguments": {"lr": "x"}}}):
        changed = {"name": "gradient_descent", "arguments": algorithm | change}
        with_values(model, "config.json", run=run | {"algorithm": changed})
        with pytest.raises(UserError, match=r"no training can go on with its config\.json: "):
            resume(model)
        assert "config.json" in refused("train", model, model, "--resume")


@of("complex")
def test_a_calibration_is_named_before_anything_is_ranked(model: Path) -> None:
    stored = read_json(generations.current(model) / "calibration.json")
    with_values(model, "calibration.json", probability=stored["probability"] | {"shape": "beta"})
    for command in (["evaluate", model], ["ask", model, "(e0, r0, ?)"], ["complete", model, "--top", 3]):
        assert "must be calibrated anew: in its calibration.json its shape must be one of" in refused(*command)
