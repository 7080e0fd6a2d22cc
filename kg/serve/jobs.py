"""Work that takes minutes, beside the service: one job at a time, watched, stopped, and its model taken over."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, final

from kg.errors import UserError, one_line
from kg.progress import Progress
from kg.serve.service import Service
from kg.store.sandbox import Worker, load_memory

Kind = Literal["recalibrate", "retrain"]
State = Literal["running", "done", "failed", "stopped"]
_TARGETS: dict[Kind, str] = {"recalibrate": "kg.jobs:recalibrate", "retrain": "kg.jobs:retrain"}
_KEPT = 20  # jobs that have ended
_MOST_SECONDS = 24 * 3600
_LINE = 300  # letters of what is told


class Busy(UserError):
    """What is asked for cannot be done beside what runs, or because nothing does."""


class NoSuchJob(UserError):
    """There is none of this number, or not any more."""


@final
@dataclass(frozen=True)
class Job:
    """At one moment. doing: what it does now, of which `done` of `total` units are done (None: nobody knows how many
    there will be). said: what came of it, or its last note."""

    id: int
    kind: Kind
    person: str
    began: datetime
    state: State = "running"
    doing: str = "starting"
    done: int = 0
    total: int | None = None
    said: str = ""
    ended: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "began": self.began.isoformat(), "ended": self.ended and self.ended.isoformat()}


@final
class Jobs:
    """Those of one service. A job runs in a process of its own, of which the memory and the time are limited, and which
    ends with this one, however that ends; until it has done all of its work the model is as it was."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._jobs: deque[Job] = deque(maxlen=_KEPT)  # the last one may be running
        self._number = 0
        self._stopping = False
        self._worker: Worker | None = None
        self._thread: threading.Thread | None = None

    def start(self, kind: Kind, person: str) -> Job:
        """Busy: another one is running."""
        with self._lock:
            if self._worker is not None:
                running = self._jobs[-1]
                raise Busy(f"job {running.id} is running ({running.kind}, by {running.person}): one at a time")
            self._number += 1
            made = Job(self._number, kind, person, datetime.now(UTC))
            self._jobs.append(made)
            self._stopping, self._worker = False, Worker(load_memory())
            # The worker's process is a child of this thread, which lasts as long.
            self._thread = threading.Thread(target=self._run, args=(made, self._worker), daemon=True)
            self._thread.start()
        return made

    def stop(self, id: int) -> Job:
        """End it, whatever it does. NoSuchJob; Busy: it has ended."""
        with self._lock:
            found = self._found(id)
            if found.state != "running" or self._worker is None:
                raise Busy(f"job {id} has ended: {found.state}")
            self._stopping = True
            self._worker.kill()
        return found

    def close(self) -> None:
        """End the one that is running, and wait until it is gone."""
        with self._lock:
            self._stopping = True
            if self._worker is not None:
                self._worker.kill()
            thread = self._thread
        if thread is not None:
            thread.join()

    def all(self) -> list[Job]:
        """The last ones, the newest first."""
        with self._lock:
            return list(self._jobs)[::-1]

    def get(self, id: int) -> Job:
        """NoSuchJob."""
        with self._lock:
            return self._found(id)

    def _found(self, id: int) -> Job:
        found = next((each for each in self._jobs if each.id == id), None)
        if found is None:
            raise NoSuchJob(f"there is no job {id}, or not any more: the last {_KEPT} are kept", "id")
        return found

    def _told(self, **now: Any) -> None:
        """Of the one that is running."""
        with self._lock:
            self._jobs[-1] = replace(self._jobs[-1], **now)

    def _run(self, job: Job, worker: Worker) -> None:
        state, said = self._ended(job, worker)
        with self._lock:
            self._worker = None
            ended = datetime.now(UTC)
            self._jobs[-1] = replace(self._jobs[-1], state=state, said=one_line(said)[:_LINE], ended=ended)

    def _ended(self, job: Job, worker: Worker) -> tuple[State, str]:
        """How, and with which line."""
        service, folders = self._service, {"model": str(self._service.model)}
        before = service.generation
        if job.kind == "retrain":
            folders["store"] = str(service.store)
        try:
            with worker, service.keeping():
                said = worker.call(
                    _TARGETS[job.kind], folders, timeout_seconds=_MOST_SECONDS, progress=_Watching(self._told)
                )
                self._told(doing="taking the model over", done=0, total=None)
        except (UserError, OSError) as error:
            if not self._stopping:
                return "failed", str(error)
            return "stopped", "the model is as it was" if service.generation == before else "the new model was done"
        except Exception as error:  # a defect: whoever runs the service reads all of it, the page its last line
            logging.getLogger(__name__).exception("job %d (%s) failed", job.id, job.kind)
            return "failed", str(error).strip().rpartition("\n")[2] or type(error).__name__
        return "done", said


@final
class _Watching(Progress):
    def __init__(self, told: Callable[..., None]) -> None:
        self._told = told

    def at(self, what: str, done: int, total: int | None = None, figures: Callable[[], str] | None = None) -> None:
        self._told(doing=one_line(what)[:_LINE], done=done, total=total)

    def note(self, text: str) -> None:
        self._told(said=one_line(text)[:_LINE])
