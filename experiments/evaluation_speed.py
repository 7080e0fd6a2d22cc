"""Filtered test ranking, against the bare matrix product over the same questions and against PyKEEN's evaluator.

    python experiments/evaluation_speed.py [FOLDER] [--peer-python .peers/bin/python] [--repetitions 15]

DistMult of random weights: time does not depend on them. In turn: the product of all distinct test questions with the
entity table, batch by batch into one buffer; kg's evaluate() of the whole test part; and, every fifth time, PyKEEN's
RankBasedEvaluator (filtered by train and valid too) on a random part of the test triples, for it takes minutes on all.
Results go to experiments/evaluation_speed.json.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import report
import torch
from sides import Side, spread

from kg.evaluation.ranking import Ranking, evaluate
from kg.graph.dataset import PARTS, Dataset
from kg.graph.known import KnownAnswers
from kg.models.distmult import DistMult
from kg.models.scorer import Queries

ROOT = Path(__file__).parents[1]
PEER = Path(__file__).parent / "peers" / "pykeen_evaluation.py"
PEER_EVERY = 5  # repetitions


def seconds(task: Callable[[], object]) -> float:
    began = time.perf_counter()
    task()
    return time.perf_counter() - began


def bare_product(scorer: DistMult, dataset: Dataset, batch_size: int) -> tuple[Callable[[], None], int]:
    """The product of every distinct question of test with the entity table, and how many questions these are."""
    questions = KnownAnswers.from_triples(dataset.test, dataset.num_relations).heads_and_relations()
    with torch.no_grad():
        vectors = scorer.encode(Queries(*questions, dataset.graph())).vector
    candidates = scorer.table.weight.detach().T
    scores = torch.empty(batch_size, dataset.num_entities)

    def product() -> None:
        for batch in vectors.split(batch_size):
            torch.mm(batch, candidates, out=scores[: len(batch)])

    return product, len(vectors)


def save_facts(dataset: Dataset, file: Path) -> None:
    parts = {name: dataset.part(name).numpy() for name in PARTS}
    np.savez(file, num_entities=dataset.num_entities, num_relations=dataset.num_relations, **parts)


def measured(arguments: argparse.Namespace) -> dict[str, Any]:
    dataset = Dataset.from_folder(arguments.folder)
    torch.manual_seed(arguments.seed)
    scorer = DistMult(dataset.num_entities, dataset.num_relations, dim=arguments.dim)

    def ranking() -> Ranking:
        return evaluate(scorer, dataset, "test", temperature=None, batch_size=arguments.batch_size)

    first = seconds(ranking)  # sorts the facts too
    product, rows = bare_product(scorer, dataset, arguments.batch_size)
    ranks = len(ranking().rank)
    bare: list[float] = []
    ours: list[float] = []
    theirs: list[float] = []
    peer_ranks = 2 * min(arguments.peer_triples, len(dataset.test))
    with tempfile.TemporaryDirectory() as temporary:
        save_facts(dataset, facts := Path(temporary) / "facts.npz")
        numbers = (peer_ranks // 2, arguments.dim, arguments.batch_size, arguments.seed)
        with Side(arguments.peer_python, PEER, str(facts), *map(str, numbers)) as peer:
            for repetition in range(arguments.repetitions):
                bare.append(seconds(product))
                ours.append(seconds(ranking))
                if repetition % PEER_EVERY == 0:
                    theirs.append(peer.measure()["seconds"])
                print(f"bare {bare[-1]:.3f} s, kg {ours[-1]:.3f} s, PyKEEN {theirs[-1]:.1f} s (last)", flush=True)
    ours_per_second, theirs_per_second = ranks / median(ours), peer_ranks / median(theirs)
    return {
        "dataset": Path(arguments.folder).name,
        "model": f"DistMult, dim {arguments.dim}, fp32",
        "batch_size": arguments.batch_size,
        "threads": torch.get_num_threads(),
        "ranks": ranks,
        "rows": rows,
        "bare_product": {"seconds": spread(bare), "rows_per_second": round(rows / median(bare))},
        "kg": {
            "first_seconds": round(first, 3),
            "first_seconds_are": "evaluate() of a fresh Dataset: it also sorts the known answers and the graph, once",
            "seconds": spread(ours),
            "rows_per_second": round(rows / median(ours)),
            "ranks_per_second": round(ours_per_second),
        },
        "pykeen": {
            **peer.about,
            "ranks": peer_ranks,
            "of": "a random part of the same test triples",
            "seconds": spread(theirs),
            "ranks_per_second": round(theirs_per_second, 1),
        },
        "kg_over_pykeen_in_ranks_per_second": round(ours_per_second / theirs_per_second, 1),
        "kg_over_bare_product": round(median(bare) / median(ours), 3),
        "kg_over_bare_product_pair_by_pair": round(median(b / k for b, k in zip(bare, ours, strict=True)), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "../shared/datasets/fb15k-237")
    parser.add_argument("--peer-python", type=Path, default=ROOT / ".peers/bin/python")
    parser.add_argument("--peer-triples", type=int, default=2048)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    results = measured(arguments)
    print(f"kg: {results['kg']['ranks_per_second']:,} ranks/s, {results['kg']['rows_per_second']:,} rows/s")
    print(f"{results['kg_over_pykeen_in_ranks_per_second']} x PyKEEN, {results['kg_over_bare_product']} of the product")
    print(report.write(__file__, arguments.seed, **results))


if __name__ == "__main__":
    main()
