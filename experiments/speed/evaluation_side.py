"""A side of evaluation_speed.py in kg's own interpreter: the bare product, or evaluate().

python evaluation_side.py bare|kg FACTS.npz DIM BATCH_SIZE SEED
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from kg.evaluation.ranking import evaluate
from kg.graph.dataset import Dataset
from kg.graph.known import KnownAnswers
from kg.models.distmult import DistMult
from kg.models.scorer import Queries

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import facts
from sides import peak_mb, serve


def bare_product(scorer: DistMult, dataset: Dataset, batch_size: int) -> tuple[Callable[[], object], int]:
    """The product of every distinct question of test with the entity table, and how many questions these are."""
    questions = KnownAnswers.from_triples(dataset.test, dataset.num_relations).heads_and_relations()
    with torch.no_grad():
        vectors = scorer.encode(Queries(*questions, dataset.graph())).vector
    candidates = scorer.table.whole().detach().T
    scores = torch.empty(batch_size, dataset.num_entities)

    def product() -> None:
        for batch in vectors.split(batch_size):
            torch.mm(batch, candidates, out=scores[: len(batch)])

    return product, len(vectors)


def main() -> None:
    side, file, *numbers = sys.argv[1:]
    dim, batch_size, seed = map(int, numbers)
    libraries_mb = round(peak_mb())
    dataset = facts.load(file)
    torch.manual_seed(seed)
    scorer = DistMult(dataset.num_entities, dataset.num_relations, dim=dim)
    about: dict[str, float] = {"threads": torch.get_num_threads(), "libraries_mb": libraries_mb}
    task: Callable[[], object]
    if side == "bare":
        task, about["rows"] = bare_product(scorer, dataset, batch_size)
    else:
        task = partial(evaluate, scorer, dataset, "test", temperature=None, batch_size=batch_size)
        about["ranks"] = 2 * len(dataset.test)

    def measure() -> dict[str, float]:
        began = time.perf_counter()
        task()
        return {"seconds": time.perf_counter() - began, "peak_mb": peak_mb()}

    about["first_seconds"] = round(measure()["seconds"], 3)
    serve(about, measure)


if __name__ == "__main__":
    main()
