"""bench(): what is trained, what is not trained again, and what is never mixed."""

import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

import pytest
import torch
from runs import Noted, varied
from torch.optim import Adam

from kg.bundle import Bundle
from kg.errors import UserError
from kg.evaluation.ranking import evaluate
from kg.graph.dataset import Dataset
from kg.interruption import Interrupted
from kg.models.distmult import DistMult
from kg.models.transe import TransE
from kg.studies.bench import Results, _epoch_seconds, _seconds_to, bench, leaderboard, markdown, plot, plot_cost
from kg.training.gradient_descent import Descent, GradientDescent
from kg.training.run import Run

SMALL = Run(partial(DistMult, dim=4), GradientDescent(partial(Adam, lr=0.01), epochs=4, valid_every=2))
NEW = ("seconds_to_95_percent", "queries_per_second", "answers_per_second")  # what rows of version 0.1.0 lack
TIMES = ("seconds", "peak_memory_mb", *NEW)
SHIFT = replace(SMALL, scorer=partial(TransE, dim=4))


@pytest.fixture(autouse=True)
def unplotted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty pictures: to draw them takes longer than these trainings, and one test does."""
    for name in ("plot", "plot_cost"):
        monkeypatch.setattr(f"kg.studies.bench.{name}", lambda results, file: file.write_bytes(b""))


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The steps that are taken: an item each."""
    take, taken = Descent._take_step, list[int]()

    def counting(fit: Descent, order: torch.Tensor) -> None:
        taken.append(fit.seed)
        take(fit, order)

    monkeypatch.setattr(Descent, "_take_step", counting)
    yield taken


def without_time(results: Results) -> object:
    """The results as JSON, without what differs from one time to the next."""

    def plain(value: object) -> object:
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items() if k not in TIMES}
        return [plain(item) for item in value] if isinstance(value, list) else value

    return plain(results.to_json())


def test_every_preset_with_every_seed(random_dataset: Dataset, tmp_path: Path) -> None:
    results = bench(random_dataset, {"small": SMALL, "shift": SHIFT}, tmp_path / "b", seeds=2)
    assert [(row["preset"], row["seed"]) for row in results.rows] == [
        ("small", 0),
        ("shift", 0),
        ("small", 1),
        ("shift", 1),
    ]
    row = results.rows[2]
    saved = Bundle.load(tmp_path / "b" / "small-1")
    assert saved.run == row["run"] == replace(SMALL, seed=1).to_json()  # the seed alone is another
    test = evaluate(saved.scorer, random_dataset, "test", temperature=saved.temperature).metrics()
    assert row["test"]["mrr"] == test.mrr and row["test"]["perplexity"] == test.perplexity
    assert row["valid"]["mrr"] == saved.metrics["valid"]["mrr"]
    assert row["parameters"] == (50 + 2 * 3) * 4
    assert [epoch["epoch"] for epoch in row["history"]] == [1, 2, 3, 4] and row["epochs"] == 4
    assert row["seconds"] == row["history"][-1]["seconds"] > 0
    took = [epoch["seconds"] for epoch in row["history"]]
    assert row["seconds_to_95_percent"] in (took[1], took[3])  # where it was validated
    unvalidated = (took[0] + (took[2] - took[1])) / 2
    assert row["queries_per_second"] == pytest.approx(2 * 400 / unvalidated)  # each fact is asked for both ways
    assert row["answers_per_second"] > 0
    assert row["environment"]["torch"] == torch.__version__ and row["device"] == "cpu"
    assert row["peak_memory_mb"] is None or 50 < row["peak_memory_mb"] < 10_000
    assert Results.read(tmp_path / "b") == results
    assert sorted(path.name for path in (tmp_path / "b").glob("*.*")) == [
        "cost.png",
        "results.json",
        "results.md",
        "results.png",
    ]


def test_the_pictures(tmp_path: Path) -> None:
    """Of one preset with two seeds, and of one whose only run had no valid facts."""
    course = [{"epoch": 1, "seconds": 2.0, "valid_mrr": 0.1}, {"epoch": 2, "seconds": 4.0, "valid_mrr": 0.2}]
    rows = [
        {"preset": name, "seed": seed, "seconds": 4.0 + seed, "test": {"mrr": 0.3}, "history": history}
        for name, seed, history in (("a", 0, course), ("a", 1, course), ("b", 0, [{"epoch": 1, "seconds": 9.0}]))
    ]
    full = [{**row, "test": {"mrr": 0.3, "hits_at_1": 0.1, "hits_at_10": 0.5, "perplexity": 9.0}} for row in rows]
    results = Results(
        {"source": "toy", "facts": "", "sha256": ""},
        {"a": {}, "b": {}},
        [{**row, "valid": None, "epochs": 2, "peak_memory_mb": 1, "parameters": 3} for row in full],
    )
    for draw in (plot, plot_cost):
        draw(results, tmp_path / "picture.png")
        assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
        (tmp_path / "picture.png").unlink()


