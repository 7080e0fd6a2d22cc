"""How fast a device trains and ranks, beside the products it could do in that time.

    python experiments/gpu/speed.py [FOLDER] [--device cuda] [--small]

First what the device can do: a product of matrices in bf16 and in fp32, and a copy. Then, a model and precision at a
time on fb15k-237 with batches of 1,024: questions a second in training (the median epoch after the first, of about ten
seconds), the share of the measured bf16 product that its scores against all entities alone come to, forward and back,
peak memory; and ranks a second in evaluation. Results go to experiments/results/speed_<device>.json.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch.optim import Adagrad, Adam

from kg.evaluation.ranking import evaluate
from kg.graph.dataset import Dataset
from kg.graph.sources import open_dataset
from kg.models.complex import ComplEx
from kg.models.distmult import DistMult
from kg.models.neighbourhood import NeighbourhoodTransformer
from kg.models.rescal import RESCAL
from kg.models.rotate import RotatE
from kg.models.transe import TransE
from kg.training.algorithm import Trainer
from kg.training.gradient_descent import GradientDescent
from kg.training.objectives import NegativeSampling, OneVsAll
from kg.training.run import Run

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import benchmarks
import report

BATCH = 1024
SEED = 0
PRECISIONS: tuple[Literal["fp32", "bf16"], ...] = ("fp32", "bf16")


def runs(dim: int, precision: Literal["fp32", "bf16"]) -> dict[str, tuple[Run, int | None]]:
    """By name; with the numbers that an entity's row has, where training multiplies them with every question."""

    def run(scorer: "partial[Any]", objective: Any, optimizer: Any, hide: Any = None) -> Run:
        algorithm = GradientDescent(
            optimizer, objective, batch_size=BATCH, precision=precision, hide=hide, epochs=1_000_000
        )
        return Run(scorer, algorithm, seed=SEED)

    slow, fast = partial(Adam, lr=1e-4), partial(Adagrad, lr=0.1)
    made = {
        "complex": (run(partial(ComplEx, dim=dim), OneVsAll(), fast), 2 * dim),
        "distmult": (run(partial(DistMult, dim=dim), OneVsAll(), fast), dim),
        "rescal": (run(partial(RESCAL, dim=dim // 4), OneVsAll(), slow), dim // 4),
        "neighbourhood": (run(partial(NeighbourhoodTransformer, dim=dim), OneVsAll(), slow, "exact"), dim),
        "transe, 256 negatives": (run(partial(TransE, dim=dim), NegativeSampling(256), slow), None),
        "rotate, 256 negatives": (run(partial(RotatE, dim=dim), NegativeSampling(256), slow), None),
    }
    return made


def seconds(device: torch.device, work: Callable[[], object], repeats: int) -> float:
    """The median of so many, after one; the device has finished each."""
    taken = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[1:])


def ceilings(device: torch.device, size: int) -> dict[str, float]:
    """What a product of random square matrices, and a copy, reach."""
    found = {}
    for name, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
        found[f"{name}_tflops"] = 2 * size**3 / seconds(device, partial(torch.mm, left, right), 10) / 1e12
    block = torch.randn(size, size, device=device)
    copy = torch.empty_like(block)
    found["copy_gb_per_second"] = 2 * 4 * size**2 / seconds(device, partial(copy.copy_, block), 10) / 1e9
    return found


def training(fit: Trainer, device: torch.device, limit: float) -> float:
    """Questions a second, of the median epoch after the first."""
    taken: list[float] = []
    began = last = time.perf_counter()
    for epoch in fit:
        now = time.perf_counter()
        taken.append(epoch.queries / (now - last))
        last = now
        if now - began > limit and len(taken) > 1:
            break
    return statistics.median(taken[1:])


def measured(
    run: Run, width: int | None, dataset: Dataset, device: torch.device, limit: float, product: float
) -> dict[str, float | None]:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    fit = run.trainer(dataset, device)
    speed = training(fit, device, limit)
    peak = torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else None
    scorer = fit.scorer.eval()
    evaluate(scorer, dataset, "valid")
    began = time.perf_counter()
    ranks = len(evaluate(scorer, dataset, "valid").rank)
    answered = time.perf_counter() - began
    share = None if width is None else speed * 6 * width * dataset.num_entities / 1e12 / product
    return {
        "queries_per_second": speed,
        "share_of_bf16_product": share,
        "peak_mb": peak,
        "ranks_per_second": ranks / answered,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    benchmarks.add(parser, default="fb15k-237")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="small sizes and a second each: to try the script")
    arguments = benchmarks.parsed(parser)
    device = torch.device(arguments.device)
    dataset = open_dataset(arguments.folder)
    limits = ceilings(device, 512 if arguments.small else 8192)
    print({name: round(value, 1) for name, value in limits.items()}, flush=True)
    rows: dict[str, Any] = {}
    for precision in PRECISIONS:
        for name, (run, width) in runs(16 if arguments.small else 512, precision).items():
            limit = 1 if arguments.small else 10
            rows[f"{name}, {precision}"] = row = measured(run, width, dataset, device, limit, limits["bf16_tflops"])
            print(f"{name}, {precision}: {row['queries_per_second']:,.0f} questions/s", flush=True)
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    told = report.write(
        __file__,
        SEED,
        variant="small" if arguments.small else device.type,
        dataset=arguments.folder.name,
        device=kind,
        batch_size=BATCH,
        dim=16 if arguments.small else 512,
        ceilings=limits,
        models=rows,
    )
    print(told)


if __name__ == "__main__":
    main()
