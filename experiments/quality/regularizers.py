"""What L1, L2 and the nuclear 3-norm each do for ComplEx: the same training, several weights of each norm.

    python experiments/quality/regularizers.py [FOLDER] [--dim 128] [--epochs 40] [--seeds 3]

All are weighed by how often a parameter stands in a batch, as `kg.training.regularizers` does. A norm's weight is that
with the best MRR on valid, the mean of the seeds; test is measured for that one alone, and for no penalty.
Results go to experiments/results/regularizers_<folder>.json.
"""

import argparse
import sys
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from torch.optim import Adagrad

from kg.evaluation.ranking import evaluate
from kg.graph.dataset import Dataset
from kg.graph.from_folder import dataset_from_folder
from kg.models.complex import ComplEx
from kg.training.algorithm import Trainer
from kg.training.gradient_descent import GradientDescent
from kg.training.objectives import OneVsAll
from kg.training.regularizers import REGULARIZERS
from kg.training.run import Run

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import benchmarks
import report

WEIGHTS = {  # in steps of a factor of about 3, round what each norm's size asks for
    "l1": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
    "f2": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2),
    "n3": (1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
}


def trained(dataset: Dataset, norm: str | None, weight: float, arguments: argparse.Namespace, seed: int) -> Trainer:
    """The fit after its last epoch, its best weights in the scorer."""
    run = Run(
        partial(ComplEx, dim=arguments.dim, init=0.001),
        GradientDescent(
            partial(Adagrad, lr=0.1),
            OneVsAll(max_answers=8),
            REGULARIZERS[norm](weight) if norm else None,
            batch_size=256,
            epochs=arguments.epochs,
        ),
        seed=seed,
    )
    fit = run.trainer(dataset)
    for epoch in fit:
        if epoch.number % run.valid_every == 0:
            fit.report(mrr(fit, dataset, "valid"))
    fit.scorer.load_state_dict(fit.best_weights())
    return fit


def mrr(fit: Trainer, dataset: Dataset, part: str) -> float:
    return evaluate(fit.scorer, dataset, part, temperature=None).metrics().mrr


def compared(dataset: Dataset, norm: str | None, arguments: argparse.Namespace) -> dict[str, Any]:
    """Valid MRR of each weight, and test MRR of the best of them."""
    valid: dict[float, list[float]] = {}
    test: dict[float, list[float]] = {}
    for weight in WEIGHTS[norm] if norm else (0.0,):
        fits = [trained(dataset, norm, weight, arguments, seed) for seed in range(arguments.seeds)]
        valid[weight] = [fit.best_mrr or 0.0 for fit in fits]
        print(f"{norm or 'none':5} {weight:<8g} valid MRR {mean(valid[weight]):.4f}", flush=True)
        if weight == max(valid, key=lambda one: mean(valid[one])):
            test = {weight: [mrr(fit, dataset, "test") for fit in fits]}
    ((best, figures),) = test.items()
    return {
        "valid_mrr": {f"{weight:g}": [round(x, 4) for x in values] for weight, values in valid.items()},
        "weight": best,
        "test_mrr": round(mean(figures), 4),
        "test_mrr_of_seeds": [round(x, 4) for x in figures],
        "standard_deviation": round(stdev(figures), 4) if len(figures) > 1 else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    benchmarks.add(parser, "umls")
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = benchmarks.parsed(parser)
    torch.set_num_threads(1)
    dataset = dataset_from_folder(arguments.folder)
    rows = {norm or "none": compared(dataset, norm, arguments) for norm in (None, *WEIGHTS)}
    for norm, row in rows.items():
        print(f"{norm:5} weight {row['weight']:<8g} test MRR {row['test_mrr']:.4f}")
    settings = {"dim": arguments.dim, "epochs": arguments.epochs, "seeds": arguments.seeds}
    print(report.write(__file__, 0, variant=arguments.folder.name, settings=settings, norms=rows))


if __name__ == "__main__":
    main()
