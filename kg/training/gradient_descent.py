"""Fit: the training loop, as something to iterate over."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from kg.errors import UserError
from kg.evaluation.ranking import Ranking, evaluate
from kg.graph.dataset import Dataset
from kg.graph.graph import Graph
from kg.graph.known import KnownAnswers, spans
from kg.models.scorer import Queries, Scorer
from kg.training.objectives import Batch
from kg.training.run import Plateau, Run, WarmUp

_CHECK_EVERY = 50  # steps between looks at the loss on a GPU, where each look waits for the device


@dataclass(frozen=True)
class Epoch:
    """number counts from 1; loss is the mean over the steps taken; queries those answered. Not complete: paused."""

    number: int
    loss: float
    queries: int
    complete: bool


class Fitting(ABC):
    """A training under way, as something to iterate over: `for epoch in fitting`, after which the caller may save or
    report.

    report(valid_mrr) keeps the best weights and ends the iteration when the run's patience is spent. pause() (from a
    signal handler or another thread) ends the step, and the iteration gives an Epoch that is not complete; going on
    with the iteration continues it. state_dict() is all that a resume needs beside the Run and the dataset.

    is_cross_fitted: whether valid facts were trained on, and valid_ranking tells of each what the others say.
    """

    is_cross_fitted: ClassVar[bool] = False
    num_queries: int  # an epoch
    num_steps: int  # an epoch

    def __init__(self, scorer: Scorer, dataset: Dataset, run: Run, device: torch.device | str = "cpu") -> None:
        self.run = run
        self.device = torch.device(device)
        self.scorer = scorer.to(self.device)
        self.epoch = 0  # epochs completed
        self.step = 0  # steps taken in the epoch under way
        self.best_mrr: float | None = None
        self.best_epoch = 0
        self._best_weights: dict[str, Tensor] = {}
        self._without_gain = 0  # validations since the best
        self._paused = False

    @abstractmethod
    def __iter__(self) -> Iterator[Epoch]: ...

    @abstractmethod
    def loss(self) -> float:
        """The mean loss over the steps of the present (or just completed) epoch."""

    @property
    def finished(self) -> bool:
        return self.epoch >= self.run.epochs or self._without_gain >= self.run.patience

    def valid_ranking(self, dataset: Dataset, temperature: float | None) -> Ranking:
        """Ranks of the valid facts, with the weights that the scorer has now: see `evaluate`."""
        return evaluate(self.scorer, dataset, "valid", temperature=temperature)

    def pause(self) -> None:
        """Give a partial Epoch after the step under way."""
        self._paused = True

    def report(self, valid_mrr: float) -> None:
        """The MRR on valid after the last epoch."""
        if self.best_mrr is None or valid_mrr > self.best_mrr:
            self.best_mrr, self.best_epoch, self._without_gain = valid_mrr, self.epoch, 0
            self._best_weights = {name: value.clone() for name, value in self.scorer.state_dict().items()}
        else:
            self._without_gain += 1

    def best_weights(self) -> dict[str, Tensor]:
        """The weights with the best MRR reported, the present ones where none was."""
        return self._best_weights or self.scorer.state_dict()

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain numbers."""
        return {
            "scorer": self.scorer.state_dict(),
            "best_weights": self._best_weights,
            **{name: getattr(self, name) for name in _COUNTERS},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.scorer.load_state_dict(state["scorer"])
        self._best_weights = {name: value.to(self.device) for name, value in state["best_weights"].items()}
        for name in _COUNTERS:
            setattr(self, name, state[name])


_COUNTERS = ("epoch", "step", "best_mrr", "best_epoch", "_without_gain")


@final
class Fit(Fitting):
    """Trains a scorer on a dataset by gradient descent, as a Run says. report() also slows the rate on a plateau.

    Batches and dropout are a function of (seed, epoch, step), so state_dict() needs no random state and a resumed fit
    takes bitwise the same steps (on the CPU, with the same number of threads and the same version of PyTorch).

    Raises UserError with the step and the setting to change when a loss is not finite.
    """

    def __init__(self, scorer: Scorer, dataset: Dataset, run: Run, device: torch.device | str = "cpu") -> None:
        super().__init__(scorer, dataset, run, device)
        self.optimizer = run.new_optimizer(scorer)
        self._schedule: torch.optim.lr_scheduler.ReduceLROnPlateau | None = None
        if isinstance(run.schedule, Plateau):
            self._schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
                self.optimizer, mode="max", factor=run.schedule.factor, patience=run.schedule.patience
            )
        self._graph = dataset.graph().to(self.device)
        self._known = dataset.known("train").to(self.device)
        self._rows = _rows(self._known, run.objective.max_answers)
        self.num_queries = len(self._rows.start)
        self.num_steps = -(-self.num_queries // run.batch_size)
        self._losses = torch.zeros(self.num_steps, device=self.device)

    def report(self, valid_mrr: float) -> None:
        super().report(valid_mrr)
        if self._schedule:
            self._schedule.step(valid_mrr)

    @property
    def learning_rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def loss(self) -> float:
        taken = self.step or self.num_steps
        return float(self._losses[:taken].mean())

    def __iter__(self) -> Iterator[Epoch]:
        while not self.finished:
            order = self._order()
            while self.step < self.num_steps and not self._paused:
                self._take_step(order)
            self._check_losses(self.step)
            if self.step < self.num_steps:
                self._paused = False
                yield Epoch(self.epoch + 1, self.loss(), self.step * self.run.batch_size, complete=False)
                continue
            self._check_weights()
            self.step = 0
            self.epoch += 1
            yield Epoch(self.epoch, self.loss(), self.num_queries, complete=True)

    def _order(self) -> Int[Tensor, " Q"]:
        generator = self._generator(self.epoch, -1)
        return torch.randperm(self.num_queries, generator=generator, device=self.device)

    def _generator(self, epoch: int, step: int) -> torch.Generator:
        mixed = np.random.SeedSequence((self.run.seed, epoch, step + 1)).generate_state(1, np.uint64)[0]
        return torch.Generator(self.device).manual_seed(int(mixed) & (2**63 - 1))

    def _take_step(self, order: Int[Tensor, " Q"]) -> None:
        run = self.run
        generator = self._generator(self.epoch, self.step)
        chosen = order[self.step * run.batch_size : (self.step + 1) * run.batch_size]
        if isinstance(run.schedule, WarmUp):
            self._set_learning_rate(run.schedule)
        self.optimizer.zero_grad()
        graph = self._visible(chosen)
        pieces, whole = min(run.pieces, len(chosen)), self._rows.count[chosen]
        total = torch.zeros((), device=self.device)
        for piece, count in zip(chosen.tensor_split(pieces), whole.tensor_split(pieces), strict=True):
            batch = self._batch(piece, graph, generator)
            loss = self._loss(batch, len(piece) / len(chosen), count.sum() / whole.sum())
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        self.optimizer.step()
        self._losses[self.step] = total
        self.step += 1
        if self.device.type == "cpu" or self.step % _CHECK_EVERY == 0:
            self._check_losses(self.step)

    def _loss(self, batch: Batch, rows: float, facts: Tensor) -> Tensor:
        """A piece's part in the loss of its batch: its shares in the batch's rows and facts weigh its means."""
        run = self.run
        with self._precision():
            loss = run.objective(self.scorer, batch) * (rows if run.objective.max_answers is None else facts)
            if run.auxiliary:
                loss = loss + run.auxiliary(self.scorer, batch) * facts
        if run.regularizer:
            loss = loss + run.regularizer(self.scorer.factors(batch.facts(), batch.tail)) * facts
        return loss

    def _set_learning_rate(self, schedule: WarmUp) -> None:
        progress = (self.epoch + (self.step + 1) / self.num_steps) / self.run.epochs
        for group in self.optimizer.param_groups:
            group["lr"] = self.optimizer.defaults["lr"] * schedule.factor(progress)

    def _visible(self, chosen: Int[Tensor, " B"]) -> Graph:
        """The edges that the answers to these rows are not among."""
        if not self.run.hide:
            return self._graph
        asked = self._batch(chosen, self._graph, None)
        facts = asked.facts()
        hrt = torch.stack([facts.head, facts.relation, asked.tail], 1)
        return self._graph.hide(hrt, pairs=self.run.hide == "pair")

    def _batch(self, chosen: Int[Tensor, " B"], graph: Graph, generator: torch.Generator | None) -> Batch:
        known, rows = self._known, self._rows
        question, width = known.questions[rows.question[chosen]], 2 * known.num_relations
        row, place = spans(rows.start[chosen], rows.count[chosen])
        return Batch(Queries(question // width, question % width, graph, generator), row, known.tails[place], known)

    def _precision(self) -> Any:
        if self.run.precision == "bf16":
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext()

    def _check_losses(self, taken: int) -> None:
        losses = self._losses[:taken]
        if bool(losses[-1:].isfinite().all()) and (self.device.type == "cpu" or bool(losses.isfinite().all())):
            return
        step = int((~losses.isfinite()).nonzero()[0]) + 1
        raise self._diverged(f"the loss is {float(losses[step - 1])}", step)

    def _check_weights(self) -> None:
        """After the last step of an epoch no loss would tell; and the weights may be evaluated and saved next."""
        if not self.scorer.is_finite():
            raise self._diverged("the weights are not finite", self.step)

    def _diverged(self, what: str, step: int) -> UserError:
        place = f"step {step} of epoch {self.epoch + 1}"
        return UserError(f"{what} at {place}: lower the learning rate (--lr, now {self.optimizer.defaults['lr']:g})")

    def state_dict(self) -> dict[str, Any]:
        return {
            **super().state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self._schedule and self._schedule.state_dict(),
            "losses": self._losses,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.optimizer.load_state_dict(state["optimizer"])
        if self._schedule:
            self._schedule.load_state_dict(state["schedule"])
        self._losses.copy_(state["losses"])


@dataclass(frozen=True, eq=False)
class _Rows:
    """Q rows of scores an epoch: the question each asks, and the stretch of `KnownAnswers.tails` it is trained on."""

    question: Int[Tensor, " Q"]
    start: Int[Tensor, " Q"]
    count: Int[Tensor, " Q"]


def _rows(known: KnownAnswers, max_answers: int | None) -> _Rows:
    """Each question as often as it takes to serve all its answers, at most so many a row."""
    counts = known.offsets.diff()
    most = max_answers or int(counts.max())
    question, part = spans(torch.zeros_like(counts), (counts + most - 1) // most)
    return _Rows(question, known.offsets[question] + part * most, (counts[question] - part * most).clamp(max=most))
