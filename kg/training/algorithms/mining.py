"""Mining: the whole training of a scorer that answers by rules."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, final

import torch

from kg.errors import UserError, check_at_least_one
from kg.graph.dataset import Dataset
from kg.graph.graph import Graph, with_inverses
from kg.interruption import waited_for
from kg.models.rules import RuleScorer
from kg.models.scorer import Queries, Scorer
from kg.progress import SILENT, Progress
from kg.rules.mining import Miner, mine
from kg.rules.rule import MOST_ATOMS, Rules
from kg.training.algorithm import Epoch, Trainer, TrainingAlgorithm

_SAMPLE = 500  # facts


@final
@dataclass(frozen=True)
class Mining(TrainingAlgorithm):
    """Rules of the training facts: see `mine`, whose arguments these are."""

    max_length: int = 3
    min_support: int = 2
    min_constant_support: int = 2
    min_confidence: float = 0.001
    seconds: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.max_length <= MOST_ATOMS:
            raise UserError(f"max_length must be from 1 to {MOST_ATOMS}: got {self.max_length}", "max_length")
        check_at_least_one(min_support=self.min_support, min_constant_support=self.min_constant_support)
        if not 0 <= self.min_confidence < 1:
            raise UserError(
                f"min_confidence must be at least 0 and below 1: got {self.min_confidence}", "min_confidence"
            )
        if self.seconds is not None and not self.seconds > 0:
            raise UserError(f"seconds must be above 0: got {self.seconds}", "seconds")

    def miner(self, graph: Graph) -> Miner:
        """What mines."""
        return Miner(graph, **asdict(self))

    def rules(self, graph: Graph, progress: Progress = SILENT) -> Rules:
        """What is mined."""
        return mine(graph, **asdict(self), progress=progress)

    def trainer(self, scorer: Scorer, dataset: Dataset, seed: int, device: torch.device | str = "cpu") -> "Mine":
        """UserError for what does not answer by rules."""
        if not isinstance(scorer, RuleScorer):
            raise UserError(f"mining is for RuleScorer, not {type(scorer).__name__}")
        return Mine(scorer, dataset, self, seed, device)


@final
class Mine(Trainer):
    """One pass; a second one would find the same. Stopped or paused, it goes on with the pieces that are left.

    loss: the share of the ends of 500 training facts, drawn by the seed, that no rule with a body gives as an answer.
    """

    algorithm: Mining

    def __init__(
        self, scorer: RuleScorer, dataset: Dataset, algorithm: Mining, seed: int, device: torch.device | str
    ) -> None:
        super().__init__(scorer, algorithm, seed, device)
        self._answering = scorer
        self._graph = dataset.graph()
        self._facts = dataset.train
        self._miner: Miner | None = algorithm.miner(self._graph)
        self._loss = 1.0
        self.num_queries = 2 * len(dataset.train)
        self.num_steps = 1

    def loss(self) -> float:
        return self._loss

    def __iter__(self) -> Iterator[Epoch]:
        while not self.finished:
            assert self._miner, "its rules are not learnt yet"
            for piece in self._miner:
                self.progress.at(*piece)
                if self._paused:
                    self._paused = False
                    yield Epoch(self.epoch + 1, self._loss, 0, complete=False)
            self._answering.learn(waited_for(self._miner.rules))
            self._loss = waited_for(self._unexplained)
            self._miner = None
            self.epoch += 1
            yield Epoch(self.epoch, self._loss, self.num_queries, complete=True)

    def _unexplained(self) -> float:
        drawn = torch.randperm(len(self._facts), generator=torch.Generator().manual_seed(self.seed))[:_SAMPLE]
        head, relation, tail = with_inverses(self._facts[drawn], self._graph.num_relations).unbind(1)
        given = self._answering.encode(Queries(head, relation, self._graph)).given
        explained = int((given.entity == tail[given.row]).sum())
        return 1 - explained / max(1, len(tail))

    def state_dict(self) -> dict[str, Any]:
        """The rules are in the scorer, and those of a graph may be many: they are stored once."""
        return {
            **super().state_dict(),
            "scorer": {},
            "best_weights": {},
            "miner": self._miner.state_dict() if self._miner else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict({**state, "scorer": self.scorer.state_dict()})
        if self.epoch:
            self._miner = None
        elif self._miner:
            self._miner.load_state_dict(state["miner"])
