"""What a folder of trainings was begun with, so that what a later command means otherwise is noticed."""

import json
from collections.abc import Iterator
from typing import Any

from kg.errors import UserError


def check_same(what: str, before: Any, now: Any) -> None:
    """UserError, with the first setting that differs, unless both are the same as JSON."""
    for name, old, new in _differences("", *(json.loads(json.dumps(value)) for value in (before, now))):
        changed = f"{name} {old} -> {new}" if name else f"{old} -> {new}"
        raise UserError(f"{what} has changed ({changed}): choose another folder, or go back to what it was begun with")


def _differences(name: str, before: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in [*before, *(key for key in now if key not in before)]:
            yield from _differences(f"{name}.{key}".lstrip("."), before.get(key, "none"), now.get(key, "none"))
    elif before != now:
        yield name, before, now
