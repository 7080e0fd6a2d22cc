"""The pages: what a person looks at, and the forms that they send. They work without scripts."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, final
from urllib.parse import parse_qsl, urlencode

from kg.decisions.journal import Fact, Undo
from kg.decisions.verdicts import Verdicts
from kg.errors import UserError, check_choice, extra
from kg.query.candidates.candidate import Candidate
from kg.query.review import ORDERS, Wanted, fact_of
from kg.serve.safety import COOKIE, Safety
from kg.serve.service import Service

with extra("serve"):
    import python_multipart  # noqa: F401  which reads forms
    from fastapi import APIRouter, Form, Request
    from fastapi.responses import HTMLResponse, RedirectResponse
    from jinja2 import Environment, PackageLoader, StrictUndefined

_ORDERS = tuple(zip(ORDERS, ("by subject", "surest first", "most uncertain first"), strict=True))
_KEYS = (
    ("accept", "a", "accept"),
    ("reject", "x", "reject"),
    ("unsure", "space", "unsure"),
    ("undo", "z", "undo"),
    ("next", "j", "next"),
    ("previous", "k", "previous"),
    ("search", "/", "find"),
    ("help", "?", "keys"),
)
_WORDS = ((0.9, "very likely"), (0.7, "likely"), (0.4, "open"), (0.15, "unlikely"), (0.0, "very unlikely"))
_SHOWN = 200  # decisions, facts of a relation
_MOST = 200  # facts decided on at once


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


def pages(service: Service, safety: Safety) -> APIRouter:
    """Their routes."""
    router = APIRouter(include_in_schema=False)
    made = Environment(loader=PackageLoader("kg.serve"), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    made.globals |= {"word": _word, "as_json": _as_json, "keys": _KEYS, "orders": _ORDERS}

    def page(name: str, request: Request, *, status: int = 200, **values: Any) -> HTMLResponse:
        predictor = service.fresh
        shown = {
            "person": request.scope.get("person", ""),
            "label": lambda term: " ".join(predictor.label(term).split()),
            "facts_from": predictor.knowledge.data,
            "model": service.model.name,
            "here": name.removesuffix(".html"),
            "q": "",
        }
        return HTMLResponse(made.get_template(name).render(shown | values), status)

    def error(request: Request, status: int, what: str) -> HTMLResponse:
        try:
            return page("error.html", request, status=status, what=what)
        except UserError as found:  # nothing can be answered: the page has no frame, and says why
            return HTMLResponse(made.get_template("broken.html").render(what=f"{what}; {found}"), 503)

    router.error = error  # type: ignore[attr-defined]

    @router.get("/")
    def home() -> RedirectResponse:
        return RedirectResponse("/review", 303)

    @router.get("/review")
    def review(request: Request) -> HTMLResponse:
        asked, person = Asked.of(request.query_params), request.scope["person"]
        item, last = service.item(person, asked.wanted, asked.place, asked.fact), service.last_of(person)
        settled, every = service.progress(person)
        return page(
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
            last=last,
            new_id=lambda: str(uuid.uuid4()),
        )

    @router.post("/decide")
    def decide(
        request: Request,
        subject: Annotated[str, Form()],
        predicate: Annotated[str, Form()],
        object: Annotated[str, Form()],
        verdict: Annotated[str, Form()],
        id: Annotated[str, Form()],
        note: Annotated[str, Form()] = "",
        query: Annotated[str, Form()] = "",
    ) -> RedirectResponse:
        fact = subject, predicate, object
        service.decide([service.decision(fact, verdict, request.scope["person"], id, note=note)])
        return _back(query)

    @router.post("/decide-all")
    def decide_all(
        request: Request,
        fact: Annotated[list[str], Form()],
        verdict: Annotated[str, Form()],
        id: Annotated[str, Form()],
        query: Annotated[str, Form()] = "",
    ) -> RedirectResponse:
        if len(fact) > _MOST:
            raise UserError(f"at most {_MOST} facts are decided on at once: got {len(fact)}")
        facts = [_from_json(each) for each in fact]
        person = request.scope["person"]
        service.decide(
            [service.decision(each, verdict, person, f"{id}-{number}", id) for number, each in enumerate(facts)]
        )
        return _back(query)

    @router.post("/undo")
    def undo(
        request: Request,
        id: Annotated[str, Form()],
        batch: Annotated[str, Form()],
        query: Annotated[str, Form()] = "",
    ) -> RedirectResponse:
        back = service.undo(Undo(id, batch, request.scope["person"]))
        return _back(query, back[0].fact if back else None)

    @router.post("/renew")
    def renew() -> RedirectResponse:
        service.renew()
        return RedirectResponse("/review", 303)

    @router.get("/decisions")
    def decisions(request: Request) -> HTMLResponse:
        made_ = service.journal.decisions()
        verdicts = Verdicts.of(made_)
        shown = made_[: -_SHOWN - 1 : -1]
        return page("decisions.html", request, made=shown, counts=verdicts.counts(), agreement=verdicts.agreement())

    @router.get("/entity")
    def entity(request: Request, term: str) -> HTMLResponse:
        out, into, predicted = service.of_entity(term)
        known = service.fresh.knowledge
        term = known.vocabulary.entities[known.entity(term)]
        types = known.schema.types.get(term, ())
        return page("entity.html", request, term=term, types=types, out=out, into=into, predicted=predicted)

    @router.get("/relation")
    def relation(request: Request, term: str) -> HTMLResponse:
        term, count, facts = service.of_relation(term, _SHOWN)
        known = service.fresh.knowledge
        ends = [
            ", ".join(known.label(each) for each in said.get(term, ()))
            for said in (known.schema.domain, known.schema.range)
        ]
        precision = service.precision(term)
        return page("relation.html", request, term=term, count=count, facts=facts, precision=precision, ends=ends)

    @router.get("/search")
    def search(request: Request, q: str = "") -> Any:
        found = service.search(q)
        if len(found) == 1:
            return RedirectResponse(f"/entity?{urlencode({'term': found[0][0]})}", 303)
        return page("search.html", request, q=q, found=found)

    @router.get("/login")
    def login(wrong: bool = False) -> HTMLResponse:
        return HTMLResponse(made.get_template("login.html").render(wrong=wrong))

    @router.post("/login")
    def log_in(request: Request, token: Annotated[str, Form()]) -> RedirectResponse:
        secure = request.url.scheme == "https"
        if safety.named(token) is None:
            return RedirectResponse("/login?wrong=1", 303)
        answer = RedirectResponse("/review", 303)
        answer.set_cookie(COOKIE, token, max_age=30 * 86400, httponly=True, samesite="strict", path="/", secure=secure)
        return answer

    return router


def _back(query: str, fact: Fact | None = None) -> RedirectResponse:
    """To the queue as it was asked for, and nowhere else; to this fact in it."""
    asked = Asked.of(dict(parse_qsl(query)))
    at: dict[str, object] = dict(zip(("subject", "predicate", "object"), fact, strict=True)) if fact else {}
    return RedirectResponse(f"/review?{asked.query(place=asked.place, **at)}", 303)


def _word(probability: float) -> str:
    return next(word for least, word in _WORDS if probability >= least)


def _as_json(candidate: Candidate) -> str:
    return json.dumps(fact_of(candidate))


def _from_json(text: str) -> Fact:
    try:
        subject, predicate, object_ = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        raise UserError(f"expected a fact as a JSON list of three terms: got {text[:80]!r}", "fact") from None
    if not all(isinstance(each, str) for each in (subject, predicate, object_)):
        raise UserError(f"expected a fact as a JSON list of three terms: got {text[:80]!r}", "fact")
    return subject, predicate, object_
