"""A Run with some of its settings replaced, by the names that people know them by."""

import inspect
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from kg.errors import UserError, check_at_least_one
from kg.training.gradient_descent import GradientDescent
from kg.training.recipes.pretrained import fine_tuned
from kg.training.recipes.scale import against
from kg.training.run import Run


def varied(
    run: Run,
    *,
    dim: int | None = None,
    epochs: int | None = None,
    lr: float | None = None,
    batch_size: int | None = None,
    negatives: int | None = None,
    precision: Literal["fp32", "bf16"] | None = None,
    fine_tune: bool = False,
    seed: int | None = None,
) -> Run:
    """The run with what is not None in its place. UserError where its scorer or its algorithm has no such setting.

    dim: of the scorer. negatives: see kg.training.recipes.scale.against. lr, batch_size, precision: of gradient
    descent. epochs: of what passes over the facts more than once. fine_tune: pretrained weights are trained further.
    """
    if fine_tune:
        run = fine_tuned(run)
    if seed is not None:
        run = replace(run, seed=seed)
    if dim is not None:
        check_at_least_one(dim=dim)
        if "dim" not in inspect.signature(run.scorer.func).parameters:
            raise UserError(f"dim: {run.scorer.func.__name__} has no such setting", "dim")
        run = replace(run, scorer=partial(run.scorer, dim=dim))
    if epochs is not None:
        run = replace(run, algorithm=run.algorithm.with_epochs(epochs))
    if negatives is not None:
        run = against(run, negatives)
    settings: dict[str, Any] = {"lr": lr, "batch_size": batch_size, "precision": precision}
    settings = {name: value for name, value in settings.items() if value is not None}
    if not settings:
        return run
    if not isinstance(run.algorithm, GradientDescent):
        name = next(iter(settings))
        raise UserError(f"{name}: {type(run.algorithm).__name__} has no such setting", name)
    if lr is not None:
        if lr <= 0:
            raise UserError(f"lr must be above 0: got {lr:g}", "lr")
        del settings["lr"]
        settings["optimizer"] = partial(run.algorithm.optimizer, lr=lr)
    return replace(run, algorithm=replace(run.algorithm, **settings))
