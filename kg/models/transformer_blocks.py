"""Transformer blocks: a query token reads the tokens of its row; query token and tokens attend to each other."""

from typing import Any, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kg.attention.softmax import query_attention, query_weights
from kg.errors import UserError
from kg.graph.graph import spans
from kg.models.dropout import dropout

_MOST_TOKENS = 1 << 16  # padded tokens that attend to each other at once


class _Block(nn.Module):
    """What the two kinds of blocks share: projections to and from heads, and the feed-forward layer."""

    def __init__(self, width: int, num_heads: int, feed_forward: bool, hidden_dropout: float) -> None:
        super().__init__()
        if width % num_heads:
            raise UserError(f"width must be a multiple of num_heads, {num_heads}: got {width}")
        self.num_heads = num_heads
        self.hidden_dropout = hidden_dropout
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.heard = nn.Linear(width, width)
        inner = (nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.feed_forward = nn.Sequential(*inner) if feed_forward else None

    def added(
        self, x: Float[Tensor, "*shape W"], heard: Float[Tensor, "*shape W"], generator: torch.Generator | None
    ) -> Float[Tensor, "*shape W"]:
        x = x + dropout(self.heard(heard), self.hidden_dropout, generator)
        return x + dropout(self.feed_forward(x), self.hidden_dropout, generator) if self.feed_forward else x


@final
class ReadingBlock(_Block):
    """The query token attends to its row's tokens: O(M)."""

    def forward(
        self,
        asked: Float[Tensor, "B W"],
        tokens: Float[Tensor, "M W"],
        offsets: Int[Tensor, " B1"],
        generator: torch.Generator | None,
    ) -> Float[Tensor, "B W"]:
        q, k, v = self._projected(asked, tokens)
        return self.added(asked, query_attention(q, k, v, offsets).flatten(1), generator)

    def weights(
        self, asked: Float[Tensor, "B W"], tokens: Float[Tensor, "M W"], offsets: Int[Tensor, " B1"]
    ) -> tuple[Int[Tensor, " M"], Float[Tensor, "M H"]]:
        """The row of each token, and what each head weighs it with."""
        q, k, _ = self._projected(asked, tokens)
        return query_weights(q, k, offsets)

    def _projected(
        self, asked: Float[Tensor, "B W"], tokens: Float[Tensor, "M W"]
    ) -> tuple[Float[Tensor, "B H E"], Float[Tensor, "M H E"], Float[Tensor, "M H E"]]:
        q = self.query(self.norm(asked)).unflatten(1, (self.num_heads, -1))
        k, v = self.key_value(tokens).unflatten(1, (2, self.num_heads, -1)).unbind(1)
        return q, k, v


@final
class MixingBlock(_Block):
    """Query token and tokens attend to each other, at the cost of the attention passed in."""

    def __init__(self, width: int, num_heads: int, feed_forward: bool, hidden_dropout: float, attention: Any) -> None:
        super().__init__(width, num_heads, feed_forward, hidden_dropout)
        self.attention = attention(num_heads, width // num_heads)

    def forward(
        self, x: Float[Tensor, "B N W"], mask: Bool[Tensor, "B N"], generator: torch.Generator | None
    ) -> Float[Tensor, "B N W"]:
        normed = self.norm(x)
        q = self.query(normed).unflatten(2, (self.num_heads, -1))
        k, v = self.key_value(normed).unflatten(2, (2, self.num_heads, -1)).unbind(2)
        q, k, v = (part.transpose(1, 2) for part in (q, k, v))
        return self.added(x, self.attention(q, k, v, mask, generator).transpose(1, 2).flatten(2), generator)


def mixed(
    blocks: nn.ModuleList,
    asked: Float[Tensor, "B W"],
    row: Int[Tensor, " M"],
    vector: Float[Tensor, "M W"],
    generator: torch.Generator | None,
) -> tuple[Float[Tensor, "B W"], Float[Tensor, "M W"]]:
    """Query tokens and tokens after they have attended to each other, rows of like lengths at a time."""
    count = torch.bincount(row, minlength=len(asked))
    start = count.cumsum(0) - count
    order = count.argsort(stable=True)
    asked_parts, token_parts, places = [], [], []
    for rows in torch.split(order, _like_lengths(count[order].tolist())):
        within, place = spans(start[rows], count[rows])
        column = place - start[rows][within] + 1
        x = vector.new_zeros(len(rows), int(count[rows[-1]]) + 1, vector.shape[1])
        x = x.index_put((within, column), vector[place])
        x[:, 0] = asked[rows]
        mask = torch.arange(x.shape[1], device=row.device) <= count[rows][:, None]
        for block in blocks:
            x = block(x, mask, generator)
        asked_parts.append(x[:, 0])
        token_parts.append(x[within, column])
        places.append(place)
    return torch.cat(asked_parts)[order.argsort()], torch.cat(token_parts)[torch.cat(places).argsort()]


def _like_lengths(counts: list[int]) -> list[int]:
    """Sizes of groups of rows in rising order of length, such that at most about half of a padded group is padding."""
    sizes, shortest = [0], counts[0] if counts else 0
    for count in counts:
        if sizes[-1] and (count > 2 * shortest + 8 or (sizes[-1] + 1) * (count + 1) > _MOST_TOKENS):
            sizes.append(0)
            shortest = count
        sizes[-1] += 1
    return sizes
