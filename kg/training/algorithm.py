"""A TrainingAlgorithm says how a scorer is fitted, and its settings; its Trainer does it, epoch by epoch."""

import inspect
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pkgutil import resolve_name
from typing import Any, ClassVar

import torch
from torch import Tensor

from kg.errors import UserError, check_at_least_one, one_line
from kg.evaluation.ranking import Ranking, evaluate
from kg.graph.dataset import Dataset
from kg.models.scorer import Scorer
from kg.progress import SILENT, Progress

_MANY = 50_000  # entities: above it ...
_VALID_FACTS = 5_000  # ... so many valid facts are ranked at each measurement


@dataclass(frozen=True)
class Epoch:
    """number counts from 1; loss is the mean over the steps taken; queries those answered. Not complete: paused."""

    number: int
    loss: float
    queries: int
    complete: bool


class TrainingAlgorithm(ABC):
    """How to fit a scorer: a frozen dataclass, its fields the settings that it uses and no others.

    This one passes over the facts once; see Iterative for those that go on as long as it helps.

    tables: of each field that holds a value of its own kind (an objective, say), the classes it may be of, by the name
    that each is stored under.
    added: settings that older versions did not have: a model that does not name them was made with their defaults.
    """

    tables: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    added: ClassVar[frozenset[str]] = frozenset()

    @property
    def epochs(self) -> int:
        """At most so many."""
        return 1

    @property
    def valid_every(self) -> int:
        """Epochs from one measurement on valid to the next."""
        return 1

    @property
    def patience(self) -> int:
        """So many measurements in a row without a better MRR end the training."""
        return 1

    @property
    def is_iterative(self) -> bool:
        """Whether it goes on epoch by epoch, and can end after any step."""
        return False

    @property
    def has_planned_steps(self) -> bool:
        """Whether its steps depend on the number of epochs, which then cannot change in the middle of a training."""
        return False

    @property
    def other_models(self) -> tuple[str, ...]:
        """The folders of trained models, of the same facts, that a training begins with."""
        return ()

    @property
    def batch_size(self) -> int:
        """Questions whose scores are held at once."""
        return 512

    @property
    def numbers_a_weight(self) -> int:
        """What training holds at least for each weight that it changes, the weight itself included."""
        return 1

    @property
    def is_calibrated(self) -> bool:
        """Whether softmax(scores) of what it fits is the probability: no temperature need be fitted."""
        return False

    def with_epochs(self, epochs: int) -> "TrainingAlgorithm":
        """The same with so many epochs. UserError where it passes over the facts once."""
        raise UserError(f"{type(self).__name__} passes over the facts once: epochs cannot be chosen", "epochs")

    def check_scorer(self, made: "partial[Any]") -> None:  # noqa: B027 (most check nothing)
        """UserError where such a scorer cannot be trained with these settings: now, not at the first batch."""

    def start(self, scorer: Scorer, dataset: Dataset, progress: Progress = SILENT) -> None:  # noqa: B027 (most begin so)
        """What a new scorer begins with, beside its random weights. Not called when a training goes on."""

    @abstractmethod
    def trainer(self, scorer: Scorer, dataset: Dataset, seed: int, device: torch.device | str = "cpu") -> "Trainer":
        """The training, as something to iterate over. UserError for a scorer that it does not know how to fit."""

    def to_json(self) -> dict[str, Any]:
        """Its settings. UserError for a value whose class stands in no table."""
        found = {}
        for name in (each.name for each in fields(self)):  # type: ignore[arg-type]  # every leaf is a dataclass
            value = getattr(self, name)
            if name in self.tables and value is not None:
                value = named(value, self.tables[name])
            found[name] = list(value) if isinstance(value, tuple) else value
        return found

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "TrainingAlgorithm":
        """What to_json() gave. UserError, TypeError or KeyError for a name that is unknown, or missing."""
        for name in (each.name for each in fields(cls)):  # type: ignore[arg-type]
            if name not in stored and name not in cls.added:
                raise KeyError(name)
        return cls(**{name: cls._from_stored(name, value) for name, value in stored.items()})

    @classmethod
    def _from_stored(cls, name: str, value: Any) -> Any:
        if name in cls.tables and value is not None:
            return from_named(value, cls.tables[name])
        return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True, kw_only=True)
