"""A side of training_speed.py in kg's own interpreter: the bare products, or Fit in fp32 or bf16.

python training_side.py bare|fp32|bf16 FACTS.npz DIM BATCH_SIZE SEED
"""

import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from sides import serve

from kg.graph.dataset import PARTS, Dataset
from kg.graph.vocabulary import Vocabulary
from kg.models.complex import ComplEx
from kg.training.fit import Fit
from kg.training.memory import keep_freed_memory
from kg.training.objectives import OneVsAll
from kg.training.run import Run


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


def fit_steps(dataset: Dataset, dim: int, batch_size: int, seed: int, precision: Any) -> Callable[[], int]:
    """An epoch of Fit."""
    run = Run(
        scorer=partial(ComplEx, dim=dim),
        optimizer=partial(torch.optim.Adagrad, lr=0.1),
        objective=OneVsAll(),
        batch_size=batch_size,
        epochs=1_000_000,
        precision=precision,
        seed=seed,
    )
    keep_freed_memory()  # as kg.training.train does
    epochs = iter(Fit(run.new_scorer(dataset.num_entities, dataset.num_relations), dataset, run))
    return lambda: next(epochs).queries


def main() -> None:
    side, file, dim, batch_size, seed = *sys.argv[1:3], *map(int, sys.argv[3:])
    stored = np.load(file)
    names = Vocabulary(*([str(i) for i in range(stored[key])] for key in ("num_entities", "num_relations")))
    dataset = Dataset(*(torch.from_numpy(stored[name]) for name in PARTS), names)
    torch.manual_seed(seed)
    if side == "bare":
        task = bare_steps(dataset.num_entities, 2 * dim, batch_size, 2 * len(dataset.train) // batch_size)
    else:
        task = fit_steps(dataset, dim, batch_size, seed, side)

    def measure() -> dict[str, float]:
        began = time.perf_counter()
        queries = task()
        seconds = time.perf_counter() - began
        return {
            "queries_per_second": queries / seconds,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }

    measure()  # buffers, the state of the optimizer
    serve({"threads": torch.get_num_threads()}, measure)


if __name__ == "__main__":
    main()
