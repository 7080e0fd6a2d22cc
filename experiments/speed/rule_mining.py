"""How long mining takes, what it finds, and how much memory it needs.

    python experiments/speed/rule_mining.py $KG_DATA/wn18rr --preset experiments/presets/wn18rr.py:rules
    python experiments/speed/rule_mining.py FOLDER --preset experiments/presets/fb15k237.py:rules [--max-length 3]

The compiled loops are there before the clock starts: compiling them takes half a minute, once an installation. Peak
memory is that of the whole process. Results go to experiments/rule_mining_<folder>_<max length>.json.
"""

import argparse
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import torch

from kg.graph.from_folder import dataset_from_folder
from kg.rules.mining import mine
from kg.studies.presets import preset
from kg.training.algorithms.mining import Mining

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import benchmarks
import report


def peak_mb() -> int:
    """Of this process so far: VmHWM, since ru_maxrss of a child begins with its parent's."""
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    benchmarks.add(parser)
    parser.add_argument("--preset", required=True)
    parser.add_argument("--max-length", type=int)
    arguments = benchmarks.parsed(parser)
    mining = preset(arguments.preset).algorithm
    assert isinstance(mining, Mining)
    if arguments.max_length:
        mining = replace(mining, max_length=arguments.max_length)
    graph = dataset_from_folder(arguments.folder).graph()
    few = graph.hide(torch.stack([graph.head(), graph.relation, graph.tail], 1)[100:])
    mine(few, **asdict(mining))
    before = peak_mb()
    began = time.perf_counter()
    rules = mine(graph, **asdict(mining))
    seconds = time.perf_counter() - began
    by_length = {
        int(length): int(((rules.closed[:, 1:] >= 0).sum(1) == length).sum())
        for length in range(1, mining.max_length + 1)
    }
    body, constant = rules.constant[:, 2] >= 0, rules.constant[:, 3] >= 0
    found = {
        "closed_by_length": by_length,
        "closed_sampled": int(rules.sampled.sum()),
        "constant": int(constant.sum()),
        "constant_open": int((body & ~constant).sum()),
        "constant_without_body": int((~body).sum()),
    }
    print(f"{arguments.folder.name}: {seconds:.1f} s, peak {peak_mb()} MB ({before} before), {found}")
    told = report.write(
        __file__,
        0,
        variant=f"{arguments.folder.name}_{mining.max_length}",
        dataset=arguments.folder.name,
        mining=asdict(mining),
        threads=torch.get_num_threads(),
        seconds=round(seconds, 1),
        peak_mb=peak_mb(),
        peak_mb_before=before,
        rules=found,
    )
    print(told)


if __name__ == "__main__":
    main()
