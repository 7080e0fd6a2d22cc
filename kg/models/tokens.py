"""The edges of entities as tokens that an attention reads."""

from typing import NamedTuple

from jaxtyping import Bool, Float, Int
from torch import Tensor

from kg.models.encoder import chosen


class Tokens(NamedTuple):
    """M edges of B rows, in order of rows: edge i of row row[i] leads by relation[i] to tail[i]."""

    row: Int[Tensor, " M"]
    relation: Int[Tensor, " M"]
    tail: Int[Tensor, " M"]
    vector: Float[Tensor, "M W"]

    def at(self, places: Bool[Tensor, " M"] | Int[Tensor, " K"]) -> "Tokens":
        return Tokens(*(part[places] for part in self))

    def match(self, sought: Float[Tensor, "B W"]) -> Float[Tensor, " M"]:
        """sought_row . vector_i / sqrt(W)."""
        matched: Tensor = (chosen(sought, self.row) * self.vector).sum(1) * self.vector.shape[1] ** -0.5
        return matched
