"""A cell of growth.py in kg's own interpreter: prints one line of JSON.

python growth_side.py one_vs_all|sampling|evaluation FACTS.npz DIM BATCH_SIZE SEED NUM_NEGATIVES SECONDS
"""

import json
import sys
import time
from pathlib import Path
from threading import Event, Thread

import torch

from kg.evaluation.ranking import evaluate
from kg.graph.dataset import Dataset
from kg.models.complex import ComplEx
from kg.training.algorithm import Trainer
from kg.training.objectives import OneVsAll

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import facts
from sides import peak_mb
from training_side import new_fit, queries_so_far, sampling


def queries_per_second(fit: Trainer, seconds: float) -> float:
    """From the end of the first step on: before it the whole graph is put in order, buffers and state are made."""
    marks: list[tuple[float, int]] = []
    over = Event()

    def watch() -> None:
        while not fit.step and not fit.epoch:
            time.sleep(0.001)
        marks.append((time.perf_counter(), queries_so_far(fit)))
        time.sleep(seconds)
        over.set()
        fit.pause()

    Thread(target=watch).start()
    epochs = iter(fit)
    while not over.is_set():
        next(epochs)
    began, before = marks[0]
    return (queries_so_far(fit) - before) / (time.perf_counter() - began)


def ranks_per_second(dataset: Dataset, dim: int, batch_size: int) -> float:
    scorer = ComplEx(dataset.num_entities, dataset.num_relations, dim=dim)
    dataset.known("train", "valid", "test")  # sorted once a dataset: not part of a ranking
    dataset.graph()
    began = time.perf_counter()
    evaluate(scorer, dataset, "test", temperature=None, batch_size=batch_size)
    return 2 * len(dataset.test) / (time.perf_counter() - began)


def main() -> None:
    task, file, *numbers = sys.argv[1:]
    dim, batch_size, seed, num_negatives = map(int, numbers[:4])
    seconds = float(numbers[4])
    dataset = facts.load(file)
    torch.manual_seed(seed)
    if task == "evaluation":
        answer = {"ranks_per_second": ranks_per_second(dataset, dim, batch_size)}
    else:
        objective = OneVsAll() if task == "one_vs_all" else sampling(num_negatives, shared=True)
        fit = new_fit(dataset, dim, batch_size, seed, objective)
        answer = {"queries_per_second": queries_per_second(fit, seconds)}
    print(json.dumps({**answer, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()
