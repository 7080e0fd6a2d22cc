"""The API for programs, under /api/v1: JSON, described at /openapi.json. Errors are problem+json (RFC 9457)."""

import uuid
from typing import Annotated, Any, Literal, final

from kg.decisions.journal import Undo
from kg.errors import extra
from kg.query.pattern import Pattern
from kg.serve.site import Here, Person

with extra("serve"):
    from fastapi import APIRouter, Path, Query
    from pydantic import BaseModel, Field


@final
class Problem(BaseModel):
    """What went wrong, in one line (RFC 9457)."""

    type: str
    title: str
    status: int


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How the errors of a route are described."""
    content = {"application/problem+json": {"schema": Problem.model_json_schema()}}
    return {each: {"description": _MEANT[each], "content": content} for each in statuses}


_MEANT = {
    400: "A name that nothing has, or what cannot be done",
    401: "No token, or nobody's",
    403: "It comes from another site",
    404: "There is none such",
    409: "A job is running, or has ended",
    413: "More than 1 MiB",
    421: "No name that is served",
    422: "It is not as described here",
    503: "Too many at once, or the store or the model cannot be read",
}
router = APIRouter(prefix="/api/v1", responses=_problems(400, 401, 403, 413, 421, 422, 503))
_Term = Annotated[str, Query(min_length=1, max_length=4000)]
_JobNumber = Annotated[int, Path(ge=1, lt=2**63)]


@final
class NewDecision(BaseModel):
    """What a person says of a fact. id: the client's; sent again, it counts once. Without one each request counts."""

    subject: str = Field(min_length=1, max_length=4000)
    predicate: str = Field(min_length=1, max_length=4000)
    object: str = Field(min_length=1, max_length=4000)
    verdict: Literal["accept", "reject", "unsure"]
    id: str | None = Field(None, min_length=1, max_length=200)
    note: str | None = Field(None, max_length=4000)


@final
class NewUndo(BaseModel):
    """batch: the id of the decision to take back, or of all that were made at once."""

    batch: str = Field(min_length=1, max_length=200)
    id: str | None = Field(None, min_length=1, max_length=200)


@final
class NewJob(BaseModel):
    """recalibrate: fit the probabilities to what people have decided by now. retrain: train the model again, with its
    own settings, on what the store holds by now; it replaces the old one when it is done."""

    kind: Literal["recalibrate", "retrain"]


@router.get("/health")
def health(site: Here) -> dict[str, Any]:
    """Whether questions are answered, and by what."""
    return {"status": "ok", "model": site.service.model.name, "store": site.service.store.name}


@router.get("/ask")
def ask(
    site: Here,
    subject: Annotated[str | None, Query(max_length=4000)] = None,
    predicate: Annotated[str | None, Query(max_length=4000)] = None,
    object: Annotated[str | None, Query(max_length=4000)] = None,
    top: Annotated[int, Query(ge=1, le=1000)] = 10,
    new_only: bool = False,
) -> list[dict[str, Any]]:
    """The best answers for the one of subject, predicate and object that is left out; names are labels or IRIs."""
    found = site.service.ask(Pattern(subject or None, predicate or None, object or None), top, new_only)
    return [each.to_json() for each in found]


@router.get("/explain")
def explain(site: Here, subject: _Term, predicate: _Term, object: _Term) -> dict[str, Any]:
    """What speaks for a fact, known or not, and what against it."""
    return site.service.explain((subject, predicate, object)).to_json()


@router.get("/entities")
def entities(site: Here, beginning: Annotated[str, Query(min_length=1, max_length=200)]) -> list[dict[str, str]]:
    """Entities whose label begins so."""
    return [{"term": term, "label": label} for term, label in site.service.search(beginning)]


@router.get("/decisions")
def decisions(
    site: Here,
    after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> list[dict[str, Any]]:
    """The journal's lines after this number, so many of them, each with its own: what was taken back is followed by a
    line that says so."""
    return [{"number": number, **_line(line)} for number, line in site.service.journal.lines(after)[:limit]]


@router.post("/decisions", status_code=201)
def decide(site: Here, person: Person, decision: NewDecision) -> dict[str, Any]:
    """Say what you hold of a fact. It is on disk when the answer comes."""
    id_, service = decision.id or str(uuid.uuid4()), site.service
    fact = service.terms((decision.subject, decision.predicate, decision.object))
    made = service.decision(fact, decision.verdict, person, id_, note=decision.note or "")
    return {"id": id_, "new": service.decide([made]) == 1}


@router.post("/undo", status_code=201)
def undo(site: Here, person: Person, undo: NewUndo) -> dict[str, Any]:
    """Take back what you said."""
    id_ = undo.id or str(uuid.uuid4())
    back = site.service.undo(Undo(id_, undo.batch, person))
    return {"id": id_, "taken_back": [each.id for each in back]}


@router.get("/jobs")
def jobs(site: Here) -> list[dict[str, Any]]:
    """The last 20, the newest first."""
    return [each.to_json() for each in site.jobs.all()]


@router.post("/jobs", status_code=202, responses=_problems(409))
def start(site: Here, person: Person, job: NewJob) -> dict[str, Any]:
    """Begin to calibrate the model, or to train it anew; 409 where a job is running. Ask for it until it has ended."""
    return site.jobs.start(job.kind, person).to_json()


@router.get("/jobs/{id}", responses=_problems(404))
def job(site: Here, id: _JobNumber) -> dict[str, Any]:
    """How far it is, or what came of it."""
    return site.jobs.get(id).to_json()


@router.post("/jobs/{id}/stop", status_code=202, responses=_problems(404, 409))
def stop(site: Here, id: _JobNumber) -> dict[str, Any]:
    """End it: the model stays as it is. 409 where it has ended."""
    return site.jobs.stop(id).to_json()


def _line(line: Any) -> dict[str, Any]:
    return {
        **vars(line),
        "at": line.at and line.at.isoformat(),
        **({"verdict": "undo"} if isinstance(line, Undo) else {}),
    }
