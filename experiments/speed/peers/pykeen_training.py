"""PyKEEN's training loops on ComplEx: a side of training_speed.py and sampling_speed.py, in the peers' interpreter.

    python pykeen_training.py lcwa FACTS.npz DIM BATCH_SIZE SEED
    python pykeen_training.py slcwa FACTS.npz DIM BATCH_SIZE SEED NUM_NEGATIVES

lcwa: a batch holds distinct (head, relation) pairs, of the facts and their inverses. slcwa: a batch holds facts.
"""

import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from pykeen_complex import Training

sys.path.append(str(Path(__file__).parents[2] / "harness"))
from sides import peak_mb, serve

kind, file, dim, batch_size, seed, *negatives = *sys.argv[1:3], *map(int, sys.argv[3:])
libraries_mb = round(peak_mb())
facts = np.load(file)
num_candidates = 1 + negatives[0] if negatives else int(facts["num_entities"])
training = Training(kind, facts, dim, batch_size, seed, negatives=negatives[0] if negatives else 0)


def measure() -> dict[str, float]:
    speed = training.queries_per_second()
    return {"queries_per_second": speed, "candidates_per_second": speed * num_candidates, "peak_mb": peak_mb()}


about = {"pykeen": version("pykeen"), "torch": version("torch"), "threads": torch.get_num_threads()}
serve({**about, "libraries_mb": libraries_mb}, measure)
