"""What a test set's construction is worth: a trained model's MRR when no neighbour of the given entity may answer.

    python experiments/quality/struck_out.py out/fb15k-237-complex [MODEL ...]

In fb15k-237 no valid or test fact joins two entities that a training fact joins. Whoever learns this rule, as a model
that reads the neighbourhood may, gains by it without knowing anything of the world. Here the rule is given to any model
for nothing: candidates that a training edge joins to the given entity come last. Results: struck_out_<model>.json.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from kg.bundle import Bundle
from kg.evaluation.ranking import evaluate
from kg.models.scorer import WORST, Queries, Scorer, Tails

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import report


class _Asked(NamedTuple):
    state: Any
    queries: Queries


@final
class StruckOut(Scorer):
    """The scores of another scorer, neighbours of the head last. For all candidates at once."""

    def __init__(self, scorer: Scorer) -> None:
        super().__init__(scorer.num_entities, scorer.num_relations)
        self.scorer = scorer

    def encode(self, queries: Queries) -> _Asked:
        return _Asked(self.scorer.encode(queries), queries)

    def compare(self, state: _Asked, tails: Tails = None) -> Tensor:
        assert tails is None, "only the ranking of all candidates is meant"
        found = state.queries.graph.neighbours(state.queries.head)
        row = torch.repeat_interleave(torch.arange(len(found.offsets) - 1), found.offsets.diff())
        return self.scorer.compare(state.state).index_put((row, found.tail), torch.tensor(WORST))

    def factors(self, queries: Queries, tail: Tensor) -> tuple[Tensor, ...]:
        return self.scorer.factors(queries, tail)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL")
    for model in parser.parse_args().models:
        bundle = Bundle.load(model)
        mrr = {
            part: {
                name: evaluate(scorer, bundle.dataset, part, temperature=None).metrics().mrr
                for name, scorer in (("as_it_is", bundle.scorer), ("neighbours_last", StruckOut(bundle.scorer)))
            }
            for part in ("valid", "test")
        }
        print(model.name, mrr)
        dataset = Path(bundle.dataset.source).name
        report.write(__file__, bundle.run["seed"], variant=model.name, dataset=dataset, run=bundle.run, mrr=mrr)


if __name__ == "__main__":
    main()
