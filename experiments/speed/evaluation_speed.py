"""Filtered test ranking, against the bare matrix product over the same questions and against the peers' evaluators.

    python experiments/speed/evaluation_speed.py [FOLDER] [--peer-python .peers/bin/python] [--repetitions 15]

DistMult of random weights: time does not depend on them. In turn, each in a process of its own: the product of all
distinct test questions with the entity table, batch by batch into one buffer; kg's evaluate() of the whole test part;
and every fifth time, on a random part of the test triples, for they take minutes on all: PyKEEN's RankBasedEvaluator
(filtered by train and valid too), TorchKGE's LinkPredictionEvaluator (filtered; its scores take a number a dimension,
hence --torchkge-batch-size) and test() of torch_geometric.nn.kge (tails only, not filtered, a fact at a time).
Results go to experiments/results/evaluation_speed_<folder>.json.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from kg.graph.from_folder import dataset_from_folder

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import benchmarks
import facts
import report
from sides import Taken, in_turn, ratio, spread

HERE = Path(__file__).parent
PEERS = ("pykeen", "torchkge", "pyg")
PEER_EVERY = 5  # repetitions


def measured(arguments: argparse.Namespace) -> dict[str, Any]:
    dataset = dataset_from_folder(arguments.folder)
    size, dim, seed = (str(number) for number in (arguments.batch_size, arguments.dim, arguments.seed))
    batch_sizes = dict.fromkeys(PEERS, size) | {"torchkge": str(arguments.torchkge_batch_size)}
    with tempfile.TemporaryDirectory() as temporary:
        facts.save(dataset, file := Path(temporary) / "facts.npz")
        commands: dict[str, tuple[Path | str, ...]] = {
            name: (sys.executable, HERE / "evaluation_side.py", name, file, dim, size, seed) for name in ("bare", "kg")
        }
        for name in PEERS:
            script = HERE / "peers" / f"{name}_evaluation.py"
            settings = (str(arguments.peer_triples), dim, batch_sizes[name], seed)
            commands[name] = (arguments.peer_python, script, file, *settings)
        taken = in_turn(commands, "seconds", arguments.repetitions, slow=PEERS, slow_every=PEER_EVERY)
    told = {name: _told(side) for name, side in taken.items()}
    kg = told["kg"]
    return {
        "dataset": arguments.folder.name,
        "model": f"DistMult, dim {arguments.dim}, fp32",
        "batch_size": arguments.batch_size,
        "peers_rank": "a random part of the same test triples",
        "first_seconds_are": "evaluate() of a fresh Dataset: it also sorts the known answers and the graph, once",
        "peak_mb_is": "of the side's whole process; libraries_mb is what it held once its libraries were loaded",
        "sides": told,
        "kg_over_peers_in_ranks_per_second": {
            name: round(kg["ranks_per_second"] / told[name]["ranks_per_second"], 1) for name in PEERS
        },
        "kg_over_peers_in_peak_mb": {name: round(kg["peak_mb"] / told[name]["peak_mb"], 3) for name in PEERS},
        "kg_over_bare_product": ratio(taken["bare"], taken["kg"], "seconds"),  # of speeds: the other way round
    }


def _told(side: Taken) -> dict[str, Any]:
    seconds = side.median("seconds")
    speeds = {
        f"{what}_per_second": round(side.about[what] / seconds, 1) for what in ("rows", "ranks") if what in side.about
    }
    return {**side.about, "seconds": spread(side.all("seconds")), **speeds, "peak_mb": side.peak_mb()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    benchmarks.add(parser, "fb15k-237")
    parser.add_argument("--peer-python", type=Path, default=benchmarks.ROOT / ".peers/bin/python")
    parser.add_argument("--peer-triples", type=int, default=2048)
    parser.add_argument("--torchkge-batch-size", type=int, default=16)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    arguments = benchmarks.parsed(parser)
    results = measured(arguments)
    for name, side in results["sides"].items():
        print(f"{name:9} {side.get('ranks_per_second', 0):11,.0f} ranks/s {side['peak_mb']:6} MB")
    print(f"kg over the bare product: {results['kg_over_bare_product']['of_medians']}")
    print(report.write(__file__, arguments.seed, variant=arguments.folder.name, **results))


if __name__ == "__main__":
    main()
