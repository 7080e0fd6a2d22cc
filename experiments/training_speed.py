"""OneVsAll training of ComplEx, against its bare products and against PyKEEN's LCWA loop.

    python experiments/training_speed.py [FOLDER] [--peer-python .peers/bin/python] [--repetitions 10]

In turn, each in a process of its own: the three products of a step (scores, and the gradients of queries and table)
into buffers; kg's Fit in fp32; in bf16; PyKEEN's LCWATrainingLoop with cross-entropy and inverse triples. All with the
same facts (a random part of train, as many as make --steps), batch size, optimizer (Adagrad) and scale of the first
weights, none with a regularizer. A query is one row of scores over all entities: for kg (head, relation) of a fact or
its inverse, for PyKEEN a distinct such pair. Results go to experiments/training_speed.json.
"""

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import report
from sides import Side, spread

from kg.graph.dataset import PARTS, Dataset

ROOT = Path(__file__).parents[1]
HERE = Path(__file__).parent


def save_part(dataset: Dataset, num_facts: int, seed: int, file: Path) -> None:
    parts = {name: dataset.part(name).numpy() for name in PARTS}
    parts["train"] = np.random.default_rng(seed).permutation(parts["train"])[:num_facts]
    np.savez(file, num_entities=dataset.num_entities, num_relations=dataset.num_relations, **parts)


def measured(arguments: argparse.Namespace) -> dict[str, Any]:
    dataset = Dataset.from_folder(arguments.folder)
    numbers = [str(number) for number in (arguments.dim, arguments.batch_size, arguments.seed)]
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        file = Path(temporary) / "facts.npz"
        save_part(dataset, arguments.batch_size * arguments.steps // 2, arguments.seed, file)
        ours = {name: (sys.executable, HERE / "training_side.py", name) for name in ("bare", "fp32", "bf16")}
        commands = {**ours, "pykeen": (arguments.peer_python, HERE / "peers" / "pykeen_training.py")}
        sides = {name: stack.enter_context(Side(*command, str(file), *numbers)) for name, command in commands.items()}
        taken: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
        for _ in range(arguments.repetitions):
            for name, side in sides.items():
                taken[name].append(side.measure())
            last = {name: round(rows[-1]["queries_per_second"]) for name, rows in taken.items()}
            print("queries/s:", *(f"{name} {speed:,}" for name, speed in last.items()), flush=True)
    speed = {name: [row["queries_per_second"] for row in rows] for name, rows in taken.items()}

    def ratio(left: str, right: str) -> dict[str, float]:
        pairs = [a / b for a, b in zip(speed[left], speed[right], strict=True)]
        return {
            "of_medians": round(median(speed[left]) / median(speed[right]), 3),
            "pair_by_pair": round(median(pairs), 3),
        }

    return {
        "dataset": arguments.folder.name,
        "model": f"ComplEx, dim {arguments.dim} ({2 * arguments.dim} reals)",
        "optimizer": "Adagrad",
        "batch_size": arguments.batch_size,
        "steps_a_sample": arguments.steps,
        "a_query_is": "one row of scores over all entities; in PyKEEN a distinct (head, relation)",
        "sides": {
            name: {
                **side.about,
                "queries_per_second": spread(speed[name]),
                "peak_mb": round(taken[name][-1]["peak_mb"]),
            }
            for name, side in sides.items()
        },
        "fp32_over_bare": ratio("fp32", "bare"),
        "fp32_over_pykeen": ratio("fp32", "pykeen"),
        "bf16_over_fp32": ratio("bf16", "fp32"),
        "pykeen_over_bare": ratio("pykeen", "bare"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "../shared/datasets/wn18rr")
    parser.add_argument("--peer-python", type=Path, default=ROOT / ".peers/bin/python")
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=12, help="steps a sample")
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    results = measured(arguments)
    for name in ("fp32_over_bare", "fp32_over_pykeen", "bf16_over_fp32"):
        print(f"{name}: {results[name]['of_medians']}")
    print(report.write(__file__, arguments.seed, **results))


if __name__ == "__main__":
    main()
