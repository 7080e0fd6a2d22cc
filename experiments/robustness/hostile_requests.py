"""What `kg serve` answers to requests that nobody should send: each gets an answer of its own, and the service goes on.

    python experiments/robustness/hostile_requests.py

Expected is a refusal (4xx), or an ordinary page on which what was sent is text; never 500, and never a decision in the
journal. After each case a page must come. The result lists what each got.
"""

import json
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import report
import served

from kg.decisions.journal import Journal

UP = "/".join(("..", ""))
SCRIPT = '"><script>alert(1)</script>'
FORM_OF_100 = b"\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\n"
FORM = {"subject": "urn:a", "predicate": "urn:p", "object": "urn:b", "verdict": "accept", "id": "1"}
Case = Callable[[httpx.Client, str], str]


def get(path: str, **headers: str) -> Case:
    def asked(client: httpx.Client, address: str) -> str:
        answer = client.get(path, headers={"accept": "text/html"} | headers)
        shown = SCRIPT in answer.text and "html" in answer.headers.get("content-type", "")
        return f"{answer.status_code}{' THE SCRIPT IS IN THE PAGE' if shown else ''}"

    return asked


def post(path: str, body: object = None, **headers: str) -> Case:
    def sent(client: httpx.Client, address: str) -> str:
        if isinstance(body, bytes):
            return str(client.post(path, content=body, headers=headers).status_code)
        if isinstance(body, dict) and path.startswith("/api"):
            return str(client.post(path, json=body, headers=headers).status_code)
        return str(client.post(path, data=body, headers=headers).status_code)  # type: ignore[arg-type]

    return sent


def raw(text: bytes, seconds: float = 5.0) -> Case:
    """Bytes as they are; the first line of what comes back."""

    def sent(client: httpx.Client, address: str) -> str:
        place = urlsplit(address)
        with socket.create_connection((place.hostname or "", place.port or 0), timeout=seconds) as opened:
            opened.sendall(text.replace(b"HOST", place.netloc.encode()))
            try:
                line = opened.recv(4096).split(b"\r\n")[0].decode("latin-1")
            except TimeoutError:
                return f"no answer in {seconds:g} s, connection kept"
            return line.removeprefix("HTTP/1.1 ")[:40] or "connection closed"

    return sent


def slow_clients(client: httpx.Client, address: str) -> str:
    """A hundred that begin a request and never end it."""
    place = urlsplit(address)
    opened = [socket.create_connection((place.hostname or "", place.port or 0)) for _ in range(100)]
    for each in opened:
        each.sendall(b"POST /decide HTTP/1.1\r\nHost: " + place.netloc.encode() + FORM_OF_100 + b"x")
    time.sleep(1)
    status = client.get("/api/v1/health").status_code
    for each in opened:
        each.close()
    return f"{status} meanwhile"


def ten_thousand_jobs(client: httpx.Client, address: str) -> str:
    """One begins, and is stopped at the end: it may be done before, and then another one begins."""
    found = [client.post("/api/v1/jobs", json={"kind": "retrain"}).status_code for _ in range(10_000)]
    listed = client.get("/api/v1/jobs").json()
    for each in listed:
        client.post(f"/api/v1/jobs/{each['id']}/stop")
    counts = ", ".join(f"{status}: {found.count(status)}" for status in sorted(set(found)))
    return f"{counts}; {len(listed)} listed"


