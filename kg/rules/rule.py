"""Rules as whole numbers, and as people read them."""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Bool, Float, Int

SMOOTHING = 5.0  # Laplace: as if so many groundings of a body had been wrong that were not seen


@final
@dataclass(frozen=True, eq=False)
class Rules:
    """Horn rules for R relations. All variables and constants of a rule stand for distinct entities.

    closed: r(X, Y) <= b1(X, Z1) & b2(Z1, Z2) & ... with Y at the end: a row r, b1, ..., bL (filled up with -1).
    constant: r(X, c) <= b(X, d), or b(X, Z) for any Z (d = -1), or nothing at all (b = d = -1): a row r, c, b, d.
    Relations of bodies, and r of constant rules, are directed: r + R is the inverse of r. A closed rule for r, read
    backwards, is one for its inverse too.

    closed_counts, constant_counts: support, body and PCA body of each rule. Body: the pairs (X, Y) for which the body
    holds; support: those of them that are facts of r; PCA body: those whose X has some fact with r, the others being
    unknown rather than wrong (partial completeness; Galárraga et al., 2013). Where a body was too large to be followed
    from everywhere the counts are scaled up from a part, and `sampled` says so. relation_size: facts of each relation.
    """

    closed: Int[np.ndarray, "C L1"]
    closed_counts: Int[np.ndarray, "C 3"]
    sampled: Bool[np.ndarray, " C"]
    constant: Int[np.ndarray, "K 4"]
    constant_counts: Int[np.ndarray, "K 3"]
    relation_size: Int[np.ndarray, " R"]

    @classmethod
    def none(cls, num_relations: int, max_length: int = 1) -> "Rules":
        """No rule at all."""
        closed, constant, counts = (np.zeros((0, width), np.int32) for width in (max_length + 1, 4, 3))
        return cls(closed, counts, np.zeros(0, bool), constant, counts, np.zeros(num_relations, np.int32))

    def __len__(self) -> int:
        return len(self.closed) + len(self.constant)

    @property
    def num_relations(self) -> int:
        return len(self.relation_size)

    @property
    def closed_confidence(self) -> Float[np.ndarray, " C"]:
        return confidence(self.closed_counts)

    @property
    def constant_confidence(self) -> Float[np.ndarray, " K"]:
        return confidence(self.constant_counts)


def confidence(counts: Int[np.ndarray, "C 3"]) -> Float[np.ndarray, " C"]:
    """support / (body + SMOOTHING): the share of a body's groundings that are facts, with little trust in few."""
    share: Float[np.ndarray, " C"] = counts[:, 0] / (counts[:, 1] + SMOOTHING)
    return share


def inverse_bodies(bodies: Int[np.ndarray, "C L"], num_relations: int) -> Int[np.ndarray, "C L"]:
    """The same paths from their other end: the atoms' inverses, the last atom first."""
    length = (bodies >= 0).sum(1, keepdims=True)
    place = length - 1 - np.arange(bodies.shape[1])
    turned = np.take_along_axis(bodies, place.clip(0), 1)
    return np.where(place >= 0, (turned + num_relations) % (2 * num_relations), -1)
