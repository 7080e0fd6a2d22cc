"""Where a body leads from an entity: its groundings, all variables distinct."""

import numpy as np
from jaxtyping import Int

from kg.walks.compiled import compiled
from kg.walks.edges import Edges, span


@compiled
def reached(
    edges: Edges,
    body: Int[np.ndarray, " L"],
    head: int,
    seen: Int[np.ndarray, " N"],
    token: int,
    found: Int[np.ndarray, " N"],
    path: Int[np.ndarray, "3 L"],
) -> tuple[int, int]:
    """The entities y to which a path head -b1-> z1 -b2-> ... y leads that meets no entity twice.

    They are found[:count], each once; seen[y] is the token then, which the caller must not have used before. body:
    directed relations, filled up with -1. path: room for the entities on the way, and where their edges go on and end.
    Returns the count, and the number of edges looked at.
    """
    entity, edge, stop = path
    last = len(body) - 1
    while body[last] < 0:
        last -= 1
    count, steps, depth = 0, 0, 0
    entity[0] = head
    edge[0], stop[0] = span(edges, head, body[0])
    while depth >= 0:
        if depth == last:
            steps += stop[depth] - edge[depth] + 1
            for e in range(edge[depth], stop[depth]):
                y = edges.tail[e]
                if seen[y] != token and is_new(y, entity, depth):
                    seen[y] = token
                    found[count] = y
                    count += 1
            depth -= 1
        elif edge[depth] == stop[depth]:
            depth -= 1
        else:
            z = edges.tail[edge[depth]]
            edge[depth] += 1
            steps += 1
            if is_new(z, entity, depth):
                depth += 1
                entity[depth] = z
                edge[depth], stop[depth] = span(edges, z, body[depth])
    return count, steps


@compiled
def is_new(z: int, entity: Int[np.ndarray, " L"], depth: int) -> bool:
    """Whether z is none of the entities before entity[depth], whose neighbour it is."""
    for i in range(depth):  # noqa: SIM110, a generator expression would not be compiled
        if entity[i] == z:
            return False
    return True
