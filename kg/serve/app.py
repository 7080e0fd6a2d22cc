"""The service as an ASGI application: checks, pages, API, and what becomes of errors."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kg.errors import UserError, extra, one_line
from kg.serve import api, pages
from kg.serve.jobs import Busy, Jobs, NoSuchJob
from kg.serve.safety import Guard, Safety
from kg.serve.service import Service
from kg.serve.site import Site

with extra("serve"):
    from fastapi import FastAPI, Request
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse, Response
    from fastapi.staticfiles import StaticFiles
    from starlette.exceptions import HTTPException


def create_app(service: Service, safety: Safety) -> Any:
    """The application, guarded. An error of a person's is one line, on a page or as problem+json; of a defect of ours
    nobody learns more than that there is one."""
    jobs = Jobs(service)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        jobs.close()

    app = FastAPI(
        title="kg", version="1", docs_url=None, redoc_url=None, openapi_url="/openapi.json", lifespan=lifespan
    )
    app.state.site = site = Site(service, safety, jobs)
    app.include_router(api.router)
    app.include_router(pages.router)
    app.mount("/static", StaticFiles(directory=Path(__file__).with_name("static")), name="static")

    def told(request: Request, status: int, what: str) -> Response:
        line = one_line(what)
        if request.url.path.startswith("/api/") or "text/html" not in request.headers.get("accept", ""):
            problem = {"type": "about:blank", "title": line, "status": status}
            return JSONResponse(problem, status, media_type="application/problem+json")
        page: Response = site.error(request, status, line)
        return page

    @app.exception_handler(UserError)
    def of_a_person(request: Request, error: UserError) -> Response:
        return told(request, 400, str(error))

    @app.exception_handler(Busy)
    def of_a_job(request: Request, error: Busy) -> Response:
        return told(request, 409, str(error))

    @app.exception_handler(NoSuchJob)
    def of_no_job(request: Request, error: NoSuchJob) -> Response:
        return told(request, 404, str(error))

    @app.exception_handler(RequestValidationError)
    def of_a_form(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = ".".join(str(each) for each in first["loc"] if each not in ("body", "query"))
        return told(request, 422, f"{place}: {first['msg']}")

    @app.exception_handler(HTTPException)
    def of_http(request: Request, error: HTTPException) -> Response:
        return told(request, error.status_code, str(error.detail))

    return Guard(app, safety)
