"""TorchKGE's LinkPredictionEvaluator over some test triples: a side of evaluation_speed.py, in the peers' interpreter.

    python torchkge_evaluation.py FACTS.npz NUM_TRIPLES DIM BATCH_SIZE SEED

It ranks both directions, raw and filtered at once. The scores of a batch come from a (batch, entities, dim) tensor, so
batches have to be small.
"""

import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torchkge.evaluation import LinkPredictionEvaluator
from torchkge.models import DistMultModel
from torchkge_facts import knowledge_graph

sys.path.append(str(Path(__file__).parents[2] / "harness"))
from sides import peak_mb, serve

file, num_triples, dim, batch_size, seed = sys.argv[1], *map(int, sys.argv[2:])
libraries_mb = round(peak_mb())
torch.manual_seed(seed)
facts = dict(np.load(file))
every = facts["test"]
facts["test"] = np.random.default_rng(seed).permutation(every)[:num_triples]
graph = knowledge_graph({**facts, "rest": every}, "test", filters=("train", "valid", "rest"))
model = DistMultModel(dim, graph.n_ent, graph.n_rel).eval()


def measure() -> dict[str, float]:
    began = time.perf_counter()
    with torch.no_grad():
        LinkPredictionEvaluator(model, graph).evaluate(b_size=batch_size, verbose=False)
    return {"seconds": time.perf_counter() - began, "peak_mb": peak_mb()}


about = {"torchkge": version("torchkge"), "torch": version("torch"), "threads": torch.get_num_threads()}
serve({**about, "libraries_mb": libraries_mb, "ranks": 2 * graph.n_facts, "batch_size": batch_size}, measure)
