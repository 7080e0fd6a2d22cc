"""Transfer: a scorer begins with weights that were trained on other graphs, and may go on from there."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import as_file, files
from typing import final

import torch
from safetensors.torch import load_file

from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.models.pretrained import PretrainedPathNetwork
from kg.models.scorer import Queries, Scorer, Unseen
from kg.progress import SILENT, Progress
from kg.training.algorithm import Epoch, Trainer, TrainingAlgorithm
from kg.training.algorithms.on_descent import OnDescent

WEIGHTS = "pretrained.safetensors"
_SOME = 64  # facts: what the loss of all is, roughly
_MEASURED = 250  # valid facts: their MRR is within .06 of that of all, with 95 % confidence


@final
@dataclass(frozen=True)
class Transfer(TrainingAlgorithm):
    """The weights that the package carries (data/pretrained.safetensors), and nothing learnt of this graph."""

    def with_epochs(self, epochs: int) -> TrainingAlgorithm:
        raise UserError("nothing is trained here: fine_tune goes on from the pretrained weights", "epochs")

    def start(self, scorer: Scorer, dataset: Dataset, progress: Progress = SILENT) -> None:
        """UserError for another scorer, and for a network of another size than the weights are of."""
        _give_weights(scorer)

    def trainer(self, scorer: Scorer, dataset: Dataset, seed: int, device: torch.device | str = "cpu") -> Trainer:
        return AsItIs(_checked(scorer), dataset, self, seed, device)


@final
@dataclass(frozen=True)
class FineTuning(OnDescent):
    """Gradient descent that begins with these weights."""

    def start(self, scorer: Scorer, dataset: Dataset, progress: Progress = SILENT) -> None:
        """As Transfer's."""
        _give_weights(scorer)

    def trainer(self, scorer: Scorer, dataset: Dataset, seed: int, device: torch.device | str = "cpu") -> Trainer:
        return self.descent.trainer(_checked(scorer), dataset, seed, device)


def _give_weights(scorer: Scorer) -> None:
    with as_file(files("kg.data") / WEIGHTS) as path:
        weights = load_file(path)
    try:
        _checked(scorer).load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(f"the pretrained weights are of another size: {' '.join(str(error).split())}") from None


@final
class AsItIs(Trainer):
    """No step. loss: mean of -log softmax(scores) of some training facts' answers, each hidden from its question, in
    nats."""

    def __init__(
        self, scorer: Scorer, dataset: Dataset, algorithm: Transfer, seed: int, device: torch.device | str
    ) -> None:
        super().__init__(scorer, algorithm, seed, device)
        self._graph = dataset.graph().to(self.device)
        order = torch.randperm(len(dataset.train), generator=torch.Generator().manual_seed(seed))
        self._some = dataset.train[order[:_SOME]].to(self.device)
        self.num_queries = len(self._some)
        self.num_steps = 1

    def num_measured(self, dataset: Dataset) -> int:
        """At most 250: it is to answer at once."""
        return min(len(dataset.valid), _MEASURED)

    @torch.no_grad()
    def loss(self) -> float:
        head, relation, tail = self._some.unbind(1)
        unseen = Unseen(torch.arange(len(head), device=head.device), head, relation, tail, pairs=False)
        scores = self.scorer.score_tails(Queries(head, relation, self._graph, unseen=unseen))
        return -float(scores.log_softmax(1).gather(1, tail[:, None]).mean())

    def __iter__(self) -> Iterator[Epoch]:
        while not self.finished:
            self.epoch += 1
            yield Epoch(self.epoch, self.loss(), self.num_queries, complete=True)


def _checked(scorer: Scorer) -> PretrainedPathNetwork:
    if not isinstance(scorer, PretrainedPathNetwork):
        raise UserError(f"transfer is to PretrainedPathNetwork, not {type(scorer).__name__}")
    return scorer
