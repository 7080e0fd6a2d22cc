"""What the options of `kg train` make of a Run, and how a model is trained and calibrated."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kg.cli.console import note
from kg.errors import UserError
from kg.progress import Progress

if TYPE_CHECKING:
    from kg.bundle import Bundle
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
    batch_size: int | None
    lr: float | None
    seed: int | None
    precision: Literal["fp32", "bf16"] | None

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
        from kg.training.ensembles.combination import COMBINING, combination

        if self.parts is None or self.model not in COMBINING:
            each = " or ".join(f"--model {name}" for name in COMBINING)
            raise UserError(f"{each} and --parts go together: the parts are what it combines")
        for name in ("dim", "epochs", "batch_size", "lr", "precision"):
            if getattr(self, name) is not None:
                raise UserError(f"--{name.replace('_', '-')}: a combination has no use for it")

        def train_part(dataset: "Dataset", run: "Run", folder: Path) -> "Bundle":
            return trained(dataset, run, folder, device, progress)

        parts, seed = self.parts.split(","), self.seed or 0
        return combination(parts, model_out, self.model, train=train_part, seed=seed, progress=progress)

    def varied(self, run: "Run") -> "Run":
        """The run with what the user named in its place. UserError for what its algorithm has no use for."""
        if self.seed is not None:
            run = replace(run, seed=self.seed)
        if self.dim is not None:
            if self.dim < 1:
                raise UserError(f"--dim must be at least 1: got {self.dim}")
            run = replace(run, scorer=partial(run.scorer, dim=self.dim))
        from kg.training.gradient_descent import GradientDescent

        algorithm = run.algorithm
        if self.epochs is not None:
            algorithm = algorithm.with_epochs(self.epochs)
        settings: dict[str, Any] = {name: getattr(self, name) for name in ("lr", "batch_size", "precision")}
        settings = {name: value for name, value in settings.items() if value is not None}
        if not settings:
            return replace(run, algorithm=algorithm)
        if not isinstance(algorithm, GradientDescent):
            option = next(iter(settings)).replace("_", "-")
            raise UserError(f"--{option}: {type(algorithm).__name__} has no use for it")
        if (lr := settings.pop("lr", None)) is not None:
            if lr <= 0:
                raise UserError(f"--lr must be above 0: got {lr:g}")
            settings["optimizer"] = partial(algorithm.optimizer, lr=lr)
        return replace(run, algorithm=replace(algorithm, **settings))

    def say_unused(self, run: dict[str, Any]) -> None:
        """A resumed model keeps its own settings: say where the command line asks for others."""
        algorithm = run["algorithm"]["arguments"]
        optimizer = algorithm.get("optimizer", {"arguments": {}})
        own = run["scorer"]["arguments"] | optimizer["arguments"] | algorithm
        own |= {"model": run["scorer"]["name"], "seed": run["seed"]}
        for name in ("model", "preset", "parts", "dim", "batch_size", "lr", "seed", "precision"):
            value = getattr(self, name)
            if value is not None and value != own.get(name):
                flag = name.replace("_", "-")
                goes_on = f"goes on with {own[name]}" if name in own else "keeps its own settings"
                note(f"--{flag} {value} was not used: the model {goes_on}")


def trained(dataset: "Dataset", run: "Run", folder: Path, device: str, progress: Progress) -> "Bundle":
    """A new model, or what the folder holds trained to its end; with its probabilities."""
    from kg import bundle
    from kg.training.train import resume, train

    if bundle.exists(folder):
        return calibrated(resume(folder, device=device, progress=progress), progress)
    return calibrated(train(dataset, run, folder, device=device, progress=progress), progress)


def calibrated(bundle: "Bundle", progress: Progress) -> "Bundle":
    """With its probabilities, fitted now where they were not before."""
    from kg.probability.fitting import calibrate

    return bundle if bundle.calibration else calibrate(bundle, progress=progress)
