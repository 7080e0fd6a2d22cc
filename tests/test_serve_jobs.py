"""Jobs beside the service: started, refused, watched, stopped, failed, killed, and what becomes of the model."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from seen import Seen

from kg import generations
from kg.bundle import Bundle
from kg.decisions.journal import Decision, Journal
from kg.errors import UserError
from kg.jobs import Seldom
from kg.serve import jobs as serve_jobs
from kg.serve.app import create_app
from kg.serve.jobs import Busy, Jobs
from kg.serve.safety import Safety
from kg.serve.service import Service

testclient = pytest.importorskip("starlette.testclient")
HOST = "kg.test"
PAGE = {"accept": "text/html"}


@pytest.fixture
def ground(country_store: Path, country_model: Path, tmp_path: Path) -> Path:
    """A folder with graph.kg and a model of it."""
    shutil.copytree(country_store, tmp_path / "graph.kg")
    shutil.copytree(country_model, tmp_path / "model")
    return tmp_path


@pytest.fixture
def jobs(ground: Path) -> Iterator[Jobs]:
    made = Jobs(Service(ground / "model", ground / "graph.kg", top=40))
    yield made
    made.close()


@pytest.fixture
def hold(ground: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """While this file is there a job goes on."""
    pretend(monkeypatch, "long")
    (ground / "hold").touch()
    return ground / "hold"


def pretend(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    targets = dict.fromkeys(("recalibrate", "retrain"), f"job_targets:{name}")
    monkeypatch.setattr(serve_jobs, "_TARGETS", targets)


def until(true: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


def ended(jobs: Jobs, id: int = 1) -> tuple[str, str]:
    until(lambda: jobs.get(id).state != "running")
    return jobs.get(id).state, jobs.get(id).said


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def served(ground: Path, **people: str) -> Any:
    safety = Safety(frozenset({HOST}), "Ann", {token: name for name, token in people.items()})
    app = create_app(Service(ground / "model", ground / "graph.kg", top=40), safety)
    return testclient.TestClient(app, base_url=f"http://{HOST}", follow_redirects=False)


# What they do


def test_a_model_is_calibrated_on_what_people_decided(ground: Path, jobs: Jobs) -> None:
    fact = "http://example.org/c0", "http://example.org/memberOf", "http://example.org/union1"
    Journal(ground / "graph.kg").append([Decision("1", *fact, "reject", "Ann")])
    before, loaded = Bundle.load(ground / "model"), jobs._service.predictor
    began = jobs.start("recalibrate", "Ann")
    assert (began.id, began.state, began.person) == (1, "running", "Ann")
    state, said = ended(jobs)
    assert state == "done" and said.endswith("valid facts and 1 that people decided on"), said
    after = jobs._service.predictor
    assert after is not loaded and after.bundle.calibration == Bundle.load(ground / "model").calibration
    assert after.bundle.sha256 != before.sha256 and jobs._service.fresh() is after


def test_a_model_is_trained_anew_on_what_people_accepted(ground: Path, jobs: Jobs) -> None:
    fact = "http://example.org/c0", "http://example.org/borders", "http://example.org/c7"
    Journal(ground / "graph.kg").append([Decision("1", *fact, "accept", "Ann")])
    before = Bundle.load(ground / "model")
    jobs.start("retrain", "Ann")
    state, said = ended(jobs)
    assert state == "done" and "10 epochs, valid MRR" in said, said
    after = jobs._service.fresh().bundle
    assert after.run == before.run and after.path == ground / "model"
    assert len(after.dataset.everything[0].tail) == len(before.dataset.everything[0].tail) + 2


def test_progress_is_told_now_and_then() -> None:
    """At once of a new piece of work, of the same one five times a second."""
    seen, clock = Seen(), iter([0.0, 0.1, 0.19, 0.2, 0.3, 0.31])
    seldom = Seldom(seen, lambda: next(clock))
    for what, done in (("a", 1), ("a", 2), ("a", 3), ("a", 4), ("b", 1), ("b", 2)):
        seldom.at(what, done, 9)
    seldom.note("read this")
    assert seen.told == [("a", 1, 9), ("a", 4, 9), ("b", 1, 9), "read this"]


# One at a time, watched, stopped


def test_one_at_a_time(ground: Path, jobs: Jobs, hold: Path) -> None:
    jobs.start("recalibrate", "Ann")
    until(lambda: jobs.get(1).done)
    found = jobs.get(1)
    assert (found.doing, found.done, found.total) == ("holding", 1, 3)
    with pytest.raises(Busy, match=r"^job 1 is running \(recalibrate, by Ann\): one at a time$"):
        jobs.start("retrain", "Ben")
    hold.unlink()
    assert ended(jobs) == ("done", "it let go")
    assert [each.id for each in jobs.all()] == [1]
    jobs.start("recalibrate", "Ben")
    assert ended(jobs, 2)[0] == "done" and [each.id for each in jobs.all()] == [2, 1]


def test_stopped_it_leaves_the_model(ground: Path, jobs: Jobs, hold: Path) -> None:
    before = Bundle.load(ground / "model").sha256
    jobs.start("retrain", "Ann")
    until(lambda: jobs.get(1).done)
    pid = int(jobs.get(1).said)
    jobs.stop(1)
    assert ended(jobs) == ("stopped", "the model is as it was") and gone(pid)
    assert Bundle.load(ground / "model").sha256 == before
    with pytest.raises(Busy, match="job 1 has ended: stopped"):
        jobs.stop(1)
    with pytest.raises(UserError, match="there is no job 7"):
        jobs.stop(7)


def test_stopped_before_it_began(jobs: Jobs, hold: Path) -> None:
    """The process may not be there yet."""
    jobs.stop(jobs.start("retrain", "Ann").id)
    assert ended(jobs) == ("stopped", "the model is as it was")


def test_stopped_too_late(ground: Path, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "done_and_stays")
    jobs.start("retrain", "Ann")
    until(lambda: jobs.get(1).doing == "published")
    jobs.stop(1)
    assert ended(jobs) == ("stopped", "the new model was done")
    assert jobs._service.fresh().bundle.manifest["written"].startswith("2031")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("wrong", "a line and another"),
        ("defect", "KeyError: 'the key'"),
        ("dies", "the worker was killed (signal 9, SIGKILL)"),
        ("eats", "of memory, the limit"),
    ],
)
def test_what_fails_is_a_line(
    ground: Path, jobs: Jobs, monkeypatch: pytest.MonkeyPatch, target: str, said: str
) -> None:
    pretend(monkeypatch, target)
    before = Bundle.load(ground / "model").sha256
    jobs.start("recalibrate", "Ann")
    state, line = ended(jobs)
    assert state == "failed" and said in line and "\n" not in line and "\x1b" not in line, line
    assert Bundle.load(ground / "model").sha256 == before
    jobs.start("recalibrate", "Ann")  # the next one may begin
    assert ended(jobs, 2)[0] == "failed"


def test_a_model_that_is_gone_fails_the_job_and_nothing_else(ground: Path, jobs: Jobs, hold: Path) -> None:
    jobs.start("recalibrate", "Ann")
    until(lambda: jobs.get(1).done)
    (ground / "model").rename(ground / "away")
    hold.unlink()
    assert ended(jobs)[0] == "failed"
    (ground / "away").rename(ground / "model")
    jobs.start("recalibrate", "Ann")
    assert ended(jobs, 2)[0] == "done"


def test_the_last_twenty_are_kept(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Jobs, "_ended", lambda self, job, worker: ("done", "x" * 1000))
    for number in range(1, 31):
        jobs.start("recalibrate", "Ann")
        until(lambda: jobs._worker is None)
        assert jobs.all()[0].id == number
    assert [each.id for each in jobs.all()] == list(range(30, 10, -1))


# The model meanwhile


def test_the_old_model_answers_until_the_new_one_is_loaded(
    ground: Path, jobs: Jobs, hold: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Questions are answered while it is published and loaded, none waits for that, and none fails."""
    service, answers, stop = jobs._service, list[int](), threading.Event()
    old = service.fresh()

    def asking() -> None:
        while not stop.is_set():
            answers.append(len(service.of_relation("http://example.org/borders", 5).facts))

    loading, go = threading.Event(), threading.Event()
    load = service._loading

    def slow() -> Any:
        loading.set()
        assert go.wait(60)
        return load()

    monkeypatch.setattr(service, "_loading", slow)
    threads = [threading.Thread(target=asking) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        jobs.start("retrain", "Ann")
        until(lambda: jobs.get(1).done)
        hold.unlink()
        assert loading.wait(60)
        many = len(answers)
        until(lambda: len(answers) > many + 20)
        assert service.fresh() is old and service.generation != service._loaded
        assert jobs.get(1).doing == "taking the model over"
        go.set()
        assert ended(jobs)[0] == "done"
        many = len(answers)
        until(lambda: len(answers) > many + 20)
    finally:
        stop.set(), go.set()
        for thread in threads:
            thread.join()
    assert service.fresh().bundle.manifest["written"].startswith("2031") and set(answers) == {5}


def test_who_writes_the_model_meanwhile_is_told(ground: Path, jobs: Jobs) -> None:
    with generations.write(ground / "model", noun="model") as draft:
        jobs.start("retrain", "Ann")
        assert ended(jobs) == ("failed", f"the model is in use by process {os.getpid()}: {ground / 'model'}")
        for name in draft.before["files"]:
            draft.carry(name)
        draft.finish(draft.before)


# Over HTTP


def test_the_api(ground: Path, hold: Path) -> None:
    with served(ground) as client:
        assert client.get("/api/v1/jobs").json() == []
        begun = client.post("/api/v1/jobs", json={"kind": "recalibrate"})
        assert begun.status_code == 202 and begun.json()["state"] == "running" and begun.json()["person"] == "Ann"
        busy = client.post("/api/v1/jobs", json={"kind": "retrain"})
        assert busy.status_code == 409 and busy.json()["title"].startswith("job 1 is running (recalibrate, by Ann)")
        assert busy.headers["content-type"] == "application/problem+json"
        until(lambda: client.get("/api/v1/jobs/1").json()["done"])
        assert [each["id"] for each in client.get("/api/v1/jobs").json()] == [1]
        assert client.post("/api/v1/jobs/1/stop").status_code == 202
        until(lambda: client.get("/api/v1/jobs/1").json()["state"] == "stopped")
        assert client.post("/api/v1/jobs/1/stop").status_code == 409
        for path, status in (("7", 404), ("0", 422), ("x", 422), ("9" * 30, 422), ("../health", 404)):
            answer = client.get(f"/api/v1/jobs/{path.replace('/', '%2f')}")
            assert answer.status_code == status and "\n" not in answer.json()["title"], path
        for body in ({}, {"kind": "drop"}, {"kind": ["retrain"]}, [], "retrain"):
            assert client.post("/api/v1/jobs", json=body).status_code == 422
        assert len(client.get("/api/v1/jobs").json()) == 1


def test_ten_thousand_are_refused_and_leave_nothing(ground: Path, hold: Path) -> None:
    with served(ground) as client:
        client.post("/api/v1/jobs", json={"kind": "recalibrate"})
        threads = threading.active_count()
        jobs: Jobs = client.app._app.state.site.jobs
        for _ in range(10_000):
            with pytest.raises(Busy):
                jobs.start("retrain", "Eve")
        found = {client.post("/api/v1/jobs", json={"kind": "retrain"}).status_code for _ in range(100)}
        assert found == {409} and len(jobs.all()) == 1
        assert threading.active_count() <= threads + 2


def test_the_page(ground: Path, hold: Path) -> None:
    with served(ground) as client:
        text = client.get("/model", headers=PAGE).text
        assert "Calibrate" in text and "Train anew" in text and 'action="/model/stop"' not in text
        begun = client.post("/model/start", data={"kind": "retrain"}, headers=PAGE)
        assert begun.status_code == 303 and begun.headers["location"] == "/model"
        assert client.post("/model/start", data={"kind": "retrain"}, headers=PAGE).status_code == 409
        until(lambda: "holding: 1 of 3" in client.get("/model", headers=PAGE).text)
        text = client.get("/model", headers=PAGE).text
        assert '<progress max="3" value="1"' in text and "Train anew, for Ann" in text
        assert 'action="/model/start"' not in text
        assert client.post("/model/stop", data={"id": 1}, headers=PAGE).status_code == 303
        until(lambda: 'action="/model/start"' in client.get("/model", headers=PAGE).text)
        assert "<b>stopped</b>: the model is as it was" in client.get("/model", headers=PAGE).text
        assert client.post("/model/stop", data={"id": 1}, headers=PAGE).status_code == 409
        for data in ({"kind": "drop"}, {}, {"kind": "<script>"}):
            assert client.post("/model/start", data=data, headers=PAGE).status_code == 422


def test_what_a_job_says_is_text(ground: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "wrong")
    with served(ground) as client:
        client.post("/api/v1/jobs", json={"kind": "recalibrate"})
        until(lambda: client.get("/api/v1/jobs/1").json()["state"] == "failed")
        text = client.get("/model", headers=PAGE).text
        assert "&lt;script&gt;" in text and "<script>" not in text and "\x1b" not in text


def test_who_may(ground: Path, hold: Path) -> None:
    with served(ground, Ann="a" * 16, Ben="b" * 16) as client:
        job = {"kind": "recalibrate"}
        assert client.post("/api/v1/jobs", json=job).status_code == 401
        assert client.get("/api/v1/jobs").status_code == 401
        ben = {"authorization": "Bearer " + "b" * 16}
        for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "http://evil.example"}, {"origin": "null"}):
            for path in ("/api/v1/jobs", "/model/start", "/model/stop", "/api/v1/jobs/1/stop"):
                assert client.post(path, data=job, headers=headers | ben).status_code == 403
        assert client.get("/api/v1/jobs", headers=ben).json() == []
        assert client.get("/model/start", headers=ben).status_code == 405
        begun = client.post("/api/v1/jobs", json=job, headers=ben)
        assert begun.status_code == 202 and begun.json()["person"] == "Ben"


