"""The pages in a real browser: keys, undo, reload, a second person, dark, on a phone, without scripts, for all to use.

Skipped, and said to be, where no Chromium is installed: `make browser` installs it, `make test-browser` runs these
alone.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kg.decisions.journal import Journal
from kg.store.store import Store

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AXE = Path(__file__).parents[1] / ".venv" / "axe.min.js"  # `make browser` puts it there
sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: make browser")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def served(country_store: Path, country_model: Path, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Its address, and the store, with tokens for two people; of copies, which a job may change."""
    store, model = tmp_path / "graph.kg", tmp_path / "model"
    shutil.copytree(country_model, model)
    with Store(country_store) as opened, Store(store, create=True) as made:
        made.add(opened.match())
    (tmp_path / "people.txt").write_text(f"Ann={'a' * 16}\nBen={'b' * 16}\n")
    line = [sys.executable, "-m", "kg", "serve", store, "--model", model, "--port", "0", "--top", "40"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    tokens = ["--tokens", tmp_path / "people.txt"]
    with subprocess.Popen([*line, *tokens], stdout=subprocess.PIPE, text=True, env=environment) as ran:
        assert ran.stdout
        yield ran.stdout.readline().strip().rstrip("/"), store
        ran.terminate()


def visited(browser: Any, address: str, person: str = "a", **context: Any) -> Any:
    """A page of a new visitor, who has given a token, at the review."""
    page = browser.new_context(**context).new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{address}/login")
    page.get_by_label("Token").fill(person * 16)
    page.get_by_role("button", name="Enter").click()
    page.wait_for_url("**/review")
    return page


def claim(page: Any) -> str:
    return str(page.locator("#claim").inner_text())


def pressed(page: Any, key: str) -> None:
    with page.expect_navigation():
        page.keyboard.press(key)


def test_by_keys(browser: Any, served: tuple[str, Path]) -> None:
    """Twenty candidates, undo, reload; and what a second person sees of them."""
    address, store = served
    page = visited(browser, address)
    seen = []
    for i in range(20):
        seen.append(claim(page))
        pressed(page, "axa "[i % 4])
    made = Journal(store).decisions()
    assert [each.verdict for each in made] == ["accept", "reject", "accept", "unsure"] * 5
    assert {each.person for each in made} == {"Ann"} and len(set(seen)) == 20
    after = claim(page)
    page.reload()
    assert claim(page) == after
    pressed(page, "z")
    assert claim(page) == seen[-1] and len(Journal(store).decisions()) == 19
    pressed(page, "j")
    pressed(page, "k")
    page.keyboard.press("?")
    page.get_by_label("Key for accept").fill("y")
    page.get_by_label("Key for accept").blur()
    page.goto(f"{address}/review")
    page.keyboard.press("a")  # which acts no more
    pressed(page, "y")
    assert len(Journal(store).decisions()) == 20
    page.get_by_text("Keys", exact=True).click()
    page.get_by_label("Single keys act").uncheck()
    page.goto(f"{address}/review")
    page.keyboard.press("y")
    page.get_by_role("searchbox").fill("x")  # a key that a person types into a field decides nothing
    page.get_by_role("searchbox").press("a")
    assert len(Journal(store).decisions()) == 20
    other = visited(browser, address, "b")
    settled = {" ".join(each.fact) for each in Journal(store).decisions() if each.verdict != "unsure"}
    assert claim(other) not in settled
    pressed(other, "a")
    assert Journal(store).decisions()[-1].person == "Ben"


def test_without_scripts(browser: Any, served: tuple[str, Path]) -> None:
    address, store = served
    page = visited(browser, address, java_script_enabled=False)
    first = claim(page)
    page.get_by_role("button", name="Reject", exact=True).click()
    assert claim(page) != first
    page.get_by_role("button", name="Undo").click()
    assert claim(page) == first and Journal(store).number == 2


@pytest.mark.parametrize("scripts", [True, False])
def test_a_job(browser: Any, served: tuple[str, Path], scripts: bool) -> None:
    """Begun, seen running and done, and what came of it: by itself with scripts, by looking again without."""
    address, _ = served
    page = visited(browser, address, java_script_enabled=scripts)
    page.get_by_role("link", name="Model").click()
    page.get_by_role("button", name="Calibrate").click()
    page.get_by_role("heading", name="Calibrate, for Ann").wait_for()
    while not scripts and page.get_by_role("link", name="Look again").count():
        page.get_by_role("link", name="Look again").click()
    page.get_by_text("Ann: Calibrate: done: calibrated on").wait_for()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360)])
def test_light_dark_and_on_a_phone(browser: Any, served: tuple[str, Path], scheme: str, width: int) -> None:
    """Nothing is wider than the window, nothing fails, little is sent, and axe-core finds nothing serious."""
    address, _ = served
    page = visited(browser, address, color_scheme=scheme, viewport={"width": width, "height": 740})
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    sent: list[int] = []
    page.on("response", lambda answer: sent.append(len(answer.body())) if answer.status == 200 else None)
    page.goto(f"{address}/review", wait_until="networkidle")
    assert sum(sent) < 300_000
    entity = page.locator("#claim a").first.get_attribute("href")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    relation = page.locator("#claim a.relation").get_attribute("href")
    for path in ("/review", entity, relation, "/decisions", "/model", "/search?q=c", "/review?order=surest"):
        page.goto(f"{address}{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        if AXE.exists():
            found = page.evaluate(AXE.read_text(encoding="utf-8") + "; axe.run()")
            serious = [each for each in found["violations"] if each["impact"] in ("serious", "critical")]
            assert not serious, json.dumps([(each["id"], each["nodes"][0]["html"]) for each in serious])
    assert not problems
