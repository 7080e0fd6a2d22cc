"""What tests/test_sandbox.py runs in a worker. Not a test: the worker imports it."""

import errno
import os
import sys
import time
from typing import Any

from kg.errors import UserError
from kg.progress import Progress


def echo(progress: Progress, **arguments: Any) -> dict[str, Any]:
    """Gives its arguments back, after printing what must not get in the way."""
    print('{"result": "a stray line"}')
    os.system('echo \'{"result": "another"}\'')
    progress.at("step", 1)
    progress.at("step", 2, 2)
    progress.note("done")
    return arguments


def process_id(progress: Progress) -> int:
    """Which process this is."""
    return os.getpid()


def user_error(progress: Progress) -> None:
    """Wrong input."""
    raise UserError("line 3: expected '.'")


def defect(progress: Progress) -> None:
    """A bug."""
    raise KeyError("the key")


def sleep(progress: Progress) -> None:
    """Longer than any test."""
    progress.at("pid", os.getpid())
    time.sleep(600)


def spin(progress: Progress) -> None:
    """Never gives up the processor."""
    progress.at("pid", os.getpid())
    while True:
        pass


def allocate(progress: Progress, size: int) -> int:
    """As many bytes, at once."""
    return len(bytearray(size))


def die(progress: Progress, number: int) -> None:
    """By this signal, with some last words."""
    print("last words", file=sys.stderr, flush=True)
    os.kill(os.getpid(), number)


def full(progress: Progress, as_databases_say: bool = False) -> None:
    if as_databases_say:
        raise OSError("IO error: No space left on device: While appending to file: there")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "there")


def leave(progress: Progress) -> None:
    """Without an answer."""
    print("last words", file=sys.stderr, flush=True)
    os._exit(3)


def unanswerable(progress: Progress) -> object:
    """No JSON."""
    return object()


def many(progress: Progress, rows: int) -> list[str]:
    """A large answer."""
    return ["é" * 100] * rows


def overflow(progress: Progress) -> None:
    """The stack of native code: the reason for kg/store/guard.py."""
    import pyoxigraph

    pyoxigraph.Store().query("SELECT * " + "{" * 100_000 + "}" * 100_000)
