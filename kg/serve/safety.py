"""Who may ask what: the checks that every request passes before anything else looks at it.

A page of another site cannot decide for the person whose browser shows both: the Host must be one that we serve (DNS
rebinding), an unsafe method must come from our own pages (Sec-Fetch-Site, which browsers send to this machine and over
HTTPS, else Origin), cookies are SameSite=Strict. Nothing but our own files may run or load in a page.
"""

import asyncio
import hmac
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final
from urllib.parse import urlsplit

from kg.errors import UserError, extra

with extra("serve"):
    from starlette.requests import cookie_parser

COOKIE = "kg_token"
OPEN = ("/static/", "/login", "/api/v1/health")  # what needs no token
MOST_BYTES = 1 << 20  # of a body
MOST_SECONDS = 20  # that a body takes to come
MOST_AT_ONCE = 64  # requests; one more is told to come again
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@final
@dataclass(frozen=True)
class Safety:
    """hosts: the names that we are asked by. people: token -> name; empty: no token is asked for, and whoever asks is
    `person`."""

    hosts: frozenset[str]
    person: str
    people: Mapping[str, str] = field(default_factory=dict)

    def named(self, token: str | None) -> str | None:
        """Whose token this is, in a time that does not tell how much of it is right."""
        found = None
        for each, name in self.people.items():
            if token is not None and hmac.compare_digest(each.encode(), token.encode("utf-8", "surrogateescape")):
                found = name
        return found


def read_people(text: str) -> dict[str, str]:
    """token -> name, of lines `name=token`. UserError: a line is none, a token is short or stands twice."""
    people: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, sign, token = (part.strip() for part in line.partition("="))
        if not (name and sign and token):
            raise UserError(f"line {number}: expected NAME=TOKEN", "tokens")
        if not token.isascii():
            raise UserError(f"line {number}: a token is of letters, digits and signs of ASCII", "tokens")
        if len(token) < 16:
            raise UserError(f"line {number}: a token has at least 16 characters", "tokens")
        if token in people:
            raise UserError(f"line {number}: the token of {people[token]} once more", "tokens")
        people[token] = name
    if not people:
        raise UserError("the file names nobody: expected lines NAME=TOKEN", "tokens")
    return people


class Refused(Exception):
    """A request that is not served: status and what to say."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(what)
        self.status, self.what = status, what


@final
class Guard:
    """ASGI middleware: checks a request, and gives every answer HEADERS. `scope["person"]` is who asks."""

    def __init__(self, app: Any, safety: Safety) -> None:
        self._app, self._safety = app, safety
        self._free = threading.Semaphore(MOST_AT_ONCE)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                kept = [(n.encode(), v.encode()) for n, v in HEADERS.items() if n.encode() not in given]
                message["headers"] = [*message["headers"], *kept]
            await send(message)

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            scope["person"] = self._checked(scope, headers)
            body = await _body(receive)
            if not self._free.acquire(blocking=False):  # not before: a client may send as slowly as it likes
                raise Refused(503, "too many requests at once: try again in a moment")
        except Refused as refused:
            if refused.status == 401 and "text/html" in headers.get("accept", ""):
                await sending({"type": "http.response.start", "status": 303, "headers": [(b"location", b"/login")]})
                await sending({"type": "http.response.body", "body": b""})
                return
            await _answer(sending, refused)
            return
        try:
            await self._app(scope, _again(body, receive), sending)
        finally:
            self._free.release()

    def _checked(self, scope: Mapping[str, Any], headers: Mapping[str, str]) -> str:
        """Who asks. Refused otherwise."""
        host = headers.get("host", "")
        if host not in self._safety.hosts:
            raise Refused(421, "this is not a name that is served here")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            raise Refused(413, f"a request may have {MOST_BYTES:,} bytes")
        if scope["method"] not in ("GET", "HEAD"):
            _check_site(headers, host)
        if not self._safety.people:
            return self._safety.person
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        person = self._safety.named(bearer if scheme.lower() == "bearer" else _cookie(headers.get("cookie", "")))
        if person is None and not scope["path"].startswith(OPEN):
            raise Refused(401, "a token is needed: Authorization: Bearer TOKEN")
        return person or ""


def _check_site(headers: Mapping[str, str], host: str) -> None:
    """That an unsafe method comes from a page of ours, or from no page at all."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        if site not in ("same-origin", "none"):
            raise Refused(403, "the request comes from another site")
        return
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != host:
        raise Refused(403, "the request comes from another site")


def _cookie(text: str) -> str | None:
    """Ours, whatever those of other programs on this machine look like."""
    found: dict[str, str] = cookie_parser(text)
    return found.get(COOKIE)


async def _body(receive: Any) -> bytes:
    """All that a request sends. Refused where it is too large, told or not, or takes too long."""
    body = bytearray()
    try:
        async with asyncio.timeout(MOST_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":  # half a request is none
                    raise Refused(400, "the connection ended within the request")
                body += message.get("body", b"")
                if len(body) > MOST_BYTES:
                    raise Refused(413, f"a request may have {MOST_BYTES:,} bytes")
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise Refused(408, f"a request comes whole within {MOST_SECONDS} seconds") from None


def _again(body: bytes, receive: Any) -> Any:
    """The body in one message, then what else comes."""
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receiving() -> Any:
        return next(messages, None) or await receive()

    return receiving


async def _answer(send: Any, refused: Refused) -> None:
    body = json.dumps({"type": "about:blank", "title": refused.what, "status": refused.status}).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    if refused.status == 503:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
