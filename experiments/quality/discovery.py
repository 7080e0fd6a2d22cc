"""How good are the best new facts of the whole graph? The model knows train alone; valid and test are what it lacks.

    python experiments/quality/discovery.py MODEL [--baseline FREQUENCY] [--types off]

MODEL, FREQUENCY: folders that `kg train` made of the same facts (--model frequency), both calibrated. Of every (head,
relation, tail) that is not in train:

- held-out facts among the best 100, 1,000 and 10,000, by probability, on a first page of so many (see kg.search.page),
  by the model's raw score, and by the probability of the baseline; and the sum of the probabilities of these. "to be
  found" are the test facts, scaled by what part of the held-out facts they are; the sum holds where it differs from
  that by no more than a quarter, or two standard deviations of chance.
- entity-pair ranking (Wang et al., 2019): each relation's best 100 pairs that are in neither train nor valid, against
  its test facts. MAP@100: the mean over relations of the sum of the precisions at the ranks of the test facts found, of
  min(100, test facts) at most; Hits@100: the share of all test facts that are found.

Results go to experiments/results/discovery_<model>.json.
"""

import argparse
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from kg.bundle import Bundle
from kg.probability.calibration import Calibration
from kg.query.candidates.candidate import Candidates
from kg.search.type_constraints import CONSTRAINTS

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import report
from predictors import knowing

COUNTS = (100, 1_000, 10_000)
PAIRS = 100


def by_score(bundle: Bundle) -> Bundle:
    """The model, its candidates ordered by the mean score of both directions."""
    return replace(bundle, calibration=Calibration.shared(bundle.dataset.num_relations, {"mean_score": 1.0}).to_json())


def held_out(bundle: Bundle, part: str) -> set[tuple[str, str, str]]:
    names = bundle.dataset.vocabulary
    return {
        (names.entities[h], names.relations[r], names.entities[t]) for h, r, t in bundle.dataset.part(part).tolist()
    }


def facts(candidates: Candidates) -> list[tuple[str, str, str]]:
    return [(each.subject, each.predicate, each.object) for each in candidates]


def among_the_best(bundle: Bundle, types: str, order: str = "probability", told: bool = True) -> dict[str, Any]:
    """told: whether the probabilities are any."""
    predictor = knowing(bundle, "train")
    if order == "page":  # one of a hundred is not the beginning of one of a thousand
        lists = {count: predictor.complete(count, types=types, order="page") for count in COUNTS}
    else:
        found = predictor.complete(max(COUNTS), types=types)
        lists = {count: found[:count] for count in COUNTS}
    parts = {part: held_out(bundle, part) for part in ("valid", "test")}
    share = len(parts["test"]) / sum(map(len, parts.values()))
    rows = {}
    for count, best in lists.items():
        row: dict[str, Any] = {part: len(held & set(facts(best))) for part, held in parts.items()}
        if told:
            row["sum of probabilities"] = total = sum(each.probability or 0.0 for each in best)
            row["to be found"] = scaled = row["test"] / share
            row["holds"] = abs(total - scaled) <= max(0.25 * scaled, 2 * math.sqrt(scaled))
        rows[str(count)] = row
    return rows


def pair_ranking(bundle: Bundle, types: str) -> dict[str, float]:
    found = knowing(bundle, "train", "valid").complete(per_relation=PAIRS, types=types)
    wanted: dict[str, set[tuple[str, str, str]]] = {}
    for fact in held_out(bundle, "test") - held_out(bundle, "train") - held_out(bundle, "valid"):
        wanted.setdefault(fact[1], set()).add(fact)
    precisions, hits = [], 0
    for predicate, held in wanted.items():
        ranked = [fact for fact in facts(found) if fact[1] == predicate]
        ranks = [rank for rank, fact in enumerate(ranked, 1) if fact in held]
        hits += len(ranks)
        precisions.append(sum(i / rank for i, rank in enumerate(ranks, 1)) / min(PAIRS, len(held)))
    return {
        "map_at_100": sum(precisions) / len(precisions),
        "hits_at_100": hits / sum(map(len, wanted.values())),
        "relations": len(wanted),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--baseline", type=Path)
    parser.add_argument("--types", choices=CONSTRAINTS, default="observed")
    arguments = parser.parse_args()
    bundle, types = Bundle.load(arguments.model), arguments.types
    results: dict[str, Any] = {
        "types": types,
        "held out": {part: len(bundle.dataset.part(part)) for part in ("valid", "test")},
        "by probability": among_the_best(bundle, types),
        "first page": among_the_best(bundle, types, "page"),
        "by score": among_the_best(by_score(bundle), types, told=False),
        "pairs, by probability": pair_ranking(bundle, types),
        "pairs, by score": pair_ranking(by_score(bundle), types),
    }
    if types == "observed":
        observed, line = knowing(bundle, "train").plausibility.eligible.observed
        fits = observed.of_facts(bundle.dataset.test)
        results["share of the test facts that observed types exclude"] = (fits < line).float().mean().item()
    if arguments.baseline is not None:
        baseline = Bundle.load(arguments.baseline)
        results["baseline, by probability"] = among_the_best(baseline, types)
        results["baseline, pairs"] = pair_ranking(baseline, types)
    for name, value in results.items():
        print(f"{name}: {value}")
    print(report.write(__file__, bundle.run["seed"], variant=arguments.model.name, **results))


if __name__ == "__main__":
    main()
