"""Gradient descent: its settings, and the training loop as something to iterate over."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Literal, Protocol, final, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from kg.bundle import Bundle
from kg.errors import UserError, check_at_least_one, check_choice
from kg.graph.dataset import Dataset
from kg.graph.graph import Graph, spans
from kg.interruption import Interrupted, at_once
from kg.models.batch_norm import BatchNorm
from kg.models.scorer import Queries, Scorer, Unseen
from kg.progress import SILENT, Progress
from kg.training.algorithm import Epoch, Iterative, Trainer, check_arguments, check_kind
from kg.training.averaging import Averaged
from kg.training.objectives import (
    AUXILIARIES,
    OBJECTIVES,
    Batch,
    MaskedEntity,
    Objective,
    OneVsAll,
    RelationPrediction,
)
from kg.training.optimizers import KEPT_A_WEIGHT, OPTIMIZERS, load_optimizer
from kg.training.regularizers import REGULARIZERS, Regularizer
from kg.training.rows import Rows
from kg.training.touched_rows import TouchedRows, touched_tables

_VALID_SHARE = 0.1  # of the time of training, where an epoch is of so many questions
_BACKWARD = 3.0  # times what it costs to answer a question it costs to be trained on it
_LEAST_VALID = 500  # facts
_CHECK_EVERY = 50  # steps between looks at the loss on a GPU, where each look waits for the device


@final
@dataclass(frozen=True)
class Plateau:
    """After more than `patience` validations in a row without a better MRR the rate falls to `factor` of itself."""

    factor: float = 0.95
    patience: int = 1


@final
@dataclass(frozen=True)
class WarmUp:
    """The learning rate rises linearly over the first `share` of all steps, then falls linearly to nothing."""

    share: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise UserError(f"share must be at least 0 and below 1: got {self.share:g}")

    def factor(self, progress: float) -> float:
        """Of the rate, after this share of all steps."""
        return progress / self.share if progress < self.share else (1 - progress) / (1 - self.share)


SCHEDULES: dict[str, type[Plateau] | type[WarmUp]] = {"plateau": Plateau, "warm_up": WarmUp}


@final
@dataclass(frozen=True)
class GradientDescent(Iterative):
    """Descends the objective's gradient with the optimizer: `replace(descent, batch_size=256)` is a variant.

    optimizer: its class with its arguments, as in partial(Adam, lr=.001). auxiliary: a loss that is added to the
    objective. schedule: None keeps the learning rate.
    batch_size: rows of scores a step, taken in so many `pieces`, one after the other, whose gradients add up: the same
    step in less memory (but for what is drawn at random, and ConvE's batch normalisation).
    hide: what a scorer that looks at the graph must not see of the facts it is asked for: the 'exact' edges, or every
    edge between the 'pair'. None shows all, which only scorers that never look may be given.
    precision: 'bf16' multiplies matrices in bfloat16 (autocast); weights, sums and ranks stay float32.
    base: the folder of a trained model of the same facts, whose weights the scorer's own `base` starts with (Gated).
    questions: rows of an epoch at most: of more so many are drawn, afresh each epoch, and valid is measured on a sample
    that costs about a tenth of the training between; None: all. averaging: what is measured and saved are weights
    averaged over about the last 1 / (1 - averaging) steps (see Averaged); 0: those of the last step.
    """

    optimizer: "partial[Any]"
    objective: Objective = field(default_factory=OneVsAll)
    regularizer: Regularizer | None = None
    auxiliary: RelationPrediction | MaskedEntity | None = None
    schedule: Plateau | WarmUp | None = None
    batch_size: int = 512
    pieces: int = 1
    hide: Literal["exact", "pair"] | None = None
    precision: Literal["fp32", "bf16"] = "fp32"
    base: str | None = None
    questions: int | None = None
    averaging: float = 0.0

    added: ClassVar[frozenset[str]] = frozenset({"questions", "averaging"})
    tables: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "optimizer": OPTIMIZERS,
        "objective": OBJECTIVES,
        "regularizer": REGULARIZERS,
        "auxiliary": AUXILIARIES,
        "schedule": SCHEDULES,
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least_one(batch_size=self.batch_size, pieces=self.pieces)
        if self.questions is not None:
            check_at_least_one(questions=self.questions)
        if not 0 <= self.averaging < 1:
            raise UserError(f"averaging must be at least 0 and below 1: got {self.averaging:g}", "averaging")
        check_choice("hide", self.hide, (None, "exact", "pair"))
        check_choice("precision", self.precision, ("fp32", "bf16"))
        check_arguments(self.optimizer, "params")

    @property
    def has_planned_steps(self) -> bool:
        return isinstance(self.schedule, WarmUp)

    @property
    def other_models(self) -> tuple[str, ...]:
        return (self.base,) if self.base else ()

    @property
    def numbers_a_weight(self) -> int:
        return 2 + bool(self.averaging) + KEPT_A_WEIGHT.get(self.optimizer.func, 0)  # its gradient

    @property
    def is_calibrated(self) -> bool:
        return self.objective.is_full_softmax and not self.auxiliary

    def check_scorer(self, made: "partial[Any]") -> None:
        """A scorer that looks at the graph must not see the answers there."""
        if not getattr(made.func, "reads_graph", False):
            return
        name = made.func.__name__
        if self.hide is None:
            raise UserError(f"{name} looks at the graph, where the answers stand: hide must be exact or pair")
        if isinstance(self.auxiliary, RelationPrediction) and self.hide != "pair":
            raise UserError(f"{name} would read the relation off the edges between the two ends: hide must be pair")

    def start(self, scorer: Scorer, dataset: Dataset, progress: Progress = SILENT) -> None:
        """Give the scorer's base the weights of a trained model."""
        if self.base:
            if not isinstance(scorer, _OnABase):
                raise UserError(f"{type(scorer).__name__} has no base that could start as {self.base}")
            Bundle.load_for(dataset, self.base, "base").start(scorer.base, "base")
        elif isinstance(scorer, _OnABase) and scorer.frozen:
            raise UserError("a frozen base must have been trained before: give its folder, base=...")

    def trainer(self, scorer: Scorer, dataset: Dataset, seed: int, device: torch.device | str = "cpu") -> "Descent":
        if not any(parameter.requires_grad for parameter in scorer.parameters()):
            raise UserError(f"{type(scorer).__name__} has no weights that gradient descent could train")
        return Descent(scorer, dataset, self, seed, device)

    def new_optimizer(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimizer over a scorer's parameters: fused, where the device has that kernel."""
        on_cpu = all(parameter.is_cpu for parameter in parameters)
        fused = on_cpu or self.optimizer.func is not torch.optim.Adagrad
        try:
            made: torch.optim.Optimizer = self.optimizer(parameters, fused=fused)
        except (ValueError, TypeError) as error:
            raise UserError(f"{self.optimizer.func.__name__}: {error}") from error
        return made


@runtime_checkable
class _OnABase(Protocol):
    """A scorer on top of another."""

    base: Scorer
    frozen: bool


@final
class Descent(Trainer):
    """Trains a scorer on a dataset by gradient descent. report() also slows the rate on a plateau.

    Batches and dropout are a function of (seed, epoch, step), so state_dict() needs no random state and a resumed one
    takes bitwise the same steps (on the CPU, with the same number of threads and the same version of PyTorch).

    Raises UserError with the step and the setting to change when a loss is not finite.
    """

    algorithm: GradientDescent

    def __init__(
        self,
        scorer: Scorer,
        dataset: Dataset,
        algorithm: GradientDescent,
        seed: int,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(scorer, algorithm, seed, device)
        self.optimizer = algorithm.new_optimizer(list(scorer.parameters()))
        self._schedule: torch.optim.lr_scheduler.ReduceLROnPlateau | None = None
        if isinstance(algorithm.schedule, Plateau):
            self._schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
                self.optimizer, mode="max", factor=algorithm.schedule.factor, patience=algorithm.schedule.patience
            )
        self._graph = dataset.graph().to(self.device)
        self._known = dataset.known("train").to(self.device)
        self._rows = Rows.of(self._known, algorithm.objective.max_answers)
        self.num_queries = min(len(self._rows), algorithm.questions or len(self._rows))
        self.num_steps = -(-self.num_queries // algorithm.batch_size)
        self._losses = torch.zeros(self.num_steps, device=self.device)
        asks_for_all = isinstance(algorithm.auxiliary, MaskedEntity)
        most_rows = None if asks_for_all else algorithm.objective.most_rows(algorithm.batch_size)
        self._touched_tables = touched_tables(self.scorer, most_rows)
        self._averaged = Averaged(self.scorer, algorithm.averaging) if algorithm.averaging else None

    @property
    def answering(self) -> Scorer:
        return self._averaged.scorer if self._averaged else self.scorer

    def num_measured(self, dataset: Dataset) -> int:
        most = super().num_measured(dataset)
        if self.algorithm.questions is None:
            return most
        asked = self.num_queries * self.algorithm.valid_every
        return min(most, max(_LEAST_VALID, int(asked * _VALID_SHARE * _BACKWARD / 2)))

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
                yield Epoch(self.epoch + 1, self.loss(), self.step * self.algorithm.batch_size, complete=False)
                continue
            self._check_weights()
            self.step = 0
            self.epoch += 1
            yield Epoch(self.epoch, self.loss(), self.num_queries, complete=True)

    def _order(self) -> Int[Tensor, " Q"]:
        return self._rows.drawn(self.num_queries, self._generator(self.epoch, -1))

    def _generator(self, epoch: int, step: int) -> torch.Generator:
        mixed = np.random.SeedSequence((self.seed, epoch, step + 1)).generate_state(1, np.uint64)[0]
        return torch.Generator(self.device).manual_seed(int(mixed) & (2**63 - 1))

    def _take_step(self, order: Int[Tensor, " Q"]) -> None:
        settings = self.algorithm
        generator = self._generator(self.epoch, self.step)
        chosen = order[self.step * settings.batch_size : (self.step + 1) * settings.batch_size]
        if isinstance(settings.schedule, WarmUp):
            self._set_learning_rate(settings.schedule)
        self.optimizer.zero_grad()
        with self._droppable():
            graph = self._graph if self.scorer.hides else self._visible(chosen)
            pieces, whole = min(settings.pieces, len(chosen)), self._rows.count[chosen]
            batches = [
                settings.objective.with_rivals(self._batch(piece, graph, generator))
                for piece in chosen.tensor_split(pieces)
            ]
            touched = TouchedRows(self._touched_tables, torch.cat([batch.entities() for batch in batches]))
            total = torch.zeros((), device=self.device)
            with touched.held():
                for batch, count in zip(batches, whole.tensor_split(pieces), strict=True):
                    loss = self._loss(batch, len(batch.queries) / len(chosen), count.sum() / whole.sum())
                    loss.backward()  # type: ignore[no-untyped-call]
                    total += loss.detach()
        self.optimizer.step()
        touched.step(self.optimizer, settings.new_optimizer)
        if self._averaged:
            self._averaged.follow(self.epoch * self.num_steps + self.step + 1)
        self._losses[self.step] = total
        self._step_taken()
        if self.device.type == "cpu" or self.step % _CHECK_EVERY == 0:
            self._check_losses(self.step)

    @contextmanager
    def _droppable(self) -> Iterator[None]:
        """Until the weights move, a step that is interrupted is as if it had not begun. A large one takes seconds."""
        norms = (module for module in self.scorer.modules() if isinstance(module, BatchNorm))
        kept = [(buffer, buffer.clone()) for norm in norms for buffer in norm.buffers()]
        try:
            with at_once():
                yield
        except Interrupted:
            for buffer, before in kept:
                buffer.copy_(before)
            raise

    def _loss(self, batch: Batch, rows: float, facts: Tensor) -> Tensor:
        """A piece's part in the loss of its batch: its shares in the batch's rows and facts weigh its means."""
        settings = self.algorithm
        with self._precision():
            loss = settings.objective(self.scorer, batch) * (rows if settings.objective.max_answers is None else facts)
            if settings.auxiliary:
                loss = loss + settings.auxiliary(self.scorer, batch) * facts
        if settings.regularizer:
            loss = loss + settings.regularizer(self.scorer.factors(batch.facts(), batch.tail)) * facts
        return loss

    def _set_learning_rate(self, schedule: WarmUp) -> None:
        progress = (self.epoch + (self.step + 1) / self.num_steps) / self.algorithm.epochs
        for group in self.optimizer.param_groups:
            group["lr"] = self.optimizer.defaults["lr"] * schedule.factor(progress)

    def _visible(self, chosen: Int[Tensor, " B"]) -> Graph:
        """The edges that the answers to these rows are not among."""
        if not self.algorithm.hide:
            return self._graph
        asked = self._batch(chosen, self._graph, None)
        facts = asked.facts()
        hrt = torch.stack([facts.head, facts.relation, asked.tail], 1)
        return self._graph.hide(hrt, pairs=self.algorithm.hide == "pair")

    def _batch(self, chosen: Int[Tensor, " B"], graph: Graph, generator: torch.Generator | None) -> Batch:
        known, rows = self._known, self._rows
        question, width = known.questions[rows.question[chosen]], 2 * known.num_relations
        row, place = spans(rows.start[chosen], rows.count[chosen])
        head, relation, tail = question // width, question % width, known.tails[place]
        unseen = None
        if self.scorer.hides and self.algorithm.hide:
            unseen = Unseen(row, head[row], relation[row], tail, pairs=self.algorithm.hide == "pair")
        return Batch(Queries(head, relation, graph, generator, unseen), row, tail, known)

    def _precision(self) -> Any:
        if self.algorithm.precision == "bf16":
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
        place, rate = f"step {step} of epoch {self.epoch + 1}", self.optimizer.defaults["lr"]
        return UserError(f"{what} at {place}: lower the learning rate (lr, now {rate:g})", "lr")

    def state_dict(self) -> dict[str, Any]:
        return {
            **super().state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self._schedule and self._schedule.state_dict(),
            "losses": self._losses,
            "averaged": self._averaged and self._averaged.scorer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        check_kind("losses", state["losses"], self._losses.cpu())
        check_kind("schedule", state["schedule"], self._schedule and self._schedule.state_dict())
        load_optimizer(self.optimizer, state["optimizer"], self.algorithm.new_optimizer, self.device)
        if self._schedule:
            self._schedule.load_state_dict(state["schedule"])
        self._losses.copy_(state["losses"])
        if self._averaged:
            self._averaged.scorer.check_fit(state["averaged"])
            self._averaged.scorer.load_state_dict(state["averaged"])
            self._averaged.scorer.check()
