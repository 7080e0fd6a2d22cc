"""What the options of `kg train` make of a Run."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kg.cli.console import err, note
from kg.errors import UserError

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
    batch_size: int | None
    lr: float | None
    seed: int | None
    precision: Literal["fp32", "bf16"] | None

    def from_dataset(self, model_out: Path, device: str, quiet: bool) -> "tuple[Callable[[Dataset], Run], int]":
        """From a dataset to the Run to vary, and the seed, which also splits a store. Parts are trained on that way."""
        from kg.training.ensembles.combination import COMBINING, combination

        if (self.model in COMBINING) != (self.parts is not None):
            each = " or ".join(f"--model {name}" for name in COMBINING)
            raise UserError(f"{each} and --parts go together: the parts are what it combines")
        if self.model is not None and self.parts is not None:
            if self.dim is not None:
                raise UserError("--dim: a combination has no use for it")
            self._check_gradient(type(COMBINING[self.model]).__name__)
            seed = self.seed or 0
            parts = self.parts.split(",")
            made = combination(parts, model_out, self.model, seed=seed, device=device, console=err, quiet=quiet)
            return made, seed
        if self.preset is None:
            from kg.training.recipes import default_run

            return default_run(self.model or "complex"), self.seed or 0
        from kg.studies.presets import preset

        if self.model is not None:
            raise UserError("--preset is a whole run, its model included: leave --model out")
        run = preset(self.preset)
        return lambda dataset: run, run.seed if self.seed is None else self.seed

    def varied(self, run: "Run") -> "Run":
        """The run with what the user named in its place."""
        if run.procedure:
            self._check_gradient(type(run.procedure).__name__)
        if self.dim is not None:
            if self.dim < 1:
                raise UserError(f"--dim must be at least 1: got {self.dim}")
            run = replace(run, scorer=partial(run.scorer, dim=self.dim))
        if self.lr is not None:
            if self.lr <= 0:
                raise UserError(f"--lr must be above 0: got {self.lr:g}")
            assert run.optimizer
            run = replace(run, optimizer=partial(run.optimizer, lr=self.lr))
        plain = {name: getattr(self, name) for name in ("epochs", "batch_size", "seed", "precision")}
        return replace(run, **{name: value for name, value in plain.items() if value is not None})

    def _check_gradient(self, procedure: str) -> None:
        """UserError for options of those who descend a gradient."""
        for name in ("lr", "batch_size", "precision"):
            if getattr(self, name) is not None:
                raise UserError(f"--{name.replace('_', '-')}: {procedure} has no use for it")

    def say_unused(self, run: dict[str, Any]) -> None:
        """A resumed model keeps its own settings: say where the command line asks for others."""
        optimizer = run["optimizer"] or {"arguments": {}}
        own = run["scorer"]["arguments"] | optimizer["arguments"] | run | {"model": run["scorer"]["name"]}
        for name in ("model", "preset", "parts", "dim", "batch_size", "lr", "seed", "precision"):
            value = getattr(self, name)
            if value is not None and value != own.get(name):
                flag = name.replace("_", "-")
                goes_on = f"goes on with {own[name]}" if name in own else "keeps its own settings"
                note(f"--{flag} {value} was not used: the model {goes_on}")
