"""TorchKGE's loop on ComplEx: a side of sampling_speed.py, in the peers' interpreter.

    python torchkge_sampling.py FACTS.npz DIM BATCH_SIZE SEED NUM_NEGATIVES

The loop is that of its documentation; torchkge.utils.Trainer is the same with one negative a fact. Its sampler draws
uniformly (all entities but the first), and its loss takes the positive score once for every negative.
"""

import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torchkge.models import ComplExModel
from torchkge.sampling import UniformNegativeSampler
from torchkge.utils import DataLoader, LogisticLoss
from torchkge_facts import knowledge_graph

sys.path.append(str(Path(__file__).parents[2] / "harness"))
from sides import peak_mb, serve

file, dim, batch_size, seed, num_negatives = sys.argv[1], *map(int, sys.argv[2:])
libraries_mb = round(peak_mb())
torch.manual_seed(seed)
graph = knowledge_graph(np.load(file), "train", filters=("train",))
model = ComplExModel(dim, graph.n_ent, graph.n_rel)
for parameter in model.parameters():
    torch.nn.init.normal_(parameter, std=0.1)
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1, fused=True)
criterion = LogisticLoss()
sampler = UniformNegativeSampler(graph, n_neg=num_negatives)
batches = DataLoader(graph, batch_size=batch_size)


def measure() -> dict[str, float]:
    began = time.perf_counter()
    for heads, tails, relations in batches:
        negative_heads, negative_tails = sampler.corrupt_batch(heads, tails, relations)
        optimizer.zero_grad()
        positive, negative = model(heads, tails, relations, negative_heads, negative_tails)
        criterion(positive, negative).backward()
        optimizer.step()
    model.normalize_parameters()
    speed = graph.n_facts / (time.perf_counter() - began)
    return {"queries_per_second": speed, "candidates_per_second": speed * (1 + num_negatives), "peak_mb": peak_mb()}


measure()
about = {"torchkge": version("torchkge"), "torch": version("torch"), "threads": torch.get_num_threads()}
serve({**about, "libraries_mb": libraries_mb}, measure)
