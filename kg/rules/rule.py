"""Rules as whole numbers, and as people read them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, final

import numpy as np
from jaxtyping import Bool, Float, Int

from kg.graph.ids import check_ids

MOST_ATOMS = 5  # of a body
SMOOTHING = 5.0  # Laplace: as if so many groundings of a body had been wrong that were not seen


class Atom(NamedTuple):
    """relation(left, right), the relation directed; a term is a variable by its name or an entity by its number."""

    relation: int
    left: str | int
    right: str | int

    def upright(self, num_relations: int) -> "Atom":
        """The same with a relation below R: r^-1(X, Z) is r(Z, X)."""
        if self.relation < num_relations:
            return self
        return Atom(self.relation - num_relations, self.right, self.left)


@final
@dataclass(frozen=True)
class Rule:
    """One of `Rules`: its atoms, each with a relation below R, and its figures, which `Rules` explains."""

    head: Atom
    atoms: tuple[Atom, ...]
    confidence: float
    support: int
    body: int
    head_coverage: float
    pca_confidence: float
    sampled: bool

    def text(self, relation: Callable[[int], str], entity: Callable[[int], str]) -> str:
        """borders(X,Z) & memberOf(Z,Y) => memberOf(X,Y), with these names of relations and entities."""
        body = conjunction(self.atoms, relation, entity)
        return f"{body} => {conjunction([self.head], relation, entity)}".lstrip()


def conjunction(atoms: Iterable[Atom], relation: Callable[[int], str], entity: Callable[[int], str]) -> str:
    """The atoms as text, joined by &."""

    def term(value: str | int) -> str:
        return value if isinstance(value, str) else entity(value)

    return " & ".join(f"{relation(atom.relation)}({term(atom.left)},{term(atom.right)})" for atom in atoms)


@final
@dataclass(frozen=True, eq=False)
class Rules:
    """Horn rules for R relations. Variables of a rule stand for distinct entities, none of them its constants.

    They are numbered: the closed ones first, then those with constants.

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
        closed_counts = counts.astype(np.int64)
        return cls(closed, closed_counts, np.zeros(0, bool), constant, counts, np.zeros(num_relations, np.int32))

    def check(self, num_entities: int) -> None:
        """ValueError where a number is none of N entities or R relations, a body has a gap, or a count cannot be.

        Compiled loops use these numbers as indices: edges, entities and heads of a graph with as many of both.
        """
        num = self.num_relations
        check_ids("closed", self.closed[:, 0], 0, num)
        check_ids("closed", self.closed[:, 1], 0, 2 * num)
        check_ids("closed", self.closed[:, 2:], -1, 2 * num)
        r, c, b, d = self.constant.T
        for name, numbers, lowest, stop in (("r", r, 0, 2 * num), ("c", c, 0, num_entities), ("b", b, -1, 2 * num)):
            check_ids(f"constant ({name})", numbers, lowest, stop)
        check_ids("constant (d)", d, -1, num_entities)
        if ((self.closed[:, 1:-1] < 0) & (self.closed[:, 2:] >= 0)).any() or ((b < 0) & (d >= 0)).any():
            raise ValueError("a body has a gap: an atom behind its end")
        for counts in (self.closed_counts, self.constant_counts):
            support, body, pca_body = counts.T
            if (support < 1).any() or (support > body).any() or (pca_body < 0).any():
                raise ValueError("counts must be a support of at least 1, a body of at least that, and a PCA body")
        check_ids("relation_size", self.relation_size, 0, 2**31)

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

    # Of all rules, by their numbers

    @property
    def head_relation(self) -> Int[np.ndarray, " S"]:
        """The relation of each rule's head, directed."""
        return np.concatenate([self.closed[:, 0], self.constant[:, 0]])

    @property
    def has_body(self) -> Bool[np.ndarray, " S"]:
        return np.concatenate([np.ones(len(self.closed), bool), self.constant[:, 2] >= 0])

    @property
    def confidence(self) -> Float[np.ndarray, " S"]:
        return np.concatenate([self.closed_confidence, self.constant_confidence])

    @property
    def support(self) -> Int[np.ndarray, " S"]:
        return np.concatenate([self.closed_counts[:, 0], self.constant_counts[:, 0]])

    @property
    def head_coverage(self) -> Float[np.ndarray, " S"]:
        """support / facts of the head's relation: the share of them that the rule explains."""
        size: Int[np.ndarray, " S"] = self.relation_size[self.head_relation % self.num_relations]
        coverage: Float[np.ndarray, " S"] = self.support / size.clip(1)
        return coverage

    @property
    def pca_confidence(self) -> Float[np.ndarray, " S"]:
        """support / PCA body."""
        pca_body: Int[np.ndarray, " S"] = np.concatenate([self.closed_counts[:, 2], self.constant_counts[:, 2]])
        share: Float[np.ndarray, " S"] = self.support / pca_body.clip(1)
        return share

    def __getitem__(self, number: int) -> Rule:
        if number < len(self.closed):
            counts, sampled = self.closed_counts[number], bool(self.sampled[number])
            relation, *body = (x for x in self.closed[number].tolist() if x >= 0)
            head, atoms = _closed_atoms(relation, body)
        else:
            at = number - len(self.closed)
            counts, sampled = self.constant_counts[at], False
            head, atoms = _constant_atoms(*self.constant[at].tolist())
        support, body_size, pca_body = counts.tolist()
        head = head.upright(self.num_relations)
        coverage = support / max(1, self.relation_size[head.relation].item())
        return Rule(
            head,
            tuple(atom.upright(self.num_relations) for atom in atoms),
            support / (body_size + SMOOTHING),
            support,
            body_size,
            coverage,
            support / max(1, pca_body),
            sampled,
        )


def _closed_atoms(relation: int, body: list[int]) -> tuple[Atom, list[Atom]]:
    between = ["Z"] if len(body) == 2 else [f"Z{i}" for i in range(1, len(body))]
    names = ["X", *between, "Y"]
    return Atom(relation, "X", "Y"), [Atom(b, *ends) for b, ends in zip(body, pairwise(names), strict=True)]


def _constant_atoms(r: int, c: int, b: int, d: int) -> tuple[Atom, list[Atom]]:
    return Atom(r, "X", c), [] if b < 0 else [Atom(b, "X", "Z" if d < 0 else d)]


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
