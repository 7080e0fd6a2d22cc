"""Runs "module:function" in a process of its own, with a deadline and a memory limit; it may crash and is replaced.

Parsers and query engines are native code: they cannot be interrupted, and what overflows their stack ends the process.
A fresh interpreter is started, never forked: a forked copy of an open store would be a second writer.
"""

import contextlib
import json
import os
import resource
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from kg.errors import UserError, check_above_zero
from kg.progress import SILENT, Progress

GIB = 1 << 30
QUERY_MEMORY = 4 * GIB
_LONGEST_WAIT = 3600.0  # at once: the system refuses more than it can count
START_SECONDS = 120.0  # for the interpreter to come up, on a machine that does much else


def load_memory() -> int:
    """Bytes that a load may use: half of what the machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def run(
    target: str,
    arguments: dict[str, Any],
    *,
    timeout_seconds: int | float | None,
    memory_bytes: int | None,
    progress: Progress = SILENT,
) -> Any:
    """Worker.call in a worker for this once."""
    with Worker(memory_bytes) as worker:
        return worker.call(target, arguments, timeout_seconds=timeout_seconds, progress=progress)


class Worker:
    """One process that serves many calls, one at a time; started by the first, replaced by the next after its death.

    memory_bytes limits its address space (on Linux; elsewhere only the deadline of a call does), and is never above the
    limit this process has itself. Close it, or use it in a `with`.
    """

    def __init__(self, memory_bytes: int | None = QUERY_MEMORY) -> None:
        self._memory = _effective_limit(memory_bytes)
        self._process: _Process | None = None
        self._lock = threading.Lock()
        self._killed = False

    def call(
        self,
        target: str,
        arguments: dict[str, Any],
        *,
        timeout_seconds: int | float | None = None,
        progress: Progress = SILENT,
    ) -> Any:
        """What `module:function(**arguments, progress=...)` returns: arguments, result and progress go as JSON.

        progress is told what the function tells its own, less the figures, in order. UserError: the function raised it,
        the deadline passed, the memory did not suffice, or the worker died. OSError: as in the function. RuntimeError:
        any other exception in it, with its traceback. If anything else ends the call (Ctrl-C, an exception of progress)
        the worker is killed.
        """
        check_above_zero(timeout_seconds=timeout_seconds)
        request = json.dumps({"target": target, "arguments": arguments})
        with self._lock:
            process = self._alive()
            try:
                if not self._sent(process, request):  # it died since its last answer
                    self.close()
                    process = self._alive()
                    self._sent(process, request)
                answer = self._answer(process, timeout_seconds, progress)
            except BaseException:
                self.close()
                raise
            if "memory_error" in answer:
                self.close()
                raise UserError(self._no_memory())
        return _result(answer)

    def close(self) -> None:
        """End the worker, whatever it does. The next call starts another."""
        if self._process is not None:
            self._process.end()
            self._process = None

    def kill(self) -> None:
        """From another thread: the call under way, and any later one, is a UserError."""
        self._killed = True
        process = self._process
        if process is not None:
            process.kill()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _alive(self) -> "_Process":
        if self._process is not None and not self._process.is_alive():
            self.close()
        if self._process is None:
            self._process = _Process(self._memory)
            if self._killed:  # looked at after there is a process: whoever kills looks for that after saying so
                self._process.kill()
            try:
                self._next(self._process, START_SECONDS, START_SECONDS)
            except BaseException:
                self.close()
                raise
        return self._process

    def _sent(self, process: "_Process", request: str) -> bool:
        """Whether it was there to take the request. UserError: it is, and takes none."""
        try:
            return process.send(request, START_SECONDS)
        except TimeoutError:
            raise UserError(f"stopped: the worker took no request for {START_SECONDS:g} seconds") from None

    def _answer(self, process: "_Process", timeout: int | float | None, progress: Progress) -> dict[str, Any]:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            message = self._next(process, left, timeout)
            if "at" in message:
                progress.at(*message["at"])
            elif "note" in message:
                progress.note(message["note"])
            else:
                return message

    def _next(self, process: "_Process", left: int | float | None, timeout: int | float | None) -> dict[str, Any]:
        """The next message. UserError: none within the seconds left, or the worker died."""
        try:
            line = process.line(left)
        except TimeoutError:
            raise UserError(f"stopped after {timeout:g} seconds, the limit") from None
        if line is None:
            raise UserError(self._death(process))
        message: dict[str, Any] = json.loads(line)
        return message

    def _no_memory(self) -> str:
        if self._memory is None:
            return "stopped: it needed more memory than there is"
        return f"stopped: it needed more than {self._memory / GIB:.2g} GiB of memory, the limit"

    def _death(self, process: "_Process") -> str:
        code, said = process.wait()
        if any(sign in said for sign in _OUT_OF_MEMORY):
            return self._no_memory()
        if code >= 0:
            return f"the worker died (exit {code}): {' '.join(said.split()[-40:])}"
        ended = f"signal {-code}, {_SIGNALS.get(-code, 'a real-time signal')}"
        if code == -signal.SIGKILL:
            return f"the worker was killed ({ended}), as the system does when memory runs out"
        if -code in _OF_A_CRASH:
            return f"the worker died ({ended}): the input is too deeply nested or too large"
        return f"the worker was stopped from outside ({ended})"


_SIGNALS = {int(each): each.name for each in signal.Signals}
_OF_A_CRASH = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP)
_OUT_OF_MEMORY = ("memory allocation of", "bad_alloc", "MemoryError", "annot allocate memory", "out of memory")


def _result(answer: dict[str, Any]) -> Any:
    if "user_error" in answer:
        raise UserError(answer["user_error"], answer["setting"])
    if "os_error" in answer:
        number, reason, name = answer["os_error"]
        raise OSError(reason) if number is None else OSError(number, reason, name)
    if "defect" in answer:
        raise RuntimeError(f"in the worker:\n{answer['defect']}")
    return answer["result"]


def _effective_limit(memory: int | None) -> int | None:
    if memory is None or not sys.platform.startswith("linux"):
        return None
    inherited = [limit for limit in resource.getrlimit(resource.RLIMIT_AS) if limit != resource.RLIM_INFINITY]
    return min([memory, *inherited])


class _Process:
    """The worker as an operating system sees it. Ends with this object, too."""

    def __init__(self, memory: int | None) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        self._popen = subprocess.Popen(
            [sys.executable, "-P", "-m", "kg.store.worker", str(memory or 0)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,  # a crash prints nothing on the user's terminal
            env=_environment(),
            start_new_session=True,  # Ctrl-C in the terminal is for the parent
        )
        assert self._popen.stdin is not None and self._popen.stdout is not None
        os.set_blocking(self._popen.stdin.fileno(), False)  # it may not be reading: see send
        self._stdin, self._stdout = self._popen.stdin, self._popen.stdout
        self._pieces: list[bytes] = []  # of a line that has not ended
        self._lines: list[bytes] = []  # whole ones, last first
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stdout, selectors.EVENT_READ)
        self._end = weakref.finalize(self, _end, self._popen, self._stdin, self._stdout, self._selector, self._said)

    def is_alive(self) -> bool:
        return self._popen.poll() is None

    def kill(self) -> None:
        self._popen.kill()

    def send(self, line: str, timeout: int | float) -> bool:
        """Whether it can have read the line: False where it has died. TimeoutError: it read none of it for so long."""
        left = memoryview(line.encode() + b"\n")
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdin, selectors.EVENT_WRITE)
            while left:
                if not selector.select(timeout):
                    raise TimeoutError
                try:
                    left = left[os.write(self._stdin.fileno(), left) :]
                except BrokenPipeError:
                    return False
        return True

    def line(self, timeout: int | float | None) -> bytes | None:
        """The next line, None when there is no more. TimeoutError: none within `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._lines:
            left = _LONGEST_WAIT if deadline is None else min(deadline - time.monotonic(), _LONGEST_WAIT)
            if not self._selector.select(max(0.0, left)):
                if left < _LONGEST_WAIT:
                    raise TimeoutError
                continue
            data = os.read(self._stdout.fileno(), 1 << 20)
            if not data:
                return None
            first, *others = data.split(b"\n")
            self._pieces.append(first)
            if others:
                self._lines = [b"".join(self._pieces), *others[:-1]][::-1]
                self._pieces = [others[-1]]
        return self._lines.pop()

    def wait(self) -> tuple[int, str]:
        """(exit code, the end of what it said on standard error), once it has closed its output."""
        code = self._popen.wait()
        self._said.seek(max(0, self._said.seek(0, os.SEEK_END) - (1 << 16)))  # a trace may be long
        return code, self._said.read().decode(errors="replace")

    def end(self) -> None:
        self._end()


def _end(popen: "subprocess.Popen[bytes]", stdin: IO[bytes], *others: Any) -> None:
    popen.kill()
    popen.wait()
    with contextlib.suppress(BrokenPipeError):  # a request it never read
        stdin.close()
    for other in others:
        other.close()


def _environment() -> dict[str, str]:
    """Ours; and the worker finds the modules that this process finds, wherever that was started."""
    paths = [path for path in sys.path if path] + [str(Path(__file__).parents[2])]
    # glibc reserves 64 MB of address space a thread, and the database starts one for every core
    return {"MALLOC_ARENA_MAX": "4", **os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}
