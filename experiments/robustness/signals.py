"""How long Ctrl-C and SIGTERM take to be answered, in every stage of the long commands: seconds until the exit.

    python experiments/robustness/signals.py [codex-s] [--rounds 1]

Each command is started anew, is sent SIGINT or SIGTERM, in turn, some time after the stage has begun, and must exit
with 130. A model of one epoch, made first, is what is evaluated, calibrated and completed; one of counts has
probabilities that hold.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import stages

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
import benchmarks
import report

from kg.graph.sources import open_dataset

SECONDS = 2.0  # within which an answer is due
NUMBERS = (signal.SIGINT, signal.SIGTERM)


def cases(data: Path, models: Path) -> dict[str, tuple[list[object], str]]:
    """What is done: the command, and the stage in which the signal is sent."""
    complex_, store = models / "complex", models / "store"
    dataset = open_dataset(data)
    head, relation, tail = dataset.test[0].tolist()
    fact = dataset.vocabulary.entities[head], dataset.vocabulary.relations[relation], dataset.vocabulary.entities[tail]
    train: list[object] = ["train", data, models / "new"]
    validated = [*train, "--preset", models / "preset.py:validated"]
    ruled = [*train, "--preset", models / "preset.py:rules"]
    combined = [*train, "--model", "combine", "--parts", f"{complex_},frequency"]
    return {
        "train: reading": ([*train], "reading"),
        "train: a batch": ([*train], "training"),
        "train: a batch with attention": ([*train, "--model", "neighbourhood"], "training"),
        "train: a validation": (validated, "ranking"),
        "train: the temperature": ([*train, "--preset", models / "preset.py:margin"], "fitting the temperature"),
        "train: measuring at the end": ([*train, "--preset", models / "preset.py:margin"], "ranking"),
        "train: calibrating": ([*train, "--preset", models / "preset.py:margin"], "sampling candidates"),
        "train: mining constants": ([*train, "--model", "rules"], "mining constants"),
        "train: mining bodies": ([*train, "--model", "rules"], "mining bodies of 2"),
        "train: a mining's counts": ([*train, "--model", "rules"], "counting bodies of 2"),
        "train: the temperature of rules": (
            [*train, "--preset", models / "preset.py:rules"],
            "fitting the temperature",
        ),
        "train: calibrating rules": (ruled, "sampling candidates"),
        "train: ALS": ([*train, "--preset", models / "preset.py:als"], "training"),
        "train: path regressions": ([*train, "--model", "path_ranking"], "training"),
        "train: paths of ARE": ([*train, "--model", "are"], "finding paths"),
        "train: a part of a combination": (combined, "sampling candidates"),
        "train: a combination": (combined, "training"),
        "evaluate: ranking": (["evaluate", complex_], "ranking"),
        "evaluate: probabilities": (["evaluate", models / "frequency"], "sampling candidates"),
        "calibrate: sampling": (["calibrate", complex_], "sampling candidates"),
        "calibrate: the search": (["calibrate", complex_], "candidates"),
        "calibrate: the trial": (["calibrate", complex_], "trying the probabilities"),
        "complete": (["complete", complex_, "-o", models / "new.tsv"], "candidates"),
        "rules": (["rules", data], "mining bodies of 2"),
        "bench": (["bench", data, "--preset", models / "preset.py:validated", "-o", models / "bench"], "training"),
        "tune": (["tune", data, models / "tuned", "--model", "complex"], "training"),
        "load": (["load", models / "loaded", models / "facts.nt"], "facts"),
        "sparql": (["sparql", store, "SELECT (COUNT(*) AS ?n) { ?a ?p ?b . ?b ?q ?c . ?c ?r ?d }"], ""),
        "explain": (["explain", complex_, *fact], ""),
    }


PRESET = """
from dataclasses import replace
from functools import partial
from torch.optim import Adagrad
from kg.models.complex import ComplEx
from kg.models.rescal import RESCAL
from kg.models.rules import RuleScorer
from kg.training.algorithms.als import ALS
from kg.training.algorithms.mining import Mining
from kg.training.gradient_descent import GradientDescent
from kg.training.objectives import NegativeSampling
from kg.training.run import Run

