"""A cell of growth.py for PyKEEN, in the peers' interpreter: prints one line of JSON.

    python pykeen_growth.py one_vs_all|sampling|evaluation FACTS.npz DIM BATCH_SIZE SEED NUM_NEGATIVES SECONDS

It has no pool of negatives for a whole batch: each fact gets as many of its own.
"""

import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pykeen.evaluation import RankBasedEvaluator
from pykeen.training.callbacks import TrainingCallback
from pykeen_complex import Training

sys.path.append(str(Path(__file__).parents[2] / "harness"))
from sides import peak_mb

task, file, *numbers = sys.argv[1:]
dim, batch_size, seed, num_negatives = map(int, numbers[:4])
seconds = float(numbers[4])
facts = np.load(file)
kind = "lcwa" if task == "one_vs_all" else "slcwa"
training = Training(kind, facts, dim, batch_size, seed, negatives=num_negatives)


class Done(Exception):
    pass


class Counter(TrainingCallback):
    """Counts queries from the end of the first batch, for so many seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.began: float | None = None
        self.queries = 0
        self.speed = 0.0

    def post_batch(self, epoch: int, batch: Any, **kwargs: Any) -> None:
        if self.began is None:
            self.began = time.perf_counter()
            return
        self.queries += len(batch["pairs" if kind == "lcwa" else "positives"])
        spent = time.perf_counter() - self.began
        if spent >= seconds:
            self.speed = self.queries / spent
            raise Done


def queries_per_second() -> float:
    counter = Counter()
    with suppress(Done):
        training.run(counter, num_epochs=1_000_000)
    return counter.speed


def ranks_per_second() -> float:
    train, valid, test = (torch.from_numpy(facts[name]) for name in ("train", "valid", "test"))
    began = time.perf_counter()
    RankBasedEvaluator().evaluate(
        training.model.eval(), test, batch_size=batch_size, additional_filter_triples=[train, valid], use_tqdm=False
    )
    return 2 * len(test) / (time.perf_counter() - began)


if task == "evaluation":
    answer = {"ranks_per_second": ranks_per_second()}
else:
    answer = {"queries_per_second": queries_per_second()}
print(json.dumps({**answer, "peak_mb": peak_mb()}))
