"""How good a model is after so many seconds of training: kg beside PyKEEN, both ranked by kg's evaluator.

    python experiments/speed/mrr_at_time.py [FOLDER] [--seconds 15 30 60] [--sides fp32 bf16 ...]

ComplEx of the same size, batch size, optimizer (Adagrad at 0.1, fused), scale of the first weights (0.001) and weight
of the nuclear 3-norm (kg's default for such a graph), one side after the other, each in a process of its own with the
whole machine. Only training counts: the clock stands still while weights are written. N3 in PyKEEN is its
PowerSumRegularizer, which also weighs every entity in each batch. Sides:

fp32, bf16           kg: OneVsAll with N3, as `kg train` has it by default
k_vs_all             kg: KvsAll with N3, fp32: PyKEEN's own loss
k_vs_all_without_n3  the same without N3
pykeen               LCWATrainingLoop with cross-entropy and N3
pykeen_without_n3    the same without N3

Results go to experiments/results/mrr_at_time_<folder>.json.
"""

import argparse
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
from kg.training.gradient_descent import GradientDescent
from kg.training.recipes import default_run

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import benchmarks
import facts
import report

HERE = Path(__file__).parent
INIT = 0.001
OURS = {  # objective, precision, whether with N3
    "fp32": ("one_vs_all", "fp32", True),
    "bf16": ("one_vs_all", "bf16", True),
    "k_vs_all": ("k_vs_all", "fp32", True),
    "k_vs_all_without_n3": ("k_vs_all", "fp32", False),
}
PEERS = {"pykeen": True, "pykeen_without_n3": False}


def command(side: str, arguments: argparse.Namespace, file: Path, out: Path, n3: float) -> list[str]:
    sizes = [str(number) for number in (arguments.dim, arguments.batch_size, arguments.seed, INIT)]
    stops = [f"{seconds:g}" for seconds in sorted(arguments.seconds)]
    if side in PEERS:
        start = [str(arguments.peer_python), str(HERE / "peers" / "pykeen_mrr.py")]
        return [*start, str(file), str(out), *sizes, str(n3 if PEERS[side] else 0), *stops]
    objective, precision, with_n3 = OURS[side]
    start = [sys.executable, str(HERE / "mrr_side.py"), objective, precision]
    return [*start, str(file), str(out), *sizes, str(n3 if with_n3 else 0), *stops]


def measured(dataset: Dataset, dim: int, file: Path) -> dict[str, float]:
    kept = np.load(file)
    scorer = ComplEx(dataset.num_entities, dataset.num_relations, dim=dim)
    weights = {"table.weight": kept["table"], "diagonal.weight": kept["diagonal"]}
    scorer.load_state_dict({name: torch.from_numpy(weight) for name, weight in weights.items()})
    if "triples" in kept:
        check_scores(scorer.eval(), dataset, kept)
    row = {"seconds": round(float(kept["seconds"]), 2), "queries": int(kept["queries"])}
    for part in ("valid", "test"):
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    benchmarks.add(parser, "codex-s")
    parser.add_argument("--peer-python", type=Path, default=benchmarks.ROOT / ".peers/bin/python")
    parser.add_argument("--seconds", type=float, nargs="+", default=[15, 30, 60])
    parser.add_argument("--sides", nargs="+", choices=[*OURS, *PEERS], default=["fp32", "bf16", "k_vs_all", "pykeen"])
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
                rows[side].append(row := measured(dataset, arguments.dim, out / f"{seconds:g}.npz"))
                told = f"{row['queries']:,} queries, valid MRR {row['valid_mrr']:.4f}, test {row['test_mrr']:.4f}"
                print(f"{side:20} {row['seconds']:6.1f} s: {told}", flush=True)
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
    print(report.write(__file__, arguments.seed, variant=arguments.folder.name, **results))


if __name__ == "__main__":
    main()
