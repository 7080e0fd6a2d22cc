"""PyKEEN's RankBasedEvaluator over some test triples: a side of evaluation_speed.py, in the peers' interpreter.

python pykeen_evaluation.py FACTS.npz NUM_TRIPLES DIM BATCH_SIZE SEED
"""

import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from pykeen.evaluation import RankBasedEvaluator
from pykeen.models import DistMult
from pykeen.triples import CoreTriplesFactory

sys.path.append(str(Path(__file__).parents[2] / "harness"))
from sides import peak_mb, serve

file, num_triples, dim, batch_size, seed = sys.argv[1], *map(int, sys.argv[2:])
libraries_mb = round(peak_mb())
facts = np.load(file)
train, valid, test = (torch.from_numpy(facts[name]) for name in ("train", "valid", "test"))
factory = CoreTriplesFactory.create(train, int(facts["num_entities"]), int(facts["num_relations"]))
model = DistMult(triples_factory=factory, embedding_dim=dim, random_seed=seed).eval()
chosen = test[torch.randperm(len(test), generator=torch.Generator().manual_seed(seed))[:num_triples]]


def measure() -> dict[str, float]:
    began = time.perf_counter()
    RankBasedEvaluator().evaluate(
        model, chosen, batch_size=batch_size, additional_filter_triples=[train, valid], use_tqdm=False
    )
    return {"seconds": time.perf_counter() - began, "peak_mb": peak_mb()}


about = {"pykeen": version("pykeen"), "torch": version("torch"), "threads": torch.get_num_threads()}
serve({**about, "libraries_mb": libraries_mb, "ranks": 2 * len(chosen), "batch_size": batch_size}, measure)
