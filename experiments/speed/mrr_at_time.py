"""How good a model is after so many seconds of training: kg beside PyKEEN, all entities beside a sample of them.

    python experiments/speed/mrr_at_time.py [FOLDER] [--seconds 15 30 60] [--sides fp32 bf16 ...] [--valid-only]
    python experiments/speed/mrr_at_time.py fb15k-237 --sides shared sampled_64 sampled_1024 --valid-only --plot

ComplEx of the same size, batch size, optimizer (Adagrad at 0.1, fused), scale of the first weights (0.001) and weight
of the nuclear 3-norm (kg's default for such a graph), one side after the other, each in a process of its own with the
whole machine. Only training counts: the clock stands still while weights are written. N3 in PyKEEN is its
PowerSumRegularizer, which also weighs every entity in each batch. Sides:

fp32, bf16           kg: OneVsAll with N3, as `kg train` has it by default
k_vs_all             kg: KvsAll with N3, fp32: PyKEEN's own loss
k_vs_all_without_n3  the same without N3
shared               kg: OneVsAll with 8 answers a row, the default above 5,000 entities
sampled_K            kg: the softmax over all estimated from K negatives, drawn by degree and shared by the batch
sampled_K_uniform    the same, negatives drawn uniformly
plain_K, plain_K_uniform  the softmax among the K negatives, not corrected for how they were drawn
pykeen               LCWATrainingLoop with cross-entropy and N3
pykeen_without_n3    the same without N3

All are ranked by kg's evaluator. Results go to experiments/results/mrr_at_time_<folder>.json, with --plot their
curves to the .png beside it.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kg.evaluation.ranking import evaluate
from kg.graph.dataset import Dataset
from kg.graph.from_folder import dataset_from_folder
from kg.models.complex import ComplEx
from kg.models.scorer import Queries
from kg.training.algorithm import named
from kg.training.gradient_descent import GradientDescent
from kg.training.objectives import OBJECTIVES, KvsAll, NegativeSampling, Objective, OneVsAll
from kg.training.recipes import default_run

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import benchmarks
import facts
import report

HERE = Path(__file__).parent
INIT = 0.001
OURS = {  # objective, precision, whether with N3
    "fp32": (OneVsAll(), "fp32", True),
    "bf16": (OneVsAll(), "bf16", True),
    "k_vs_all": (KvsAll(), "fp32", True),
    "k_vs_all_without_n3": (KvsAll(), "fp32", False),
    "shared": (OneVsAll(max_answers=8), "fp32", True),
}
SAMPLED = re.compile(r"(sampled|plain)_(\d+)(_uniform)?")
PEERS = {"pykeen": True, "pykeen_without_n3": False}


def command(side: str, arguments: argparse.Namespace, file: Path, out: Path, n3: float) -> list[str]:
    sizes = [str(number) for number in (arguments.dim, arguments.batch_size, arguments.seed, INIT)]
    stops = [f"{seconds:g}" for seconds in sorted(arguments.seconds)]
    if side in PEERS:
        start = [str(arguments.peer_python), str(HERE / "peers" / "pykeen_mrr.py")]
        return [*start, str(file), str(out), *sizes, str(n3 if PEERS[side] else 0), *stops]
    objective, precision, with_n3 = settings(side)
    start = [sys.executable, str(HERE / "mrr_side.py"), json.dumps(named(objective, OBJECTIVES)), precision]
    return [*start, str(file), str(out), *sizes, str(n3 if with_n3 else 0), *stops]


def settings(side: str) -> tuple[Objective, str, bool]:
    if side in OURS:
        return OURS[side]
    loss, number, uniform = SAMPLED.fullmatch(side).groups()  # type: ignore[union-attr]  # main() has looked
    return (
        NegativeSampling(
            int(number),
            loss="corrected_softmax" if loss == "sampled" else "softmax",
            candidates="all" if uniform else "by_degree",
        ),
        "fp32",
        True,
    )


def side_named(text: str) -> str:
    if text not in OURS and text not in PEERS and not SAMPLED.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text}: expected {', '.join([*OURS, *PEERS])} or sampled_64 and the like")
    return text


def measured(dataset: Dataset, dim: int, file: Path, parts: tuple[str, ...]) -> dict[str, float]:
    kept = np.load(file)
    scorer = ComplEx(dataset.num_entities, dataset.num_relations, dim=dim)
    weights = {"table.weight": kept["table"], "diagonal.weight": kept["diagonal"]}
    scorer.load_state_dict({name: torch.from_numpy(weight) for name, weight in weights.items()})
    if "triples" in kept:
        check_scores(scorer.eval(), dataset, kept)
    row = {name: round(float(kept[name]), 2) for name in ("seconds", "cpu_seconds") if name in kept}
    row["queries"] = int(kept["queries"])
    for part in parts:
        row[f"{part}_mrr"] = round(evaluate(scorer, dataset, part, temperature=None).metrics().mrr, 4)
    return row


@torch.no_grad()
def check_scores(scorer: ComplEx, dataset: Dataset, kept: Any) -> None:
    """The weights of another library give that library's own scores here."""
    head, relation, tail = torch.from_numpy(kept["triples"]).unbind(1)
    asked = {"tail_scores": (head, relation), "head_scores": (tail, relation + dataset.num_relations)}
    for name, question in asked.items():
        scores = scorer.score_tails(Queries(*question, dataset.graph()))
        torch.testing.assert_close(scores, torch.from_numpy(kept[name]), rtol=1e-3, atol=1e-4)


