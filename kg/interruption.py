"""SIGINT and SIGTERM are one exception: it comes at once, or as soon as what is under way is whole."""

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

_ANSWERED = (signal.SIGINT, signal.SIGTERM)
_HEARD_SECONDS = 0.5
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Interrupted(KeyboardInterrupt):
    """SIGINT or SIGTERM came. What was to be kept is saved by then."""


class _Answers:
    """What a signal does now: of the main thread, the only one that signals reach."""

    def __init__(self) -> None:
        self.before: dict[signal.Signals, Any] = {}  # the handlers that ours stand in for; none where ours do not stand
        self.finishing = False
        self.came = False  # while it was
        self.tell: Callable[[], None] | None = None


_now = _Answers()


def _stop(number: int, frame: FrameType | None) -> None:
    _handlers(_now.before)  # a second signal does what it would have done without us
    if not _now.finishing:
        raise Interrupted
    _now.came = True
    if _now.tell:
        _now.tell()


def _handlers(handlers: dict[signal.Signals, Any]) -> None:
    for name, handler in handlers.items():
        signal.signal(name, handler)


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextmanager
def interruptible() -> Iterator[None]:
    """While it lasts the first SIGINT or SIGTERM raises Interrupted; a second one does what it did before.

    Within another one, and outside of the main thread, it changes nothing.
    """
    if _now.before or not _is_main():
        yield
        return
    _now.before = {name: signal.getsignal(name) for name in _ANSWERED}
    try:
        _handlers(dict.fromkeys(_ANSWERED, _stop))
        yield
    finally:
        _handlers(_now.before)
        _now.before, _now.came = {}, False


@contextmanager
def finishing(tell: Callable[[], None] | None = None) -> Iterator[None]:
    """What is in here is brought to its end: a signal calls `tell`, and Interrupted is raised afterwards."""
    with _answering(True, tell):
        yield


@contextmanager
def at_once() -> Iterator[None]:
    """Within `finishing`, what may be dropped at any moment: a signal raises Interrupted there and then."""
    with _answering(False, None):
        yield


@contextmanager
def _answering(finishing: bool, tell: Callable[[], None] | None) -> Iterator[None]:
    if not _is_main():
        yield
        return
    before = _now.finishing, _now.tell
    _now.finishing, _now.tell = finishing, tell
    try:
        _answer()
        yield
    finally:
        _now.finishing, _now.tell = before
    _answer()


def _answer() -> None:
    if _now.came and not _now.finishing:
        _now.came = False
        raise Interrupted


def in_threads(function: Callable[[_Item], _Result], items: Iterable[_Item], threads: int) -> Iterator[_Result]:
    """The results in the order of the items: native code hears no signal, but who waits for it does.

    Interrupted or left, it ends at once: what is not begun is not, and what is finds an end that nobody waits for.
    """
    pool = ThreadPoolExecutor(threads)
    try:
        for future in [pool.submit(function, item) for item in items]:
            with at_once():
                while not wait([future], _HEARD_SECONDS).done:
                    pass  # a signal that came in the moment before the wait is heard now
            yield future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def waited_for(function: Callable[[], _Result]) -> _Result:
    """What the function returns, in a thread. What it finds after the wait was ended is dropped: it must change nothing
    that is kept.
    """
    return next(in_threads(_called, [function], 1)) if _is_main() else function()


def _called(function: Callable[[], _Result]) -> _Result:
    return function()
