"""Answers for entities that training knew nothing of: the protocol of GraIL (Teru, Denis and Hamilton, 2020).

    kg train $KG_DATA/grail/fb237-v1 models/fb237-v1-naive_bayes --model naive_bayes
    python experiments/quality/inductive.py models/fb237-v1-naive_bayes [MODEL ...] [--seed 0] [--test]

Each model was trained on the facts of one folder; it is asked for those of the folder beside it, FOLDER-ind, that has
the same relations and no entity in common. It sees the train facts of FOLDER-ind, and is asked for its valid facts and,
with --test, its test facts, both directions; candidates are the entities of FOLDER-ind alone:

    sampled   the true answer against 50 candidates drawn at random, mean and standard deviation of 5 draws; where a
              question has fewer, against all it has: how many such questions there are is said
    filtered  the true answer against all of them

No known answer is ever a rival (those of test are known where test is asked for). `valid` is the same of the valid
facts of the folder that the model was trained on, where it has some; `inductive_valid` and `inductive` are those of
FOLDER-ind. Settings are chosen without --test; with it, results go to experiments/results/inductive_<model>.json.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from torch import Tensor

from kg.bundle import Bundle
from kg.evaluation.ranking import Ranking, ranks
from kg.evaluation.sampled_ranking import sampled_ranks
from kg.graph.dataset import Dataset
from kg.graph.from_folder import dataset_from_folder
from kg.graph.graph import Graph, with_inverses
from kg.graph.known import KnownAnswers
from kg.models.scorer import Queries, Scorer

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import report

NEGATIVES = 50
DRAWS = 5
BATCH = 128
FIGURES = ("mrr", "hits_at_1", "hits_at_3", "hits_at_10")


@dataclass(frozen=True, eq=False)
class Task:
    """Facts to ask for, the graph to answer from, what is known to be true, and who may answer."""

    asked: Tensor  # (T, 3)
    graph: Graph
    known: KnownAnswers
    candidates: slice


def transductive(dataset: Dataset) -> Task:
    """The valid facts of the training folder."""
    everyone = slice(0, dataset.num_entities)
    return Task(dataset.valid, dataset.graph(), dataset.known("train", "valid"), everyone)


def inductive(trained: Dataset, unseen: Dataset) -> tuple[dict[str, Task], dict[str, int]]:
    """The valid and the test facts of `unseen`, its entities numbered after those of `trained`; counts of what was met.

    Facts of relations that `trained` has no training fact of cannot be asked: they are left out, and counted.
    """
    names = trained.vocabulary.extended(unseen.vocabulary.entities)
    first, last = trained.num_entities, len(names.entities)
    if last - first != unseen.num_entities:
        raise SystemExit(f"{unseen.source} has entities that {trained.source} has, too")
    taught = set(trained.train[:, 1].tolist())
    relation_ids = [names.relation_ids.get(term, -1) for term in unseen.vocabulary.relations]
    relations = torch.tensor([i if i in taught else -1 for i in relation_ids])
    entities = torch.tensor([names.entity_ids[term] for term in unseen.vocabulary.entities])
    parts, left_out = {}, 0
    for name in ("train", "valid", "test"):
        head, relation, tail = unseen.part(name).unbind(1)
        facts = torch.stack([entities[head], relations[relation], entities[tail]], 1)
        parts[name] = facts[facts[:, 1] >= 0]
        left_out += len(facts) - len(parts[name])
    graph = Graph.from_triples(parts["train"], last, trained.num_relations)
    known = {
        "valid": KnownAnswers.from_triples(torch.cat([parts["train"], parts["valid"]]), trained.num_relations),
        "test": KnownAnswers.from_triples(torch.cat(list(parts.values())), trained.num_relations),
    }
    counts = {
        "entities": last - first,
        "relations": unseen.num_relations,
        "relations_unknown": int((relations < 0).sum()),
        "facts_left_out": left_out,
        "facts_seen": len(parts["train"]),
        "facts_asked": len(parts["test"]),
    }
    asked = {"inductive_valid": "valid", "inductive": "test"}
    return {name: Task(parts[part], graph, known[part], slice(first, last)) for name, part in asked.items()}, counts


@torch.no_grad()
def measured(scorer: Scorer, task: Task, seed: int) -> dict[str, Any]:
    """Figures of both kinds. All ranks of a question are read from one row of scores."""
    hidden = task.graph.hide(task.asked)
    assert hidden.num_edges == task.graph.num_edges, "the graph holds facts that are asked for"
    if not scorer.is_finite():
        raise SystemExit("the model's parameters are not finite")
    head, relation, tail = with_inverses(task.asked, task.graph.num_relations).unbind(1)
    questions = Queries(head, relation, task.graph)
    parts = [scorer.score_tails(questions[i : i + BATCH], task.candidates) for i in range(0, len(head), BATCH)]
    scores = torch.cat(parts).float()
    row, answer = task.known.lookup(head, relation)
    first = task.candidates.start
    place, known = tail - first, torch.stack([row, answer - first])
    generator = torch.Generator().manual_seed(seed)

    def figures(rank: Tensor, candidates: Tensor) -> dict[str, float]:
        ranking = Ranking(head, relation, tail, rank, candidates, rank[:0], task.graph.num_relations)
        return {name: getattr(ranking.metrics(), name) for name in FIGURES}

    draws = [sampled_ranks(scores, place, known, NEGATIVES, generator) for _ in range(DRAWS)]
    drawn = [figures(rank, few) for rank, few in draws]
    many = scores.shape[1] + 1 - torch.bincount(row, minlength=len(head))
    filtered = figures(ranks(scores, place[:, None], known)[:, 0], many)
    return {
        "questions": len(head),
        "fewer_negatives": int((many <= NEGATIVES).sum()),
        "sampled": {name: round(mean(one[name] for one in drawn), 4) for name in FIGURES},
        "sampled_deviation": {name: round(stdev(one[name] for one in drawn), 4) for name in FIGURES},
        "filtered": {name: round(value, 4) for name, value in filtered.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--test", action="store_true", help="once, at the end")
    arguments = parser.parse_args()
    for model in arguments.models:
        bundle = Bundle.load(model)
        unseen = dataset_from_folder(f"{bundle.dataset.source}-ind")
        tasks, counts = inductive(bundle.dataset, unseen)
        if len(bundle.dataset.valid):
            tasks = {"valid": transductive(bundle.dataset), **tasks}
        if not arguments.test:
            del tasks["inductive"]
        found = {}
        for name, task in tasks.items():
            found[name] = measured(bundle.scorer, task, arguments.seed)
            print(f"{model.name} {name}: {found[name]}", flush=True)
        if not arguments.test:
            continue
        told = report.write(
            __file__,
            arguments.seed,
            variant=model.name,
            dataset=Path(unseen.source).name,
            run=bundle.run,
            **counts,
            negatives=NEGATIVES,
            draws=DRAWS,
            **found,
        )
        print(told)


if __name__ == "__main__":
    main()
