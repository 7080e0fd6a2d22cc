"""The pages: what a person looks at, and the forms that they send. They work without scripts."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, final
from urllib.parse import parse_qsl, urlencode

from kg.decisions.journal import Fact, Undo
from kg.errors import UserError, check_choice, extra
from kg.query.review import ORDERS, Wanted
from kg.serve.safety import COOKIE
from kg.serve.site import Here, Person

with extra("serve"):
    import python_multipart  # noqa: F401  which reads forms
    from fastapi import APIRouter, Form, Request
    from fastapi.responses import HTMLResponse, RedirectResponse

_SHOWN = 200  # decisions, facts of a relation
_MOST = 200  # facts decided on at once
_Field = Annotated[str, Form()]
router = APIRouter(include_in_schema=False)


@final
@dataclass(frozen=True)
class Asked:
    """What a query string asks of the queue; whatever else stands in it is passed over. UserError: a number is none."""

    wanted: Wanted
    place: int = 0
    fact: Fact | None = None

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Asked":
        order = query.get("order") or "subject"
        check_choice("order", order, ORDERS)
        try:
            wanted = Wanted(
                query.get("relation") or None,
                query.get("type") or None,
                float(query.get("at_least") or 0),
                float(query.get("at_most") or 1),
                order,  # type: ignore[arg-type]
            )
            place = int(query.get("place") or 0)
        except ValueError:
            raise UserError("a number was expected in the address of this page") from None
        terms = query.get("subject"), query.get("predicate"), query.get("object")
        return cls(wanted, place, terms if all(terms) else None)  # type: ignore[arg-type]

    def query(self, **changed: object) -> str:
        """As a query string."""
        wanted, plain = self.wanted, Wanted()
        named = {name: value for name, value in vars(wanted).items() if value != getattr(plain, name)}
        return urlencode({**named, **{name: value for name, value in changed.items() if value}})


# The queue


@router.get("/")
def home() -> RedirectResponse:
    return RedirectResponse("/review", 303)


@router.get("/review")
def review(request: Request, site: Here, person: Person) -> HTMLResponse:
    asked, service = Asked.of(request.query_params), site.service
    item = service.item(person, asked.wanted, asked.place, asked.fact)
    settled, every = service.progress(person)
    return site.page(
        "review.html",
        request,
        item=item,
        wanted=asked.wanted,
        filtered=asked.wanted != Wanted(),
        query=asked.query(place=asked.place),
        query_at=lambda place: asked.query(place=place),
        relations=service.relations,
        types=service.types,
        settled=settled,
        every=every,
        last=service.last_of(person),
        new_id=lambda: str(uuid.uuid4()),
    )


@router.post("/decide")
def decide(
    site: Here,
    person: Person,
    subject: _Field,
    predicate: _Field,
    object: _Field,
    verdict: _Field,
    id: _Field,
    note: _Field = "",
    query: _Field = "",
) -> RedirectResponse:
    fact = subject, predicate, object
    site.service.decide([site.service.decision(fact, verdict, person, id, note=note)])
    return _back(query)


@router.post("/decide-all")
def decide_all(
    site: Here,
    person: Person,
    fact: Annotated[list[str], Form()],
    verdict: _Field,
    id: _Field,
    query: _Field = "",
) -> RedirectResponse:
    if len(fact) > _MOST:
        raise UserError(f"at most {_MOST} facts are decided on at once: got {len(fact)}")
    facts, service = [_from_json(each) for each in fact], site.service
    service.decide([service.decision(each, verdict, person, f"{id}-{number}", id) for number, each in enumerate(facts)])
    return _back(query)


@router.post("/undo")
def undo(site: Here, person: Person, id: _Field, batch: _Field, query: _Field = "") -> RedirectResponse:
    back = site.service.undo(Undo(id, batch, person))
    return _back(query, back[0].fact if back else None)


@router.post("/renew")
def renew(site: Here) -> RedirectResponse:
    site.service.renew()
    return RedirectResponse("/review", 303)


def _back(query: str, fact: Fact | None = None) -> RedirectResponse:
    """To the queue as it was asked for, and nowhere else; to this fact in it."""
    asked = Asked.of(dict(parse_qsl(query)))
    at: dict[str, object] = dict(zip(("subject", "predicate", "object"), fact, strict=True)) if fact else {}
    return RedirectResponse(f"/review?{asked.query(place=asked.place, **at)}", 303)


def _from_json(text: str) -> Fact:
    try:
        subject, predicate, object_ = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        raise UserError(f"expected a fact as a JSON list of three terms: got {text[:80]!r}", "fact") from None
    if not all(isinstance(each, str) for each in (subject, predicate, object_)):
        raise UserError(f"expected a fact as a JSON list of three terms: got {text[:80]!r}", "fact")
    return subject, predicate, object_


# What there is


@router.get("/decisions")
def decisions(request: Request, site: Here) -> HTMLResponse:
    verdicts, shown = site.service.last(_SHOWN)
    return site.page("decisions.html", request, made=shown, counts=verdicts.counts(), agreement=verdicts.agreement())


@router.get("/entity")
def entity(request: Request, site: Here, term: str) -> HTMLResponse:
    return site.page("entity.html", request, **vars(site.service.of_entity(term)))


@router.get("/relation")
def relation(request: Request, site: Here, term: str) -> HTMLResponse:
    return site.page("relation.html", request, **vars(site.service.of_relation(term, _SHOWN)))


@router.get("/model")
def model(request: Request, site: Here) -> HTMLResponse:
    return site.page("model.html", request, about=site.service.of_model(), jobs=site.jobs.all())


@router.post("/model/start")
def start(site: Here, person: Person, kind: Annotated[Literal["recalibrate", "retrain"], Form()]) -> RedirectResponse:
    site.jobs.start(kind, person)
    return RedirectResponse("/model", 303)


@router.post("/model/stop")
def stop(site: Here, id: Annotated[int, Form()]) -> RedirectResponse:
    site.jobs.stop(id)
    return RedirectResponse("/model", 303)


@router.get("/search")
def search(request: Request, site: Here, q: str = "") -> Any:
    found = site.service.search(q)
    if len(found) == 1:
        return RedirectResponse(f"/entity?{urlencode({'term': found[0][0]})}", 303)
    return site.page("search.html", request, q=q, found=found)


# Who comes in


@router.get("/login")
def login(site: Here, wrong: bool = False) -> HTMLResponse:
    return site.bare("login.html", wrong=wrong)


@router.post("/login")
def log_in(request: Request, site: Here, token: _Field) -> RedirectResponse:
    secure = request.url.scheme == "https"
    if site.safety.named(token) is None:
        return RedirectResponse("/login?wrong=1", 303)
    answer = RedirectResponse("/review", 303)
    answer.set_cookie(COOKIE, token, max_age=30 * 86400, httponly=True, samesite="strict", path="/", secure=secure)
    return answer
