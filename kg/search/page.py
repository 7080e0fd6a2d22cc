"""A first page: of the most probable candidates those that say different things, and how many others are like them."""

from collections import Counter
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int

Order = Literal["page", "probability"]
ORDERS: tuple[Order, ...] = ("page", "probability")
SHARE = 10  # a page has at most one in so many of one relation and one tail, or of one relation and one head
_POOL = 10_000


class Page(NamedTuple):
    """places: which of the candidates are on it, in their order. alike: for each, how many of those that are not on it
    say the same, or have its relation and one of its ends, of which the page has its share."""

    places: Int[np.ndarray, " K"]
    alike: Int[np.ndarray, " K"]


def pool(most: int) -> int:
    """From how many of the most probable candidates a page of so many is chosen."""
    return max(_POOL, SHARE * most)


def first_page(
    hrt: Int[np.ndarray, "P 3"], statement: Int[np.ndarray, " P"], most: int, entity: int | None = None
) -> Page:
    """The first `most` of these candidates of which no two make one statement, or are of one relation and one pair, and
    at most max(1, most / SHARE) are of one relation and tail, or of one relation and head; an end that is `entity` does
    not count. O(P)."""
    limit = max(1, most // SHARE)
    first: dict[tuple[str | int, ...], int] = {}  # of all that have a key in common: its first on the page
    taken: Counter[tuple[str | int, ...]] = Counter()
    alike: Counter[int] = Counter()
    places: list[int] = []
    for i, ((head, relation, tail), number) in enumerate(zip(hrt.tolist(), statement.tolist(), strict=True)):
        once = [("statement", number), ("pair", relation, *sorted((head, tail)))]
        shared = [(side, relation, end) for side, end in (("head", head), ("tail", tail)) if end != entity]
        full = [key for key in once if taken[key]] + [key for key in shared if taken[key] >= limit]
        if full:
            alike[first[full[0]]] += 1
        elif len(places) < most:
            places.append(i)
            taken.update(once + shared)
            for key in once + shared:
                first.setdefault(key, i)
    counts = [alike[i] for i in places]
    return Page(np.array(places, dtype=np.int64), np.array(counts, dtype=np.int64))
