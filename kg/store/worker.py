"""The process that sandbox.py starts: calls the functions it is told to, one after another, until its parent is gone.

Requests come on standard input, answers leave on what was standard output, one JSON object a line:

    {"target": "module:function", "arguments": {...}}  ->  {"at": [what, done, total]}, {"note": line} ...  then one of
    {"result": ...}   {"user_error": line, "setting": name or null}   {"os_error": [number, reason, file]}
    {"memory_error": true}   {"defect": traceback}
"""

import contextlib
import json
import os
import pkgutil
import queue
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import IO, Any, final

from kg.errors import UserError
from kg.progress import Progress


def main() -> None:
    """Serve until standard input closes. The one argument is the memory limit in bytes, 0 for none."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    with _own_stdout() as answers:
        _limit_memory(int(sys.argv[1]))
        threading.Thread(target=_watch, args=(requests,), daemon=True).start()
        _say(answers, ready=True)
        while True:
            _serve(json.loads(requests.get()), answers)


def _own_stdout() -> IO[str]:
    """Standard output for the protocol alone: a stray print, from Python or not, goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _limit_memory(limit: int) -> None:
    if limit:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _watch(requests: "queue.SimpleQueue[str]") -> None:
    """Leave with the parent, even in the middle of a computation."""
    for line in sys.stdin:
        requests.put(line)
    os._exit(0)


def _say(answers: IO[str], **message: Any) -> None:
    text = json.dumps(message)
    with contextlib.suppress(BrokenPipeError):  # the parent is gone, and so are we in a moment
        answers.write(text + "\n")
        answers.flush()


@final
class _Passed(Progress):
    """What is told here is told to the parent's."""

    def __init__(self, answers: IO[str]) -> None:
        self._answers = answers

    def at(self, what: str, done: int, total: int | None = None, figures: Callable[[], str] | None = None) -> None:
        _say(self._answers, at=[what, done, total])

    def note(self, text: str) -> None:
        _say(self._answers, note=text)


def _serve(request: dict[str, Any], answers: IO[str]) -> None:
    try:
        function = pkgutil.resolve_name(request["target"])
        _say(answers, result=function(**request["arguments"], progress=_Passed(answers)))
    except UserError as error:
        _say(answers, user_error=str(error), setting=error.setting)
    except OSError as error:  # a full disk, say: the parent knows what it was that could not be written
        name = error.filename if isinstance(error.filename, str) else None
        _say(answers, os_error=[error.errno, error.strerror or str(error), name])
    except MemoryError:
        _say(answers, memory_error=True)
        os._exit(0)  # what is left of the heap is no place to go on
    except BaseException:  # a panic in native code is no Exception
        _say(answers, defect=traceback.format_exc())


if __name__ == "__main__":
    main()