def plot(rows: dict[str, list[dict[str, float]]], title: str, file: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4))
    for side, points in rows.items():
        clock = "cpu_seconds" if "cpu_seconds" in points[0] else "seconds"
        axes.plot([row[clock] for row in points], [row["valid_mrr"] for row in points], marker="o", label=side)
    axes.set(xscale="log", xlabel="seconds of training (CPU)", ylabel="MRR on valid", title=title)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(file, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    benchmarks.add(parser, "codex-s")
    parser.add_argument("--peer-python", type=Path, default=benchmarks.ROOT / ".peers/bin/python")
    parser.add_argument("--seconds", type=float, nargs="+", default=[15, 30, 60])
    parser.add_argument("--sides", nargs="+", type=side_named, default=["fp32", "bf16", "k_vs_all", "pykeen"])
    parser.add_argument("--valid-only", action="store_true", help="to choose settings: test is not looked at")
    parser.add_argument("--plot", action="store_true", help="draw the curves, too")
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--seed", type=int, default=0)
    arguments = benchmarks.parsed(parser)
    dataset = dataset_from_folder(arguments.folder)
    algorithm = default_run("complex")(dataset).algorithm
    assert isinstance(algorithm, GradientDescent) and algorithm.regularizer
    regularizer = algorithm.regularizer
    rows: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        facts.save(dataset, file := Path(temporary) / "facts.npz")
        for side in arguments.sides:
            (out := Path(temporary) / side).mkdir()
            subprocess.run(command(side, arguments, file, out, regularizer.weight), check=True)
            rows[side] = []
            for seconds in sorted(arguments.seconds):
                parts = ("valid",) if arguments.valid_only else ("valid", "test")
                rows[side].append(row := measured(dataset, arguments.dim, out / f"{seconds:g}.npz", parts))
                told = ", ".join(f"{part} MRR {row[f'{part}_mrr']:.4f}" for part in parts)
                print(f"{side:20} {row['seconds']:6.1f} s: {row['queries']:,} queries, {told}", flush=True)
    results = {
        "dataset": arguments.folder.name,
        "model": f"ComplEx, dim {arguments.dim} ({2 * arguments.dim} reals)",
        "optimizer": "Adagrad at 0.1, fused",
        "batch_size": arguments.batch_size,
        "n3": regularizer.weight,
        "threads": torch.get_num_threads(),
        "seconds_are": "of training alone, to the end of the step under way",
        "sides": rows,
    }
    written = report.write(__file__, arguments.seed, variant=arguments.folder.name, **results)
    if arguments.plot:
        plot(rows, f"{arguments.folder.name}, {results['model']}", written.with_suffix(".png"))
    print(written)


if __name__ == "__main__":
    main()
