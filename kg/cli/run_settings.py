"""What the options of `kg train` make of a Run."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kg.cli.console import note
from kg.errors import UserError
from kg.progress import Progress

if TYPE_CHECKING:
    from kg.graph.dataset import Dataset
    from kg.training.run import Run


@dataclass(frozen=True)
class RunSettings:
    """What the options of `kg train` say of the Run; None where the option was not given."""

    model: str | None
    preset: str | None
    parts: str | None
    dim: int | None
    epochs: int | None
    minutes: float | None
    batch_size: int | None
    negatives: int | None
    lr: float | None
    seed: int | None
    precision: Literal["fp32", "bf16"] | None
    fine_tune: bool

    def from_dataset(self, model_out: Path, device: str, progress: Progress) -> "tuple[Callable[[Dataset], Run], int]":
        """From a dataset to the Run to vary, and the seed, which also splits a store. Parts are trained on that way."""
        if self.parts is not None or self.model in ("combine", "rank_ensemble"):
            return self._combination(model_out, device, progress), self.seed or 0
        if self.preset is None:
            from kg.training.recipes import default_run

            return default_run(self.model or "complex"), self.seed or 0
        from kg.studies.presets import preset

        if self.model is not None:
            raise UserError("--preset is a whole run, its model included: leave --model out")
        run = preset(self.preset)
        return lambda dataset: run, run.seed if self.seed is None else self.seed

    def _combination(self, model_out: Path, device: str, progress: Progress) -> "Callable[[Dataset], Run]":
        from kg.api import trained
        from kg.training.ensembles.combination import COMBINING, check_settings, combination

        if self.parts is None or self.model not in COMBINING:
            each = " or ".join(f"--model {name}" for name in COMBINING)
            raise UserError(f"{each} and --parts go together: the parts are what it combines")
        names = ("dim", "epochs", "minutes", "batch_size", "negatives", "lr", "precision")
        check_settings(**{name: getattr(self, name) for name in names})
        train = partial(trained, device=device, progress=progress)
        return combination(
            self.parts.split(","), model_out, self.model, train=train, seed=self.seed or 0, progress=progress
        )

    def check_anew(self) -> None:
        """UserError where another model is asked for than the one that is trained anew."""
        for name in ("model", "preset", "parts"):
            if getattr(self, name) is not None:
                raise UserError(f"--{name}: a model is trained anew as what it is: leave it out, or train another one")

    def varied(self, run: "Run") -> "Run":
        """The run with what the user named in its place. UserError for what it has no use for."""
        given = {
            name: getattr(self, name)
            for name in ("dim", "epochs", "lr", "batch_size", "negatives", "precision", "seed")
        }
        given = {name: value for name, value in given.items() if value is not None}
        if not given and not self.fine_tune:
            return run
        from kg.training.variation import varied

        return varied(run, fine_tune=self.fine_tune, **given)

    def say_choice(self, run: "Run", dataset: "Dataset") -> None:
        """What a recipe chose because of the graph's size, where the user did not."""
        from kg.training.recipes.scale import choice

        chosen = choice(run, dataset) if self.preset is None and self.negatives is None else None
        if chosen:
            note(chosen)

    def say_unused(self, run: dict[str, Any]) -> None:
        """A resumed model keeps its own settings: say where the command line asks for others."""
        algorithm = run["algorithm"]["arguments"]
        optimizer = algorithm.get("optimizer", {"arguments": {}})
        own = run["scorer"]["arguments"] | optimizer["arguments"] | algorithm
        own |= {"model": run["scorer"]["name"], "seed": run["seed"]}
        own["negatives"] = algorithm.get("objective", {"arguments": {}})["arguments"].get("num_negatives", 0)
        for name in ("model", "preset", "parts", "dim", "batch_size", "negatives", "lr", "seed", "precision"):
            value = getattr(self, name)
            if value is not None and value != own.get(name):
                flag = name.replace("_", "-")
                goes_on = f"goes on with {own[name]}" if name in own else "keeps its own settings"
                note(f"--{flag} {value} was not used: the model {goes_on}")