class Iterative(TrainingAlgorithm, ABC):
    """epochs: at most so many; fewer when `patience` measurements in a row, one every `valid_every` epochs, bring no
    better MRR on valid.
    """

    epochs: int = 100
    valid_every: int = 5
    patience: int = 10

    def __post_init__(self) -> None:
        check_at_least_one(epochs=self.epochs, valid_every=self.valid_every, patience=self.patience)

    @property
    def is_iterative(self) -> bool:
        return True

    def with_epochs(self, epochs: int) -> "Iterative":
        return replace(self, epochs=epochs)


class Trainer(ABC):
    """A training under way, as something to iterate over: `for epoch in trainer`, after which the caller may save or
    report.

    report(valid_mrr) keeps the best weights and ends the iteration when the patience is spent. pause() (from a signal
    handler, or from `progress`) ends the step, and the iteration gives an Epoch that is not complete; going on with the
    iteration continues it. state_dict() is all that a resume needs beside the Run and the dataset.

    Who trains it puts a signal off to the end of the step; what takes long and changes nothing yet is put into
    kg.interruption.at_once or waited_for.

    is_cross_fitted: whether valid facts were trained on, and valid_ranking says of each what the others do.
    progress: is given the step after each.
    """

    is_cross_fitted: ClassVar[bool] = False
    num_queries: int  # an epoch
    num_steps: int  # an epoch

    def __init__(
        self, scorer: Scorer, algorithm: TrainingAlgorithm, seed: int, device: torch.device | str = "cpu"
    ) -> None:
        self.algorithm = algorithm
        self.seed = seed
        self.device = torch.device(device)
        self.scorer = scorer.to(self.device)
        self.progress: Progress = SILENT
        self.epoch = 0  # epochs completed
        self.step = 0  # steps taken in the epoch under way
        self.best_mrr: float | None = None
        self.best_epoch = 0
        self._best_weights: dict[str, Tensor] = {}
        self._without_gain = 0  # validations since the best
        self._paused = False
        self._first_step: tuple[float, int] | None = None  # when it was taken here, and its number

    @abstractmethod
    def __iter__(self) -> Iterator[Epoch]: ...

    @abstractmethod
    def loss(self) -> float:
        """The mean loss over the steps of the present (or just completed) epoch."""

    @property
    def finished(self) -> bool:
        return self.epoch >= self.algorithm.epochs or self._without_gain >= self.algorithm.patience

    @property
    def answering(self) -> Scorer:
        """What is measured and saved: the scorer, or one with the means of its weights."""
        return self.scorer

    def num_measured(self, dataset: Dataset) -> int:
        """How many valid facts are ranked at each measurement: all; above 50,000 entities at most 5,000, whose MRR is
        within .014 of that of all, with 95 % confidence.
        """
        return min(len(dataset.valid), _VALID_FACTS) if dataset.num_entities > _MANY else len(dataset.valid)

    def valid_ranking(self, dataset: Dataset, temperature: float | None, progress: Progress = SILENT) -> Ranking:
        """Ranks of `num_measured` valid facts, the same each time, by `answering`: see `evaluate`."""
        most = self.num_measured(dataset)
        return evaluate(self.answering, dataset, "valid", temperature=temperature, sample=most, progress=progress)

    def pause(self) -> None:
        """Give a partial Epoch after the step under way."""
        self._paused = True

    def report(self, valid_mrr: float) -> None:
        """The MRR on valid after the last epoch."""
        if self.best_mrr is None or valid_mrr > self.best_mrr:
            self.best_mrr, self.best_epoch, self._without_gain = valid_mrr, self.epoch, 0
            kept = self._best_weights
            for name, value in self.answering.state_dict().items():
                if name in kept and kept[name].shape == value.shape:
                    kept[name].copy_(value)  # into what is there: a new one beside it would be a table more
                else:
                    kept[name] = value.clone()
        else:
            self._without_gain += 1

    def best_weights(self) -> dict[str, Tensor]:
        """The weights with the best MRR reported, the present ones where none was."""
        return self._best_weights or self.answering.state_dict()

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain numbers."""
        return {
            "scorer": self.scorer.state_dict(),
            "best_weights": self._best_weights,
            **{name: getattr(self, name) for name in _COUNTERS},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what state_dict() gave. ValueError or KeyError where no training could have left it."""
        best, own = state["best_weights"], state["scorer"]
        for weights in [best, own] if best else [own]:  # both are answered with
            self.scorer.check_fit(weights)
            self.scorer.load_state_dict(weights)
            self.scorer.check()
        self._best_weights = {name: value.to(self.device) for name, value in best.items()}
        for name in _COUNTERS:
            check_kind(
                name, state[name], 0.0 if name == "best_mrr" and state[name] is not None else getattr(self, name)
            )
            setattr(self, name, state[name])
        if min(self.epoch, self.step, self.best_epoch, self._without_gain) < 0 or self.step > self.num_steps:
            raise ValueError(f"expected at most {self.num_steps} steps of an epoch: got {self.step} of {self.epoch}")

    def _step_taken(self) -> None:
        self.step += 1
        done = self.epoch * self.num_steps + self.step
        self._first_step = self._first_step or (time.perf_counter(), done)
        self.progress.at("training", done, self.algorithm.epochs * self.num_steps, self._figures)

    def _figures(self) -> str:
        best = "-" if self.best_mrr is None else f"{self.best_mrr:.4f}"
        return (
            f"epoch {self.epoch}/{self.algorithm.epochs}, loss {self.loss():.4f}, {self._speed():,.0f} queries/s, "
            f"valid MRR {best}"
        )

    def _speed(self) -> float:
        """Queries a second since the first step here."""
        if not self._first_step:
            return 0.0
        began, first = self._first_step
        steps = self.epoch * self.num_steps + self.step - first
        return steps * self.num_queries / self.num_steps / max(time.perf_counter() - began, 1e-9)


