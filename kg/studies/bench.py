"""A benchmark: every preset trained with every seed, in one folder that a later call goes on with."""

import json
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from kg import bundle as bundles
from kg.bundle import Bundle
from kg.errors import UserError, check_at_least_one, extra, visible
from kg.evaluation.ranking import evaluate
from kg.files import read_json, write_figure, write_lines, write_text
from kg.graph.dataset import PARTS, Dataset
from kg.interruption import interruptible
from kg.probability.fitting import calibrate
from kg.progress import SILENT, Progress
from kg.studies.provenance import check_same
from kg.training.run import Run
from kg.training.train import resume, train

_RESULTS = "results.json"
Row = dict[str, Any]


@dataclass
class Results:
    """What a folder of a benchmark holds so far.

    dataset: source, description and sha256 of its facts. presets: the Run of each, without a seed, as JSON. rows: one a
    (preset, seed): run, figures on valid and test, seconds, seconds_to_95_percent (of the best MRR on valid),
    queries_per_second (trained), answers_per_second (ranked on test), epochs, best_epoch, parameters, peak_memory_mb,
    history (an epoch a row: loss, seconds, valid_mrr), device, environment. Rows of an older version lack some.
    """

    dataset: dict[str, Any]
    presets: dict[str, dict[str, Any]]
    rows: list[Row]

    @classmethod
    def read(cls, folder: Path | str) -> "Results":
        """What bench() has written into a folder so far. UserError where that cannot be read."""
        file = Path(folder) / _RESULTS
        try:
            return cls(**read_json(file))
        except TypeError:
            raise UserError(f"{file} holds no results of a benchmark") from None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def of(self, preset: str) -> list[Row]:
        return [row for row in self.rows if row["preset"] == preset]


@interruptible()
def bench(
    dataset: Dataset,
    presets: Mapping[str, Run],
    out: Path | str,
    *,
    seeds: int = 3,
    device: torch.device | str = "cpu",
    progress: Progress = SILENT,
) -> Results:
    """Train and measure each preset with the seeds 0 ... seeds - 1, each in out/<preset>-<seed>.

    What is in `out` already is not trained again, an unfinished model is resumed, and other presets and more seeds are
    added; SIGINT and SIGTERM save and raise Interrupted. Writes results.json after each model, at the end results.md,
    results.png and cost.png. UserError where `out` was begun with other facts or another Run of a preset's name, or
    holds something else, or there are no test facts.
    """
    check_at_least_one(seeds=seeds)
    if not len(dataset.test):
        raise UserError("there are no test facts: nothing to compare the presets by")
    folder = Path(out)
    results = _opened(folder, dataset, presets)
    left = [(name, seed) for seed in range(seeds) for name in presets if not _has(results, name, seed)]
    for turn, (name, seed) in enumerate(left, 1):
        progress.note(f"{turn} of {len(left)}: {name}, seed {seed}")
        run = replace(presets[name], seed=seed)
        try:
            row = _measured(folder / f"{name}-{seed}", dataset, run, torch.device(device), progress)
        except UserError as error:
            raise UserError(f"{name}, seed {seed}: {error}") from error
        results.rows.append({"preset": name, "seed": seed, **row})
        _save(folder, results)
    write_text(folder / "results.md", markdown(results))
    plot(results, folder / "results.png")
    plot_cost(results, folder / "cost.png")
    return results


def _opened(folder: Path, dataset: Dataset, presets: Mapping[str, Run]) -> Results:
    """What the folder holds, these presets now among it."""
    described = {"source": visible(Path(dataset.source).name), "facts": dataset.describe(), "sha256": dataset.digest()}
    asked = {name: {**run.to_json(), "seed": None} for name, run in presets.items()}
    if (folder / _RESULTS).exists():
        results = Results.read(folder)
        check_same(f"{folder}: the dataset", results.dataset, described)
        for name in results.presets.keys() & asked.keys():
            if results.of(name) or any(folder.glob(f"{name}-*")):
                check_same(f"{folder}: the preset {name}", results.presets[name], asked[name])
    elif folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} holds other files, and no {_RESULTS}: choose an empty folder")
    else:
        results = Results(described, {}, [])
    results.presets |= asked
    _save(folder, results)
    return results


def _has(results: Results, preset: str, seed: int) -> bool:
    return any(row["seed"] == seed for row in results.of(preset))