def test_the_course_by_hand() -> None:
    """Validations cost 10 s each, a step's epoch 1 s; the fourth took 3 s for a checkpoint."""
    mrr = {2: 0.3, 4: 0.48, 6: 0.5}
    seconds = [1.0, 12.0, 13.0, 26.0, 27.0, 38.0]
    rows = [{"epoch": i, "seconds": s, **({"valid_mrr": mrr[i]} if i in mrr else {})} for i, s in enumerate(seconds, 1)]
    assert _seconds_to(0.95, rows) == 26  # .48 of .5 is 96 %
    assert _seconds_to(0.97, rows) == 38 and _seconds_to(0.6, rows) == 12
    assert _epoch_seconds(rows) == 1
    assert _epoch_seconds([rows[1], rows[3]]) == 13  # 12 and 14: there is no other epoch to time
    bare = [{"epoch": 1, "seconds": 2.0}, {"epoch": 2, "seconds": 5.0}]
    assert _seconds_to(0.95, bare) is None and _epoch_seconds(bare) == 2.5


def test_results_of_an_older_version_still_open(random_dataset: Dataset, tmp_path: Path, steps: list[int]) -> None:
    bench(random_dataset, {"small": SMALL}, tmp_path / "b", seeds=1)
    file = tmp_path / "b" / "results.json"
    held = json.loads(file.read_text())
    for key in NEW:
        del held["rows"][0][key]
    file.write_text(json.dumps(held))
    steps.clear()
    old, new = bench(random_dataset, {"small": SMALL}, tmp_path / "b", seeds=2).rows
    assert set(steps) == {1} and set(new) - set(old) == set(NEW)
    only_old = Results({"source": "toy", "facts": "", "sha256": ""}, {"small": {}}, [old])
    assert leaderboard(only_old)[0]["answers/s"] == "-" and leaderboard(only_old)[0]["seconds to 95 %"] == "-"


def test_the_table_by_hand() -> None:
    def row(preset: str, seed: int, mrr: float) -> dict[str, object]:
        test = {"mrr": mrr, "hits_at_1": 0.5, "hits_at_10": 1.0, "perplexity": 20.0 + seed if seed else None}
        speed = {"queries_per_second": 1500.4, "answers_per_second": 2e6, "seconds_to_95_percent": 12.34}
        where = {"device": "cpu", "environment": {"torch": "2.13" if seed else "2.12"}}
        figures = {"valid": None, "test": test, "seconds": 60.0, "epochs": 10, "parameters": 1234}
        return {"preset": preset, "seed": seed, "peak_memory_mb": None, **figures, **speed, **where}

    rows = [row("a", 0, 0.2), row("b", 0, 0.25), row("b", 1, 0.4)]
    results = Results({"source": "toy", "facts": "3 facts", "sha256": ""}, {"a": {}, "b": {}, "c": {}}, rows)
    best, other = leaderboard(results)
    assert (best["preset"], best["seeds"]) == ("b", "2")
    assert best["test MRR"] == "0.325 ± 0.106"  # .075 from the mean on both sides, and .075 sqrt(2) = .10607
    assert best["seconds"] == "60.0 ± 0.0"
    assert best["perplexity"] == "21.0" and other["perplexity"] == "-"  # the one seed that has it; none
    assert (best["queries/s"], other["answers/s"], other["seconds to 95 %"]) == ("1,500 ± 0", "2,000,000", "12.3")
    assert other["test MRR"] == "0.200" and other["valid MRR"] == "-" and other["parameters"] == "1,234"
    told = markdown(results)
    assert "| a | 1 | 0.200 |" in told and "torch 2.12" in told and "torch 2.13" in told


def test_a_second_call_trains_what_is_missing(random_dataset: Dataset, tmp_path: Path, steps: list[int]) -> None:
    first = bench(random_dataset, {"small": SMALL}, tmp_path / "b", seeds=1)
    assert set(steps) == {0}
    steps.clear()
    again = bench(random_dataset, {"small": SMALL}, tmp_path / "b", seeds=1)
    assert steps == [] and again == first
    more = bench(random_dataset, {"shift": SHIFT, "small": SMALL}, tmp_path / "b", seeds=2)
    assert [(row["preset"], row["seed"]) for row in more.rows[1:]] == [("shift", 0), ("shift", 1), ("small", 1)]
    assert more.rows[0] == first.rows[0]


