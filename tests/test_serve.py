"""The pages and the API: what a person can do there, who may, and what becomes of everything else."""

import asyncio
import html
import json
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pyoxigraph as ox
import pytest

from kg.bundle import Bundle, save_calibration
from kg.decisions.journal import Journal
from kg.errors import UserError
from kg.serve.app import create_app
from kg.serve.jobs import Jobs
from kg.serve.pages import Asked
from kg.serve.safety import MOST_BYTES, Safety, read_people
from kg.serve.service import Service
from kg.serve.site import Site
from kg.store.store import Store

testclient = pytest.importorskip("starlette.testclient")
HOST = "kg.test"
PAGE = {"accept": "text/html"}


@pytest.fixture
def store(country_store: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the store, so that what is decided in one test is not known in another."""
    with Store(country_store) as opened, Store(tmp_path / "graph.kg", create=True) as made:
        made.add(opened.match())
    yield tmp_path / "graph.kg"


def served(store: Path, model: Path, **people: str) -> Any:
    service = Service(model, store, top=40, language=None)
    app = create_app(service, Safety(frozenset({HOST}), "Ann", {token: name for name, token in people.items()}))
    return testclient.TestClient(app, base_url=f"http://{HOST}", follow_redirects=False, raise_server_exceptions=True)


@pytest.fixture
def client(store: Path, country_model: Path) -> Any:
    return served(store, country_model)


def page(client: Any, path: str = "/review", **headers: str) -> str:
    answer = client.get(path, headers=PAGE | headers)
    assert answer.status_code == 200, answer.text
    return str(answer.text)


def fields(text: str, action: str) -> dict[str, str]:
    """What the form that goes there would send, without its buttons."""
    form = re.search(rf'<form method="post" action="{action}".*?</form>', text, re.DOTALL)
    assert form, f"no form for {action}"
    return {
        name: html.unescape(value) for name, value in re.findall(r'type="hidden" name="(\w+)" value="(.*?)"', form[0])
    }


def decide(client: Any, verdict: str, **headers: str) -> dict[str, str]:
    sent = fields(page(client, **headers), "/decide")
    answer = client.post("/decide", data=sent | {"verdict": verdict}, headers=PAGE | headers)
    assert answer.status_code == 303 and answer.headers["location"].startswith("/review")
    return sent


def fact(sent: dict[str, str]) -> tuple[str, str, str]:
    return sent["subject"], sent["predicate"], sent["object"]


# A person decides


def test_what_is_decided_is_on_disk_and_leaves_the_queue(client: Any, store: Path) -> None:
    first, second = decide(client, "accept"), decide(client, "reject")
    assert fact(first) != fact(second)
    made = Journal(store).decisions()
    assert [(each.fact, each.verdict, each.person) for each in made] == [
        (fact(first), "accept", "Ann"),
        (fact(second), "reject", "Ann"),
    ]
    assert made[0].probability is not None and made[0].model == "model" and made[0].model_sha256
    settled = re.search(r"(\d+) of 40 settled", page(client))
    assert settled and 2 <= int(settled[1]) <= 4  # with the mirrors of what is symmetric
    known = client.get("/api/v1/ask", params={"subject": first["subject"], "predicate": first["predicate"], "top": 99})
    answers = {each["object"]: each for each in known.json()}
    assert answers[first["object"]]["known"] and answers[first["object"]]["note"] == "accepted by Ann"
    asked = {"subject": second["subject"], "predicate": second["predicate"], "top": 99}
    assert second["object"] not in {each["object"] for each in client.get("/api/v1/ask", params=asked).json()}


def test_a_form_that_is_sent_twice_counts_once(client: Any, store: Path) -> None:
    sent = decide(client, "accept")
    again = client.post("/decide", data=sent | {"verdict": "accept"})
    assert again.status_code == 303 and Journal(store).number == 1
    changed = client.post("/decide", data=sent | {"verdict": "reject"})
    assert changed.status_code == 400 and "is that of another decision" in changed.json()["title"]


def test_undo_leads_back_to_the_same(client: Any, store: Path) -> None:
    sent = decide(client, "reject")
    back = client.post("/undo", data=fields(page(client), "/undo"))
    assert back.status_code == 303 and Journal(store).decisions() == []
    assert fact(fields(page(client, back.headers["location"]), "/decide")) == fact(sent)


def test_all_that_is_shown_at_once_and_one_undo(client: Any, store: Path) -> None:
    text = page(client, "/review?order=subject")
    marked = [html.unescape(each) for each in re.findall(r'type="checkbox" name="fact" value="(.*?)"', text)]
    assert len(marked) > 1
    sent = fields(text, "/decide-all") | {"verdict": "accept", "fact": marked}
    assert client.post("/decide-all", data=sent).status_code == 303
    assert {each.fact for each in Journal(store).decisions()} == {tuple(json.loads(each)) for each in marked}
    assert f"and of {len(marked) - 1} more" in page(client)
    client.post("/undo", data=fields(page(client), "/undo"))
    assert Journal(store).decisions() == []


def test_a_query_says_what_it_was_made_of() -> None:
    text = "relation=urn%3Ap&at_least=0.5&order=surest"
    asked = Asked.of({"relation": "urn:p", "at_least": "0.5", "order": "surest", "place": "3", "other": "x"})
    assert asked.query() == text and asked.place == 3 and asked.query(place=4) == text + "&place=4"
    assert Asked.of({"subject": "a", "predicate": "p"}).fact is None


def test_filters_and_places(client: Any) -> None:
    every = [fact(fields(page(client, f"/review?order=surest&place={i}"), "/decide")) for i in range(3)]
    assert len(set(every)) == 3
    relation = every[0][1]
    only = page(client, f"/review?relation={relation}&place=39")
    assert fields(only, "/decide")["predicate"] == relation
    assert "Nothing is left" in page(client, "/review?at_least=0.99999&at_most=1")
    for wrong in ("place=x", "at_least=2", "order=random", "at_least=nan"):
        assert client.get(f"/review?{wrong}").status_code == 400


def test_what_was_loaded_since_shows(client: Any, store: Path) -> None:
    sent = fields(page(client), "/decide")
    with Store(store) as opened:
        opened.add([ox.Triple(*map(ox.NamedNode, fact(sent)))])  # type: ignore[arg-type]
    found = client.get("/api/v1/ask", params={"subject": sent["subject"], "predicate": sent["predicate"], "top": 99})
    assert {each["object"]: each["known"] for each in found.json()}[sent["object"]]


def test_pages_of_entities_and_relations(client: Any) -> None:
    sent = fields(page(client), "/decide")
    entity = page(client, f"/entity?term={sent['subject']}")
    assert "Known" in entity and "Predicted" in entity and "borders" in entity
    relation = page(client, f"/relation?term={sent['predicate']}")
    assert "Known facts" in relation
    assert 'href="/entity?' in page(client, "/search?q=country")
    assert "None." in page(client, "/search?q=zzz")
    decide(client, "accept")
    assert "1 accepted" in page(client, "/decisions")


def test_what_a_model_said_and_what_came_true(store: Path, country_model: Path, tmp_path: Path) -> None:
    """As a picture and in words; of a model that does not say, and of too few facts, a line."""
    term, model = "/relation?term=http://example.org/borders", tmp_path / "model"
    shutil.copytree(country_model, model)
    assert "Too few facts of it were held out" in page(served(store, model), term)
    bundle = Bundle.load(model)
    cut = [[0.16, 0.09, 50, 5], [0.81, 0.64, 20, 15]]
    tried = [cut if "borders" in each else [] for each in bundle.dataset.vocabulary.relations]
    client = served(store, model)
    save_calibration(bundle, {**bundle.calibration, "tried": tried})
    text = page(client, term)
    assert 'cx="150.0" cy="192.0"' in text and 'cx="280.0" cy="62.0"' in text
    assert "Stated 0.16: 0.09 were facts. Stated 0.81: 0.64 were facts." in text
    save_calibration(Bundle.load(model), {name: bundle.calibration[name] for name in ("weights", "shape", "knots")})
    assert 'The model does not say: <a href="/model">calibrate it anew</a>' in page(client, term)


def test_a_fact_that_is_not_in_the_queue_can_be_decided_on(client: Any, store: Path) -> None:
    sent = fields(page(client), "/decide")
    other = {"subject": sent["object"], "predicate": sent["predicate"], "object": sent["subject"]}
    text = page(client, "/review?" + "&".join(f"{name}={term}" for name, term in other.items()))
    assert fact(fields(text, "/decide")) == fact(other)
    assert client.post("/decide", data=fields(text, "/decide") | {"verdict": "reject"}).status_code == 303
    assert [each.fact for each in Journal(store).decisions()] == [fact(other)]
    assert client.get("/review?subject=x&predicate=y&object=z").status_code == 400


def test_what_was_said_is_not_remembered_after_it_was_taken_back(client: Any, store: Path) -> None:
    sent = {name: text for name, text in decide(client, "reject").items() if name != "query"}
    asked = {name: sent[name] for name in ("subject", "predicate", "object")}
    assert client.get("/api/v1/explain", params=asked).json()["against"] == ["rejected by Ann"]
    assert client.post("/api/v1/undo", json={"batch": sent["id"]}).status_code == 201
    assert client.get("/api/v1/explain", params=asked).json()["against"] == []


def test_another_label_is_found(client: Any, store: Path) -> None:
    assert client.get("/api/v1/entities", params={"beginning": "zebra"}).json() == []
    with Store(store) as opened:
        label = ox.NamedNode("http://www.w3.org/2000/01/rdf-schema#label")
        (old,) = opened.match("http://example.org/c3", label)
        opened.remove([old])
        opened.add([ox.Triple(old.subject, label, ox.Literal("Zebraland"))])
    assert client.get("/api/v1/entities", params={"beginning": "zebra"}).json()[0]["label"] == "Zebraland"


def test_where_nothing_can_be_answered_the_page_says_why(client: Any, store: Path) -> None:
    (store / "decisions.sqlite").write_bytes(b"what is no journal of decisions, as long as it may be" * 40)
    answer = client.get("/review", headers=PAGE)
    assert answer.status_code == 503 and "the journal of decisions cannot be used" in answer.text


def test_a_probability_is_a_word_too(store: Path, country_model: Path) -> None:
    service = Service(country_model, store, top=5)
    site = Site(service, Safety(frozenset(), "Ann"), Jobs(service))
    words = [site._templates.from_string("{{ word(p) }}").render(p=p) for p in (1.0, 0.9, 0.7, 0.4, 0.15, 0.1)]
    assert words == ["very likely", "very likely", "likely", "open", "unlikely", "very unlikely"]


# The API


def test_the_api(client: Any, store: Path) -> None:
    assert client.get("/api/v1/health").json()["status"] == "ok"
    sent = fields(page(client), "/decide")
    body = {name: sent[name] for name in ("subject", "predicate", "object")} | {"verdict": "unsure", "id": "one"}
    first, again = (client.post("/api/v1/decisions", json=body) for _ in range(2))
    assert (first.status_code, first.json(), again.json()["new"]) == (201, {"id": "one", "new": True}, False)
    undone = client.post("/api/v1/undo", json={"batch": "one", "id": "two"})
    assert undone.json() == {"id": "two", "taken_back": ["one"]}
    lines = client.get("/api/v1/decisions").json()
    assert [(each["number"], each["verdict"]) for each in lines] == [(1, "unsure"), (2, "undo")]
    assert client.get("/api/v1/decisions?after=1").json() == lines[1:]
    why = client.get("/api/v1/explain", params={name: sent[name] for name in ("subject", "predicate", "object")})
    assert why.json()["known"] is False
    assert client.get("/api/v1/entities", params={"beginning": "country"}).json()[0]["label"].startswith("Country")
    described = client.get("/openapi.json").json()
    assert {"/api/v1/ask", "/api/v1/explain", "/api/v1/decisions", "/api/v1/undo"} <= set(described["paths"])
    assert not any(path.startswith("/review") for path in described["paths"])


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/ask?subject=nobody&predicate=borders", 400),
        ("/api/v1/ask?subject=Country 3", 400),
        ("/api/v1/ask?subject=Country 3&predicate=borders&top=0", 422),
        ("/api/v1/ask?subject=Country 3&predicate=borders&top=1000000", 422),
        ("/api/v1/explain?subject=Country 3", 422),
        ("/api/v1/nothing", 404),
        ("/static/../app.py", 404),
        ("/static/%2e%2e/app.py", 404),
        ("/docs", 404),
    ],
)
def test_an_error_is_one_line(client: Any, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status and answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status and "Traceback" not in answer.text and "\n" not in problem["title"]


def test_the_evidence_that_was_shown_is_kept(client: Any, store: Path) -> None:
    sent = decide(client, "accept")
    (made,) = Journal(store).decisions()
    why = client.get("/api/v1/explain", params={name: sent[name] for name in ("subject", "predicate", "object")})
    assert made.evidence and (why.json()["paths"] or why.json()["nearest"])


def test_a_client_that_sends_slowly_keeps_nobody_out(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no place among those that are served, and after its time is told so."""
    monkeypatch.setattr("kg.serve.safety.MOST_SECONDS", 0.1)
    guard, sent = client.app, list[dict[str, Any]]()

    async def never() -> None:
        await asyncio.sleep(60)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"host", HOST.encode()), (b"content-length", b"10")]
    scope = {"type": "http", "method": "POST", "path": "/decide", "headers": headers}
    monkeypatch.setattr(guard, "_free", threading.Semaphore(0))  # all places are taken: it does not even ask for one
    asyncio.run(guard(scope, never, send))
    assert sent[0]["status"] == 408


