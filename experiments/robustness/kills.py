"""SIGKILL in every stage of a training and of a load: what is on disk afterwards, and whether the work goes on.

    python experiments/robustness/kills.py [nations] [--kills 20]

A stage is killed at random moments between its begin and the end it would have had. Then what is there must be the old
state or the new one, whole (every sha256 is compared); and the same call again must end: a training with bitwise the
weights, figures and calibration of one that nobody killed, a load with all facts.
"""

import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, final

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[2]), str(HERE.parents[1] / "harness"), str(HERE.parent)]
import benchmarks  # noqa: E402
import report  # noqa: E402
import torch  # noqa: E402
from torch.optim import Adagrad  # noqa: E402

from kg import bundle as bundles  # noqa: E402
from kg import generations, manifest  # noqa: E402
from kg.api import trained  # noqa: E402
from kg.bundle import Bundle  # noqa: E402
from kg.graph.dataset import Dataset  # noqa: E402
from kg.graph.sources import open_dataset  # noqa: E402
from kg.models.complex import ComplEx  # noqa: E402
from kg.models.rules import RuleScorer  # noqa: E402
from kg.progress import Progress  # noqa: E402
from kg.store import draft, sandbox  # noqa: E402
from kg.store.store import Store  # noqa: E402
from kg.training import train as training  # noqa: E402
from kg.training.algorithms.mining import Mining  # noqa: E402
from kg.training.gradient_descent import GradientDescent  # noqa: E402
from kg.training.objectives import NegativeSampling  # noqa: E402
from kg.training.run import Run  # noqa: E402

DESCENT = GradientDescent(partial(Adagrad, lr=0.1), NegativeSampling(8), batch_size=256, epochs=3, valid_every=1)
RUNS = {"complex": Run(partial(ComplEx, dim=32), DESCENT), "rules": Run(partial(RuleScorer), Mining(max_length=2))}
# What the progress of a training says, by the stage it is of; reading is from the start, saving is a function.
STAGES = {
    "complex": {
        "reading": "",
        "epochs": "training",
        "validation": "ranking",
        "saving": "",
        "measuring": "fitting",
        "calibrating": "sampling",
    },
    "rules": {"mining": "mining", "counting": "counting", "saving": "", "measuring": "fitting"},
}
LOADING: dict[str, tuple[Any, str]] = {
    "parse and database": (draft.StoreDraft, "insert"),
    "arrays": (draft.StoreDraft, "finish"),
    "manifest": (manifest, "write_manifest"),
    "publish": (generations, "_publish"),
}


def kill(*processes: int) -> None:
    for process in processes:
        os.kill(process, signal.SIGKILL)


@final
class Deadline(Progress):
    """Kills this process so many seconds after a stage has begun. `lasted`: seconds of each, where nobody is killed."""

    def __init__(self, stage: str = "", said: str = "", seconds: float = 0.0, turn: int = 1) -> None:
        self._stage, self._said, self._seconds, self._left = stage, said, seconds, turn
        self.lasted: dict[str, float] = {}

    def at(self, what: str, done: int, total: int | None = None, figures: Callable[[], str] | None = None) -> None:
        if self._said and what.startswith(self._said):
            self.begins(self._stage)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.begins(name)
        began = time.perf_counter()
        yield
        self.lasted[name] = time.perf_counter() - began

    def begins(self, name: str) -> None:
        if name == self._stage:
            self._left -= 1
            if self._left == 0:
                threading.Timer(self._seconds, kill, [os.getpid()]).start()


def train(data: Path, name: str, out: Path, progress: Deadline) -> None:
    save = bundles.save

    def saving(*arguments: Any, **options: Any) -> None:
        with progress.stage("saving"):
            save(*arguments, **options)

    bundles.save = saving
    training._SECONDS_BETWEEN_SAVES, training._TIMES_AS_LONG = 0.1, 0
    with progress.stage("reading"):
        dataset = open_dataset(data)
    trained(dataset, RUNS[name], out, progress=progress)


def in_a_child(work: Callable[[], None]) -> int:
    """The work in a copy of this process; what became of it."""
    child = os.fork()
    if child == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def digest(model: Path) -> dict[str, str]:
    """What a training that was killed must come to, by file."""
    found = manifest.read_manifest(generations.current(model, noun="model"))
    names = ("model.safetensors", "calibration.json", "state/tensors.safetensors")
    return {name: found["files"][name] for name in names}


