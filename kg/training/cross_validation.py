"""The same training on other splits, where one split holds too few facts out to judge a model by."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from kg.bundle import FORMAT, Bundle
from kg.evaluation.ranking import evaluate
from kg.graph.dataset import Dataset
from kg.graph.splitting import hold_out, twins
from kg.models.scorer import Scorer
from kg.progress import SILENT, Progress
from kg.training.run import Run
from kg.training.train import run_of, train

_FEW = 50  # valid facts: with fewer an MRR is known to a tenth, at best, and a sum of probabilities to a quarter
_SPLITS = 4


def of_other_splits(bundle: Bundle, progress: Progress = SILENT) -> list[tuple[Scorer, Dataset]]:
    """Where a model has fewer than 50 valid facts: what its run makes of four other splits of its train and valid
    facts, with the datasets of these. [] with more, or none, and of a model that began with others, since those saw its
    own split.

    They are trained for as many epochs as were best for the model, and choose none of their own. Its test facts are no
    part of that. progress is told what their MRR is.
    """
    dataset, found = bundle.dataset, []
    can_train = bundle.manifest["format"] == FORMAT  # with settings of an older one no training goes on
    if not can_train or not 0 < len(dataset.valid) < _FEW or run_of(bundle).algorithm.other_models:
        return []
    with TemporaryDirectory() as folder:
        for seed in range(1, _SPLITS + 1):
            progress.at(f"training on other splits: {len(dataset.valid)} valid facts are few", seed, _SPLITS)
            split = _split(dataset, seed)
            unchosen = replace(split, valid=split.valid[:0])
            trained = train(unchosen, _as_long(bundle), Path(folder) / str(seed), device=bundle.scorer.device)
            found.append((trained.scorer, split))
    ranks = [evaluate(scorer, split, "valid").metrics() for scorer, split in found if len(split.valid)]
    if ranks:
        held_out = sum(each.num_ranks for each in ranks)
        mrr = sum(each.mrr * each.num_ranks for each in ranks) / held_out
        times = f"{len(ranks)} times: MRR {mrr:.4f} of {held_out // 2}"
        progress.note(f"trained as long without others of its facts, {times}")
    return found


def _as_long(bundle: Bundle) -> Run:
    run = run_of(bundle)
    if not run.algorithm.is_iterative or run.algorithm.has_planned_steps:
        return run
    return replace(run, algorithm=run.algorithm.with_epochs(max(1, bundle.metrics["best_epoch"])))


def _split(dataset: Dataset, seed: int) -> Dataset:
    """With other facts of train and valid held out, as many, where they can be."""
    facts = torch.cat([dataset.train, dataset.valid])
    rows = facts.cpu().numpy()
    group = twins(rows, dataset.vocabulary, dataset.schema)
    shares = (len(dataset.valid) / len(facts), 0.0)
    is_valid = torch.from_numpy(hold_out(rows, group, dataset.num_entities, dataset.num_relations, shares, seed) == 1)
    return replace(dataset, train=facts[~is_valid], valid=facts[is_valid], index=None)
