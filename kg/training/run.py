"""A Run: everything that decides what a training will do, as one frozen value that can be stored as JSON."""

from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, final

import torch

from kg.errors import UserError, one_line
from kg.graph.dataset import Dataset
from kg.models import described, from_description
from kg.models.arguments import check_values
from kg.models.declaration import declared
from kg.models.scorer import Scorer
from kg.progress import SILENT, Progress
from kg.resources import in_units, memory_bytes
from kg.training.algorithm import Trainer, TrainingAlgorithm, check_arguments, from_named, named

ALGORITHMS: dict[str, str] = {
    "gradient_descent": "kg.training.gradient_descent:GradientDescent",
    "als": "kg.training.algorithms.als:ALS",
    "counting": "kg.training.algorithms.counting:Counting",
    "mining": "kg.training.algorithms.mining:Mining",
    "path_regression": "kg.training.algorithms.path_regression:PathRegression",
    "transfer": "kg.training.algorithms.transfer:Transfer",
    "fine_tuning": "kg.training.algorithms.transfer:FineTuning",
    "additive": "kg.training.algorithms.additive:Additive",
    "stacking": "kg.training.ensembles.stacking:Stacking",
    "rank_weights": "kg.training.ensembles.rank_weights:RankWeighing",
}


@final
@dataclass(frozen=True)
class Run:
    """What to train, and how: `replace(run, seed=1)` is a variant.

    scorer: its class with its arguments, as in partial(ComplEx, dim=128). seed: of all that is drawn.
    """

    scorer: "partial[Any]"
    algorithm: TrainingAlgorithm
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**63:
            raise UserError(f"seed must be at least 0 and below 2^63: got {self.seed}", "seed")
        check_arguments(self.scorer, "num_entities", "num_relations")
        check_values(self.scorer)
        self.algorithm.check_scorer(self.scorer)

    def new_scorer(self, num_entities: int, num_relations: int) -> Scorer:
        """A scorer with fresh weights, drawn from `seed`; the caller's random state is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            made: Scorer = self.scorer(num_entities, num_relations)
            return made

    def trainer(self, dataset: Dataset, device: torch.device | str = "cpu", progress: Progress = SILENT) -> Trainer:
        """A new training of a new scorer. UserError where that is larger than the memory of this machine or device."""
        self._check_memory(dataset.num_entities, dataset.num_relations, device)
        scorer = self.new_scorer(dataset.num_entities, dataset.num_relations)
        self.algorithm.start(scorer, dataset, progress)
        return self.algorithm.trainer(scorer, dataset, self.seed, device)

    def _check_memory(self, num_entities: int, num_relations: int, device: torch.device | str) -> None:
        dim = self.scorer.keywords.get("dim")
        what, setting = ("the model", None) if dim is None else (f"dim {dim}: the model", "dim")
        try:
            bare = declared(self.scorer, num_entities, num_relations)
        except RuntimeError as error:
            if "overflow" not in str(error).lower():
                raise
            raise UserError(f"{what} would be larger than any memory", setting) from None
        numbers = self.algorithm.numbers_a_weight
        needed = sum(
            array.numel() * array.element_size() * (numbers if array.requires_grad else 1)
            for array in chain(bare.parameters(), bare.buffers())
        )
        there = memory_bytes(device)
        if needed > there:
            with_what = ", with its gradients and what the optimizer keeps," if numbers > 1 else ""
            raise UserError(f"{what} would take{with_what} {in_units(needed)}: there are {in_units(there)}", setting)

    def to_json(self) -> dict[str, Any]:
        """Names and arguments. UserError where a part has no name: it stands neither in SCORERS, ATTENTIONS or
        ALGORITHMS, nor in a table of its algorithm.
        """
        algorithm = named(self.algorithm, ALGORITHMS)
        return {"scorer": described(self.scorer), "algorithm": algorithm, "seed": self.seed}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Run":
        """The Run that to_json() gave. UserError where a name or an argument is unknown."""
        try:
            scorer, algorithm = stored["scorer"], stored["algorithm"]
            return cls(from_description(scorer), from_named(algorithm, ALGORITHMS), stored["seed"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"the stored run cannot be read by this version: {one_line(str(error))}") from error
