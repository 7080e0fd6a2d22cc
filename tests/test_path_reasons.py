"""Paths by what the messages along them are worth, by hand."""

import numpy as np

from kg.models.path_reasons import paths_by_worth
from kg.walks.frontier import Hop


def step(*edges: tuple[int, int, int, float]) -> tuple[Hop, np.ndarray]:
    """(node, relation, node, worth), sorted by the first."""
    source, offsets = np.unique([each[0] for each in edges], return_index=True)
    relation, target = (np.array([each[i] for each in edges], np.int32) for i in (1, 2))
    ends = np.append(offsets, len(edges))
    along = Hop(source.astype(np.int32), np.ones(len(source), np.float32), ends, relation, target, np.ones(4, "f4"))
    return along, np.array([each[3] for each in edges], np.float32)


FIRST = step((0, 0, 1, 3.0), (0, 1, 2, 1.0), (0, 2, 3, 0.5))
SECOND = step((0, 2, 3, 4.0), (1, 0, 3, 1.0), (1, 1, 0, 9.0), (2, 1, 3, 2.0), (3, 0, 1, 9.0))
ENTITY = np.array([7, 5, 6, 8], np.int32)


def found(most: int) -> list[list[tuple[int, ...]]]:
    return [[tuple(edge) for edge in path.tolist()] for path in paths_by_worth(ENTITY, [FIRST, SECOND], 3, most)]


def test_paths_are_taken_hop_by_hop_and_those_worth_most_come_first() -> None:
    """An edge may be taken in any hop, later ones of its path in later hops; 4 = 3 + 1 but once each."""
    through_5, through_6, at_once = [(7, 0, 5), (5, 0, 8)], [(7, 1, 6), (6, 1, 8)], [(7, 2, 8)]
    assert found(5) == [through_5, at_once, through_6] or found(5) == [at_once, through_5, through_6]
    assert len(found(1)) == 1


def test_no_path_comes_back_to_where_it_was_and_none_is_of_no_edges() -> None:
    assert all(len({edge[0] for edge in path}) == len(path) for path in found(9))
    assert paths_by_worth(ENTITY, [FIRST, SECOND], 0, 5) == []
