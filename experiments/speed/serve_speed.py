"""How fast `kg serve` answers: a page of a candidate, a decision, a question; and whether its memory stays.

    python experiments/speed/serve_speed.py [--store STORE --model MODEL] [--requests 300] [--many 20000]

By default over the world that ships with kg, with RESCAL trained on it. One client sends one request after the other;
then 16 send at once. A decision is made of the candidate that the page shows, every third one taken back. --many: so
many requests more, beside which the memory is looked at.
"""

import argparse
import re
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import report
import served

from kg.bundle import Bundle

CLIENTS = 16


def milliseconds(act: Callable[[], Any], count: int) -> dict[str, float]:
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        act()
        taken.append(1000 * (time.perf_counter() - began))
    return {"p50": round(float(np.percentile(taken, 50)), 1), "p95": round(float(np.percentile(taken, 95)), 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--many", type=int, default=20_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if arguments.store is None:
            store, model = served.made(Path(name), "--model", "rescal", "--epochs", "30")
        else:
            store, model = arguments.store, arguments.model
        bundle = Bundle.load(model)
        began = time.perf_counter()
        with served.serving(store, model) as (process, address), httpx.Client(base_url=address, timeout=60) as client:
            client.get("/api/v1/health")
            figures = measured(client, process, address, bundle, arguments)
            figures["seconds_to_the_first_answer"] = round(figures.pop("first") - began, 1)
    print(figures)
    print(report.write(__file__, 0, graph=store.name, model=bundle.run["scorer"]["name"], **figures))


def measured(
    client: httpx.Client, process: Any, address: str, bundle: Bundle, asked: argparse.Namespace
) -> dict[str, Any]:
    first, text, made = time.perf_counter(), "", list[str]()
    names = bundle.dataset.vocabulary
    questions = [
        {"subject": names.entities[head], "predicate": names.relations[relation]}
        for head, relation, _ in bundle.dataset.train[: asked.requests].tolist()
    ]

    def page() -> None:
        nonlocal text
        answer = client.get("/review", headers={"accept": "text/html"})
        assert answer.status_code == 200
        text = answer.text

    def decide() -> None:
        form = text[text.index('action="/decide"') :]
        sent = {
            part: unescape(re.search(f'name="{part}" value="(.*?)"', form)[1])  # type: ignore[index]
            for part in ("subject", "predicate", "object")
        }
        made.append(str(uuid.uuid4()))
        body = sent | {"verdict": ("accept", "reject", "unsure")[len(made) % 3], "id": made[-1]}
        answer = client.post("/api/v1/decisions", json=body)
        assert answer.status_code == 201, answer.text

    def ask(number: int, by: httpx.Client = client) -> None:
        assert by.get("/api/v1/ask", params=questions[number % len(questions)]).status_code == 200

    pages, decisions = [], []
    for _ in range(asked.requests // 3):  # each page after a decision: what is fresh is part of the time
        pages.append(milliseconds(page, 1)["p50"])
        decisions.append(milliseconds(decide, 1)["p50"])
    counted = iter(range(10**9))
    answers = milliseconds(lambda: ask(next(counted)), asked.requests)
    size = served.resident_mb(process)

    def many(count: int) -> None:
        with httpx.Client(base_url=address, timeout=60) as own:
            for number in range(count):
                ask(number, own)

    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(many, [asked.many // CLIENTS] * CLIENTS))
    seconds = time.perf_counter() - began
    return {
        "first": first,
        "page_ms": {f"p{part}": round(float(np.percentile(pages, part)), 1) for part in (50, 95)},
        "decision_ms": {f"p{part}": round(float(np.percentile(decisions, part)), 1) for part in (50, 95)},
        "ask_ms": answers,
        f"requests_a_second_of_{CLIENTS}": round(asked.many // CLIENTS * CLIENTS / seconds, 1),
        "resident_mb": {"before": round(size), "after": round(served.resident_mb(process)), "requests": asked.many},
    }


if __name__ == "__main__":
    main()
