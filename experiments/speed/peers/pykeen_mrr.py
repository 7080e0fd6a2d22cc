"""PyKEEN's LCWA loop on ComplEx: a side of mrr_at_time.py, in the peers' interpreter.

    python pykeen_mrr.py FACTS.npz OUT DIM BATCH_SIZE SEED INIT N3 SECONDS...

After so many seconds of training (the first batch starts the clock, and it stands still while weights are written) the
weights are kept as kg's ComplEx holds them, with a few of PyKEEN's own scores to check them by.
"""

import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pykeen.training.callbacks import TrainingCallback
from pykeen_complex import Training

NUM_CHECKED = 8

file, out, *numbers = sys.argv[1:]
dim, batch_size, seed = map(int, numbers[:3])
init, n3, *stops = map(float, numbers[3:])
facts = np.load(file)
training = Training("lcwa", facts, dim, batch_size, seed, init=init, n3=n3)


def reals(weight: torch.Tensor) -> np.ndarray:
    return torch.cat([weight.real, weight.imag], 1).numpy()


@torch.no_grad()
def keep(stop: float, seconds: float, queries: int) -> None:
    model = training.model
    entities, relations = model.entity_representations[0](), model.relation_representations[0]()
    triples = torch.from_numpy(facts["train"][:NUM_CHECKED])
    tails, heads = model.predict_t(triples[:, :2]), model.predict_h(triples[:, 1:])
    model.train()
    # PyKEEN's relation 2 r is r, 2 r + 1 its inverse; kg's are r and r + R
    np.savez(
        Path(out) / f"{stop:g}.npz",
        table=reals(entities),
        diagonal=np.concatenate([reals(relations[0::2]), reals(relations[1::2])]),
        seconds=seconds,
        queries=queries,
        triples=triples.numpy(),
        tail_scores=tails.numpy(),
        head_scores=heads.numpy(),
    )


class Done(Exception):
    pass


class Keeper(TrainingCallback):
    """Keeps the weights at every stop, and ends the training after the last."""

    def __init__(self) -> None:
        super().__init__()
        self.began: float | None = None
        self.queries = 0
        self.left = list(stops)

    def pre_batch(self, **kwargs: Any) -> None:
        self.began = self.began or time.perf_counter()

    def post_batch(self, epoch: int, batch: Any, **kwargs: Any) -> None:
        self.queries += len(batch["pairs"])
        now = time.perf_counter()
        if now - self.began < self.left[0]:
            return
        keep(self.left.pop(0), now - self.began, self.queries)
        if not self.left:
            raise Done
        self.began += time.perf_counter() - now


with suppress(Done):
    training.run(Keeper(), num_epochs=1_000_000)
