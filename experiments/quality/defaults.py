"""What `kg train FOLDER OUT --model NAME` reaches with no other flag.

Each model is trained by the command itself, in a process of its own, then measured on test by `kg evaluate`.
Results go to experiments/results/defaults_<folder>.json.

    python experiments/quality/defaults.py [FOLDER] [--models complex rescal transe distmult] [--seed 0]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import benchmarks
import report

FIGURES = ("mrr", "hits_at_1", "hits_at_10", "mean_rank", "amri", "perplexity", "num_ranks")


def kg(*arguments: str) -> dict[str, Any]:
    """What a command prints with --json."""
    command = [sys.executable, "-m", "kg", *arguments, "--json"]
    answer: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return answer


def measured(folder: Path, model: str, seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as out:
        began = time.perf_counter()
        trained = kg("train", str(folder), f"{out}/model", "--model", model, "--seed", str(seed))
        seconds = time.perf_counter() - began
        test = kg("evaluate", f"{out}/model")
    row = {"seconds": round(seconds, 1), "epochs": trained["epochs"], "valid_mrr": round(trained["valid"]["mrr"], 4)}
    return row | {name: round(test[name], 4) for name in FIGURES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    benchmarks.add(parser, "umls")
    parser.add_argument("--models", nargs="+", default=["complex", "rescal", "distmult", "transe"])
    parser.add_argument("--seed", type=int, default=0)
    arguments = benchmarks.parsed(parser)
    rows = {}
    for model in arguments.models:
        rows[model] = row = measured(arguments.folder, model, arguments.seed)
        print(f"{model:10} test MRR {row['mrr']:.4f}  {row['seconds']:.0f} s", flush=True)
    print(report.write(__file__, arguments.seed, variant=arguments.folder.name, models=rows))


if __name__ == "__main__":
    main()