def at_once(path: str, count: int) -> Case:
    def asked(client: httpx.Client, address: str) -> str:
        found: list[int] = []

        def one() -> None:
            try:
                found.append(httpx.get(f"{address}{path}", timeout=120).status_code)
            except httpx.TransportError:
                found.append(0)

        threads = [threading.Thread(target=one) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        counts = {str(status) if status else "closed": found.count(status) for status in sorted(set(found))}
        return ", ".join(f"{status}: {number}" for status, number in counts.items())

    return asked


CASES: dict[str, Case] = {
    "a script as the name of an entity": get(f"/entity?term={SCRIPT}"),
    "a script as the name of a predicate": get(f"/relation?term={SCRIPT}"),
    "a script in a search": get(f"/search?q={SCRIPT}"),
    "a script in a filter": get(f"/review?relation={SCRIPT}&type={SCRIPT}"),
    "a script as a fact": get(f"/review?subject={SCRIPT}&predicate=x&object=y"),
    "a script in a path": get(f"/{SCRIPT}"),
    "a line break in a query": get("/review?relation=a%0d%0aSet-Cookie:%20x=y"),
    "a null byte in a query": get("/entity?term=%00"),
    "a query that is no UTF-8": get("/entity?term=%ff%fe"),
    "half a character": get("/entity?term=%ed%a0%80"),
    "a term of a megabyte": get("/entity?term=" + "a" * 60_000),
    "a place beyond all numbers": get("/review?place=" + "9" * 400),
    "a place of many digits": get("/review?place=" + "9" * 6000),
    "a place below nothing": get("/review?place=-1"),
    "bounds that are no numbers": get("/review?at_least=nan&at_most=inf"),
    "an order that is none": get("/review?order=drop%20table"),
    "a filter given a thousand times": get("/review?" + "relation=x&" * 1000),
    "out of the folder": get(f"/static/{4 * UP}etc/passwd"),
    "out of the folder, encoded": get("/static/%2e%2e/%2e%2e/app.py"),
    "out of the folder, encoded twice": get("/static/%252e%252e/app.py"),
    "a folder for a file": get("/static/"),
    "another host": get("/review", host="evil.example"),
    "a host with a port that is not ours": get("/review", host="127.0.0.1:1"),
    "no host": raw(b"GET /review HTTP/1.1\r\n\r\n"),
    "two hosts": raw(b"GET /review HTTP/1.1\r\nHost: HOST\r\nHost: evil\r\n\r\n"),
    "another site's form": post("/decide", FORM, origin="http://evil.example"),
    "a form of nowhere": post("/decide", FORM, origin="null"),
    "another site, says the browser": post("/decide", FORM, **{"sec-fetch-site": "cross-site"}),
    "another site's program": post("/api/v1/decisions", FORM, **{"sec-fetch-site": "same-site"}),
    "a decision by GET": get("/decide?subject=a&verdict=accept"),
    "an undo by GET": get("/undo?batch=1&id=2"),
    "a decision without a fact": post("/decide", {"verdict": "accept"}),
    "a decision on what is not known": post("/decide", FORM),
    "a verdict that is none": post("/decide", FORM | {"verdict": "drop"}),
    "an undo of another's": post("/undo", {"id": "1", "batch": "x"}),
    "a redirect elsewhere": post("/undo", {"id": "1", "batch": "x", "query": "//evil.example"}),
    "facts that are no JSON": post("/decide-all", {"fact": "[[[[", "verdict": "accept", "id": "1"}),
    "facts nested too deep": post("/decide-all", {"fact": "[" * 50_000, "verdict": "accept", "id": "1"}),
    "a thousand facts at once": post(
        "/decide-all", {"fact": [json.dumps(["a", "b", "c"])] * 1000, "verdict": "accept", "id": "1"}
    ),
    "JSON that is none": post("/api/v1/decisions", b"{", **{"content-type": "application/json"}),
    "JSON nested too deep": post("/api/v1/decisions", b"[" * 200_000, **{"content-type": "application/json"}),
    "JSON with a number beyond all": post("/api/v1/decisions", FORM | {"subject": 10**400}),
    "a body of 2 MB": post("/decide", b"x" * 2_000_000),
    "a length that is a lie": raw(b"POST /decide HTTP/1.1\r\nHost: HOST\r\nContent-Length: 99999999999\r\n\r\nx"),
    "a length that is none": raw(b"POST /decide HTTP/1.1\r\nHost: HOST\r\nContent-Length: -1\r\n\r\n"),
    "two lengths": raw(b"POST /decide HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx"),
    "chunks without end": raw(
        b"POST /decide HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n" + b"x" * 1024 + b"\r\n"
    ),
    "a header of a megabyte": raw(b"GET / HTTP/1.1\r\nHost: HOST\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n"),
    "what is no HTTP": raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "a question for a million answers": get("/api/v1/ask?subject=Germany&predicate=borders&top=1000000"),
    "a question without a question": get("/api/v1/ask"),
    "a job that is none": post("/api/v1/jobs", {"kind": "drop"}),
    "a job begun by another site": post("/model/start", {"kind": "retrain"}, origin="http://evil.example"),
    "a job that is not there": get("/api/v1/jobs/" + "9" * 400),
    "ten thousand jobs": ten_thousand_jobs,
    "slow clients": slow_clients,
    "two hundred pages at once": at_once("/review", 200),
    "a thousand questions at once": at_once("/api/v1/ask?subject=Germany&predicate=borders", 1000),
}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        store, model = served.made(Path(name), "--model", "distmult", "--dim", "16", "--epochs", "2")
        found: dict[str, str] = {}
        with served.serving(store, model, "--top", "50") as (process, address):
            for what, case in CASES.items():
                with httpx.Client(base_url=address, timeout=60) as client:
                    try:
                        found[what] = case(client, address)
                    except httpx.InvalidURL as error:  # which no client would send
                        found[what] = f"not sent: {error}"
                    except (httpx.TransportError, OSError) as error:
                        found[what] = f"connection closed ({type(error).__name__})"
                    alive = client.get("/review").status_code
                print(f"{what}: {found[what]}", flush=True)
                if alive != 200 or process.poll() is not None:
                    raise SystemExit(f"after {what!r} the service does not answer")
        number = Journal(store).number
    wrong = [what for what, got in found.items() if got.startswith("500") or "SCRIPT" in got]
    print(report.write(__file__, 0, cases=len(found), wrong=wrong, decisions=number, answers=found))
    sys.exit(bool(wrong or number))


if __name__ == "__main__":
    main()
