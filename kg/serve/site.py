"""What every page and route has at hand: the service, who may come in, and the templates."""

import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, final

from kg.errors import UserError, extra
from kg.query.candidates.candidate import Candidate
from kg.query.review import ORDERS, fact_of
from kg.serve.jobs import Jobs
from kg.serve.safety import Safety
from kg.serve.service import Service

with extra("serve"):
    from fastapi import Depends, Request
    from fastapi.responses import HTMLResponse
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
_JOBS = {"recalibrate": "Calibrate", "retrain": "Train anew"}
_WORDS = ((0.9, "very likely"), (0.7, "likely"), (0.4, "open"), (0.15, "unlikely"), (0.0, "very unlikely"))


@final
@dataclass(frozen=True)
class Site:
    """Held by the application; a route asks for it as `Here`, and for who asks as `Person`."""

    service: Service
    safety: Safety
    jobs: Jobs

    def page(self, name: str, request: Request, *, status: int = 200, **values: Any) -> HTMLResponse:
        """Of what the service knew when it was last asked: a handler asks it first."""
        predictor = self.service.predictor
        shown = {
            "person": request.scope.get("person", ""),
            "label": lambda term: " ".join(predictor.label(term).split()),
            "facts_from": predictor.knowledge.data,
            "model": self.service.model.name,
            "here": name.removesuffix(".html"),
            "q": "",
        }
        return self.bare(name, status, **(shown | values))

    def bare(self, name: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Without the frame of the pages, and all that this needs."""
        return HTMLResponse(self._templates.get_template(name).render(values), status)

    def error(self, request: Request, status: int, what: str) -> HTMLResponse:
        try:
            self.service.fresh()
        except UserError as found:  # nothing can be answered: the page has no frame, and says why
            return self.bare("broken.html", 503, what=f"{what}; {found}")
        return self.page("error.html", request, status=status, what=what)

    @cached_property
    def _templates(self) -> Environment:
        made = Environment(
            loader=PackageLoader("kg.serve"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        made.globals |= {"word": _word, "as_json": _as_json, "keys": _KEYS, "orders": _ORDERS, "job_names": _JOBS}
        made.globals |= {"across": _across, "up": _up}
        return made


def _site(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


def _person(request: Request) -> str:
    person: str = request.scope["person"]
    return person


Here = Annotated[Site, Depends(_site)]
Person = Annotated[str, Depends(_person)]


def _across(share: float) -> str:
    """Where it stands in a plot 260 wide, by its square root: what is near 0 is apart, and the diagonal stays one."""
    return f"{46 + 260 * math.sqrt(share):.1f}"


def _up(share: float, lower: float = 0.0) -> str:
    return f"{270 + lower - 260 * math.sqrt(share):.1f}"


def _word(probability: float) -> str:
    return next(word for least, word in _WORDS if probability >= least)


def _as_json(candidate: Candidate) -> str:
    return json.dumps(fact_of(candidate))
