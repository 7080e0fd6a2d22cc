"""SIGINT and SIGTERM: at once, or as soon as what is under way is whole."""

import signal
import threading
from collections.abc import Iterator

import pytest

from kg.interruption import Interrupted, at_once, finishing, interruptible, waited_for

NUMBERS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """After each test the signals mean what they did before it."""
    before = [signal.getsignal(number) for number in NUMBERS]
    yield
    assert [signal.getsignal(number) for number in NUMBERS] == before


@pytest.mark.parametrize("number", NUMBERS)
def test_at_once(number: signal.Signals) -> None:
    with pytest.raises(Interrupted), interruptible():
        signal.raise_signal(number)
        raise AssertionError("it went on")


@pytest.mark.parametrize("number", NUMBERS)
def test_what_is_under_way_comes_to_its_end(number: signal.Signals) -> None:
    done: list[str] = []
    with pytest.raises(Interrupted), interruptible():
        with finishing(lambda: done.append("told")):
            signal.raise_signal(number)
            with finishing():
                done.append("within")
            done.append("step")
        raise AssertionError("it went on")
    assert done == ["told", "within", "step"]


def test_what_may_be_dropped_is() -> None:
    done: list[str] = []
    with pytest.raises(Interrupted), interruptible(), finishing(), at_once():
        signal.raise_signal(signal.SIGTERM)
        done.append("at once")
    assert done == []
    with pytest.raises(Interrupted), interruptible(), finishing():
        signal.raise_signal(signal.SIGTERM)
        done.append("before")
        with at_once():
            done.append("at once")
    assert done == ["before"]


def test_an_error_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), interruptible(), finishing():
        signal.raise_signal(signal.SIGINT)
        _ = 1 / 0
    with interruptible(), finishing():
        pass  # nothing of it is left


def test_a_second_signal_does_what_it_did_before() -> None:
    with pytest.raises(KeyboardInterrupt) as raised, interruptible(), finishing():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert not isinstance(raised.value, Interrupted)


def test_it_is_raised_once() -> None:
    """What is saved after it may be saved as it is always."""
    with interruptible():
        with pytest.raises(Interrupted), interruptible(), finishing():  # one within another changes nothing
            signal.raise_signal(signal.SIGINT)
        with finishing():
            pass


def test_other_threads_leave_the_signals_alone() -> None:
    seen = []

    def work() -> None:
        with interruptible(), finishing(), at_once():
            seen.append([signal.getsignal(number) for number in NUMBERS])

    before = [signal.getsignal(number) for number in NUMBERS]
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_wait_for_what_cannot_be_interrupted() -> None:
    """Native code that nobody hears of ends, in its thread, when it ends: here, when the test does."""
    begun, over = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        over.wait(60)

    def stop() -> None:
        begun.wait(60)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    with pytest.raises(Interrupted), interruptible(), finishing():
        threading.Thread(target=stop).start()
        waited_for(work)
    assert not over.is_set()
    over.set()
    assert waited_for(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        waited_for(lambda: 1 / 0)
