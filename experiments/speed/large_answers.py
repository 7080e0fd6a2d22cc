"""What do answers cost where entities are many?

    python experiments/speed/large_answers.py [--entities 100000 1000000] [--work FOLDER] [--commands "cold ask" ...]

Graphs of ten facts an entity and 100 relations, whose ends are drawn with chances that fall as their rank^-.7, but for
a fifth of the heads, which are drawn evenly; half of the entities have a label. ComplEx with 256 numbers a row and
fresh weights: what an answer costs does not depend on what was learnt. It is not calibrated, and gives no
probabilities. Each command is a process of its own; its peak is what it had in memory at once, mapped files included:

cold ask             kg ask MODEL "(name, relation, ?)", by the last part of an IRI
warm ask             the same of a Predictor that has answered six before, ten questions: the median, milliseconds
complete --entity    kg complete MODEL --entity NAME --evidence 0: what speaks for the twenty shown comes on top, some
                     two seconds for each
complete --relation  kg complete MODEL --relation R --top 100, of the relation in the middle by its facts

--work keeps graph and model, so that another run measures alone. A command that takes longer than --timeout is told as
that. Results go to experiments/results/large_answers.json.
"""

import argparse
import math
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory, TemporaryFile
from threading import Timer
from typing import Any

import numpy as np
import torch

from kg import bundle
from kg.graph.from_store import dataset_at
from kg.models.complex import ComplEx
from kg.namespaces import RDFS
from kg.query.pattern import Pattern
from kg.query.predictor import Predictor
from kg.store.store import Store
from kg.training.gradient_descent import GradientDescent
from kg.training.run import Run

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import report

ROOT = Path(__file__).parents[2]
EX = "http://example.org/"
FACTS_AN_ENTITY, RELATIONS, MIDDLE, DIM = 10, 100, 50, 128
WARMING = 6  # questions: after four of them a large table is copied in bytes
COMMANDS = ("cold ask", "warm ask", "complete --entity", "complete --relation")


def write_graph(num_entities: int, seed: int, file: Path) -> None:
    generator = np.random.default_rng(seed)
    chance = (np.arange(1, num_entities + 1) ** -0.7).cumsum()
    called = generator.permutation(num_entities)

    def drawn() -> Any:
        found = np.searchsorted(chance / chance[-1], generator.random(num_entities))
        return called[found.clip(max=num_entities - 1)]

    with file.open("w", encoding="utf-8") as out:
        for turn in range(FACTS_AN_ENTITY):
            heads = generator.integers(num_entities, size=num_entities) if turn < 2 else drawn()
            relations = (generator.random(num_entities) ** 2 * RELATIONS).astype(int)
            rows = zip(heads.tolist(), relations.tolist(), drawn().tolist(), strict=True)
            out.writelines(f"<{EX}e/{h}> <{EX}r/{r}> <{EX}e/{t}> .\n" for h, r, t in rows)
        named = generator.permutation(num_entities)[: num_entities // 2].tolist()
        out.writelines(f'<{EX}e/{each}> <{RDFS}label> "Thing number {each}"@en .\n' for each in named)


def made(num_entities: int, seed: int, work: Path) -> Path:
    """The model's folder, beside its store's."""
    store, model = work / f"{num_entities}.kg", work / f"{num_entities}.model"
    if not store.exists():
        write_graph(num_entities, seed, file := work / "facts.nt")
        with Store(store, create=True) as empty:
            empty.load(file)
        file.unlink()
    if not model.exists():
        data = dataset_at(store)
        run = Run(partial(ComplEx, dim=DIM, init=0.1), GradientDescent(partial(torch.optim.Adagrad, lr=0.1)), seed)
        weights = run.new_scorer(data.num_entities, data.num_relations).state_dict()
        metrics = {"valid": None, "finished": True, "epochs": 0, "best_epoch": 0, "history": []}
        known = {"weights": weights, "state": {}, "metrics": metrics, "temperature": 1.0}
        bundle.save(model, dataset=data, run=run.to_json(), **known)  # type: ignore[arg-type]
    return model


def command(*words: str, timeout: float) -> dict[str, Any]:
    """What a process of its own takes."""
    began = time.perf_counter()
    with TemporaryFile() as said:
        child = subprocess.Popen([sys.executable, "-m", "kg", *words], stdout=subprocess.DEVNULL, stderr=said, cwd=ROOT)
        timer = Timer(timeout, child.kill)
        timer.start()
        _, status, usage = os.wait4(child.pid, 0)
        timer.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        lines = said.read().decode().strip().splitlines()
    if child.returncode == -signal.SIGKILL:
        return {"died": f"killed, after {time.perf_counter() - began:.0f} s"}
    if child.returncode:
        return {"died": lines[-1][:200]}
    return {
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "seconds": round(time.perf_counter() - began, 2),
        "peak_mb": round(usage.ru_maxrss / 1000),
    }


def warm(model: Path) -> dict[str, Any]:
    predictor = Predictor.load(model)
    patterns = [Pattern(str(each), f"{EX}r/{MIDDLE}", None) for each in range(11, 11 + WARMING + 10)]
    seconds, cpu = [], []
    for pattern in patterns:
        began, before = time.perf_counter(), time.process_time()
        predictor.ask(pattern)
        seconds.append(time.perf_counter() - began)
        cpu.append(time.process_time() - before)
    return {"ms": round(1000 * median(seconds[WARMING:]), 1), "cpu_seconds": round(median(cpu[WARMING:]), 4)}


def measured(what: str, model: Path, timeout: float) -> dict[str, Any]:
    words = {
        "cold ask": ("ask", str(model), f"(6, {EX}r/{MIDDLE}, ?)"),
        "complete --entity": ("complete", str(model), "--entity", "6", "--evidence", "0"),
        "complete --relation": ("complete", str(model), "--relation", f"{EX}r/{MIDDLE}", "--top", "100"),
    }
    return warm(model) if what == "warm ask" else command(*words[what], timeout=timeout)


def exponent(rows: list[dict[str, Any]], what: str) -> float | None:
    """e of CPU seconds ~ entities^e, of the smallest and the largest graph."""
    first, last = rows[0], rows[-1]
    if len(rows) < 2 or "died" in first[what] or "died" in last[what]:
        return None
    ratio = last[what]["cpu_seconds"] / first[what]["cpu_seconds"]
    return round(math.log(ratio) / math.log(last["entities"] / first["entities"]), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entities", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--work", type=Path)
    parser.add_argument("--commands", nargs="+", choices=COMMANDS, default=list(COMMANDS))
    parser.add_argument("--timeout", type=float, default=900)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rows = []
    with TemporaryDirectory() as temporary:
        for num_entities in sorted(arguments.entities):
            model = made(num_entities, arguments.seed, arguments.work or Path(temporary))
            row: dict[str, Any] = {"entities": num_entities}
            for what in arguments.commands:
                row[what] = measured(what, model, arguments.timeout)
                print(f"{num_entities:9,} {what:19} {row[what]}", flush=True)
            rows.append(row)
    told = {
        "model": f"ComplEx, dim {DIM} ({2 * DIM} reals), fresh weights, not calibrated",
        "graph": f"{FACTS_AN_ENTITY} facts an entity, {RELATIONS} relations, a label for every second entity",
        "threads": torch.get_num_threads(),
        "exponents": {what: exponent(rows, what) for what in arguments.commands},
    }
    print(report.write(__file__, arguments.seed, **told, sizes=rows))


if __name__ == "__main__":
    main()
