"""What the arguments of a scorer may be: whoever gives them, a person or a file, is told before anything is made."""

import inspect
import math
from functools import partial
from typing import Any, Literal, get_args, get_origin

from kg.errors import UserError, one_line
from kg.models.scorer import Scorer

_LARGEST = 2**31 - 1
_MOST_TURNS = 1000
_TURNS = (
    "num_layers",
    "num_hops",
    "num_rules",
    "num_bases",
    "num_permutations",
    "window",
)  # loops, as often as they say
_MAY_BE_0 = ("num_layers", "num_hops", "num_permutations", "redraw_every")


def check_values(made: "partial[Any]") -> None:
    """UserError for the first argument, of a scorer or of a part of it, that is no value of its parameter: of another
    type, not finite, or beyond what a parameter of this name can be.
    """
    parameters = inspect.signature(made.func).parameters
    for name, value in made.keywords.items():
        if name not in [*parameters][2:]:  # all are made from two sizes
            raise UserError(f"{made.func.__name__}: got an unexpected keyword argument {name!r}")
        expected = _expected(name, parameters[name].annotation, value)
        if expected:
            raise UserError(f"{name} must be {expected}: got {one_line(str(value))[:80]}", name)
        for part in value if isinstance(value, list | tuple) else [value]:
            if isinstance(part, partial):
                check_values(part)


def _expected(name: str, kind: Any, value: Any) -> str | None:
    """What it should have been; None where it is."""
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        is_one = any(type(value) is type(choice) and value == choice for choice in choices)
        return None if is_one else f"one of {', '.join(map(str, choices))}"
    if kind is bool:
        return None if isinstance(value, bool) else "true or false"
    if kind is int:
        least, most = int(name not in _MAY_BE_0), _MOST_TURNS if name in _TURNS else _LARGEST
        is_one = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
        return None if is_one else f"a whole number from {least} to {most:,}"
    if kind is float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if name.endswith("_dropout"):
            return None if is_number and 0 <= value <= 1 else "a share from 0 to 1"
        return None if is_number and value >= 0 else "a number of at least 0"
    if "Sequence" in str(kind):
        is_one = isinstance(value, list | tuple) and all(_is_part(each, of_scorer=True) for each in value)
        return None if is_one else "a list of models"
    if "Scorer" in str(kind):
        return None if _is_part(value, of_scorer=True) else "a model"
    if "partial" in str(kind):
        return None if value is None or _is_part(value, of_scorer=False) else "a kind of attention"
    return None


def _is_part(value: Any, *, of_scorer: bool) -> bool:
    made = value.func if isinstance(value, partial) else None
    return isinstance(made, type) and issubclass(made, Scorer) == of_scorer