# The service ends


def test_the_service_ends_and_takes_its_job_along(ground: Path, hold: Path) -> None:
    with served(ground) as client:
        client.post("/api/v1/jobs", json={"kind": "recalibrate"})
        until(lambda: client.get("/api/v1/jobs/1").json()["done"])
        pid = int(client.get("/api/v1/jobs/1").json()["said"])
    assert gone(pid)


SERVED = """
import sys
from kg.serve import jobs
jobs._TARGETS = dict.fromkeys(("recalibrate", "retrain"), "job_targets:long")
from kg.cli.app import main
main()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_however_the_service_ends_no_job_outlives_it(ground: Path, hold: Path, number: int) -> None:
    tests = str(Path(__file__).parent)
    path = os.pathsep.join([tests, *filter(None, [os.environ.get("PYTHONPATH")])])
    line = [sys.executable, "-c", SERVED, "serve", ground / "graph.kg", "--model", ground / "model", "--port", "0"]
    ran = subprocess.Popen(
        list(map(str, line)), stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path}
    )
    before = Bundle.load(ground / "model").sha256
    assert ran.stdout
    with ran.stdout:
        try:
            address = ran.stdout.readline().strip()

            def job() -> Any:
                with urllib.request.urlopen(f"{address}api/v1/jobs/1", timeout=60) as answer:
                    return json.load(answer)

            headers, body = {"content-type": "application/json"}, json.dumps({"kind": "retrain"}).encode()
            urllib.request.urlopen(urllib.request.Request(f"{address}api/v1/jobs", body, headers), timeout=60).close()
            until(lambda: job()["done"])
            pid = int(job()["said"])
            assert not gone(pid)
            os.kill(ran.pid, number)
            ran.wait(60)
            until(lambda: gone(pid))
        finally:
            ran.kill()
    hold.unlink()
    time.sleep(0.2)
    assert Bundle.load(ground / "model").sha256 == before
