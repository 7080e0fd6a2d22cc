"""PyKEEN's LCWA loop on ComplEx: a side of training_speed.py, in the peers' interpreter.

    python pykeen_training.py FACTS.npz DIM BATCH_SIZE SEED

A batch holds distinct (head, relation) pairs, of the facts and their inverses. The clock runs from the end of the first
batch to the end of the last full one, so that building the labels and starting an epoch count for nothing. The weights
start as small as kg's (standard deviation 0.1): from PyKEEN's own N(0, 1) most gradients are denormal numbers, which
take the processor fifty times as long.
"""

import resource
import sys
import time
from functools import partial
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pykeen.losses import CrossEntropyLoss
from pykeen.models import ComplEx
from pykeen.training import LCWATrainingLoop
from pykeen.training.callbacks import TrainingCallback
from pykeen.triples import CoreTriplesFactory

sys.path.append(str(Path(__file__).parents[1]))
from sides import serve

file, dim, batch_size, seed = sys.argv[1], *map(int, sys.argv[2:])
facts = np.load(file)
factory = CoreTriplesFactory(
    facts["train"], int(facts["num_entities"]), int(facts["num_relations"]), create_inverse_triples=True
)
initializer = partial(torch.nn.init.normal_, std=0.1)
model = ComplEx(
    triples_factory=factory,
    embedding_dim=dim,
    entity_initializer=initializer,
    relation_initializer=initializer,
    regularizer=None,
    loss=CrossEntropyLoss(),
    random_seed=seed,
)
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1)
epoch = count(1)
loop = LCWATrainingLoop(model=model, triples_factory=factory, optimizer=optimizer)


class Clock(TrainingCallback):
    """When each batch ended."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def post_batch(self, epoch: int, batch: Any, **kwargs: Any) -> None:
        self.ends.append(time.perf_counter())


def measure() -> dict[str, float]:
    clock = Clock()
    loop.train(
        factory,
        num_epochs=next(epoch),
        continue_training=True,
        batch_size=batch_size,
        use_tqdm=False,
        callbacks=clock,
        pin_memory=False,
    )
    first, *_, last_full, _ = clock.ends
    queries = (len(clock.ends) - 2) * batch_size
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"queries_per_second": queries / (last_full - first), "peak_mb": peak}


serve({"pykeen": version("pykeen"), "torch": version("torch"), "threads": torch.get_num_threads()}, measure)
