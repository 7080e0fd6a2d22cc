"""What the commands answer, as digests: run before and after a change of structure, the two files must be the same.

    python experiments/harness/behaviour.py record OUT.json --data DATASETS [--when WORDS] [--keep FOLDER]
    python experiments/harness/behaviour.py compare BEFORE.json AFTER.json

On umls, nations (folders below DATASETS) and a store of data/world.ttl it trains eight scorers, those that descend a
gradient for three epochs, and records a sha256 of the weights (tensors in the order of the parameters and buffers, with
their names left out) and of what evaluate, ask, complete, explain and sparql print as JSON; of the store, its facts as
N-Triples. No path, time or manifest digest is in any of these. --when: of which code this is, for people. --keep: the
models and the JSON texts stay there, to see what differs.
"""

import argparse
import hashlib
import json
import os
import platform
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # sums of more threads come in another order
ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

COMMAND = "python experiments/harness/behaviour.py record OUT.json --data $KG_DATA"
GRADIENT = ("complex", "rescal", "transe", "tucker", "neighbourhood", "compgcn")
QUESTIONS = {
    "umls": ("(steroid, interacts_with, ?)", "(?, isa, conceptual_entity)"),
    "nations": ("(poland, ngoorgs3, ?)", "(?, intergovorgs, israel)"),
    "world": ("(Germany, borders, ?)", "(?, memberOf, NATO)"),
}
FACTS = {
    "umls": ("steroid", "interacts_with", "eicosanoid"),
    "nations": ("poland", "ngoorgs3", "ussr"),
    "world": ("Germany", "continent", "Europe"),
}
QUERIES = {
    "select": "SELECT ?c ?o { ?c world:memberOf ?o } ORDER BY ?c ?o LIMIT 200",
    "construct": "CONSTRUCT { ?a world:near ?b } { ?a world:borders ?b }",
    "ask": "ASK { world:Germany world:borders world:France }",
}
SCORED = """SELECT ?c (kg:score(?c, world:memberOf, world:NATO) AS ?s)
(kg:probability(?c, world:memberOf, world:NATO) AS ?p) (kg:known(?c, world:memberOf, world:NATO) AS ?k)
{ ?c world:continent world:Europe } ORDER BY ?c"""


def answered(*arguments: str | Path) -> str:
    """What a command prints on stdout."""
    from typer.testing import CliRunner

    app = import_module("kg.cli.app" if (ROOT / "kg" / "cli").is_dir() else "kg.cli").app

    result = CliRunner().invoke(app, [str(each) for each in arguments])
    if result.exit_code:
        raise SystemExit(f"kg {' '.join(map(str, arguments))}: {result.output}") from result.exception
    return result.stdout


def sha256(text: str | bytes) -> str:
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def digest_of_weights(model: Path) -> str:
    import kg

    hashed = hashlib.sha256()
    for value in kg.Bundle.load(model).scorer.state_dict().values():
        hashed.update(f"{value.dtype} {tuple(value.shape)}".encode())
        hashed.update(value.detach().cpu().contiguous().numpy().tobytes())
    return hashed.hexdigest()


class Recorder:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.found: dict[str, str] = {}

    def keep(self, name: str, text: str) -> None:
        self.found[name] = sha256(text)
        path = self.folder / "texts" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"{self.found[name][:12]}  {name}", file=sys.stderr, flush=True)

    def models(self, data: str, source: Path) -> None:
        trained = self.folder / "models"
        names = {name: ("--model", name, "--epochs", "3") for name in GRADIENT}
        names["rules"] = ("--model", "rules")
        parts = f"{trained / f'{data}-complex'},{trained / f'{data}-rules'}"
        names["combine"] = ("--model", "combine", "--parts", parts)
        for name, options in names.items():
            model = trained / f"{data}-{name}"
            answered("train", source, model, *options, "--json")
            self.found[f"{data}-{name}-weights"] = digest_of_weights(model)
            commands: dict[str, tuple[str | Path, ...]] = {
                "evaluate": ("evaluate", model, "--json"),
                "valid": ("evaluate", model, "--split", "valid", "--json"),
                "tails": ("ask", model, QUESTIONS[data][0], "--json"),
                "heads": ("ask", model, QUESTIONS[data][1], "--new-only", "--json"),
                "complete": ("complete", model, "--top", "50", "--json"),
                "explain": ("explain", model, *FACTS[data], "--json"),
            }
            for command, words in commands.items():
                self.keep(f"{data}-{name}-{command}", answered(*words))
            if data == "world":
                self.keep(
                    f"{data}-{name}-sparql", answered("sparql", source, SCORED, "--model", model, "--format", "json")
                )

    def store(self, store: Path) -> None:
        import kg

        for name, query in QUERIES.items():
            self.keep(f"world-{name}", answered("sparql", store, query, "--format", "json"))
        self.keep("world-info", answered("info", store, "--json"))
        with kg.Store(store) as opened:
            opened.dump(self.folder / "world.nt")
        lines = sorted((self.folder / "world.nt").read_text(encoding="utf-8").splitlines())
        self.keep("world-dump", "\n".join(lines))


def record(out: Path, datasets: Path, when: str, folder: Path) -> None:
    import torch

    import kg

    torch.set_num_threads(1)
    recorder = Recorder(folder)
    store = folder / "world.kg"
    answered("load", store, ROOT / "data" / "world.ttl", "--json")
    recorder.store(store)
    for data in ("nations", "umls"):
        recorder.models(data, datasets / data)
    recorder.models("world", store)
    versions = {"kg": kg.__version__, "torch": torch.__version__, "python": platform.python_version()}
    cpu = torch.backends.cpu.get_cpu_capability()
    result = {"command": COMMAND, "when": when, **versions, "cpu_capability": cpu, "sha256": recorder.found}
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def compare(before: Path, after: Path) -> int:
    """How many differ; each is printed."""
    old, new = (json.loads(path.read_text(encoding="utf-8"))["sha256"] for path in (before, after))
    differ: list[Any] = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
    for name in differ:
        print(f"differs: {name}")
    print(f"{len(old.keys() & new.keys()) - len(differ)} of {len(old)} are the same")
    return len(differ)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True, dest="command")
    recording = commands.add_parser("record")
    recording.add_argument("out", type=Path)
    recording.add_argument("--data", type=Path, required=True)
    recording.add_argument("--when", default="")
    recording.add_argument("--keep", type=Path)
    comparing = commands.add_parser("compare")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    asked = parser.parse_args()
    if asked.command == "compare":
        raise SystemExit(1 if compare(asked.before, asked.after) else 0)
    if asked.keep is not None:
        asked.keep.mkdir(parents=True)
        record(asked.out, asked.data, asked.when, asked.keep)
        return
    with tempfile.TemporaryDirectory() as folder:
        record(asked.out, asked.data, asked.when, Path(folder))


if __name__ == "__main__":
    main()