def killed_trainings(
    data: Path, name: str, folder: Path, kills: int, drawn: random.Random
) -> dict[str, dict[str, Any]]:
    dataset, whole = open_dataset(data), folder / f"{name}-whole"
    began = time.perf_counter()
    in_a_child(lambda: train(data, name, whole, Deadline()))
    seconds, expected = time.perf_counter() - began, digest(whole)
    found = {}
    for stage, said in STAGES[name].items():
        counted: Counter[str] = Counter()
        for number in range(kills):
            model = folder / f"{name}-{stage}-{number}"
            delay = drawn.uniform(0, 0.05 if stage in ("reading", "saving") else min(seconds / 3, 0.4))
            turn = drawn.randint(1, 3) if stage == "saving" and name == "complex" else 1
            deadline = Deadline(stage, said, delay, turn)
            code = in_a_child(lambda model=model, deadline=deadline: train(data, name, model, deadline))
            counted["killed" if code == -signal.SIGKILL else "ended before" if code == 0 else f"exit {code}"] += 1
            counted[state(dataset, model)] += 1
            resumed = trained(dataset, RUNS[name], model)
            same = digest(model) == expected and resumed.metrics["finished"]
            counted["resumed to the same" if same else "RESUMED TO ANOTHER"] += 1
        found[stage] = dict(counted)
        print(f"{name}, {stage}: {found[stage]}", flush=True)
    return found


def state(dataset: Dataset, model: Path) -> str:
    if not bundles.exists(model):
        return "no model yet"
    manifest.verify(generations.current(model, noun="model"))
    metrics = Bundle.load(model).metrics
    return "finished and whole" if metrics["finished"] else "a checkpoint and whole"


def load(progress: Progress, **arguments: Any) -> dict[str, int]:
    """In the worker, in place of kg.store.draft.load."""
    asked = json.loads(os.environ["KILL"])
    if asked["stage"] != "publish":
        victims = [os.getpid()] if asked["victim"] == "the worker" else [os.getppid(), os.getpid()]
        arm(asked["stage"], asked["seconds"], victims)
    return draft.load(progress, **arguments)


def arm(stage: str, seconds: float, victims: list[int]) -> None:
    owner, name = LOADING[stage]
    original = getattr(owner, name)

    def deadly(*arguments: Any, **options: Any) -> Any:
        threading.Timer(seconds, kill, victims).start()
        return original(*arguments, **options)

    setattr(owner, name, deadly)


def write(store: Path, file: Path, stage: str, seconds: float, victim: str) -> None:
    os.environ["KILL"] = json.dumps({"stage": stage, "seconds": seconds, "victim": victim})
    run = sandbox.run
    sandbox.run = lambda target, *arguments, **options: run("kills:load", *arguments, **options)
    if stage == "publish":
        arm(stage, seconds, [os.getpid()])
    with Store(store) as opened:
        opened.load(file)


def killed_loads(folder: Path, kills: int, drawn: random.Random) -> dict[str, dict[str, Any]]:
    first, second = folder / "first.nt", folder / "second.nt"
    first.write_text("".join(f"<http://e/{i}> <http://p/0> <http://e/{i + 1}> .\n" for i in range(1000)))
    second.write_text("".join(f"<http://e/{i}> <http://p/1> <http://e/{i * 7}> .\n" for i in range(30_000)))
    longest = {"parse and database": 0.3, "arrays": 0.04, "manifest": 0.03, "publish": 0.01}
    found = {}
    for stage in LOADING:
        counted: Counter[str] = Counter()
        for number in range(kills):
            store = folder / f"store-{stage}-{number}"
            with Store(store, create=True) as opened:
                opened.load(first)
            seconds, victim = drawn.uniform(0, longest[stage]), drawn.choice(["the worker", "both"])
            code = in_a_child(partial(write, store, second, stage, seconds, victim))
            counted["ended before" if code == 0 else f"killed: {'the parent' if stage == 'publish' else victim}"] += 1
            manifest.verify(generations.current(store))
            with Store(store) as opened:
                facts = len(opened.facts())
                counted[{1000: "old and whole", 31_000: "new and whole"}[facts]] += 1
                opened.load(second)
                counted["next write works" if len(opened.facts()) == 31_000 else "NEXT WRITE LOST FACTS"] += 1
        found[stage] = dict(counted)
        print(f"load, {stage}: {found[stage]}", flush=True)
    return found


def few(data: Path, folder: Path, drawn: random.Random) -> Path:
    """A folder of 300 train facts and 30 of each other part: of a small dense graph the rules are too many."""
    dataset, made = open_dataset(data), folder / "few"
    entities, relations = dataset.vocabulary.entities, dataset.vocabulary.relations
    made.mkdir()
    for part, number in {"train": 300, "valid": 30, "test": 30}.items():
        facts = drawn.sample(dataset.part(part).tolist(), number)
        lines = (f"{entities[head]}\t{relations[relation]}\t{entities[tail]}\n" for head, relation, tail in facts)
        (made / f"{part}.tsv").write_text("".join(lines))
    return made


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    benchmarks.add(parser, default="nations")
    parser.add_argument("--kills", type=int, default=20, help="in each stage (20)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    data, drawn = benchmarks.folder(options.folder, options.data), random.Random(options.seed)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        loads = killed_loads(folder, options.kills, drawn)
        graphs = {"complex": data, "rules": few(data, folder, drawn)}
        trainings = {name: killed_trainings(graphs[name], name, folder, options.kills, drawn) for name in RUNS}
    report.write(
        __file__, options.seed, dataset=options.folder, kills_a_stage=options.kills, train=trainings, load=loads
    )


if __name__ == "__main__":
    main()
