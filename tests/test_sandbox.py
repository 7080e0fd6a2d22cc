"""A worker answers, is stopped, dies and is replaced; the parent only ever sees an error of one line."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from seen import Seen

from kg.errors import UserError
from kg.progress import Progress
from kg.store import sandbox
from kg.store.sandbox import GIB, Worker, load_memory, run


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


def call(worker: Worker, name: str, timeout_seconds: int | float | None = 60, **arguments: Any) -> Any:
    return worker.call(f"sandbox_targets:{name}", arguments, timeout_seconds=timeout_seconds)


def gone(pid: int) -> bool:
    """Dead, or dead and not yet waited for by whoever inherited it."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def test_arguments_progress_and_result_come_through(worker: Worker) -> None:
    seen = Seen()
    arguments = {"text": "é\n\ud83d", "number": 1.5, "nothing": None, "rows": [[1, "a"], []]}
    assert worker.call("sandbox_targets:echo", arguments, timeout_seconds=60, progress=seen) == arguments
    assert seen.told == [("step", 1, None), ("step", 2, 2), "done"]


def test_one_worker_serves_many_calls(worker: Worker) -> None:
    first = call(worker, "process_id")
    with pytest.raises(UserError):
        call(worker, "user_error")
    with pytest.raises(RuntimeError):
        call(worker, "defect")
    assert call(worker, "process_id") == first != os.getpid()


def test_a_user_error_keeps_its_message(worker: Worker) -> None:
    with pytest.raises(UserError, match=r"^line 3: expected '\.'$"):
        call(worker, "user_error")


def test_a_defect_shows_its_traceback(worker: Worker) -> None:
    with pytest.raises(RuntimeError, match=r"(?s)Traceback.*sandbox_targets.*KeyError: 'the key'"):
        call(worker, "defect")
    with pytest.raises(RuntimeError, match="not JSON serializable"):
        call(worker, "unanswerable")
    with pytest.raises(RuntimeError, match="no_such_function"):
        call(worker, "no_such_function")


@pytest.mark.parametrize("name", ["sleep", "spin"])
def test_the_deadline_kills_and_the_next_call_is_answered(worker: Worker, name: str) -> None:
    first = call(worker, "process_id")
    with pytest.raises(UserError, match=r"^stopped after 0\.5 seconds, the limit$"):
        call(worker, name, timeout_seconds=0.5)
    assert gone(first)
    assert call(worker, "process_id") != first


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory has no limit")
def test_memory_has_a_limit() -> None:
    with Worker(memory_bytes=GIB) as worker:
        assert call(worker, "allocate", size=1 << 20) == 1 << 20
        with pytest.raises(UserError, match=r"^stopped: it needed more than 1 GiB of memory, the limit$"):
            call(worker, "allocate", size=2 << 30)
        assert call(worker, "allocate", size=1 << 20) == 1 << 20


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (signal.SIGSEGV, r"^the worker died \(signal 11, SIGSEGV\)"),
        (signal.SIGABRT, r"^the worker died \(signal 6, SIGABRT\)"),
        (signal.SIGKILL, r"^the worker was killed \(signal 9, SIGKILL\), as the system does"),
        (signal.SIGTERM, r"^the worker was stopped from outside \(signal 15, SIGTERM\)$"),
        (signal.SIGRTMIN + 3, r"^the worker was stopped from outside \(signal \d+, a real-time signal\)$"),
    ],
)
def test_a_death_is_one_line_and_prints_nothing(
    worker: Worker, number: int, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match=message) as error:
        call(worker, "die", number=int(number))
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")
    assert call(worker, "process_id") > 0


def test_an_exit_shows_the_last_words(worker: Worker) -> None:
    with pytest.raises(UserError, match=r"^the worker died \(exit 3\): last words$"):
        call(worker, "leave")


def test_a_native_stack_overflow_is_survived(worker: Worker) -> None:
    with pytest.raises(UserError, match=r"^the worker died \(signal"):
        call(worker, "overflow")


def test_an_idle_worker_that_was_killed_is_replaced(worker: Worker) -> None:
    first = call(worker, "process_id")
    os.kill(first, signal.SIGKILL)
    assert worker._process
    while worker._process.is_alive():  # a moment after it is a zombie: its threads have to end, too
        time.sleep(0.01)
    assert call(worker, "process_id") != first