def _save(folder: Path, results: Results) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_lines(folder / _RESULTS, [json.dumps(results.to_json(), indent=1, ensure_ascii=False)])


def _measured(folder: Path, dataset: Dataset, run: Run, device: torch.device, progress: Progress) -> dict[str, Any]:
    peak_is_known = _reset_peak_memory(device)
    if bundles.exists(folder):
        check_same(str(folder), Bundle.load(folder).run, run.to_json())
        trained = resume(folder, device=device, progress=progress)
    else:
        trained = train(dataset, run, folder, device=device, progress=progress)
    if trained.calibration is None:
        trained = calibrate(trained, progress=progress)
    peak = _peak_memory_mb(device) if peak_is_known else None
    dataset.graph(), dataset.known(*PARTS)  # built once for all models: no part of an answer's time
    began = time.perf_counter()
    test = evaluate(trained.scorer, dataset, "test", temperature=trained.temperature, progress=progress)
    answered = time.perf_counter() - began
    figures = test.metrics().to_json()
    history = trained.metrics["history"]
    num_queries = run.algorithm.trainer(trained.scorer, dataset, run.seed, device).num_queries
    return {
        "run": trained.run,
        "valid": trained.metrics["valid"] and _overall(trained.metrics["valid"]),
        "test": _overall(figures),
        "seconds": history[-1]["seconds"],
        "seconds_to_95_percent": _seconds_to(0.95, history),
        "queries_per_second": num_queries / _epoch_seconds(history),
        "answers_per_second": figures["num_ranks"] / answered,
        "epochs": trained.metrics["epochs"],
        "best_epoch": trained.metrics["best_epoch"],
        "parameters": sum(parameter.numel() for parameter in trained.scorer.parameters()),
        "peak_memory_mb": peak,
        "history": history,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "environment": {key: trained.manifest[key] for key in bundles.environment()},
    }


def _overall(figures: dict[str, Any]) -> dict[str, Any]:
    """Without the figures of each relation, which `kg evaluate` gives of the saved model."""
    return {name: value for name, value in figures.items() if name != "by_relation"}


def _seconds_to(share: float, history: list[dict[str, Any]]) -> float | None:
    """Of training, until a validation first gave this share of the best MRR on valid."""
    course = [epoch for epoch in history if "valid_mrr" in epoch]
    enough = share * max((epoch["valid_mrr"] for epoch in course), default=math.nan)
    return next((float(epoch["seconds"]) for epoch in course if epoch["valid_mrr"] >= enough), None)


def _epoch_seconds(history: list[dict[str, Any]]) -> float:
    """Of the median epoch without a validation, whose time is no training's; of all where each has one.

    The median: a checkpoint falls into some epochs, and of one that was interrupted only the end has been timed.
    """
    starts = [0.0, *(epoch["seconds"] for epoch in history)]
    took = [(epoch["seconds"] - start, "valid_mrr" in epoch) for start, epoch in zip(starts, history, strict=False)]
    plain = [seconds for seconds, validated in took if not validated]
    return float(statistics.median(plain or [seconds for seconds, _ in took]))


# Peak memory: on a GPU what tensors took, else what the whole process held, on Linux alone (None elsewhere). The latter
# is an upper bound: what a training before it gave back may still be resident, since `keep_freed_memory` keeps it.


