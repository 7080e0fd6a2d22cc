"""Candidates in the store's own graph for predictions: stated and annotated there, and nowhere else."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kg.bundle import Bundle
from kg.errors import UserError, one_line
from kg.namespaces import PREDICTIONS
from kg.query.candidates.annotations import PREFIXES, Origin, annotations, fact
from kg.query.candidates.candidate import Candidates
from kg.query.candidates.files import read_with_origin
from kg.query.knowledge import Knowledge
from kg.query.predictor import Predictor
from kg.store.store import Store


@dataclass(frozen=True)
class Published:
    """What one publish or retract left: candidates in the graph now, and before; the store's generation."""

    store: str
    graph: str
    candidates: int
    replaced: int
    generation: int

    def to_json(self) -> dict[str, Any]:
        return vars(self)


def publish(candidates: Candidates, origin: Origin, store: Store) -> Published:
    """The predictions graph holds these candidates, as facts and with what is said of them, and nothing else: one new
    generation of the store, in which no other graph changes.

    UserError: a term that RDF does not have.
    """
    try:
        triples = [*(fact(each, origin.plain_names) for each in candidates), *annotations(candidates, origin)]
    except ValueError as error:
        raise UserError(one_line(str(error))) from None
    replaced = store.counts()["predictions"]
    store.replace({PREDICTIONS: triples}, PREFIXES, by="publish")
    return Published(str(store.path), PREDICTIONS, len(candidates), replaced, store.generation)


def retract(store: Store) -> Published:
    """The predictions graph is gone, in one new generation; where there was none nothing is written."""
    replaced = store.counts()["predictions"]
    if store.has_graph(PREDICTIONS):
        store.replace({PREDICTIONS: ()}, by="retract")
    return Published(str(store.path), PREDICTIONS, 0, replaced, store.generation)


def publish_file(model: Path, file: Path, store: Path | None = None) -> Published:
    """publish, of a file of candidates of this model, in the store it was trained on (Bundle.store) unless another is
    named.

    The file's own account of the run is kept, where it has one; else it is told that the file was published.
    UserError: another model found them, or what Store, Bundle and read_candidates say.
    """
    started = datetime.now(UTC)
    bundle = Bundle.load(model)
    with Store(store or _store_of(bundle)) as opened:
        candidates, origin = read_with_origin(file)
        if origin is None:
            data, generation = Path(bundle.dataset.source).name, bundle.dataset.generation
            origin = Origin.of(bundle, data, generation, started, {"file": file.name})
        elif origin.model_sha256 != bundle.sha256:
            raise UserError(f"{file}: these are candidates of another model, {origin.model}, or of another state of it")
        return publish(candidates, origin, opened)


def publish_best(model: Path, top: int, store: Path | None = None, device: str = "cpu") -> Published:
    """publish, of the `top` most probable facts that the store lacks."""
    started = datetime.now(UTC)
    bundle = Bundle.load(model, device)
    with Store(store or _store_of(bundle)) as opened:
        known = Knowledge.of_store(bundle, opened)
        candidates = Predictor(bundle, known).complete(top=top)
        origin = Origin.of(bundle, known.data, known.generation, started, {"top": top})
        return publish(candidates, origin, opened)


def _store_of(bundle: Bundle) -> Path:
    """To be written into: nothing is guessed."""
    try:
        return bundle.store()
    except UserError as error:
        raise UserError(f"store must be named: {error}", "store") from None
