"""PyKEEN's ComplEx and its training loops, as the sides that measure PyKEEN use them. In the peers' interpreter."""

import time
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from pykeen.losses import CrossEntropyLoss, SoftplusLoss
from pykeen.models import ComplEx
from pykeen.regularizers import PowerSumRegularizer
from pykeen.training import LCWATrainingLoop, SLCWATrainingLoop, TrainingLoop
from pykeen.training.callbacks import TrainingCallback
from pykeen.triples import CoreTriplesFactory


class Clock(TrainingCallback):
    """When each batch ended."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def post_batch(self, epoch: int, batch: Any, **kwargs: Any) -> None:
        self.ends.append(time.perf_counter())


class Training:
    """A loop with its model, its facts and its batch size, to be run epoch by epoch.

    lcwa: cross-entropy over all entities, the facts' inverses too. slcwa: the logistic loss over a fact and as many
    negatives, half of the facts with other heads and half with other tails.

    init is the standard deviation of the first weights: with PyKEEN's own N(0, 1) most gradients of a softmax are
    denormal numbers, which take the processor fifty times as long. n3: the weight of sum |x|^3, which PyKEEN takes of
    every representation it has looked up: those of a batch's heads and relations and, in lcwa, of all entities.
    """

    def __init__(
        self,
        kind: Literal["lcwa", "slcwa"],
        facts: Any,
        dim: int,
        batch_size: int,
        seed: int,
        *,
        negatives: int = 0,
        init: float = 0.1,
        n3: float = 0.0,
    ) -> None:
        self.batch_size = batch_size
        self.factory = CoreTriplesFactory(
            facts["train"].astype(np.int64),
            int(facts["num_entities"]),
            int(facts["num_relations"]),
            create_inverse_triples=kind == "lcwa",
        )
        initializer = partial(torch.nn.init.normal_, std=init)
        self.model = ComplEx(
            triples_factory=self.factory,
            embedding_dim=dim,
            entity_initializer=initializer,
            relation_initializer=initializer,
            regularizer=PowerSumRegularizer if n3 else None,
            regularizer_kwargs={"p": 3.0, "weight": n3} if n3 else None,
            loss=CrossEntropyLoss() if kind == "lcwa" else SoftplusLoss(),
            random_seed=seed,
        )
        optimizer = torch.optim.Adagrad(self.model.parameters(), lr=0.1, fused=True)
        common = {"model": self.model, "triples_factory": self.factory, "optimizer": optimizer}
        self.loop: TrainingLoop = (
            LCWATrainingLoop(**common)
            if kind == "lcwa"
            else SLCWATrainingLoop(**common, negative_sampler_kwargs={"num_negs_per_pos": negatives})
        )
        self._epochs = 0

    def run(self, callback: TrainingCallback, num_epochs: int = 1) -> None:
        """Go on for so many epochs."""
        self._epochs += num_epochs
        self.loop.train(
            self.factory,
            num_epochs=self._epochs,
            continue_training=True,
            batch_size=self.batch_size,
            use_tqdm=False,
            callbacks=callback,
            pin_memory=False,
        )

    def queries_per_second(self) -> float:
        """Of an epoch, from the end of its first batch to the end of its last full one.

        So building the labels and starting an epoch count for nothing.
        """
        self.run(clock := Clock())
        first, *_, last_full, _ = clock.ends
        return (len(clock.ends) - 2) * self.batch_size / (last_full - first)