def test_one_that_was_killed_since_its_last_answer_is_replaced(worker: Worker) -> None:
    first = call(worker, "process_id")
    os.kill(first, signal.SIGKILL)
    assert worker._process
    worker._process.wait()
    with pytest.MonkeyPatch.context() as patch:  # as if it died after it was looked at
        patch.setattr(sandbox._Process, "is_alive", lambda self: True)
        assert call(worker, "process_id") != first


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_one_that_is_killed_while_it_starts(worker: Worker, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    line = sandbox._Process.line

    def killed(process: sandbox._Process, timeout: int | float | None) -> bytes | None:
        process._popen.send_signal(number)
        return line(process, timeout)

    with monkeypatch.context() as patch:
        patch.setattr(sandbox._Process, "line", killed)
        with pytest.raises(UserError, match=rf"^the worker was .* \(signal {int(number)}, "):
            call(worker, "process_id")
    assert call(worker, "process_id") > 0


def test_one_that_takes_no_request(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a pipe holds: its parent would wait for ever."""
    first = call(worker, "process_id")
    os.kill(first, signal.SIGSTOP)
    monkeypatch.setattr(sandbox, "START_SECONDS", 0.2)
    with pytest.raises(UserError, match=r"^stopped: the worker took no request for 0\.2 seconds$"):
        call(worker, "echo", text="x" * (1 << 20))
    assert gone(first)


def test_an_error_of_the_system_is_raised_here(worker: Worker) -> None:
    with pytest.raises(OSError, match="No space left on device") as caught:
        call(worker, "full")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, "there")
    with pytest.raises(OSError, match=r"^IO error: No space left on device: While appending to file: there$"):
        call(worker, "full", as_databases_say=True)


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan")])
def test_a_deadline_is_ahead(worker: Worker, seconds: float) -> None:
    with pytest.raises(UserError, match=r"^timeout_seconds must be above 0: got "):
        call(worker, "process_id", timeout_seconds=seconds)


@pytest.mark.parametrize("seconds", [1e300, float("inf")])
def test_a_deadline_that_no_clock_reaches(worker: Worker, seconds: float) -> None:
    assert call(worker, "process_id", timeout_seconds=seconds) > 0


def test_a_large_answer(worker: Worker) -> None:
    assert call(worker, "many", rows=100_000) == ["é" * 100] * 100_000


def test_an_exception_of_the_listener_ends_the_work(worker: Worker) -> None:
    pids: list[int] = []

    class Listener(Progress):
        def at(self, what: str, done: int, total: int | None = None, figures: object = None) -> None:
            pids.append(done)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        worker.call("sandbox_targets:sleep", {}, progress=Listener())
    assert gone(pids[0])


def test_run_once_and_leave_nothing() -> None:
    pid = run("sandbox_targets:process_id", {}, timeout_seconds=60, memory_bytes=None)
    assert gone(pid)


def test_a_forgotten_worker_ends() -> None:
    worker = Worker()
    pid = call(worker, "process_id")
    del worker
    assert gone(pid)


ORPHAN = """
import sys
sys.path.insert(0, sys.argv[1])
from kg.store.sandbox import Worker
from kg.progress import Progress
class Printed(Progress):
    def at(self, what, done, total=None, figures=None):
        print(done, flush=True)
Worker().call("sandbox_targets:" + sys.argv[2], {}, progress=Printed())
"""


@pytest.mark.parametrize("name", ["sleep", "spin"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_the_worker_leaves_with_its_parent(name: str, number: signal.Signals) -> None:
    here = str(Path(__file__).parent)
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN, here, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None and parent.stderr is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(number)
        parent.wait()
        said = parent.stderr.read()
    for _ in range(1000):
        if gone(pid):
            break
        time.sleep(0.01)
    assert gone(pid)
    assert said.count(b"Traceback") == (number == signal.SIGINT)  # the parent's own


def test_limits() -> None:
    assert 0 < load_memory() < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert sandbox.QUERY_MEMORY == 4 * GIB
