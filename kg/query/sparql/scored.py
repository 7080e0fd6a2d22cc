"""ScoredStore: SPARQL over a store, with a model at hand."""

from pathlib import Path
from types import TracebackType
from typing import final

from kg.store import sandbox
from kg.store.sparql import Answer, Results
from kg.store.store import QUERY_SECONDS, Store

LOAD_SECONDS = 600.0  # for the model and the store's facts, which a query waits for but is not charged with


@final
class ScoredStore:
    """A store in whose queries a model answers kg:score, kg:probability and kg:known.

    A worker process reads the model for the first query, and again after the store moved to another generation. Its
    memory has room for a model of half the machine, beside what any query may take. Close it, or use it in a `with`.
    """

    def __init__(self, store: Store, model: Path | str) -> None:
        self._store = store
        self._model = str(model)
        self._worker = sandbox.Worker(memory_bytes=sandbox.load_memory() + sandbox.QUERY_MEMORY)

    def sparql(
        self, query: str, *, with_predictions: bool = False, timeout_seconds: int | float = QUERY_SECONDS
    ) -> Results:
        """As Store.sparql."""
        return self.answer(query, with_predictions=with_predictions, timeout_seconds=timeout_seconds).results()

    def answer(
        self, query: str, *, with_predictions: bool = False, timeout_seconds: int | float = QUERY_SECONDS
    ) -> Answer:
        """As Store.answer; to read the model takes no time of the query's.

        A call that names a term the model does not know has no value, as if its arguments were unbound, and the notes
        say how many did. UserError, too, where a function is not given three arguments, or a probability is asked of a
        model that was not calibrated.
        """
        request = self._store.request(query, with_predictions=with_predictions)
        which = {"model": self._model, "store": str(self._store.path), "generation": self._store.generation}
        self._worker.call("kg.query.sparql.functions:load", which, timeout_seconds=LOAD_SECONDS)
        request |= which
        return Answer(
            **self._worker.call("kg.query.sparql.functions:answer", request, timeout_seconds=float(timeout_seconds))
        )

    def close(self) -> None:
        """Ends the worker; another query would start one."""
        self._worker.close()

    def __enter__(self) -> "ScoredStore":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
