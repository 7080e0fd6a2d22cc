"""A side of mrr_at_time.py in kg's own interpreter: training, its weights kept after so many seconds of training.

python mrr_side.py OBJECTIVE fp32|bf16 FACTS.npz OUT DIM BATCH_SIZE SEED INIT N3 SECONDS...

OBJECTIVE: of JSON, as a Run has it: {"name": "one_vs_all", "arguments": {"max_answers": 8}}
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

from kg.models.complex import ComplEx
from kg.training.algorithm import from_named
from kg.training.objectives import OBJECTIVES

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import facts
from training_side import new_fit, queries_so_far, train_for


def main() -> None:
    objective, precision, file, out, *numbers = sys.argv[1:]
    dim, batch_size, seed = map(int, numbers[:3])
    init, n3, *stops = map(float, numbers[3:])
    dataset = facts.load(file)
    made = from_named(json.loads(objective), OBJECTIVES)
    fit = new_fit(dataset, dim, batch_size, seed, made, precision, init=init, n3=n3)
    assert isinstance(fit.scorer, ComplEx)
    epochs, spent, of_cpu = iter(fit), 0.0, 0.0
    for stop in stops:
        began = time.process_time()
        spent += train_for(fit, epochs, stop - spent)
        of_cpu += time.process_time() - began
        table, diagonal = (x.detach().numpy() for x in (fit.scorer.table.whole(), fit.scorer.weights.kept()))
        figures = {"seconds": spent, "cpu_seconds": of_cpu, "queries": queries_so_far(fit)}
        np.savez(Path(out) / f"{stop:g}.npz", table=table, diagonal=diagonal, **figures)


if __name__ == "__main__":
    main()
