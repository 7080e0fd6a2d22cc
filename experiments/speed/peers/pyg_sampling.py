"""torch_geometric.nn.kge's loop on ComplEx: a side of sampling_speed.py, in the peers' interpreter.

    python pyg_sampling.py FACTS.npz DIM BATCH_SIZE SEED NUM_NEGATIVES

model.loss() scores each fact and one negative of it. For more negatives the same is done by hand: random_sample() of
the facts as often, one binary cross-entropy over all scores; so each positive is scored once, not once a negative.
"""

import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from torch_geometric.nn.kge import ComplEx

sys.path.append(str(Path(__file__).parents[2] / "harness"))
from sides import peak_mb, serve

file, dim, batch_size, seed, num_negatives = sys.argv[1], *map(int, sys.argv[2:])
libraries_mb = round(peak_mb())
torch.manual_seed(seed)
facts = np.load(file)
heads, relations, tails = torch.from_numpy(facts["train"]).unbind(1)
model = ComplEx(int(facts["num_entities"]), int(facts["num_relations"]), dim)
for parameter in model.parameters():
    torch.nn.init.normal_(parameter, std=0.1)
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1, fused=True)
loader = model.loader(heads, relations, tails, batch_size=batch_size, shuffle=True)


def loss(head: Tensor, relation: Tensor, tail: Tensor) -> Tensor:
    if num_negatives == 1:
        return model.loss(head, relation, tail)
    negatives = model.random_sample(*(column.repeat(num_negatives) for column in (head, relation, tail)))
    scores = torch.cat([model(head, relation, tail), model(*negatives)])
    target = torch.zeros_like(scores)
    target[: len(head)] = 1
    return binary_cross_entropy_with_logits(scores, target)


def measure() -> dict[str, float]:
    began = time.perf_counter()
    for head, relation, tail in loader:
        optimizer.zero_grad()
        loss(head, relation, tail).backward()
        optimizer.step()
    speed = len(heads) / (time.perf_counter() - began)
    return {"queries_per_second": speed, "candidates_per_second": speed * (1 + num_negatives), "peak_mb": peak_mb()}


measure()
about = {"torch_geometric": version("torch_geometric"), "torch": version("torch"), "threads": torch.get_num_threads()}
serve({**about, "libraries_mb": libraries_mb}, measure)
