"""Presets for path networks, chosen on the valid parts.

    kg train $KG_DATA/codex-s models/codex-s-paths --preset experiments/presets/paths.py:codex_s
    python experiments/quality/trained.py models/codex-s-paths

    kg train $KG_DATA/grail/fb237-v1 models/fb237-v1-paths --preset experiments/presets/paths.py:grail
    python experiments/quality/inductive.py models/fb237-v1-paths [--test]

What they reach stands in experiments/results/trained_*-paths.json and inductive_*-paths.json, and in docs/paths.md.

The data: data/README.md says where to get it; $KG_DATA is the folder that it lies in.
"""

from functools import partial

from torch.optim import Adam

from kg.models.path_network import PathNetwork
from kg.training.gradient_descent import GradientDescent, WarmUp
from kg.training.objectives import OneVsUnknown
from kg.training.run import Run


def codex_s() -> Run:
    """Up to eight answers share a pass through the graph: a quarter of the passes."""
    return Run(
        partial(PathNetwork, num_layers=3, max_nodes=1000),
        GradientDescent(
            partial(Adam, lr=0.006),
            OneVsUnknown(max_answers=8),
            schedule=WarmUp(),
            batch_size=16,
            hide="exact",
            epochs=3,
            valid_every=1,
        ),
    )


def umls() -> Run:
    """Stopped by the clock after four of its ten epochs, in the middle of its learning rate's fall."""
    return Run(
        partial(PathNetwork, num_layers=4, max_nodes=1000),
        GradientDescent(
            partial(Adam, lr=0.008),
            OneVsUnknown(),
            schedule=WarmUp(),
            batch_size=16,
            hide="exact",
            averaging=0.998,
            epochs=10,
            valid_every=1,
        ),
    )


def wn18rr() -> Run:
    """Six hops of a thousand nodes: an answer lies within six hops of 86 of 100 questions. To be given its minutes."""
    return Run(
        partial(PathNetwork, num_layers=6, max_nodes=1000),
        GradientDescent(
            partial(Adam, lr=0.006),
            OneVsUnknown(max_answers=8),
            schedule=WarmUp(),
            batch_size=16,
            hide="exact",
            questions=20_000,
            averaging=0.998,
            epochs=40,
            valid_every=1,
        ),
    )
