"""A side of training_speed.py or sampling_speed.py in kg's own interpreter: the bare products, or training.

python training_side.py bare|fp32|bf16 FACTS.npz DIM BATCH_SIZE SEED
python training_side.py own|pool FACTS.npz DIM BATCH_SIZE SEED NUM_NEGATIVES
"""

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Timer
from typing import Any

import torch

from kg.graph.dataset import Dataset
from kg.models.complex import ComplEx
from kg.resources import keep_freed_memory
from kg.training.algorithm import Epoch, Trainer
from kg.training.gradient_descent import GradientDescent
from kg.training.objectives import NegativeSampling, Objective, OneVsAll
from kg.training.regularizers import N3
from kg.training.run import Run

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import facts
from sides import peak_mb, serve


def bare_steps(num_entities: int, size: int, batch_size: int, num_steps: int) -> Callable[[], int]:
    """One product forward and two backward a step, of the sizes of OneVsAll, into buffers made once."""
    table, queries = torch.randn(num_entities, size), torch.randn(batch_size, size)
    scores, for_table, for_queries = torch.empty(batch_size, num_entities), torch.empty_like(table), queries.clone()

    def steps() -> int:
        for _ in range(num_steps):
            torch.mm(queries, table.T, out=scores)
            torch.mm(scores, table, out=for_queries)
            torch.mm(scores.T, queries, out=for_table)
        return num_steps * batch_size

    return steps


def new_fit(
    dataset: Dataset,
    dim: int,
    batch_size: int,
    seed: int,
    objective: Objective,
    precision: Any = "fp32",
    *,
    init: float = 0.1,
    n3: float = 0.0,
) -> Trainer:
    run = Run(
        partial(ComplEx, dim=dim, init=init),
        GradientDescent(
            partial(torch.optim.Adagrad, lr=0.1),
            objective,
            N3(n3) if n3 else None,
            batch_size=batch_size,
            precision=precision,
            epochs=1_000_000,
        ),
        seed=seed,
    )
    keep_freed_memory()  # as kg.training.train does
    return run.trainer(dataset)


def train_for(fit: Trainer, epochs: Iterator[Epoch], seconds: float) -> float:
    """Go on training for so long, to the end of the step under way; the seconds it took."""
    began = time.perf_counter()
    timer = Timer(seconds, fit.pause)
    timer.start()
    while time.perf_counter() < began + seconds:
        next(epochs)
    timer.cancel()
    return time.perf_counter() - began


def queries_so_far(fit: Trainer) -> int:
    return fit.epoch * fit.num_queries + fit.step * fit.algorithm.batch_size


def fit_steps(fit: Trainer) -> Callable[[], int]:
    """An epoch of training."""
    epochs = iter(fit)
    return lambda: next(epochs).queries


def sampling(num_negatives: int, shared: bool) -> NegativeSampling:
    """The plain logistic loss: no margin, all negatives alike."""
    return NegativeSampling(num_negatives, shared=shared, loss="logistic", margin=0.0, adversarial_temperature=0.0)


def main() -> None:
    side, file, *numbers = sys.argv[1:]
    dim, batch_size, seed, *negatives = map(int, numbers)
    libraries_mb = round(peak_mb())
    dataset = facts.load(file)
    torch.manual_seed(seed)
    num_candidates = 1 + negatives[0] if negatives else dataset.num_entities
    if side == "bare":
        task = bare_steps(dataset.num_entities, 2 * dim, batch_size, 2 * len(dataset.train) // batch_size)
    else:
        objective = sampling(negatives[0], side == "pool") if negatives else OneVsAll()
        precision = "bf16" if side == "bf16" else "fp32"
        task = fit_steps(new_fit(dataset, dim, batch_size, seed, objective, precision))

    def measure() -> dict[str, float]:
        began = time.perf_counter()
        queries = task()
        speed = queries / (time.perf_counter() - began)
        return {"queries_per_second": speed, "candidates_per_second": speed * num_candidates, "peak_mb": peak_mb()}

    measure()  # buffers, the state of the optimizer
    serve({"threads": torch.get_num_threads(), "libraries_mb": libraries_mb}, measure)


if __name__ == "__main__":
    main()
