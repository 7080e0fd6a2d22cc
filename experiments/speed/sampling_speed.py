"""Training ComplEx against sampled negatives: kg beside PyKEEN, TorchKGE and PyTorch Geometric.

    python experiments/speed/sampling_speed.py [FOLDER] [--negatives 64] [--peer-python .peers/bin/python]

A query is a fact asked in one direction: its own answer and --negatives wrong ones are scored. In turn, each in a
process of its own, with the same facts (a random part of train), batch size, number of negatives, logistic loss,
optimizer (dense Adagrad, fused) and scale of the first weights:

own       kg's NegativeSampling, negatives of its own for each query, as the peers draw them
pool      kg's NegativeSampling, one pool of as many negatives for the whole batch (kg's default)
pykeen    SLCWATrainingLoop with its BasicNegativeSampler
torchkge  DataLoader, UniformNegativeSampler and LogisticLoss in the loop of its documentation
pyg       KGTripletLoader, random_sample() and the loss of torch_geometric.nn.kge; its own loss() takes one negative a
          fact, so for more, random_sample() is given the facts as often

kg asks each fact in both directions, the peers change the head of half of them and the tail of the others: an epoch
has half as many queries there, and a query is the same. Results go to experiments/results/sampling_speed_<folder>.json.
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
PEERS = ("pykeen", "torchkge", "pyg")


def measured(arguments: argparse.Namespace) -> dict[str, Any]:
    dataset = dataset_from_folder(arguments.folder)
    settings = (arguments.dim, arguments.batch_size, arguments.seed, arguments.negatives)
    numbers = [str(number) for number in settings]
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "facts.npz"
        facts.save(dataset, file, arguments.batch_size * arguments.steps, arguments.seed)
        peers = HERE / "peers"
        commands = {
            **{name: (sys.executable, HERE / "training_side.py", name, file, *numbers) for name in ("own", "pool")},
            "pykeen": (arguments.peer_python, peers / "pykeen_training.py", "slcwa", file, *numbers),
            "torchkge": (arguments.peer_python, peers / "torchkge_sampling.py", file, *numbers),
            "pyg": (arguments.peer_python, peers / "pyg_sampling.py", file, *numbers),
        }
        taken = in_turn(commands, FIGURE, arguments.repetitions)
    return {
        "dataset": arguments.folder.name,
        "model": f"ComplEx, dim {arguments.dim} ({2 * arguments.dim} reals)",
        "optimizer": "Adagrad, fused",
        "loss": "logistic",
        "batch_size": arguments.batch_size,
        "negatives": arguments.negatives,
        "steps_a_sample": arguments.steps,
        "a_query_is": "a fact asked in one direction; its candidates are its answer and the negatives",
        "peak_mb_is": "of the side's whole process; libraries_mb is what it held once its libraries were loaded",
        "sides": {
            name: {
                **side.about,
                FIGURE: spread(side.all(FIGURE)),
                "candidates_per_second": round(side.median("candidates_per_second")),
                "peak_mb": side.peak_mb(),
            }
            for name, side in taken.items()
        },
        **{
            f"{ours}_over_{peer}": ratio(taken[ours], taken[peer], FIGURE) for ours in ("own", "pool") for peer in PEERS
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    benchmarks.add(parser, "wn18rr")
    parser.add_argument("--peer-python", type=Path, default=benchmarks.ROOT / ".peers/bin/python")
    parser.add_argument("--negatives", type=int, default=64)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=12, help="steps a sample of a peer; kg takes two for each")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    arguments = benchmarks.parsed(parser)
    results = measured(arguments)
    for name, side in results["sides"].items():
        speeds = f"{side[FIGURE]['median']:11,.0f} queries/s {side['candidates_per_second']:13,} candidates/s"
        print(f"{name:9} {speeds} {side['peak_mb']:6} MB")
    print(report.write(__file__, arguments.seed, variant=arguments.folder.name, **results))


if __name__ == "__main__":
    main()
