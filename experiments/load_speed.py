"""How long Store.load takes for a million N-Triples, beside rdflib's parser on the same file, in the same run.

Store.load is measured end to end: worker process, parse, database, integer arrays, fsync, publication. rdflib parses
into memory. Each runs in a process of its own; the peak memory is that of the process and its worker together.

    python experiments/load_speed.py [--facts 1000000] [--seed 0]

Writes load_speed.json beside this file.
"""

import argparse
import json
import os
import platform
import random
import shlex
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

RDFLIB = """
import rdflib
def measured(path, folder):
    return len(rdflib.Graph().parse(path, format="nt"))
"""
KG = """
from kg.store.store import Store
def measured(path, folder):
    with Store(f"{folder}/speed.kg", create=True) as store:
        return store.load(path).added
"""
MEASURE = """
import json, resource, sys, time
begin = time.perf_counter()
facts = measured(*sys.argv[1:])
seconds = time.perf_counter() - begin
unit = 2**20 if sys.platform == "darwin" else 2**10
peak = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / unit
print(json.dumps({"facts": facts, "seconds": round(seconds, 2), "peak_mb": round(peak)}))
"""


def write_facts(path: Path, facts: int, seed: int) -> None:
    """Random N-Triples about facts / 5 entities and 50 properties, every tenth with a literal: 109 MB a million."""
    generator = random.Random(seed)
    entities = max(facts // 5, 2)
    with path.open("w", encoding="utf-8") as file:
        for count in range(facts):
            head, relation = generator.randrange(entities), generator.randrange(50)
            if count % 10 == 0:
                tail = f'"the value {generator.randrange(10**9)}"'
            else:
                tail = f"<http://example.org/resource/{generator.randrange(entities)}>"
            file.write(f"<http://example.org/resource/{head}> <http://example.org/property/{relation}> {tail} .\n")


def measured(code: str, *arguments: str) -> dict[str, float]:
    """What one fresh process reports of its own time and memory."""
    script = code + MEASURE
    run = subprocess.run([sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, check=True)
    report: dict[str, float] = json.loads(run.stdout)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--facts", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "facts.nt"
        write_facts(path, arguments.facts, arguments.seed)
        megabytes = round(path.stat().st_size / 1e6)
        rdflib = measured(RDFLIB, str(path), folder)
        kg = measured(KG, str(path), folder)
    assert rdflib["facts"] == kg["facts"], "the two disagree about how many distinct facts there are"
    report = {
        "command": shlex.join(["python", "experiments/load_speed.py", *sys.argv[1:]]),
        "seed": arguments.seed,
        "lines": arguments.facts,
        "file_mb": megabytes,
        "rdflib_parse": rdflib,
        "kg_load": kg,
        "ratio": round(kg["seconds"] / rdflib["seconds"], 3),
        "target": {"ratio": 0.45, "peak_mb": 1200},
        "versions": {name: version(name) for name in ("kg", "pyoxigraph", "rdflib", "numpy")},
        "hardware": {
            "machine": platform.machine(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
            "python": platform.python_version(),
        },
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"{'':14}{'seconds':>9}{'facts/s':>10}{'peak MB':>9}")
    for name in ("rdflib_parse", "kg_load"):
        row = report[name]
        print(f"{name:14}{row['seconds']:9.1f}{row['facts'] / row['seconds']:10.0f}{row['peak_mb']:9}")
    print(f"ratio {report['ratio']} (target at most 0.45)")


if __name__ == "__main__":
    main()
