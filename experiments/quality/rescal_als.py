"""RESCAL-ALS on whole tensors, as Nickel, Tresp and Kriegel (2011) measured it: area under the precision-recall curve.

All N x N x R entries of the tensor (train, valid and test facts are its ones) fall at random into ten folds. Each fold
in turn is set to 0, RESCAL is fitted to all entries, and the average precision of the fold's own entries is taken.
Rank and ridge weight are chosen anew in each turn on a tenth of the other nine folds, set to 0 as well; then that
tenth is given back. `per_pair`: the scores of each pair of entities are first divided by their norm over the
relations, as the authors' own example program does.

Published are .84 on nations and .98 on umls (figures that were not read in the paper itself). Their nations
held attributes of the countries too, ours has 55 relations between countries and no attribute: the two figures are not
of the same data. And their program rounds the scores and joins the curve's points by lines, ours takes its steps.

Results go to experiments/results/rescal_als.json.

    python experiments/quality/rescal_als.py [--datasets nations umls] [--seed 0]
"""

import argparse
import sys
import time
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from torch import Tensor

from kg.evaluation.average_precision import average_precision
from kg.graph.dataset import Dataset
from kg.graph.from_folder import dataset_from_folder
from kg.models.rescal import RESCAL
from kg.training.algorithms.als import ALS
from kg.training.run import Run

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import benchmarks
import report

RANKS = {"nations": (2, 5, 10, 14), "umls": (20, 60, 100)}
RIDGES = (0.1, 0.3, 1.0, 3.0, 10.0)
PUBLISHED = {"nations": 0.84, "umls": 0.98}
FOLDS, SWEEPS = 10, 20


def per_pair(scores: Tensor) -> Tensor:
    """(R, N, N), each pair's scores divided by their norm over the relations."""
    return scores / scores.norm(dim=0, keepdim=True).clamp(min=1e-12)


MEASURES = {"plain": lambda scores: scores, "per_pair": per_pair}


def completed(dataset: Dataset, kept: Tensor, rank: int, ridge: float, seed: int) -> Tensor:
    """RESCAL's tensor (R, N, N), fitted to the facts that are kept."""
    run = Run(partial(RESCAL, dim=rank, tied=True), ALS(ridge, ridge, epochs=SWEEPS), seed=seed)
    fit = run.trainer(replace(dataset, train=kept))
    for _ in fit:
        pass
    vectors, matrices = fit.scorer.table.whole().detach(), fit.scorer.weights.kept().detach()
    return vectors @ matrices @ vectors.T


def precisions(
    dataset: Dataset, truth: Tensor, hidden: Tensor, held_out: Tensor, rank: int, ridge: float, seed: int
) -> dict[str, float]:
    """The average precision of the entries held out, these and the hidden ones set to 0."""
    kept = (truth & ~hidden & ~held_out).nonzero()[:, [1, 0, 2]]  # (R, N, N) -> head, relation, tail
    scores = completed(dataset, kept, rank, ridge, seed)
    return {name: average_precision(measure(scores)[held_out], truth[held_out]) for name, measure in MEASURES.items()}


def fold_results(dataset: Dataset, name: str, truth: Tensor, fold: Tensor, turn: int, seed: int) -> dict[str, Any]:
    test = fold == turn
    generator = torch.Generator().manual_seed(seed * FOLDS + turn)
    chosen_on = ~test & (torch.rand(truth.shape, generator=generator) < 1 / FOLDS)
    grid = list(product(RANKS[name], RIDGES))
    tried = [precisions(dataset, truth, test, chosen_on, *setting, seed) for setting in grid]
    results: dict[str, Any] = {}
    for measure in MEASURES:
        best = max(range(len(grid)), key=lambda i: tried[i][measure])
        found = precisions(dataset, truth, torch.zeros_like(test), test, *grid[best], seed)
        results[measure] = {
            "rank": grid[best][0],
            "ridge": grid[best][1],
            "on_training_part": round(tried[best][measure], 4),
            "test": round(found[measure], 4),
        }
    return results


def measured(name: str, folder: Path, seed: int) -> dict[str, Any]:
    dataset = dataset_from_folder(folder)
    facts = torch.cat([dataset.train, dataset.valid, dataset.test])
    truth = torch.zeros(dataset.num_relations, dataset.num_entities, dataset.num_entities, dtype=torch.bool)
    head, relation, tail = facts.unbind(1)
    truth[relation, head, tail] = True
    order = torch.randperm(truth.numel(), generator=torch.Generator().manual_seed(seed))
    fold = torch.empty_like(order)
    fold[order] = torch.arange(len(order)) % FOLDS
    began = time.process_time()
    turns = [fold_results(dataset, name, truth, fold.view(truth.shape), turn, seed) for turn in range(FOLDS)]
    summary: dict[str, Any] = {"published": PUBLISHED[name], "base_rate": round(truth.float().mean().item(), 4)}
    for measure in MEASURES:
        found = [turn[measure]["test"] for turn in turns]
        summary[measure] = {"mean": round(mean(found), 4), "deviation": round(stdev(found), 4)}
        print(f"{name} {measure}: {mean(found):.4f} +- {stdev(found):.4f}, published {PUBLISHED[name]}", flush=True)
    shape = {"entities": dataset.num_entities, "relations": dataset.num_relations, "facts": int(truth.sum())}
    return {**shape, **summary, "cpu_seconds": round(time.process_time() - began, 1), "folds": turns}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", nargs="+", choices=list(PUBLISHED), default=list(PUBLISHED))
    benchmarks.add_data(parser)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    folders = {name: benchmarks.folder(name, arguments.data) for name in arguments.datasets}
    torch.set_num_threads(1)  # the matrices are small: a second thread would only wait
    results = {name: measured(name, folders[name], arguments.seed) for name in arguments.datasets}
    grid = {"ranks": RANKS, "ridges": RIDGES, "sweeps": SWEEPS, "folds": FOLDS}
    print(report.write(__file__, arguments.seed, grid=grid, datasets=results))


if __name__ == "__main__":
    main()
