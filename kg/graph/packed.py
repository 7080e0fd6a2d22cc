"""Texts as bytes, one after the other: a million of them are two arrays, mapped from a file, and no million objects."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import final, overload

import numpy as np
from jaxtyping import Int, UInt8

from kg.graph.ids import check_ids

Order = Int[np.ndarray, " N"]  # the places of texts, in the order of what they, or keys of them, come to
_MANY = 20_000  # look-ups: from here on a dict of all costs less than to search for each
_KEPT = 8192  # look-ups, found or not


@final
class PackedTexts(Sequence[str]):
    """content: UTF-8; text i ends before `ends[i]`, where the next one begins. Each is decoded when it is asked for."""

    def __init__(self, content: UInt8[np.ndarray, " B"], ends: Int[np.ndarray, " N"]) -> None:
        self.content, self.ends = content, ends

    @classmethod
    def of(cls, texts: Iterable[str]) -> "PackedTexts":
        encoded = [text.encode() for text in texts]
        ends = np.cumsum([len(each) for each in encoded], dtype=np.int64)
        return cls(np.frombuffer(bytearray(b"".join(encoded)), np.uint8), ends)

    def check(self, name: str) -> None:
        """ValueError where they are no texts. O(bytes)."""
        ends = np.concatenate([[0], self.ends])
        if ends[-1] != len(self.content) or bool((np.diff(ends) < 0).any()):
            raise ValueError(f"{name} must end one after the other, the last with the bytes")
        self.content.tobytes().decode()  # UnicodeDecodeError is a ValueError
        begins = ends[:-1][ends[:-1] < len(self.content)]
        if bool((self.content[begins] & 0xC0 == 0x80).any()):
            raise ValueError(f"{name} must begin with whole characters")

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[str, ...]: ...
    def __getitem__(self, place: int | slice) -> str | tuple[str, ...]:
        if isinstance(place, slice):
            return tuple(self[each] for each in range(*place.indices(len(self))))
        place = range(len(self))[place]  # IndexError, and those from the end
        begin = int(self.ends[place - 1]) if place else 0
        return self.content[begin : int(self.ends[place])].tobytes().decode()

    def __iter__(self) -> Iterator[str]:
        content = self.content.tobytes()
        for begin, end in pairwise([0, *self.ends.tolist()]):
            yield content[begin:end].decode()


def sorted_places(keys: Sequence[str]) -> Order:
    """The place of each, by code points, which is the order of UTF-8, too."""
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int32)


def check_order(name: str, order: Order, count: int) -> None:
    """ValueError unless each is a place of one of so many."""
    if len(order) != count:
        raise ValueError(f"{name} must be a place of each of {count:,} texts")
    check_ids(name, order, 0, count)


def equal_to(wanted: str, order: Order, key: Callable[[int], str]) -> list[int]:
    """The places of those whose key is this one, in order; `order` is by their keys. O(log N) keys."""
    first = bisect_left(order, wanted, key=lambda place: key(int(place)))
    last = bisect_right(order, wanted, lo=first, key=lambda place: key(int(place)))
    found: list[int] = order[first:last].tolist()
    return sorted(found)


def beginning_with(prefix: str, order: Order, texts: PackedTexts) -> list[int]:
    """The places of texts that begin so. O(log N + those)."""
    first = bisect_left(order, prefix, key=lambda place: texts[int(place)])
    last = bisect_left(order, True, lo=first, key=lambda place: not texts[int(place)].startswith(prefix))
    found: list[int] = order[first:last].tolist()
    return found


@final
class PackedIds(Mapping[str, int]):
    """text -> its place. `order`: sorted_places of the texts."""

    def __init__(self, texts: PackedTexts, order: Order) -> None:
        self._texts, self._order = texts, order
        self._asked = 0
        self._kept = lru_cache(_KEPT)(self._place)  # of one question the same few are looked up again and again

    def __getitem__(self, text: str) -> int:
        place = self._kept(text)
        if place is None:
            raise KeyError(text)
        return place

    def _place(self, text: str) -> int | None:
        self._asked += 1
        if self._asked > _MANY:
            return self.as_dict.get(text)
        return next(iter(equal_to(text, self._order, self._texts.__getitem__)), None)

    def __len__(self) -> int:
        return len(self._texts)

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    @cached_property
    def as_dict(self) -> dict[str, int]:
        return {text: place for place, text in enumerate(self._texts)}


@final
class PackedLabels(Mapping[str, str]):
    """term -> its label: of entities the text at their place, where there is one, of other terms as `others` says."""

    def __init__(self, ids: Mapping[str, int], texts: PackedTexts, others: Mapping[str, str]) -> None:
        self._ids, self._texts, self._others = ids, texts, others

    def __getitem__(self, term: str) -> str:
        place = self._ids.get(term)
        label = self._others.get(term) if place is None else self._texts[place]
        if not label:
            raise KeyError(term)
        return label

    def __iter__(self) -> Iterator[str]:
        yield from (term for term, label in zip(self._ids, self._texts, strict=True) if label)
        yield from self._others

    def __len__(self) -> int:
        return int(np.count_nonzero(np.diff(self._texts.ends, prepend=0))) + len(self._others)

    def as_dict(self) -> dict[str, str]:
        """In a fraction of the time of dict(...)."""
        own = {term: label for term, label in zip(self._ids, self._texts, strict=True) if label}
        return own | dict(self._others)
