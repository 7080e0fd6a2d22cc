"""Seconds for the evidence of a fact: facts at random, and those between the entities with the most edges.

    python experiments/speed/evidence_speed.py MODEL NAME [--facts 10] [--seed 0]

Half of the facts are known: their edge and what restates it are hidden first, which costs a sort of the graph. Half are
the best new answers to (subject, predicate, ?) of others. One thread; loops have been compiled before. Results, with
the numbers of paths and of facts without any, go to experiments/results/evidence_speed_NAME.json.
"""

import argparse
import sys
import time
from pathlib import Path

import torch

from kg.query.explain.evidence import Evidence
from kg.query.predictor import Predictor

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import report


def timed(predictor: Predictor, facts: list[tuple[str, str, str]]) -> dict[str, float]:
    seconds: list[float] = []
    found: list[Evidence] = []
    cpu = time.process_time()
    for fact in facts:
        start = time.perf_counter()
        found.append(predictor.explain(*fact))
        seconds.append(time.perf_counter() - start)
    return {
        "facts": len(facts),
        "seconds": round(sum(seconds), 3),
        "cpu_seconds": round(time.process_time() - cpu, 3),
        "slowest": round(max(seconds), 3),
        "paths": sum(len(each.paths) for each in found),
        "without_path": sum(not each.paths for each in found),
        "incomplete": sum(not each.complete for each in found),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("name")
    parser.add_argument("--facts", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    predictor = Predictor.load(arguments.model)
    names = predictor.knowledge.vocabulary

    def terms(rows: torch.Tensor) -> list[tuple[str, str, str]]:
        return [(names.entities[h], names.relations[r], names.entities[t]) for h, r, t in rows.tolist()]

    def half_new(known: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
        half = len(known) // 2
        asked = [predictor.tails(s, p, top=1, new_only=True)[0] for s, p, _ in known[half:]]
        return known[:half] + [(best.subject, best.predicate, best.object) for best in asked]

    facts, degree = predictor.knowledge.facts, predictor.knowledge.graph.degree()
    generator = torch.Generator().manual_seed(arguments.seed)
    chosen = facts[torch.randperm(len(facts), generator=generator)[: arguments.facts]]
    most = (degree[facts[:, 0]].minimum(degree[facts[:, 2]])).topk(arguments.facts).indices
    predictor.explain(*terms(facts[:1])[0])
    rows = {"random": chosen, "hubs": facts[most]}
    results = {name: timed(predictor, half_new(terms(some))) for name, some in rows.items()}
    graph = {"entities": len(names.entities), "relations": len(names.relations), "known_facts": len(facts)}
    path = report.write(__file__, arguments.seed, arguments.name, graph=graph, **results)
    print(results, path)


if __name__ == "__main__":
    main()
