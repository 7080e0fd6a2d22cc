"""How well does a model answer on graphs that it was not trained on? MRR on test, by direction, beside what counts.

    python experiments/quality/zero_shot.py [--data $KG_DATA] [--on umls nations ...]

`--model pretrained` as the package carries it, with nothing trained; beside it frequency and naive Bayes, which count
the facts of each graph, and the same by strata of half-links: questions whose head is known to have had such a tail,
and the others. All test facts, both directions, all entities as candidates, ties half.
Results: zero_shot.json.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from kg.evaluation import ranking
from kg.graph.dataset import Dataset
from kg.graph.sources import open_dataset
from kg.training.recipes import default_run
from kg.training.train import train

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import report

GRAPHS = ("umls", "nations", "codex-s", "ilpc/small-ind", "grail/fb237-v1-ind", "grail/wn18rr-v1-ind")
MODELS = ("pretrained", "naive_bayes", "frequency")


def measured(dataset: Dataset, model: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        bundle = train(dataset, default_run(model)(dataset), Path(folder) / model)
        began = time.process_time()
        ranks = ranking.evaluate(bundle.scorer, dataset, "test")
        seconds = time.process_time() - began
    found = ranks.metrics()
    has = dataset.known("train").counts(ranks.head, ranks.relation) > 0
    reciprocal = 1 / ranks.rank.double()
    strata = {
        name: {"questions": int(part.sum()), "mrr": float(reciprocal[part].mean()) if bool(part.any()) else None}
        for name, part in (("half-link known", has), ("not known", ~has))
    }
    sides = {name: figures.mrr for name, figures in found.by_side.items()}
    return {"mrr": found.mrr, "hits_at_10": found.hits_at_10, **sides, "strata": strata, "cpu_seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("KG_DATA", "data")))
    parser.add_argument("--on", nargs="+", default=list(GRAPHS))
    given = parser.parse_args()
    torch.set_num_threads(1)
    graphs = {}
    for name in given.on:
        dataset = open_dataset(given.data / name)
        graphs[name] = {model: measured(dataset, model) for model in MODELS}
        told = "  ".join(f"{model} {each['mrr']:.3f}" for model, each in graphs[name].items())
        print(f"{name}: {told}", flush=True)
    print(report.write(__file__, seed=0, graphs=graphs))


if __name__ == "__main__":
    main()
