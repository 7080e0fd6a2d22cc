"""OneVsAll training of ComplEx, against its bare products and against PyKEEN's LCWA loop.

    python experiments/speed/training_speed.py [FOLDER] [--peer-python .peers/bin/python] [--repetitions 10]

In turn, each in a process of its own: the three products of a step (scores, and the gradients of queries and table)
into buffers; kg in fp32; in bf16; PyKEEN's LCWATrainingLoop with cross-entropy and inverse triples. All with the
same facts (a random part of train, as many as make --steps), batch size, optimizer (Adagrad, fused) and scale of the
first weights, none with a regularizer. A query is one row of scores over all entities: for kg (head, relation) of a
fact or its inverse, for PyKEEN a distinct such pair. Results go to experiments/results/training_speed_<folder>.json.
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
from sides import in_turn, ratio, spread

HERE = Path(__file__).parent
FIGURE = "queries_per_second"


def measured(arguments: argparse.Namespace) -> dict[str, Any]:
    dataset = dataset_from_folder(arguments.folder)
    numbers = [str(number) for number in (arguments.dim, arguments.batch_size, arguments.seed)]
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "facts.npz"
        facts.save(dataset, file, arguments.batch_size * arguments.steps // 2, arguments.seed)
        commands = {
            name: (sys.executable, HERE / "training_side.py", name, file, *numbers) for name in ("bare", "fp32", "bf16")
        }
        commands["pykeen"] = (arguments.peer_python, HERE / "peers" / "pykeen_training.py", "lcwa", file, *numbers)
        taken = in_turn(commands, FIGURE, arguments.repetitions)
    return {
        "dataset": arguments.folder.name,
        "model": f"ComplEx, dim {arguments.dim} ({2 * arguments.dim} reals)",
        "optimizer": "Adagrad, fused",
        "batch_size": arguments.batch_size,
        "steps_a_sample": arguments.steps,
        "a_query_is": "one row of scores over all entities; in PyKEEN a distinct (head, relation)",
        "peak_mb_is": "of the side's whole process; libraries_mb is what it held once its libraries were loaded",
        "sides": {
            name: {**side.about, FIGURE: spread(side.all(FIGURE)), "peak_mb": side.peak_mb()}
            for name, side in taken.items()
        },
        "fp32_over_bare": ratio(taken["fp32"], taken["bare"], FIGURE),
        "fp32_over_pykeen": ratio(taken["fp32"], taken["pykeen"], FIGURE),
        "bf16_over_fp32": ratio(taken["bf16"], taken["fp32"], FIGURE),
        "pykeen_over_bare": ratio(taken["pykeen"], taken["bare"], FIGURE),
        "fp32_over_pykeen_in_peak_mb": round(taken["fp32"].peak_mb() / taken["pykeen"].peak_mb(), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    benchmarks.add(parser, "wn18rr")
    parser.add_argument("--peer-python", type=Path, default=benchmarks.ROOT / ".peers/bin/python")
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=12, help="steps a sample")
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments = benchmarks.parsed(parser)
    results = measured(arguments)
    for name in ("fp32_over_bare", "fp32_over_pykeen", "bf16_over_fp32"):
        print(f"{name}: {results[name]['of_medians']}")
    print("peak MB:", {name: side["peak_mb"] for name, side in results["sides"].items()})
    print(report.write(__file__, arguments.seed, variant=arguments.folder.name, **results))


if __name__ == "__main__":
    main()
