"""Does discovery find what brute force finds? Every candidate scored, all at once, both directions apart.

    python experiments/quality/discovery_exact.py MODEL [MODEL ...] [--top 1000]

Brute force holds the logits of all pairs of a relation in one matrix, made of the scores of both directions, and
sorts them; discovery folds the directions into one product, goes by blocks and keeps a bar. The model knows train
alone, types are off. Told is how many of the best facts both name, and the greatest difference of the logits of equal
rank. Results go to experiments/results/discovery_exact.json.
"""

import argparse
import sys
from pathlib import Path

import torch

from kg.bundle import Bundle
from kg.query.plausibility import Plausibility

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import report
from predictors import knowing


@torch.no_grad()
def brute_force(likely: Plausibility, top: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(logits, facts) of the best."""
    num, every = likely.knowledge.num_relations, likely.answerable
    logits, facts = [], []
    for relation in range(num):
        forward = likely.query_scores.block(relation, every, every)
        backward = likely.query_scores.block(relation + num, every, every)
        found = likely.logits.calibration.logits(relation, forward, backward)
        facts = likely.knowledge.facts
        of_relation = facts[facts[:, 1] == relation]
        found[of_relation[:, 0], of_relation[:, 2]] = -torch.inf
        if not bool((of_relation[:, 0] == of_relation[:, 2]).any()):
            found.fill_diagonal_(-torch.inf)
        best = found.flatten().topk(min(top, found.numel()))
        logits.append(best.values)
        head, tail = best.indices // len(every), best.indices % len(every)
        facts.append(torch.stack([head, torch.full_like(head, relation), tail], 1))
    order = torch.cat(logits).argsort(descending=True)[:top]
    return torch.cat(logits)[order], torch.cat(facts)[order]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL")
    parser.add_argument("--top", type=int, default=1000)
    arguments = parser.parse_args()
    results = {}
    for model in arguments.models:
        predictor = knowing(Bundle.load(model), "train")
        names = predictor.knowledge.vocabulary
        logits, facts = brute_force(predictor.plausibility, arguments.top)
        found = predictor.complete(arguments.top, types="off")
        ids = [
            (names.entity_ids[each.subject], names.relation_ids[each.predicate], names.entity_ids[each.object])
            for each in found
        ]
        told = predictor.plausibility.logits.of_facts(torch.tensor(ids)).sort(descending=True).values
        results[model.name] = {
            "candidates": len(names.entities) ** 2 * len(names.relations),
            "in both": len(set(ids) & set(map(tuple, facts.tolist()))),
            "greatest difference of logits": float((told - logits).abs().max()),
        }
        print(model.name, results[model.name])
    print(report.write(__file__, 0, top=arguments.top, models=results))


if __name__ == "__main__":
    main()