def validated():
    descent = GradientDescent(partial(Adagrad, lr=0.1), NegativeSampling(8), batch_size=8000, valid_every=1)
    return Run(partial(ComplEx, dim=256), descent)

def margin():
    descent = GradientDescent(partial(Adagrad, lr=0.1), NegativeSampling(8), batch_size=4000, epochs=1)
    return Run(partial(ComplEx, dim=64), descent)

def rules():
    return Run(partial(RuleScorer), Mining(1, min_constant_support=5))

def als():
    return Run(partial(RESCAL, dim=100, tied=True), ALS())
"""


def prepared(data: Path, models: Path) -> None:
    (models / "preset.py").write_text(PRESET)
    kg = [sys.executable, "-m", "kg"]
    for name, asked in {"complex": ["--epochs", "1", "--dim", "64"], "frequency": []}.items():
        command = [*kg, "train", data, models / name, "--model", name, *asked]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    with (models / "facts.nt").open("w") as file:
        for i in range(3_000_000):
            file.write(f"<http://e/{i % 99_991}> <http://p/{i % 7}> <http://e/{i * 31 % 999_983}> .\n")
    with (models / "few.nt").open("w") as file:
        for i in range(20_000):
            file.write(f"<http://e/{i % 99}> <http://p/{i % 7}> <http://e/{i * 31 % 97}> .\n")
    done = subprocess.run([*kg, "load", models / "store", models / "few.nt"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def answered(arguments: list[object], stage: str, number: signal.Signals, delay: float) -> dict[str, Any]:
    """Seconds from the signal to the exit, which must be 130; what was said last."""
    process, reading = stages.start(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        begun = stages.wait_for(reading, stage) if stage else True
        time.sleep(delay)
        sent = time.perf_counter()
        process.send_signal(number)
        _, said = process.communicate(timeout=120)
        seconds = time.perf_counter() - sent
    finally:
        process.kill()
        os.close(reading)
    assert begun, (stage, said)
    lines = said.decode().splitlines()
    return {"seconds": round(seconds, 3), "code": process.returncode, "said": lines[-1] if lines else ""}


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    benchmarks.add(parser, default="codex-s")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", default="", help="the cases whose names begin so")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    data, drawn = benchmarks.folder(options.folder, options.data), random.Random(options.seed)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder)
        prepared(data, models)
        chosen = [each for each in cases(data, models).items() if each[0].startswith(options.only)]
        for place, (name, (arguments, stage)) in enumerate(chosen):
            for turn in range(options.rounds):
                number = NUMBERS[(place + turn) % 2]
                # A command that says no stage is in its work after some seconds.
                delay = drawn.uniform(0.05, 0.8) + (0 if stage else 6)
                result = answered(arguments, stage, number, delay)
                while not result["code"] and delay > 0.01:  # it was over before
                    delay /= 4
                    result = answered(arguments, stage, number, delay)
                print(f"{name}, {number.name}: {result}", flush=True)
                found.setdefault(name, []).append({"signal": number.name, **result})
                for made in (*models.glob("new*"), models / "loaded", models / "bench", models / "tuned"):
                    subprocess.run(["rm", "-rf", made], check=True)
    slowest = max(each["seconds"] for results in found.values() for each in results)
    codes = sorted({each["code"] for results in found.values() for each in results})
    if not options.only:
        report.write(
            __file__,
            options.seed,
            dataset=options.folder,
            due_seconds=SECONDS,
            slowest_seconds=slowest,
            codes=codes,
            stages=found,
        )
    print(f"slowest {slowest:.2f} s, codes {codes}")


if __name__ == "__main__":
    main()
