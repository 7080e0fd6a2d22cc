"""How cost grows with the number of entities: training, ranking and peak memory, of kg and of PyKEEN.

    python experiments/speed/growth.py [--entities 1000 10000 100000 1000000] [--sides kg pykeen] [--memory-gb 8]

Random graphs with five facts an entity and 20 relations; ComplEx, dense Adagrad (fused). Every cell is a process of its
own with so much address space (as `ulimit -v`) and so much time; one that needs more is told as what it died of. Tasks:

one_vs_all   softmax over all entities (PyKEEN: LCWA); the batch shrinks so that it has at most 2^27 scores
sampling     --negatives wrong answers a query: in kg one pool for the batch; PyKEEN, which has none, draws them for
             each fact
evaluation   filtered ranks of --test facts in both directions, at most 2^24 scores a batch; kg has sorted the known
             facts before (once a dataset), PyKEEN looks through them for every batch

Results go to experiments/results/growth.json.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import report

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
TASKS = ("one_vs_all", "sampling", "evaluation")
FACTS_AN_ENTITY, RELATIONS = 5, 20


def save_random_graph(num_entities: int, num_test: int, seed: int, file: Path) -> None:
    generator = np.random.default_rng(seed)
    ends = generator.integers(num_entities, size=(FACTS_AN_ENTITY * num_entities + num_test, 2))
    relations = generator.integers(RELATIONS, size=len(ends))
    triples = np.unique(np.stack([ends[:, 0], relations, ends[:, 1]], 1), axis=0)
    generator.shuffle(triples)
    parts = {"train": triples[num_test:], "valid": triples[:0], "test": triples[:num_test]}
    np.savez(file, num_entities=num_entities, num_relations=RELATIONS, **parts)


def batch_size(task: str, num_entities: int, arguments: argparse.Namespace) -> int:
    most = {"one_vs_all": 2**27 // num_entities, "evaluation": 2**24 // num_entities}.get(task)
    return min(arguments.batch_size, most) if most else int(arguments.batch_size)


def cell(side: str, task: str, num_entities: int, file: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """One measurement, or what it died of."""
    start: list[str | Path] = [sys.executable, HERE / "growth_side.py"]
    if side == "pykeen":
        start = [arguments.peer_python, HERE / "peers" / "pykeen_growth.py"]
    size = batch_size(task, num_entities, arguments)
    settings = (arguments.dim, size, arguments.seed, arguments.negatives, arguments.seconds)
    most = round(arguments.memory_gb * 2**30)
    row: dict[str, Any] = {"side": side, "task": task, "entities": num_entities, "batch_size": size}
    try:
        child = subprocess.run(
            [*start, task, file, *map(str, settings)],
            capture_output=True,
            text=True,
            timeout=arguments.timeout,
            preexec_fn=partial(resource.setrlimit, resource.RLIMIT_AS, (most, most)),
        )
    except subprocess.TimeoutExpired:
        return {**row, "died": f"not done after {arguments.timeout:g} s"}
    if child.returncode:
        last = child.stderr.strip().splitlines() or [f"ended with {child.returncode}"]
        return {**row, "died": last[-1][:200]}
    return {**row, **{name: round(value, 3) for name, value in json.loads(child.stdout.splitlines()[-1]).items()}}


def told(row: dict[str, Any]) -> str:
    start = f"{row['entities']:9,} {row['task']:11} {row['side']:7}"
    if "died" in row:
        return f"{start} died: {row['died']}"
    if row["task"] == "evaluation":
        cost = f"{row['ranks_per_second']:9,.0f} ranks/s     "
    else:
        cost = f"{1000 / row['queries_per_second']:9.3f} s/1k queries"
    return f"{start} {cost} {row['peak_mb']:8,.0f} MB, batch {row['batch_size']}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entities", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--sides", nargs="+", choices=["kg", "pykeen"], default=["kg", "pykeen"])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--peer-python", type=Path, default=ROOT / ".peers/bin/python")
    parser.add_argument("--memory-gb", type=float, default=8)
    parser.add_argument("--timeout", type=float, default=300, help="seconds a cell may take in all")
    parser.add_argument("--seconds", type=float, default=5, help="of training that a cell measures")
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--negatives", type=int, default=1024)
    parser.add_argument("--test", type=int, default=256, help="facts that are ranked")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for num_entities in arguments.entities:
            save_random_graph(num_entities, arguments.test, arguments.seed, file := Path(temporary) / "facts.npz")
            for task in arguments.tasks:
                for side in arguments.sides:
                    rows.append(row := cell(side, task, num_entities, file, arguments))
                    print(told(row), flush=True)
    settings = {
        "model": f"ComplEx, dim {arguments.dim} ({2 * arguments.dim} reals), fp32",
        "graph": f"random: {FACTS_AN_ENTITY} facts an entity, {RELATIONS} relations",
        "negatives": arguments.negatives,
        "test_facts": arguments.test,
        "memory_gb": arguments.memory_gb,
        "timeout_seconds": arguments.timeout,
    }
    print(report.write(__file__, arguments.seed, **settings, cells=rows))


if __name__ == "__main__":
    main()