def test_ctrl_c_and_on(random_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    presets = {"small": SMALL, "shift": SHIFT}
    take, seen = Descent._take_step, count(1)

    def stepping(fit: Descent, order: torch.Tensor) -> None:
        take(fit, order)
        if next(seen) == 10:  # 800 questions are 2 steps an epoch: the second epoch of the second model
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patched, pytest.raises(Interrupted):
        patched.setattr(Descent, "_take_step", stepping)
        bench(random_dataset, presets, tmp_path / "b", seeds=1)
    assert not Bundle.load(tmp_path / "b" / "shift-0").metrics["finished"]
    results = bench(random_dataset, presets, tmp_path / "b", seeds=1)
    whole = bench(random_dataset, presets, tmp_path / "whole", seeds=1)
    assert without_time(results) == without_time(whole)


def test_a_model_that_finished_unmeasured(random_dataset: Dataset, tmp_path: Path, steps: list[int]) -> None:
    """Killed between the last epoch and the results: it is measured, not trained."""
    bench(random_dataset, {"small": SMALL}, tmp_path / "b", seeds=1)
    file = tmp_path / "b" / "results.json"
    held = json.loads(file.read_text())
    rows, held["rows"] = held["rows"], []
    file.write_text(json.dumps(held))
    steps.clear()
    results = bench(random_dataset, {"small": SMALL}, tmp_path / "b", seeds=1)
    assert steps == [] and results.rows[0]["test"] == rows[0]["test"]


def test_what_is_never_mixed(random_dataset: Dataset, tmp_path: Path, steps: list[int]) -> None:
    out = tmp_path / "b"
    bench(random_dataset, {"small": SMALL}, out, seeds=1)
    before = (out / "results.json").read_bytes()
    steps.clear()
    changed = {"shift": SHIFT, "small": varied(SMALL, batch_size=256)}
    with pytest.raises(
        UserError, match=r"the preset small has changed \(algorithm.arguments.batch_size 512 -> 256\): choose another"
    ):
        bench(random_dataset, changed, out)
    changed = {"small": replace(SMALL, scorer=partial(DistMult, dim=4, init=0.5))}
    with pytest.raises(UserError, match=r"\(scorer.arguments.init none -> 0.5\)"):
        bench(random_dataset, changed, out)
    fewer = replace(random_dataset, train=random_dataset.train[1:])
    with pytest.raises(UserError, match=r"the dataset has changed \(facts 50 entities"):
        bench(fewer, {"small": SMALL}, out)
    assert steps == [] and (out / "results.json").read_bytes() == before
    held = json.loads(before)
    (out / "results.json").write_text(json.dumps({**held, "presets": {}, "rows": []}))
    with pytest.raises(
        UserError, match=r"small, seed 0: .*small-0 has changed \(algorithm.arguments.batch_size 512 -> 256\)"
    ):
        bench(random_dataset, {"small": varied(SMALL, batch_size=256)}, out)


def test_what_is_refused(random_dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match="holds other files, and no results"):
        bench(random_dataset, {"small": SMALL}, tmp_path)
    with pytest.raises(UserError, match="no test facts"):
        bench(replace(random_dataset, test=random_dataset.test[:0]), {"small": SMALL}, tmp_path / "b")
    with pytest.raises(UserError, match="seeds must be at least 1: got 0"):
        bench(random_dataset, {"small": SMALL}, tmp_path / "b", seeds=0)
    with pytest.raises(UserError, match=r"wild, seed 0: .*lower the learning rate"):
        wild = varied(SMALL, optimizer=partial(Adam, lr=1e30))
        bench(random_dataset, {"wild": wild}, tmp_path / "b")
    with pytest.raises(UserError, match=r"nowhere/results\.json: No such file"):
        Results.read(tmp_path / "nowhere")
    (tmp_path / "b" / "results.json").write_text("{")
    with pytest.raises(UserError, match=r"results\.json is no JSON that can be read"):
        bench(random_dataset, {"small": SMALL}, tmp_path / "b")
    (tmp_path / "b" / "results.json").write_text("[1, 2]")
    with pytest.raises(UserError, match=r"results\.json holds no results"):
        bench(random_dataset, {"small": SMALL}, tmp_path / "b")


def test_what_is_said(random_dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    progress = Noted()
    bench(random_dataset, {"small": SMALL}, tmp_path / "b", seeds=1, progress=progress)
    shown = capsys.readouterr()
    assert shown.out == shown.err == "" and progress.notes == ["1 of 1: small, seed 0"]
