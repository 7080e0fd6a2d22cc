"""How long Store.load takes for a million N-Triples, beside rdflib's parser on the same file, in the same run.

Store.load is measured end to end: worker process, parse, database, integer arrays, fsync, publication. rdflib parses
into memory. Each runs in a process of its own; the peak memory is that of the process and its worker together.

    python experiments/speed/load_speed.py [--facts 1000000] [--seed 0]

Results go to experiments/results/load_speed.json.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import report

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
    figures: dict[str, float] = json.loads(run.stdout)
    return figures


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
    results = {"rdflib_parse": rdflib, "kg_load": kg}
    ratio = round(kg["seconds"] / rdflib["seconds"], 3)
    told = report.write(
        __file__,
        arguments.seed,
        lines=arguments.facts,
        file_mb=megabytes,
        **results,
        ratio=ratio,
        target={"ratio": 0.45, "peak_mb": 1200},
    )
    print(f"{'':14}{'seconds':>9}{'facts/s':>10}{'peak MB':>9}")
    for name, row in results.items():
        print(f"{name:14}{row['seconds']:9.1f}{row['facts'] / row['seconds']:10.0f}{row['peak_mb']:9}")
    print(f"ratio {ratio} (target at most 0.45): {told}")


if __name__ == "__main__":
    main()
