"""The paths whose messages made a score."""

from collections.abc import Sequence
from heapq import nlargest
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from kg.walks.frontier import Hop

Path = Int[np.ndarray, "_ 3"]  # the edges (head, directed relation, tail), each beginning where the one before ends
_Found = tuple[float, tuple[tuple[int, int, int], ...]]

_MOST_EDGES = 20_000  # of a hop: those whose messages are worth most


class CarryingPath(NamedTuple):
    """A path, how far the score falls without its edges, and what share that is of what it has above the mean of all
    entities' scores; None where it has nothing above it."""

    edges: Path
    fall: float
    share: float | None


def paths_by_worth(
    entity: Int[np.ndarray, " M"], steps: Sequence[tuple[Hop, Float[np.ndarray, " _"]]], end: int, most: int
) -> list[Path]:
    """At most so many paths from node 0 to a node, by falling worth: the sum of those of their edges in the hops that
    they are taken in (NBFNet's way; Zhu et al., 2021). Hop by hop the best `most` that end at each node are kept.

    worth: how steeply the score changes with the edge's message, up or down: a norm takes the length of what arrives
    away, so that the sign says little. No entity is met twice.
    """
    best: dict[int, list[_Found]] = {0: [(0.0, ())]}
    for along, worth in steps:
        chosen = np.flatnonzero(worth > 0)
        chosen = chosen[np.argsort(-worth[chosen], kind="stable")[:_MOST_EDGES]]
        source = along.edge_source()
        before, arrived = best, dict(best)
        for x, r, y, gain in zip(
            *(each[chosen].tolist() for each in (source, along.relation, along.target, worth)), strict=True
        ):
            edge = int(entity[x]), r, int(entity[y])
            longer = [
                (sum_ + gain, (*path, edge)) for sum_, path in before.get(x, ()) if _is_new(edge[2], edge[0], path)
            ]
            if longer:
                arrived[y] = nlargest(most, [*arrived.get(y, ()), *longer])
        best = arrived
    found: dict[tuple[tuple[int, int, int], ...], float] = {}
    for sum_, path in best.get(end, ()):
        found[path] = max(sum_, found.get(path, sum_))
    return [np.array(path) for path in sorted(found, key=lambda each: -found[each]) if path]


def _is_new(entity: int, last: int, path: tuple[tuple[int, int, int], ...]) -> bool:
    return entity != last and all(entity != edge[0] for edge in path)
