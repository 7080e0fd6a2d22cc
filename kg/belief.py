"""Files of a model, believed no further than they were checked: a sha256 tells damage, not who wrote them."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from kg.errors import UserError, one_line
from kg.files import failed, read_json

_COLDEST = 1e-6  # temperature; those that are fitted lie between e^-9 and e^9


@contextmanager
def believing(path: Path) -> Iterator[Any]:
    """The JSON object in a file, for a block that checks it: the one trust boundary. Whatever the block raises is a
    UserError that names the file."""
    value = read_json(path)
    try:
        if not isinstance(value, dict):
            raise ValueError(f"expected an object: got {one_line(str(value))[:80]}")
        yield value
    except MemoryError:
        raise
    except Exception as error:
        raise not_believed(path, error) from None


def not_believed(path: Path, error: Exception) -> UserError:
    what = f"no {error}" if isinstance(error, KeyError) else one_line(str(error)) or type(error).__name__
    return UserError(f"{path} holds what no training wrote: {what}")


def tensors_of(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, as long as it is there and unchanged: they are read when they are looked at."""
    with _safetensors(path):
        found: dict[str, Tensor] = load_file(path)
    return found


def metadata_of(path: Path) -> dict[str, str]:
    """What a file of tensors says beside them."""
    with _safetensors(path), safe_open(path, "pt") as file:
        found: dict[str, str] = file.metadata() or {}
    return found


@contextmanager
def _safetensors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise failed(path, error) from None
    except MemoryError:
        raise
    except Exception as error:  # SafetensorError, and what torch says of dtypes that it does not know
        raise UserError(f"{path} is no safetensors file: {one_line(str(error))}") from None


def texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError(f"expected a list of texts: got {one_line(str(value))[:80]}")
    return value


def check_run(run: Any, format: int) -> None:
    """ValueError where a run says not by which names it was made. Run.from_json reads it in full."""
    if not isinstance(run, dict) or not isinstance(run["seed"], int):
        raise ValueError(f"expected a run with a seed: got {one_line(str(run))[:80]}")
    algorithm = run["algorithm"] if format > 1 else {"name": "", "arguments": {}}
    if not isinstance(algorithm["name"], str) or not isinstance(algorithm["arguments"], dict):
        raise ValueError(f"expected the name and the arguments of an algorithm: got {one_line(str(algorithm))[:80]}")


def check_temperature(value: Any) -> None:
    if value is not None and not (_is_number(value) and _COLDEST <= value <= 1 / _COLDEST):
        raise ValueError(
            f"the temperature must be from {_COLDEST:g} to {1 / _COLDEST:g}: got {one_line(str(value))[:80]}"
        )


def checked_shares(value: Any) -> tuple[float, float] | None:
    """How much of a store was to be held out for valid and for test; models of kg 0.3 and older say nothing of it."""
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2 or not all(_is_number(each) and 0 <= each < 1 for each in value):
        raise ValueError(f"expected two shares in [0, 1): got {one_line(str(value))[:80]}")
    return value[0], value[1]


def check_metrics(metrics: Any) -> None:
    """ValueError where a command would miss a figure."""
    valid, history = metrics["valid"], metrics["history"]
    if not isinstance(metrics["finished"], bool) or not isinstance(history, list):
        raise ValueError("expected finished, true or false, and history, a list")
    whole = [metrics["epochs"], metrics["best_epoch"], *(row["epoch"] for row in history)]
    if not all(isinstance(each, int) and each >= 0 for each in whole):
        raise ValueError("expected numbers of epochs")
    figures = [row[name] for row in history for name in ("loss", "seconds", "valid_mrr") if name in row]
    if not all(map(_is_number, [*figures, *(row["seconds"] for row in history)] + ([valid["mrr"]] if valid else []))):
        raise ValueError("expected figures that are numbers")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