def test_half_a_request_decides_nothing(client: Any, store: Path) -> None:
    """The connection ends within the note, when all that is needed is there."""
    sent = fields(page(client), "/decide")
    body = urlencode(sent | {"verdict": "accept", "note": "but only"}).encode()
    messages = iter([{"type": "http.request", "body": body, "more_body": True}, {"type": "http.disconnect"}])
    told = list[dict[str, Any]]()

    async def receive() -> dict[str, Any]:
        return next(messages)

    async def send(message: dict[str, Any]) -> None:
        told.append(message)

    kind = b"application/x-www-form-urlencoded"
    headers = [(b"host", HOST.encode()), (b"content-type", kind), (b"origin", f"http://{HOST}".encode())]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/decide",
        "headers": headers,
        "scheme": "http",
        "query_string": b"",
    }
    asyncio.run(client.app(scope, receive, send))
    assert told[0]["status"] == 400 and not Journal(store).decisions()


# Who may


def test_another_site_decides_nothing(client: Any, store: Path) -> None:
    sent = fields(page(client), "/decide") | {"verdict": "accept"}
    for headers, status in (
        ({"host": "evil.example"}, 421),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"content-length": "99999999999"}, 413),
    ):
        for path in ("/decide", "/undo", "/decide-all", "/api/v1/decisions"):
            assert client.post(path, data=sent, headers=headers).status_code == status, (path, headers)
    assert client.post("/decide", content=b"x" * (MOST_BYTES + 1)).status_code == 413
    chunks = (b"x" * 1024 for _ in range(2000))
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert client.post("/decide", content=chunks, headers=kind).status_code == 413
    assert client.get("/decide").status_code == 405
    assert Journal(store).number == 0
    assert client.post("/decide", data=sent, headers={"sec-fetch-site": "same-origin"}).status_code == 303


