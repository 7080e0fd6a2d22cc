"""What tuning may try: ranges of plain numbers and names; the recipe of a model holds its Space."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Plain = str | int | float | bool | None


@dataclass(frozen=True)
class Real:
    """Any number from low to high; log: evenly spread over its logarithm."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(f"a range goes up, from above 0 where it is logarithmic: got {self}")


@dataclass(frozen=True)
class Choice:
    """One of these."""

    values: tuple[Plain, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("a choice needs values")


Range = Real | Choice
Options = Mapping[str, Mapping[str, Range]]  # a part by its name, and what to try of its arguments; "none": no part

DIM = Choice((32, 64, 128, 256))
DROPOUT = Real(0.0, 0.5)
INIT = Real(0.001, 0.3, log=True)
COMMON: Mapping[str, Range] = {"dim": DIM, "entity_dropout": DROPOUT, "relation_dropout": DROPOUT, "init": INIT}
BATCH = Choice((128, 256, 512, 1024))

LEARNING_RATES: Options = {
    "adam": {"lr": Real(0.0003, 0.03, log=True)},
    "adagrad": {"lr": Real(0.01, 0.5, log=True)},
}
AGAINST_ALL: Options = {  # objectives that score every entity: for scorers that do so by a matrix product
    "one_vs_all": {"label_smoothing": Real(0.0, 0.3)},
    "k_vs_all": {"loss": Choice(("softmax", "bce")), "label_smoothing": Real(0.0, 0.3)},
}
SAMPLED: Options = {
    "negative_sampling": {
        "num_negatives": Choice((64, 256, 1024)),
        "loss": Choice(("softmax", "logistic")),
        "margin": Real(0.5, 12.0, log=True),
    },
}
NUCLEAR: Options = {"none": {}, "n3": {"weight": Real(0.0003, 0.3, log=True)}}


@dataclass(frozen=True)
class Space:
    """What to vary of a scorer's default Run; an empty part (or None) leaves it as it is there.

    scorer: its arguments. optimizer, objective, regularizer: the names they are stored under, and their arguments.
    A part that keeps its name keeps the default Run's arguments, too, but for those named here.
    """

    scorer: Mapping[str, Range]
    optimizer: Options = field(default_factory=lambda: LEARNING_RATES)
    objective: Options = field(default_factory=dict)
    regularizer: Options = field(default_factory=dict)
    batch_size: Choice | None = None
