"""A side of mrr_at_time.py in kg's own interpreter: training, its weights kept after so many seconds of training.

python mrr_side.py one_vs_all|k_vs_all fp32|bf16 FACTS.npz OUT DIM BATCH_SIZE SEED INIT N3 SECONDS...
"""

import sys
from pathlib import Path

import numpy as np

from kg.models.complex import ComplEx
from kg.training.objectives import KvsAll, OneVsAll

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import facts
from training_side import new_fit, queries_so_far, train_for


def main() -> None:
    objective, precision, file, out, *numbers = sys.argv[1:]
    dim, batch_size, seed = map(int, numbers[:3])
    init, n3, *stops = map(float, numbers[3:])
    dataset = facts.load(file)
    made = {"one_vs_all": OneVsAll, "k_vs_all": KvsAll}[objective]()
    fit = new_fit(dataset, dim, batch_size, seed, made, precision, init=init, n3=n3)
    assert isinstance(fit.scorer, ComplEx)
    epochs, spent = iter(fit), 0.0
    for stop in stops:
        spent += train_for(fit, epochs, stop - spent)
        table, diagonal = (x.detach().numpy() for x in (fit.scorer.table.whole(), fit.scorer.weights.kept()))
        np.savez(
            Path(out) / f"{stop:g}.npz", table=table, diagonal=diagonal, seconds=spent, queries=queries_so_far(fit)
        )


if __name__ == "__main__":
    main()
