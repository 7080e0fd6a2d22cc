"""A Run: everything that decides what a training will do, as one frozen value that can be stored as JSON."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

import torch
from torch import nn

from kg.errors import UserError, check_choice
from kg.graph.dataset import Dataset
from kg.models import described, from_description
from kg.models.scorer import Scorer
from kg.training.objectives import AUXILIARIES, OBJECTIVES, MaskedEntity, Objective, OneVsAll, RelationPrediction
from kg.training.regularizers import REGULARIZERS, Regularizer

if TYPE_CHECKING:
    from kg.training.gradient_descent import Fitting

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "adagrad": torch.optim.Adagrad,
}


@dataclass(frozen=True)
class Plateau:
    """`patience` validations in a row without a better MRR are borne; at the next the rate falls to `factor` of it."""

    factor: float = 0.95
    patience: int = 1


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


SCHEDULES: dict[str, Any] = {"plateau": Plateau, "warm_up": WarmUp}


class Procedure(ABC):
    """A way of its own to fit a scorer, where gradients are not it: a frozen dataclass, its settings its fields.

    is_calibrated: whether softmax(scores) of what it fits is the probability, and no temperature needs to be found.
    """

    is_calibrated: ClassVar[bool] = False

    @abstractmethod
    def fit(self, scorer: Scorer, dataset: Dataset, run: "Run", device: torch.device | str) -> "Fitting":
        """The training, as something to iterate over. UserError for a scorer that it does not know how to fit."""

    @final
    def check_unused(self, run: "Run") -> None:
        """UserError for parts of a run that descend a gradient, which no procedure has a use for."""
        unused = [part for part in ("optimizer", "regularizer", "auxiliary", "schedule") if getattr(run, part)]
        if unused:
            name = type(self).__name__
            raise UserError(f"{name} has no use for this run's {' and '.join(unused)}: leave them out")


PROCEDURES: dict[str, str] = {
    "additive": "kg.training.algorithms.additive:Additive",
    "als": "kg.training.algorithms.als:ALS",
    "counting": "kg.training.algorithms.counting:Counting",
    "logistic": "kg.training.algorithms.path_regression:Logistic",
    "mine": "kg.training.algorithms.mining:Mining",
    "stack": "kg.training.ensembles.stacking:Stacking",
    "weigh_ranks": "kg.training.ensembles.rank_weights:RankWeighing",
}


@dataclass(frozen=True)
class Run:
    """How to train: `replace(run, seed=1)` is a variant.

    scorer, optimizer: classes with their arguments, as in partial(ComplEx, dim=128), partial(Adam, lr=.001).
    auxiliary: a loss that is added to the objective.
    batch_size: rows of scores a step, taken in so many `pieces`, one after the other, whose gradients add up: the same
    step in less memory (but for what is drawn at random, and ConvE's batch normalisation). epochs: at most so many;
    fewer when `patience` validations in a row, one every `valid_every` epochs, bring no better MRR. schedule: None
    keeps the learning rate.
    hide: what a scorer that looks at the graph must not see of the facts it is asked for: the 'exact' edges, or every
    edge between the 'pair'. None shows all, which only scorers that never look may be given.
    precision: 'bf16' multiplies matrices in bfloat16 (autocast); weights, sums and ranks stay float32.
    procedure: None descends the objective's gradient with the optimizer; another has no use for these two.
    base: the folder of a trained model of the same facts, whose weights the scorer's own `base` starts with (Gated).
    parts: those of the trained models that a combination is made of (Ensemble).
    """

    scorer: "partial[Any]"
    optimizer: "partial[Any] | None" = None
    objective: Objective = field(default_factory=OneVsAll)
    regularizer: Regularizer | None = None
    auxiliary: RelationPrediction | MaskedEntity | None = None
    schedule: Plateau | WarmUp | None = None
    batch_size: int = 512
    pieces: int = 1
    epochs: int = 100
    valid_every: int = 5
    patience: int = 10
    hide: Literal["exact", "pair"] | None = None
    precision: Literal["fp32", "bf16"] = "fp32"
    seed: int = 0
    procedure: Procedure | None = None
    base: str | None = None
    parts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("batch_size", "pieces", "epochs", "valid_every", "patience"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 1: got {getattr(self, name)}")
        if not 0 <= self.seed < 2**63:
            raise UserError(f"seed must be at least 0 and below 2^63: got {self.seed}")
        check_choice("hide", self.hide, (None, "exact", "pair"))
        check_choice("precision", self.precision, ("fp32", "bf16"))
        _check_arguments(self.scorer, "num_entities", "num_relations")
        if getattr(self.scorer.func, "reads_graph", False):
            name = self.scorer.func.__name__
            if self.hide is None:
                raise UserError(f"{name} looks at the graph, where the answers stand: hide must be exact or pair")
            if isinstance(self.auxiliary, RelationPrediction) and self.hide != "pair":
                raise UserError(f"{name} would read the relation off the edges between the two ends: hide must be pair")
        if self.optimizer:
            _check_arguments(self.optimizer, "params")
        elif not self.procedure:
            raise UserError("a run needs an optimizer, or a procedure of its own")

    def new_scorer(self, num_entities: int, num_relations: int) -> Scorer:
        """A scorer with fresh weights, drawn from `seed`; the caller's random state is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            made: Scorer = self.scorer(num_entities, num_relations)
            return made

    def new_optimizer(self, scorer: nn.Module) -> torch.optim.Optimizer:
        """The optimizer over the scorer's parameters: fused, where the device has that kernel."""
        assert self.optimizer, "the procedure has none"
        on_cpu = all(parameter.is_cpu for parameter in scorer.parameters())
        fused = on_cpu or self.optimizer.func is not torch.optim.Adagrad
        try:
            made: torch.optim.Optimizer = self.optimizer(scorer.parameters(), fused=fused)
        except ValueError as error:
            raise UserError(f"{self.optimizer.func.__name__}: {error}") from error
        return made

    def to_json(self) -> dict[str, Any]:
        """Names and arguments alone: nothing that would have to be unpickled.

        UserError where a part stands in none of SCORERS, ATTENTIONS, OBJECTIVES, OPTIMIZERS and REGULARIZERS.
        """
        made = {
            "scorer": described(self.scorer),
            "objective": _named(OBJECTIVES, self.objective),
            "optimizer": self.optimizer
            and {"name": _key(OPTIMIZERS, self.optimizer.func), "arguments": self.optimizer.keywords},
            "auxiliary": self.auxiliary and _named(AUXILIARIES, self.auxiliary),
            "regularizer": self.regularizer and _named(REGULARIZERS, self.regularizer),
            "schedule": self.schedule and _named(SCHEDULES, self.schedule),
            "procedure": self.procedure and _named(PROCEDURES, self.procedure),
        }
        folders = {"parts": list(self.parts)} if self.parts else {}
        return {**{name: getattr(self, name) for name in _PLAIN}, **made, **folders}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Run":
        """The Run that to_json() gave. UserError where a name or an argument is unknown."""
        try:
            optimizer = stored["optimizer"]
            return cls(
                scorer=from_description(stored["scorer"]),
                objective=_built(OBJECTIVES, stored["objective"]),
                optimizer=optimizer and partial(OPTIMIZERS[optimizer["name"]], **optimizer["arguments"]),
                auxiliary=stored["auxiliary"] and _built(AUXILIARIES, stored["auxiliary"]),
                regularizer=stored["regularizer"] and _built(REGULARIZERS, stored["regularizer"]),
                schedule=stored["schedule"] and _built(SCHEDULES, stored["schedule"]),
                procedure=stored["procedure"] and _built(PROCEDURES, stored["procedure"]),
                parts=tuple(stored.get("parts", ())),
                **{name: stored[name] for name in _PLAIN},
            )
        except (KeyError, TypeError) as error:
            raise UserError(f"the stored run cannot be read by this version: {error}") from error


_PLAIN = ("batch_size", "pieces", "epochs", "valid_every", "patience", "hide", "precision", "seed", "base")


def _named(table: Mapping[str, Any], part: Any) -> dict[str, Any]:
    return {"name": _key(table, type(part)), "arguments": asdict(part)}


def _built(table: Mapping[str, Any], stored: dict[str, Any]) -> Any:
    return _part(table[stored["name"]])(**stored["arguments"])


def _key(table: Mapping[str, Any], value: Any) -> str:
    home = f"{value.__module__}:{value.__qualname__}"
    for name, other in table.items():
        if other in (value, home):
            return name
    raise UserError(f"{value} has no name to be stored under: known are {', '.join(table)}")


def _part(entry: Any) -> Any:
    """What stands in a table: the part itself, or where it is at home."""
    return resolve_name(entry) if isinstance(entry, str) else entry


def _check_arguments(made: "partial[Any]", *given: str) -> None:
    """UserError where the class takes no such arguments: now, not at the first batch."""
    name = made.func.__name__
    if made.args:
        raise UserError(f"{name}: give its arguments by name, so that they can be stored")
    try:
        inspect.signature(made.func).bind(*given, **made.keywords)
    except TypeError as error:
        raise UserError(f"{name}: {error}") from error
    for key, value in made.keywords.items():
        for part in value if isinstance(value, list | tuple) else [value]:
            if isinstance(part, type):
                made_of = f"partial({part.__name__})"
                raise UserError(f"{name}: {key} must be {made_of}, with its arguments where it needs some")
            if isinstance(part, partial):
                _check_arguments(part, "first", "second")  # scorers and attentions alike are made from two sizes
