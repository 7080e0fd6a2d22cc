"""How long does a warm question take, and 64 at once?

    python experiments/speed/answer_speed.py MODEL [--questions 500]

Questions (head, relation, ?) of test facts, drawn by the seed, asked by the terms of the vocabulary as a person's
program would: the ten best answers with their probabilities, known or new. The model is loaded, every relation has been
asked for once. Results go to experiments/results/answer_speed_<model>.json.
"""

import argparse
import sys
import time
from pathlib import Path
from statistics import median, quantiles

import torch

from kg.query.pattern import Pattern
from kg.query.predictor import Predictor

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import report

BATCH = 64


def milliseconds(predictor: Predictor, patterns: list[Pattern]) -> float:
    began = time.perf_counter()
    predictor.ask_all(patterns)
    return 1000 * (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    predictor = Predictor.load(arguments.model)
    names, test = predictor.knowledge.vocabulary, predictor.bundle.dataset.test
    chosen = torch.randperm(len(test), generator=torch.Generator().manual_seed(arguments.seed))[: arguments.questions]
    patterns = [Pattern(names.entities[h], names.relations[r], None) for h, r, _ in test[chosen].tolist()]
    first = names.entities[0]
    predictor.ask_all([Pattern(first, relation, None) for relation in names.relations])  # warm
    single = [milliseconds(predictor, [pattern]) for pattern in patterns]
    batches = [patterns[i : i + BATCH] for i in range(0, len(patterns) - BATCH + 1, BATCH)]
    together = [milliseconds(predictor, batch) for batch in batches]
    results = {
        "single_ms": {"median": median(single), "p95": quantiles(single, n=20)[-1]},
        "batch_of_64_ms": {"median": median(together), "most": max(together)},
    }
    print(results)
    told = {"questions": len(patterns), "threads": torch.get_num_threads(), "scorer": predictor.bundle.run["scorer"]}
    print(report.write(__file__, arguments.seed, variant=arguments.model.name, **told, **results))


if __name__ == "__main__":
    main()
