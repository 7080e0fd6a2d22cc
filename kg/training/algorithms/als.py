"""RESCAL-ALS: RESCAL by alternating least squares, without gradients or learning rate."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.graph.graph import Graph, distinct, with_inverses
from kg.interruption import waited_for
from kg.models.rescal import RESCAL
from kg.models.scorer import Scorer
from kg.training.algorithm import Epoch, Iterative, Trainer

_ITERATIONS = 30  # of the subspace at the start; its vectors need not be exact


@final
@dataclass(frozen=True)
class ALS(Iterative):
    """Least squares over all N x N x R entries, 1 for training facts, 0 elsewhere (Nickel, Tresp and Kriegel, 2011):

        sum_k ||X_k - A R_k A^T||^2 + entity_weight ||A||^2 + relation_weight sum_k ||R_k||^2

    A are the vectors and R_k the matrices of RESCAL(tied=True). An epoch is a sweep of two steps, and neither can raise
    the loss: a new A, then the best R for it. It starts from the leading eigenvectors of sum_k X_k + X_k^T, found from
    the seed. A sweep costs O(facts dim^2 + relations dim^3) and never makes an N x N matrix. The weights are good
    on the valid part of umls; Nickel et al.'s own code uses 10 for both.
    """

    entity_weight: float = 3.0
    relation_weight: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("entity_weight", "relation_weight"):
            if not 0 < getattr(self, name) < math.inf:
                raise UserError(f"{name} must be above 0 and finite: got {getattr(self, name)}")

    def trainer(self, scorer: Scorer, dataset: Dataset, seed: int, device: torch.device | str = "cpu") -> "Sweeps":
        """UserError for anything but RESCAL(tied=True), and for dropout."""
        if not isinstance(scorer, RESCAL) or not scorer.weights.tie:
            raise UserError("alternating least squares fits RESCAL with tied=True alone")
        if scorer.entity_dropout or scorer.weights.dropout:
            raise UserError("alternating least squares has no use for dropout: its weights are the regularisation")
        if scorer.table.size > dataset.num_entities:
            raise UserError(
                f"dim {scorer.table.size} is more than the {dataset.num_entities} entities, "
                "whose number is enough for an exact fit"
            )
        return Sweeps(scorer, dataset, self, seed, device)


@final
class Sweeps(Trainer):
    """Alternates the two updates on a RESCAL scorer. Between steps its float32 weights are all there is to know.

    loss: as ALS says, over the number of training facts: a model that is 0 everywhere has 1.
    """

    algorithm: ALS

    def __init__(self, scorer: RESCAL, dataset: Dataset, algorithm: ALS, seed: int, device: torch.device | str) -> None:
        super().__init__(scorer, algorithm, seed, device)
        self._table, self._weights = scorer.table, scorer.weights
        self._graph = dataset.graph().to(self.device)
        self._slices = Slices.from_triples(dataset.train.to(self.device), dataset.num_entities, dataset.num_relations)
        self._loss = math.nan
        self.num_queries = 2 * self._slices.num_facts
        self.num_steps = 2

    def loss(self) -> float:
        """After the last step."""
        return self._loss

    def __iter__(self) -> Iterator[Epoch]:
        if not self.epoch and not self.step:
            self._keep(*waited_for(self._start))
        while not self.finished:
            while self.step < self.num_steps and not self._paused:
                self._take_step()
            if self.step < self.num_steps:
                self._paused = False
                yield Epoch(self.epoch + 1, self._loss, self.step * self._slices.num_facts, complete=False)
                continue
            self.step = 0
            self.epoch += 1
            yield Epoch(self.epoch, self._loss, self.num_queries, complete=True)

    def _start(self) -> tuple[Float[Tensor, "N D"], Float[Tensor, "R D D"]]:
        vectors = leading_eigenvectors(self._graph, self._table.size, self.seed)
        return vectors, fitted_relations(self._slices, vectors, self.algorithm.relation_weight)

    def _take_step(self) -> None:
        vectors, matrices, self._loss = waited_for(self._moved)
        self._keep(vectors, matrices)
        self._step_taken()

    def _moved(self) -> tuple[Float[Tensor, "N D"], Float[Tensor, "R D D"], float]:
        """What the step whose turn it is comes to, and the loss after it."""
        vectors, matrices = (x.detach().double() for x in (self._table.whole(), self._weights.kept()))
        if self.step == 0:
            vectors = moved_entities(self._slices, vectors, matrices, self.algorithm.entity_weight)
        else:
            matrices = fitted_relations(self._slices, vectors, self.algorithm.relation_weight)
        penalty = self.algorithm.entity_weight * vectors.square().sum()
        penalty += self.algorithm.relation_weight * matrices.square().sum()
        error = squared_error(self._slices, vectors, matrices)
        return vectors, matrices, float(error + penalty) / max(1, self._slices.num_facts)

    def _keep(self, vectors: Float[Tensor, "N D"], matrices: Float[Tensor, "R D D"]) -> None:
        self._table.assign(vectors)
        self._weights.assign(matrices)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "loss": self._loss}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._loss = float(state["loss"])


@dataclass(frozen=True, eq=False)
class Slices:
    """The slices X_0 ... X_(R-1) and, as R ... 2R - 1, their transposes: the rows that are not empty, slice by slice.

    Row m of all M is row `head[m]` of its slice, with ones at `tails[offsets[m]:offsets[m + 1]]`; slice k has
    `counts[k]` of them.
    """

    head: Int[Tensor, " M"]
    offsets: Int[Tensor, " M1"]
    tails: Int[Tensor, " F"]
    counts: list[int]

    @classmethod
    def from_triples(cls, hrt: Int[Tensor, "T 3"], num_entities: int, num_relations: int) -> "Slices":
        """A triple given twice counts once."""
        directed = distinct(with_inverses(hrt, num_relations), num_relations)
        head, relation, tail = directed[directed[:, 1].argsort(stable=True)].unbind(1)  # by relation, then head
        rows, sizes = torch.unique_consecutive(relation * num_entities + head, return_counts=True)
        counts = torch.bincount(rows // num_entities, minlength=2 * num_relations)
        offsets = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
        return cls(rows % num_entities, offsets, tail.contiguous(), counts.tolist())

    @property
    def num_facts(self) -> int:
        """||X||^2."""
        return len(self.tails) // 2

    def times(
        self, vectors: Float[Tensor, "N D"], num_slices: int
    ) -> Iterator[tuple[Int[Tensor, " m"], Float[Tensor, "m D"]]]:
        """X_k A of each of the first slices: its rows that are not empty, and which they are. O(facts D)."""
        counts = self.counts[:num_slices]
        offsets = self.offsets[: sum(counts) + 1]
        sums = _sums(self.tails[: int(offsets[-1])], offsets, vectors)
        return zip(torch.split(self.head[: len(sums)], counts), torch.split(sums, counts), strict=True)


def fitted_relations(slices: Slices, vectors: Float[Tensor, "N D"], weight: float) -> Float[Tensor, "R D D"]:
    """The R that minimises sum_k ||X_k - A R_k A^T||^2 + weight ||R_k||^2.

    With A^T A = V diag(e) V^T, the numbers of V^T R_k V are independent of one another, and each is that of
    V^T A^T X_k A V, over e_i e_j + weight. (The SVD of A is the usual way to the same end.)
    """
    values, basis = torch.linalg.eigh(vectors.T @ vectors)
    projected = basis.T @ _cores(slices, vectors) @ basis
    fitted: Tensor = basis @ (projected / (values[:, None] * values + weight)) @ basis.T
    return fitted


def moved_entities(
    slices: Slices, vectors: Float[Tensor, "N D"], matrices: Float[Tensor, "R D D"], weight: float
) -> Float[Tensor, "N D"]:
    """A nearer to the minimum of sum_k ||X_k - A R_k A^T||^2 + weight ||A||^2.

    A stands on both sides of R_k. Nickel et al. (2011, eq. 4) hold one of the two and solve for the other,

        A' = (sum_k X_k A R_k^T + X_k^T A R_k) (sum_k R_k A^T A R_k^T + R_k^T A^T A R_k + weight I)^-1,

    which may overshoot. But A' - A is minus half the gradient times an inverse that is positive definite, so the loss
    falls along it at first; and on that line it is a polynomial of degree 4, whose first minimum we take.
    """
    gram = vectors.T @ vectors
    inner = (matrices @ gram @ matrices.mT + matrices.mT @ gram @ matrices).sum(0)
    inner.diagonal().add_(weight)
    target = _answers(slices, vectors, matrices)
    step = torch.linalg.solve(inner, target, left=False) - vectors
    cross, square = vectors.T @ step, step.T @ step

    def form(left: Float[Tensor, "D D"], right: Float[Tensor, "D D"]) -> float:
        return float((matrices * (left @ matrices @ right)).sum())

    # With P_0 = A R A^T, P_1 = S R A^T + A R S^T and P_2 = S R S^T, the square of X - P_0 - s P_1 - s^2 P_2, by powers
    # of s. <U R V^T, W R Z^T> = <R, U^T W R Z^T V>, and <X, P_i> comes from `_answers`.
    squares = [
        form(gram, gram),
        2 * (form(cross, gram) + form(gram, cross.T)),
        form(square, gram) + 2 * form(cross.T, cross.T) + form(gram, square) + 2 * form(cross, cross.T),
        2 * (form(square, cross.T) + form(cross, square)),
        form(square, square),
    ]
    on_facts = [(target * vectors).sum() / 2, (target * step).sum()]
    on_facts.append((_answers(slices, step, matrices) * step).sum() / 2)
    norms = [gram.trace(), 2 * cross.trace(), square.trace()]
    for power, (on_fact, norm) in enumerate(zip(on_facts, norms, strict=True)):
        squares[power] += float(weight * norm - 2 * on_fact)
    moved: Tensor = vectors + _first_low(squares) * step
    return moved


def _first_low(coefficients: list[float]) -> float:
    """How far the polynomial, which falls at 0, goes on falling; 1 where it is flat."""
    roots = np.roots([power * coefficients[power] for power in (4, 3, 2, 1)])
    return min((float(root.real) for root in roots if abs(root.imag) < 1e-9 and root.real > 0), default=1.0)


def squared_error(slices: Slices, vectors: Float[Tensor, "N D"], matrices: Float[Tensor, "R D D"]) -> Float[Tensor, ""]:
    """sum_k ||X_k - A R_k A^T||^2, as ||X||^2 - 2 <X, A R A^T> + ||A R A^T||^2: no entry is computed by itself."""
    gram = vectors.T @ vectors
    on_facts = (_cores(slices, vectors) * matrices).sum()
    return slices.num_facts - 2 * on_facts + (matrices * (gram @ matrices @ gram)).sum()


def leading_eigenvectors(graph: Graph, dim: int, seed: int) -> Float[Tensor, "N D"]:
    """Orthonormal eigenvectors of sum_k X_k + X_k^T, those of the eigenvalues largest in size; the sign is arbitrary.

    Subspace iteration from random vectors, a few more than are asked for, then Rayleigh-Ritz. O(edges dim) a turn.
    """
    width = min(graph.num_entities, dim + 10)
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(graph.num_entities, width, generator=generator, dtype=torch.float64).to(graph.tail.device)
    basis, _ = torch.linalg.qr(drawn)
    for _ in range(_ITERATIONS):
        basis, _ = torch.linalg.qr(_sums(graph.tail, graph.offsets, basis))
    small = basis.T @ _sums(graph.tail, graph.offsets, basis)
    values, turned = torch.linalg.eigh((small + small.T) / 2)
    leading: Tensor = basis @ turned[:, values.abs().argsort(descending=True)[:dim]]
    return leading


def _cores(slices: Slices, vectors: Float[Tensor, "N D"]) -> Float[Tensor, "R D D"]:
    """A^T X_k A."""
    forward = slices.times(vectors, len(slices.counts) // 2)
    return torch.stack([vectors[head].T @ rows for head, rows in forward])


def _answers(slices: Slices, vectors: Float[Tensor, "N D"], matrices: Float[Tensor, "R D D"]) -> Float[Tensor, "N D"]:
    """sum_k X_k A R_k^T + X_k^T A R_k. Its product with A is 2 <X, A R A^T>."""
    found = torch.zeros_like(vectors)
    both = torch.cat([matrices.mT, matrices])
    for matrix, (head, rows) in zip(both, slices.times(vectors, len(both)), strict=True):
        found.index_add_(0, head, rows @ matrix)
    return found


def _sums(tails: Int[Tensor, " F"], offsets: Int[Tensor, " M1"], vectors: Float[Tensor, "N D"]) -> Float[Tensor, "M D"]:
    """The product of a sparse matrix of ones, in CSR, with a dense one."""
    return torch.nn.functional.embedding_bag(tails, vectors, offsets, mode="sum", include_last_offset=True)