def check_kind(name: str, value: Any, like: Any) -> None:
    """ValueError unless a value, read from a file, is of the kind of the one that is there: tensors of the same shape
    and dtype; lists of as many values of the same kinds, for tuples, too; dicts of the same keys; numbers at least as
    exact, none of them NaN.
    """
    if isinstance(like, Tensor):
        is_like = isinstance(value, Tensor) and (value.shape, value.dtype) == (like.shape, like.dtype)
    elif isinstance(like, dict):
        is_like = isinstance(value, dict) and value.keys() == like.keys()
        for key in like if is_like else ():
            check_kind(f"{name}.{key}", value[key], like[key])
    elif isinstance(like, list | tuple):
        is_like = isinstance(value, list | tuple) and len(value) == len(like)
        for i, (each, other) in enumerate(zip(value, like, strict=True) if is_like else ()):
            check_kind(f"{name}.{i}", each, other)
    elif isinstance(like, float):
        is_like = isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
    else:
        is_like = type(value) is type(like)
    if not is_like:
        raise ValueError(f"{name} must be like {one_line(str(like))[:80]}: got {one_line(str(value))[:80]}")


_COUNTERS = ("epoch", "step", "best_mrr", "best_epoch", "_without_gain")


# Names and arguments alone are stored: nothing that would have to be unpickled.


def named(value: Any, table: Mapping[str, Any]) -> dict[str, Any]:
    """The name in the table of a dataclass, or of a class with some of its arguments as in partial(Adam, lr=0.001), and
    the arguments. The table holds classes, or their homes, module:Class.
    """
    made = value.func if isinstance(value, partial) else type(value)
    home = f"{made.__module__}:{made.__qualname__}"
    name = next((name for name, other in table.items() if other in (made, home)), None)
    if name is None:
        raise UserError(f"{made} has no name to be stored under: known are {', '.join(table)}")
    if isinstance(value, partial):
        return {"name": name, "arguments": value.keywords}
    return {"name": name, "arguments": value.to_json() if isinstance(value, TrainingAlgorithm) else asdict(value)}


def from_named(stored: dict[str, Any], table: Mapping[str, Any]) -> Any:
    """What `named` gave. KeyError or TypeError for what is unknown."""
    entry, arguments = table[stored["name"]], stored["arguments"]
    made = resolve_name(entry) if isinstance(entry, str) else entry
    if issubclass(made, TrainingAlgorithm):
        return made.from_json(arguments)
    return partial(made, **arguments) if issubclass(made, torch.optim.Optimizer) else made(**arguments)


def check_arguments(made: "partial[Any]", *given: str) -> None:
    """UserError where the class takes no such arguments: now, not at the first batch."""
    name = made.func.__name__
    if made.args:
        raise UserError(f"{name}: give its arguments by name, so that they can be stored")
    try:
        inspect.signature(made.func).bind(*given, **made.keywords)
    except TypeError as error:
        raise UserError(f"{name}: {error}") from error
    for key, value in made.keywords.items():
        for inner in value if isinstance(value, list | tuple) else [value]:
            if isinstance(inner, type):
                made_of = f"partial({inner.__name__})"
                raise UserError(f"{name}: {key} must be {made_of}, with its arguments where it needs some")
            if isinstance(inner, partial):
                check_arguments(inner, "first", "second")  # scorers and attentions alike are made from two sizes
