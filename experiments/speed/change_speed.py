"""How long it takes to change a store of a million facts, beside loading it, and what the states that are kept take.

    python experiments/speed/change_speed.py [--facts 1000000] [--changed 1000] [--seed 0]

The facts of load_speed.py. In order: all are loaded, some removed, loaded again, replaced by a new version of the whole
file that lacks them, compared with the first generation, and all that are left removed. Each runs in a process of its
own; the peak memory is that of the process and its worker together.

Results go to experiments/results/change_speed.json.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from load_speed import MEASURE, write_facts

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import report

from kg.store.history import history

STEPS = {
    "load": "store.load(file).added",
    "remove_some": "store.remove_files(some).removed",
    "load_some": "store.load(some).added",
    "replace": "store.replace_files(without).removed",
    "diff": "compare(Path(root), 1).removed",
    "remove_all": "store.remove_files(without).removed",
}
STEP = """
from pathlib import Path
from kg.store.history import compare
from kg.store.store import Store
def measured(root, file, some, without):
    with Store(root, create=True) as store:
        return {call}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--facts", type=int, default=1_000_000)
    parser.add_argument("--changed", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    results, megabytes = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        root, file, some, without = (Path(folder) / name for name in ("a.kg", "all.nt", "some.nt", "without.nt"))
        write_facts(file, arguments.facts, arguments.seed)
        lines = sorted(set(file.read_text().splitlines(keepends=True)))
        chosen = set(random.Random(arguments.seed).sample(lines, arguments.changed))
        some.write_text("".join(sorted(chosen)))
        without.write_text("".join(line for line in lines if line not in chosen))
        for name, call in STEPS.items():
            command = [sys.executable, "-c", STEP.format(call=call) + MEASURE, *map(str, (root, file, some, without))]
            results[name] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
            row = results[name]
            print(f"{name:12}{row['seconds']:9.1f} s{row['facts']:10,} facts{row['peak_mb']:7} MB", flush=True)
            megabytes[name] = [round(each.bytes / 1e6, 1) for each in history(root)]
    ratio = round(results["replace"]["seconds"] / results["load"]["seconds"], 2)
    told = report.write(
        __file__,
        arguments.seed,
        lines=arguments.facts,
        changed=arguments.changed,
        **results,
        generations_mb=megabytes,
        replace_of_load=ratio,
    )
    print(f"to replace takes {ratio} of the time of the load: {told}")


if __name__ == "__main__":
    main()
