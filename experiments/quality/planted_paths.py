"""Whether evidence names the path that a fact follows from: on random graphs in which one rule is planted.

    python experiments/quality/planted_paths.py [--entities 200] [--graphs 5] [--kept 0.9 0.5 0.2] [--seed 0]

gives(X,Y) follows from p(X,Z) & q(Z,Y), p and q random with two facts an entity each. Of the pairs that the rule gives,
a share `kept` are facts; as many as a tenth of these hold at random beside them; four more relations are random, with
two facts an entity each. A fifth of the facts that follow from the rule is held out: the candidates. The model is
ComplEx, untrained: paths do not hang on it. Results go to experiments/results/planted_paths.json:

first             share of the candidates whose first path is that of the planted rule
none_found        share of as many random pairs, no facts and not given by the rule, for which no path is named
seconds           a candidate
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch

from kg.bundle import Bundle
from kg.graph.dataset import Dataset
from kg.graph.vocabulary import Vocabulary
from kg.models.complex import ComplEx
from kg.query.knowledge import Knowledge
from kg.query.predictor import Predictor

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import report

P, Q, GIVES = 0, 1, 2
RELATIONS = ["p", "q", "gives", "noise1", "noise2", "noise3", "noise4"]
PLANTED = "p(X,Z) & q(Z,Y) => gives(X,Y)"
HELD_OUT = 0.2

Pairs = list[tuple[int, int]]


def planted(num_entities: int, kept: float, seed: int) -> tuple[Predictor, Pairs, Pairs]:
    """A graph with the rule in it, the held-out facts that follow from it, and as many pairs that do not."""
    generator = np.random.default_rng(seed)

    def random_pairs(count: int) -> set[tuple[int, int]]:
        drawn = generator.integers(num_entities, size=(count, 2)).tolist()
        return {(h, t) for h, t in drawn if h != t}

    edges = {r: random_pairs(2 * num_entities) for r in range(len(RELATIONS)) if r != GIVES}
    follows = sorted({(x, y) for x, z in edges[P] for z2, y in edges[Q] if z == z2 and x != y})
    facts = [pair for pair in follows if generator.random() < kept]
    generator.shuffle(facts)
    size = round(HELD_OUT * len(facts))
    candidates, known = [(int(h), int(t)) for h, t in facts[:size]], {(int(h), int(t)) for h, t in facts[size:]}
    edges[GIVES] = known | random_pairs(len(facts) // 10) - set(candidates)
    others = [pair for pair in sorted(random_pairs(4 * size)) if pair not in edges[GIVES] | set(follows)]
    generator.shuffle(others)
    hrt = torch.tensor([[h, r, t] for r, pairs in edges.items() for h, t in sorted(pairs)])
    names = Vocabulary([f"e{i}" for i in range(num_entities)], RELATIONS)
    torch.manual_seed(seed)
    scorer = ComplEx(num_entities, len(RELATIONS), dim=8).eval()
    bundle = Bundle(Path("untrained"), scorer, Dataset(hrt, hrt[:0], hrt[:0], names), {}, None, {}, {}, {})
    return Predictor(bundle, Knowledge.of_model(bundle)), candidates, [(int(h), int(t)) for h, t in others[:size]]


def share_first(num_entities: int, kept: float, seed: int) -> dict[str, float]:
    """The figures of one graph."""
    predictor, candidates, others = planted(num_entities, kept, seed)

    def paths(pairs: Pairs) -> list[list[str]]:
        return [[path.rule for path in predictor.explain(f"e{h}", "gives", f"e{t}").paths] for h, t in pairs]

    paths(candidates[:1])  # loops are compiled
    start = time.perf_counter()
    found = paths(candidates)
    seconds = (time.perf_counter() - start) / len(candidates)
    return {
        "candidates": len(candidates),
        "first": float(np.mean([rules[:1] == [PLANTED] for rules in found])),
        "none_found": float(np.mean([not rules for rules in paths(others)])),
        "seconds": seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entities", type=int, default=200)
    parser.add_argument("--graphs", type=int, default=5)
    parser.add_argument("--kept", type=float, nargs="+", default=[0.9, 0.5, 0.2])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    results = {}
    for kept in arguments.kept:
        rows = [share_first(arguments.entities, kept, arguments.seed + i) for i in range(arguments.graphs)]
        weight = [row["candidates"] for row in rows]
        figures = {name: round(float(np.average([row[name] for row in rows], weights=weight)), 4) for name in rows[0]}
        results[f"kept {kept:g}"] = {**figures, "candidates": sum(weight), "graphs": len(rows)}
        print(kept, results[f"kept {kept:g}"])
    print(report.write(__file__, arguments.seed, entities=arguments.entities, results=results))


if __name__ == "__main__":
    main()