def test_nothing_of_others_runs_or_loads(client: Any) -> None:
    for path in ("/review", "/static/style.css", "/api/v1/health", "/nowhere"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
    text = page(client)
    assert not re.search(r"<script(?! src=\"/static/)|\son\w+=|style=|https?://(?!example\.org)[^\"]*\.(js|css)", text)


def test_with_tokens_decisions_carry_names(store: Path, country_model: Path) -> None:
    client = served(store, country_model, Ann="a" * 16, Ben="b" * 16)
    assert client.get("/review", headers=PAGE).headers["location"] == "/login"
    assert client.get("/api/v1/ask").status_code == 401
    assert client.get("/api/v1/ask", headers={"authorization": "Bearer " + "c" * 16}).status_code == 401
    assert client.get("/api/v1/health").status_code == 200
    assert client.post("/login", data={"token": "c" * 16}).headers["location"] == "/login?wrong=1"
    odd = {"cookie": f'prefs={{"a": 1}}; kg_token={"b" * 16}'}  # beside a cookie of another program
    assert client.get("/review", headers=PAGE | odd).status_code == 200
    cookie = client.post("/login", data={"token": "b" * 16}).headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie
    first = decide(client, "accept")  # by the cookie
    client.cookies.clear()
    second = decide(client, "reject", authorization="Bearer " + "a" * 16)
    said = {each.fact: (each.person, each.verdict) for each in Journal(store).decisions()}
    assert said == {fact(first): ("Ben", "accept"), fact(second): ("Ann", "reject")}
    undo = {"batch": first["id"], "id": "u"}
    assert client.post("/api/v1/undo", json=undo, headers={"authorization": "Bearer " + "a" * 16}).status_code == 400


def test_lines_of_tokens() -> None:
    assert read_people("# who\nAnn = 0123456789abcdef\n\nBen=fedcba9876543210\n") == {
        "0123456789abcdef": "Ann",
        "fedcba9876543210": "Ben",
    }
    for text, message in (
        ("Ann", "line 1: expected NAME=TOKEN"),
        ("\nAnn=short", "line 2: a token has at least 16"),
        ("Ann=0123456789abcdeł", "line 1: a token is of letters"),
        ("Ann=0123456789abcdef\nBen=0123456789abcdef", "line 2: the token of Ann once more"),
        ("# nobody", "names nobody"),
    ):
        with pytest.raises(UserError, match=message):
            read_people(text)


def test_labels_are_text(store: Path, country_model: Path) -> None:
    """A label that would be a script, an attribute or an element is none."""
    with Store(store) as opened:
        label = ox.NamedNode("http://www.w3.org/2000/01/rdf-schema#label")
        named = [quad.subject for quad in opened.match(None, label)]
        opened.add(ox.Triple(each, label, ox.Literal("\"><script>alert('x')</script><b onclick=1>")) for each in named)
    opened = Store(store)
    opened.remove([quad for quad in opened.match(None, label) if not quad.object.value.startswith('"')])
    opened.close()
    client = served(store, country_model)
    sent = fields(page(client), "/decide")
    for path in ("/review", f"/entity?term={sent['subject']}", f"/relation?term={sent['predicate']}", "/search?q=%22"):
        text = page(client, path)
        assert "&lt;script&gt;" in text and "<script>alert" not in text and "<b onclick" not in text