def _reset_peak_memory(device: torch.device) -> bool:
    """Whether it could be."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return True
    try:
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts again from what is resident now
    except OSError:
        return False
    return True


def _peak_memory_mb(device: torch.device) -> int | None:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) // 2**20
    status = Path("/proc/self/status").read_text().splitlines()
    return next((int(line.split()[1]) // 2**10 for line in status if line.startswith("VmHWM:")), None)


# The tables


_COLUMNS: dict[str, tuple[Callable[[Row], float | None], str]] = {
    "test MRR": (lambda row: row["test"]["mrr"], ".3f"),
    "Hits@1": (lambda row: row["test"]["hits_at_1"], ".3f"),
    "Hits@10": (lambda row: row["test"]["hits_at_10"], ".3f"),
    "valid MRR": (lambda row: row["valid"] and row["valid"]["mrr"], ".3f"),
    "perplexity": (lambda row: row["test"]["perplexity"], ",.1f"),
    "epochs": (lambda row: row["epochs"], ",.0f"),
    "seconds": (lambda row: row["seconds"], ",.1f"),
    "seconds to 95 %": (lambda row: row.get("seconds_to_95_percent"), ",.1f"),
    "queries/s": (lambda row: row.get("queries_per_second"), ",.0f"),
    "answers/s": (lambda row: row.get("answers_per_second"), ",.0f"),
    "peak MB": (lambda row: row["peak_memory_mb"], ",.0f"),
}


def leaderboard(results: Results) -> list[dict[str, str]]:
    """A row a preset, the best mean test MRR first: means over the seeds, ± the standard deviation."""
    measured = [name for name in results.presets if results.of(name)]
    measured.sort(key=lambda name: -statistics.mean(row["test"]["mrr"] for row in results.of(name)))
    return [_line(name, results.of(name)) for name in measured]


def _line(preset: str, rows: list[Row]) -> dict[str, str]:
    cells = {name: _spread([value(row) for row in rows], form) for name, (value, form) in _COLUMNS.items()}
    return {"preset": preset, "seeds": str(len(rows)), **cells, "parameters": f"{rows[0]['parameters']:,}"}


def _spread(values: list[float | None], form: str) -> str:
    given = [value for value in values if value is not None]
    if not given:
        return "-"
    mean = format(statistics.mean(given), form)
    return mean if len(given) == 1 else f"{mean} ± {format(statistics.stdev(given), form)}"


def markdown(results: Results) -> str:
    """The report: the leaderboard, how it was measured, and where."""
    rows = leaderboard(results)
    lines = [rows[0].keys(), ["---"] * len(rows[0]), *(row.values() for row in rows)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    places = {json.dumps({"device": row["device"], **row["environment"]}): None for row in results.rows}
    made = "\n".join(f"- {', '.join(f'{key} {value}' for key, value in json.loads(place).items())}" for place in places)
    return f"""# {results.dataset["source"] or "Benchmark"}

{results.dataset["facts"]}

{table}

Means ± standard deviations over seeds. Filtered ranks in both directions, all entities as candidates, ties count half.
Seconds are those of training and its validations; the weights measured are those with the best MRR on valid. Perplexity
is that of softmax(scores / T) on test, T fitted on valid, or 1 where the training made that softmax the probability.

- seconds to 95 %: until a validation first gave 95 % of the run's best MRR on valid.
- queries/s: rows of scores trained, by the median epoch without a validation (with it, where each epoch has one).
- answers/s: ranks of test facts, known answers filtered; questions that several facts share are scored once.

![MRR on valid against seconds of training](results.png)

![MRR on test against seconds of training](cost.png)

Trained with:

{made}
"""


def plot(results: Results, file: Path) -> None:
    """MRR on valid against the seconds of training: a colour a preset, a line a seed; a dot is its MRR on test."""
    with extra("plot"):
        from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for number, name in enumerate(line["preset"] for line in leaderboard(results)):
        for row in results.of(name):
            course = [epoch for epoch in row["history"] if "valid_mrr" in epoch]
            seconds, mrr = ([epoch[key] for epoch in course] for key in ("seconds", "valid_mrr"))
            style = ("-", "--", ":")[number // 10 % 3]  # there are ten colours
            axes.plot(seconds, mrr, style, color=f"C{number}", label=name if row is results.of(name)[0] else None)
            axes.plot(row["seconds"], row["test"]["mrr"], "o", color=f"C{number}")
    axes.set(xlabel="seconds of training", ylabel="MRR: valid (lines), test (dots)")
    axes.set_title(results.dataset["source"], parse_math=False)
    axes.grid(alpha=0.3)
    axes.legend()
    write_figure(file, figure)


def plot_cost(results: Results, file: Path) -> None:
    """Quality against cost: MRR on test against the seconds of training, a point a preset, its bars ± one deviation."""
    with extra("plot"):
        from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for number, name in enumerate(line["preset"] for line in leaderboard(results)):
        measured = [[row["seconds"] for row in results.of(name)], [row["test"]["mrr"] for row in results.of(name)]]
        (seconds, mrr), (wide, high) = ([take(values) for values in measured] for take in (statistics.mean, _deviation))
        axes.errorbar(seconds, mrr, xerr=wide, yerr=high, fmt="os^"[number // 10 % 3], color=f"C{number}", label=name)
    axes.set(xscale="log", xlabel="seconds of training", ylabel="MRR on test")
    axes.set_title(results.dataset["source"], parse_math=False)
    axes.grid(alpha=0.3)
    axes.legend()
    write_figure(file, figure)


def _deviation(values: list[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0
