"""Completion: the most probable new facts of a whole graph, found, and written with where they come from."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kg.errors import UserError, check_above_zero
from kg.progress import SILENT, Progress
from kg.query.candidates.annotations import Origin
from kg.query.candidates.candidate import Candidates
from kg.query.candidates.files import check_writable, write_candidates
from kg.query.candidates.shapes import Shapes, with_shapes
from kg.query.explain.evidence import with_evidence
from kg.query.predictor import Predictor
from kg.search.page import Order
from kg.search.type_constraints import Constraint

_TOP = 1000
EVIDENCE = 100  # of so many of the first there is evidence in a file, unless other is asked for


@dataclass(frozen=True)
class Completion:
    """What is looked for, by names: see Predictor.complete. Without top and per_relation the best 1,000. order: of
    those `page`, unless another is asked for."""

    relations: Sequence[str] | None = None
    entity: str | None = None
    top: int | None = None
    per_relation: int | None = None
    min_probability: float = 0.0
    types: Constraint = "observed"
    order: Order | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        check_above_zero(minutes=self.minutes)
        if self.top is not None and self.per_relation is not None:
            raise UserError("top and per_relation: the best of all, or of each predicate; choose one")
        if self.top is None and self.per_relation is None:
            object.__setattr__(self, "top", _TOP)
        if self.order is None:
            object.__setattr__(self, "order", "page" if self.per_relation is None else "probability")

    def to_json(self) -> dict[str, Any]:
        """What was asked for, as the origin of candidates tells it."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def candidates(
        self, predictor: Predictor, checkpoint: Path | None = None, progress: Progress = SILENT
    ) -> Candidates:
        return predictor.complete(
            _TOP if self.top is None else self.top,  # of no use beside per_relation
            relations=self.relations,
            entity=self.entity,
            per_relation=self.per_relation,
            types=self.types,
            min_probability=self.min_probability,
            order=self.order or "probability",
            checkpoint=checkpoint,
            seconds=None if self.minutes is None else 60 * self.minutes,
            progress=progress,
        )


def looked_at(
    predictor: Predictor, found: Candidates, most: int, shapes: Shapes | None = None, progress: Progress = SILENT
) -> Candidates:
    """The candidates, the first `most` of them with what speaks for them, up to a second for each, and, by shapes, with
    what is against them."""
    found = with_evidence(predictor.plausibility, found, most, progress)
    return found if shapes is None else with_shapes(found, shapes, most, progress)


def complete_into(
    predictor: Predictor,
    completion: Completion,
    out: Path,
    rdf11: bool = False,
    evidence: int = EVIDENCE,
    shapes: Shapes | None = None,
    progress: Progress = SILENT,
) -> Candidates:
    """Find candidates and write them, with the run that found them: see write_candidates.

    evidence: so many of the first say what speaks for them, and what shapes forbid; see looked_at. Killed, the same
    call goes on with the search where it was, from a hidden file beside `out`. UserError where they cannot be written
    there, before the search.
    """
    check_writable(out, rdf11)
    started = datetime.now(UTC)
    found = completion.candidates(predictor, out.with_name(f".{out.name}.search"), progress)
    known = predictor.knowledge
    origin = Origin.of(predictor.bundle, known.data, known.generation, started, completion.to_json())
    found = looked_at(predictor, found, evidence, shapes, progress)
    write_candidates(found, out, origin, rdf11)
    return found
