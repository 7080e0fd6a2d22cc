"""model.test() of torch_geometric.nn.kge over some test triples: a side of evaluation_speed.py, for the peers' python.

    python pyg_evaluation.py FACTS.npz NUM_TRIPLES DIM BATCH_SIZE SEED

It ranks tails only and filters nothing: one rank a fact. A batch is of candidates: all entities at once, up to 20,000
as in its own example; so BATCH_SIZE, which counts questions, has no say.
"""

import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch_geometric.nn.kge import DistMult

sys.path.append(str(Path(__file__).parents[2] / "harness"))
from sides import peak_mb, serve

CANDIDATES = 20_000  # scored at once

file, num_triples, dim, _, seed = sys.argv[1], *map(int, sys.argv[2:])
libraries_mb = round(peak_mb())
torch.manual_seed(seed)
facts = np.load(file)
chosen = np.random.default_rng(seed).permutation(facts["test"])[:num_triples]
heads, relations, tails = torch.from_numpy(chosen).unbind(1)
model = DistMult(int(facts["num_entities"]), int(facts["num_relations"]), dim).eval()


def measure() -> dict[str, float]:
    began = time.perf_counter()
    model.test(heads, relations, tails, batch_size=CANDIDATES, log=False)
    return {"seconds": time.perf_counter() - began, "peak_mb": peak_mb()}


serve(
    {
        "torch_geometric": version("torch_geometric"),
        "torch": version("torch"),
        "threads": torch.get_num_threads(),
        "libraries_mb": libraries_mb,
        "ranks": len(chosen),
        "ranks_are": "tails, unfiltered",
    },
    measure,
)
