"""The only holders of rows: a vector an entity, a weight a relation. Nothing else knows how these are kept."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kg.models.dropout import dropout

Tie = Callable[[Tensor], Tensor]  # from the weights (B, *shape) of relations to those of their inverses


@final
class EntityTable(nn.Module):
    """A vector an entity, in memory as a whole: `rows` and `block` read some, `whole` all of them.

    A table on disk, or one in pieces on several machines, can take its place: it has the same methods, and `whole` is
    the only one that would have to refuse.
    """

    def __init__(self, num_rows: int, size: int) -> None:
        super().__init__()
        self.weight = _as_embedding(num_rows, size)
        self._held: tuple[Tensor, Tensor] | None = None  # the only ids that may be read now, sorted, and their rows

    @property
    def num_rows(self) -> int:
        """How many entities have a vector: those with the ids 0 ... num_rows - 1."""
        return self.weight.shape[0]

    @property
    def size(self) -> int:
        """Numbers in a row."""
        return self.weight.shape[1]

    def rows(self, ids: Int[Tensor, "*shape"]) -> Float[Tensor, "*shape D"]:
        """The vectors of these entities."""
        if self._held is None:
            return nn.functional.embedding(ids, self.weight)
        held, rows = self._held
        place = torch.searchsorted(held, ids.contiguous()).clamp_(max=len(held) - 1)
        if not torch.equal(held[place], ids):
            raise ValueError("a row was asked for that is not among those held")
        return nn.functional.embedding(place, rows)

    def block(self, ids: slice) -> Float[Tensor, "K D"]:
        """The vectors of consecutive entities."""
        return self.whole()[ids]

    def whole(self) -> Float[Tensor, "N D"]:
        """All vectors at once: for what cannot do with blocks, and small enough to be held."""
        if self._held is not None:
            raise ValueError("all rows were asked for where a few are held")
        return self.weight

    @contextmanager
    def holding(self, ids: Int[Tensor, " U"]) -> Iterator[nn.Parameter]:
        """These rows alone, as a parameter of their own (U, D), which gets the gradients: nothing as large as the table
        is touched. ids: distinct and sorted. Whoever asks for another row meanwhile gets a ValueError.
        """
        rows = nn.Parameter(self.weight.detach().index_select(0, ids))
        self._held = ids, rows
        try:
            yield rows
        finally:
            self._held = None

    @torch.no_grad()
    def replace(self, ids: Int[Tensor, " U"], vectors: Float[Tensor, "U D"]) -> None:
        """Hold these vectors for these entities from now on."""
        self.weight.index_copy_(0, ids, vectors)

    @torch.no_grad()
    def draw(self, std: float, num_biases: int = 0) -> None:
        """Start anew from N(0, std^2); the last `num_biases` numbers of each row from 0."""
        nn.init.normal_(self.weight, std=std)
        self.weight[:, self.size - num_biases :] = 0

    @torch.no_grad()
    def assign(self, vectors: Float[Tensor, "N D"]) -> None:
        """Hold these vectors from now on."""
        self.weight.copy_(vectors)


@final
class RelationWeights(nn.Module):
    """A weight of this shape each of the 2R directed relations: a vector, a matrix or several.

    tie: what makes the weight of an inverse from that of its relation (R weights are kept); None: inverses have weights
    of their own (2R are kept). dropout: the share of numbers that `rows` with a generator sets to 0.
    """

    def __init__(self, num_relations: int, *shape: int, tie: Tie | None = None, dropout: float = 0.0) -> None:
        super().__init__()
        self.num_relations = num_relations
        self.tie = tie
        self.dropout = dropout
        num_rows = num_relations if tie else 2 * num_relations
        self.weight = (
            _as_embedding(num_rows, *shape) if len(shape) == 1 else nn.Parameter(torch.empty(num_rows, *shape))
        )

    def rows(self, relation: Int[Tensor, " B"], generator: torch.Generator | None = None) -> Float[Tensor, "B ..."]:
        """The weights of directed relations 0 ... 2R - 1; with dropout where a generator is given."""
        return dropout(self._directed(relation), self.dropout, generator)

    def _directed(self, relation: Int[Tensor, " B"]) -> Float[Tensor, "B ..."]:
        if not self.tie:
            return self._kept(relation)
        weight = self._kept(relation % self.num_relations)
        if self.tie is same:
            return weight
        is_inverse = (relation >= self.num_relations).view(-1, *[1] * (weight.ndim - 1))
        return torch.where(is_inverse, self.tie(weight), weight)

    def _kept(self, place: Int[Tensor, " B"]) -> Float[Tensor, "B ..."]:
        if self.weight.ndim == 2:
            return nn.functional.embedding(place, self.weight)
        # the gradient of plain indexing sorts its way through the copies, at twice the time
        return self.weight.index_select(0, place)

    def row(self, relation: int) -> Float[Tensor, "*shape"]:
        """The weight of one directed relation."""
        return self.rows(torch.tensor([relation], device=self.weight.device))[0]

    def kept(self) -> Float[Tensor, "M ..."]:
        """The weights that are kept: of the R relations where inverses are tied, else of all 2R."""
        return self.weight

    def every(self) -> Float[Tensor, "R2 ..."]:
        """The weights of all 2R directed relations."""
        return torch.cat([self.weight, self.tie(self.weight)]) if self.tie else self.weight

    def dots(self, x: Float[Tensor, "B D"]) -> Float[Tensor, "B R2"]:
        """x . w_r of all 2R directed relations, where weights are vectors and the tie is symmetric.

        Symmetric: x . tie(w) = tie(x) . w. So no weight is tied that is not asked for.
        """
        scores = x @ self.weight.T
        if not self.tie:
            return scores
        return torch.cat([scores, scores if self.tie is same else self.tie(x) @ self.weight.T], 1)

    def draw(self, std: float) -> None:
        """Start anew from N(0, std^2)."""
        nn.init.normal_(self.weight, std=std)

    def draw_evenly(self, bound: float) -> None:
        """Start anew from numbers between -bound and bound, all alike."""
        nn.init.uniform_(self.weight, -bound, bound)

    @torch.no_grad()
    def assign(self, weights: Float[Tensor, "M ..."] | float) -> None:
        """Keep these weights from now on, or this number everywhere."""
        self.weight.copy_(torch.as_tensor(weights))


def same(weight: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """A tie: an inverse has the weight of its relation."""
    return weight


def negated(weight: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """A tie: the opposite numbers."""
    return -weight


def transposed(weight: Float[Tensor, "*B D E"]) -> Float[Tensor, "*B E D"]:
    """A tie: the matrix turned."""
    return weight.mT


def _as_embedding(num_rows: int, size: int) -> nn.Parameter:
    """Rows as torch.nn.Embedding makes them, which draws each number once before its owner draws it anew.

    That first draw has no other use than that a seed gives the weights that it has always given.
    """
    return nn.Parameter(nn.init.normal_(torch.empty(num_rows, size)))
