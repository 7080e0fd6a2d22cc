"""A first page by hand: four entities, and counts by eye."""

import numpy as np

from kg.search.page import Page, first_page, pool


def page(facts: list[tuple[int, int, int]], most: int, same: tuple[int, int] = (0, 0), **asked: int) -> list[list[int]]:
    statement = np.arange(len(facts))
    statement[statement == same[0]] = same[1]
    found: Page = first_page(np.array(facts, dtype=np.int64).reshape(-1, 3), statement, most, **asked)
    return [found.places.tolist(), found.alike.tolist()]


def test_at_most_a_tenth_of_one_relation_and_tail() -> None:
    hub = [(i, 0, 99) for i in range(5)]
    assert page([*hub, (7, 0, 8), (9, 1, 99)], 20) == [[0, 1, 5, 6], [3, 0, 0, 0]]
    assert page([*hub, (7, 0, 8), (9, 1, 99)], 3) == [[0, 5, 6], [4, 0, 0]]
    assert page([*hub, (7, 0, 8)], 50)[0] == [0, 1, 2, 3, 4, 5]


def test_at_most_a_tenth_of_one_relation_and_head() -> None:
    assert page([(1, 0, 5), (1, 0, 6), (1, 1, 5), (2, 0, 6)], 10) == [[0, 2, 3], [1, 0, 0]]


def test_the_entity_that_is_asked_for_does_not_count() -> None:
    facts = [(1, 0, 5), (1, 0, 6), (7, 0, 1), (8, 0, 1)]
    assert page(facts, 10, entity=1)[0] == [0, 1, 2, 3]
    assert page(facts, 10)[0] == [0, 2]


def test_what_says_the_same_stands_once() -> None:
    assert page([(1, 0, 5), (5, 1, 1), (2, 0, 6)], 10, same=(1, 0)) == [[0, 2], [1, 0]]  # by an inverse, say
    assert page([(1, 0, 5), (5, 0, 1), (2, 0, 6)], 10) == [[0, 2], [1, 0]]  # the other way round


def test_a_full_page_goes_on_counting() -> None:
    assert page([(1, 0, 5), (2, 1, 6), (3, 0, 5), (4, 2, 7)], 2) == [[0, 1], [1, 0]]


def test_nothing_found() -> None:
    assert page([], 10) == [[], []]


def test_a_page_is_chosen_from_many() -> None:
    assert pool(20) == pool(1000) == 10_000 and pool(5000) == 50_000
