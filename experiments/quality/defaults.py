"""What the defaults of each model reach, by seeds: the training of `kg train FOLDER OUT --model NAME`, no other flag.

    python experiments/quality/defaults.py [FOLDER] [--models complex rescal ...] [--seeds 5] [--out out/defaults]

Every model is trained with seeds 0, 1 ...; the mean over them on valid is what defaults are chosen by, and test is
looked at when all are there. Models stay in --out, one a seed: stopped, the same command goes on. Results go to
experiments/results/defaults_<folder>.json; seconds are those of the training alone.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from kg import bundle as bundles
from kg.bundle import Bundle
from kg.evaluation.ranking import evaluate
from kg.graph.dataset import Dataset
from kg.graph.sources import open_dataset
from kg.training.recipes import default_run
from kg.training.train import resume, train

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import benchmarks
import report

MODELS = (
    *("complex", "rescal", "distmult", "transe", "cp", "simple", "hole", "tucker", "rotate", "conve"),
    *("er_mlp", "ntn", "se", "rgcn", "compgcn", "neighbourhood"),
)
FIGURES = ("mrr", "hits_at_1", "hits_at_10", "mean_rank", "amri")


def trained(dataset: Dataset, model: str, seed: int, folder: Path) -> Bundle:
    if not bundles.exists(folder):
        return train(dataset, replace(default_run(model)(dataset), seed=seed), folder)
    found = Bundle.load(folder)
    return found if found.metrics["finished"] else resume(folder)


def row(found: list[Bundle], dataset: Dataset) -> dict[str, Any]:
    """Of one model: by seed, and the mean and the standard deviation over seeds."""
    tests = [evaluate(each.scorer, dataset, "test", temperature=each.temperature).metrics() for each in found]
    figures = {name: [round(getattr(test, name), 4) for test in tests] for name in FIGURES}
    valid = [round(each.metrics["valid"]["mrr"], 4) for each in found]
    return {
        "mrr": round(mean(figures["mrr"]), 4),
        "mrr_deviation": round(stdev(figures["mrr"]), 4) if len(found) > 1 else None,
        "hits_at_10": round(mean(figures["hits_at_10"]), 4),
        "valid_mrr": round(mean(valid), 4),
        "seconds": round(mean(each.metrics["history"][-1]["seconds"] for each in found), 1),
        "epochs": [each.metrics["epochs"] for each in found],
        "by_seed": {"valid_mrr": valid, **figures},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    benchmarks.add(parser, "umls")
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("out/defaults"))
    arguments = benchmarks.parsed(parser)
    torch.set_num_threads(1)
    dataset, found = open_dataset(arguments.folder), {}
    for model in arguments.models:
        seeds = range(arguments.seeds)
        out = arguments.out / arguments.folder.name
        found[model] = [trained(dataset, model, seed, out / f"{model}-{seed}") for seed in seeds]
        valid = [each.metrics["valid"]["mrr"] for each in found[model]]
        print(f"{model:14} valid MRR {mean(valid):.4f}  {' '.join(f'{each:.4f}' for each in valid)}", flush=True)
    rows = {model: row(bundles_, dataset) for model, bundles_ in found.items()}
    for model, each in rows.items():
        print(f"{model:14} test MRR {each['mrr']:.4f} ± {each['mrr_deviation'] or 0:.4f}", flush=True)
    print(report.write(__file__, 0, variant=arguments.folder.name, seeds=arguments.seeds, models=rows))


if __name__ == "__main__":
    main()
