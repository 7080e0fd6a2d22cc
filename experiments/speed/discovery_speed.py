"""How long does it take to look at every (head, relation, tail) that a graph does not have?

    python experiments/speed/discovery_speed.py MODEL [--top 1000]

Three sides, each in a process of its own, one after the other: the bare products of matrices (entities by entities, one
a relation, in blocks, with nothing done to them); `complete` with all candidates (types off); and with those that
observed types leave. MODEL: a bilinear scorer that `kg train` made. Results go to
experiments/results/discovery_speed_<model>.json.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from kg.bundle import Bundle
from kg.models.scorer import DotScorer
from kg.progress import Progress

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import report
from predictors import knowing
from sides import peak_mb

_ROWS = 256  # of a block, as discovery has them


def bare(model: Path) -> dict[str, Any]:
    bundle = Bundle.load(model)
    scorer = bundle.scorer
    assert isinstance(scorer, DotScorer)
    entities = scorer.entities(bundle.dataset.graph()).detach()
    size = len(entities)
    block, transposed = torch.empty(_ROWS, size), entities.T.contiguous()
    began = time.perf_counter()
    for _ in range(bundle.dataset.num_relations):
        for start in range(0, size, _ROWS):
            rows = entities[start : start + _ROWS]
            torch.mm(rows, transposed, out=block[: len(rows)])
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "candidates": size * size * bundle.dataset.num_relations, "reals": entities.shape[1]}


class Total(Progress):
    """Remembers how many candidates there are in all."""

    total: int | None = None

    def at(self, what: str, done: int, total: int | None = None, figures: Callable[[], str] | None = None) -> None:
        self.total = total


def complete(model: Path, types: str, top: int) -> dict[str, Any]:
    predictor = knowing(Bundle.load(model), "train")
    began = time.perf_counter()
    seen = Total()
    found = predictor.complete(top, types=types, progress=seen)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "candidates": seen.total, "least probable": found[-1].probability}


def side(name: str, model: Path, top: int) -> dict[str, Any]:
    measured = bare(model) if name == "bare products" else complete(model, name, top)
    return {**measured, "peak_mb": round(peak_mb())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--top", type=int, default=1000)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(side(arguments.side, arguments.model, arguments.top)))
        return
    results = {}
    for name in ("bare products", "off", "observed"):
        command = [sys.executable, __file__, str(arguments.model), "--top", str(arguments.top), "--side", name]
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        results[name] = json.loads(told.splitlines()[-1])
        print(name, results[name], flush=True)
    times = results["off"]["seconds"] / results["bare products"]["seconds"]
    print(f"all candidates in {times:.2f} times the bare products")
    threads = torch.get_num_threads()
    bundle = Bundle.load(arguments.model)
    print(
        report.write(
            __file__,
            bundle.run["seed"],
            variant=arguments.model.name,
            top=arguments.top,
            threads=threads,
            scorer=bundle.run["scorer"],
            times_the_bare_products=times,
            sides=results,
        )
    )


if __name__ == "__main__":
    main()
