"""Sparse attention: each token to a few others, along the tokens' order and through the query token."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kg.errors import check_at_least_one


@dataclass(frozen=True)
class _Sparse(ABC):
    """Softmax attention over links, which hang on a token's rank among its row's valid tokens and their number alone.

    Token 0, the row's query token, is the hub: it attends to all tokens and, by links(), all attend to it. Nothing of
    size N x N is made.
    """

    num_heads: int
    head_dim: int

    @abstractmethod
    def links(self, rank: Int[Tensor, "B N"]) -> Int[Tensor, "B N L"]:
        """The ranks that each token of such rank attends to, perhaps repeatedly. The last rank is its row's highest."""

    def pattern(self, n: int) -> Bool[Tensor, "{n} {n}"]:
        """Which of n tokens (the rows) attends to which."""
        linked = torch.zeros(n, n, dtype=torch.bool).scatter(1, self.links(torch.arange(n)[None])[0], True)
        linked[0] = True
        return linked

    def __call__(
        self,
        q: Float[Tensor, "B H M D"],
        k: Float[Tensor, "B H N D"],
        v: Float[Tensor, "B H N D"],
        mask: Bool[Tensor, "B N"],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B H M D"]:
        if q.shape != k.shape:
            raise ValueError("links are between tokens of one row: q and k must be of the same length")
        absent = ~mask[:, None, :, None]
        q, k, v = (x.masked_fill(absent, 0) for x in (q * q.shape[3] ** -0.5, k, v))  # a NaN would go through any mask
        links = self.links(mask.cumsum(1).sub(1).clamp(min=0)).sort(-1).values
        new = torch.ones_like(links, dtype=torch.bool)
        new[..., 1:] = links.diff(dim=-1) != 0  # a token linked twice counts once
        valid_first = mask.to(torch.uint8).argsort(dim=1, descending=True, stable=True)
        tokens = valid_first.gather(1, links.flatten(1))[:, None, :, None].expand(-1, k.shape[1], -1, k.shape[3])
        to_links = *k.shape[:3], links.shape[2], k.shape[3]  # (B, H, N, L, D)
        linked_k, linked_v = (x.gather(2, tokens).view(to_links) for x in (k, v))
        weights = _weights(torch.einsum("bhnd,bhnld->bhnl", q, linked_k), new[:, None])
        out = torch.einsum("bhnl,bhnld->bhnd", weights, linked_v)
        of_hub = _weights(q[:, :, :1] @ k.mT, mask[:, None, None]) @ v
        return torch.cat([of_hub, out[:, :, 1:]], 2).masked_fill(absent, 0)


@final
@dataclass(frozen=True)
class Star(_Sparse):
    """softmax(q k^T / sqrt(D)) v over O(N) links, a sparse transformer (Yun et al., 2020). O(N window D).

    A token attends to itself, to those at most `window` places before and after it, and to the hub; the hub to all.
    So it meets the conditions on links under which sparse transformers still approximate every function of sequences:
    a token attends to itself; a path of links passes through all tokens; every token reaches every other, here in 2
    steps. Without the hub that takes (N - 1) / window steps; with the hub alone there is no such path.
    """

    window: int = 1

    def __post_init__(self) -> None:
        check_at_least_one(window=self.window)

    def links(self, rank: Int[Tensor, "B N"]) -> Int[Tensor, "B N L"]:
        return _along_the_line(rank, self.window)


@final
@dataclass(frozen=True)
class Expander(_Sparse):
    """A star of window 1, hub and all, and an expander (Exphormer; Shirzad et al., 2023). O(N num_permutations D).

    Each of num_permutations pseudo-random permutations pi of the N tokens links i and pi(i), both ways: together nearly
    always a graph in which any set of tokens has many neighbours outside it, so that a few steps mix all of them, not
    only through the hub's one vector. They depend on N alone: the same in every row, run and machine.
    """

    num_permutations: int = 2

    def links(self, rank: Int[Tensor, "B N"]) -> Int[Tensor, "B N L"]:
        place = torch.arange(rank.shape[1], device=rank.device)
        which = torch.arange(self.num_permutations, device=rank.device)[:, None]
        key = _scrambled(place + (which << 20))  # (P, N)
        key = torch.where(place <= rank[:, -1:, None], key, 1 << 32)  # (B, P, N): places without a token come last
        permutation = key.argsort()
        both_ways = torch.cat([permutation, permutation.argsort()], 1)
        across = both_ways.gather(2, rank[:, None].expand(-1, both_ways.shape[1], -1)).mT
        return torch.cat([_along_the_line(rank, 1), across], 2)


def _along_the_line(rank: Int[Tensor, "B N"], window: int) -> Int[Tensor, "B N L"]:
    """The hub, the token itself, and those at most `window` places before and after it."""
    near = rank[..., None] + torch.arange(-window, window + 1, device=rank.device)
    near = near.clamp(min=0).minimum(rank[:, -1:, None])  # beyond the ends lie the ends: they are in the window, too
    return torch.cat([torch.zeros_like(rank[..., None]), near], 2)


def _scrambled(x: Int[Tensor, "*S"]) -> Int[Tensor, "*S"]:
    """Numbers in [0, 2^32) with nothing in common with x < 2^32, no two alike (the finalizer of MurmurHash3).

    Random generators give other numbers on another device or with another version.
    """
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = (x ^ (x >> shift)) * factor & 0xFFFFFFFF
    return x ^ (x >> 16)


def _weights(scores: Float[Tensor, "B H N L"], linked: Bool[Tensor, "#B #H #N L"]) -> Float[Tensor, "B H N L"]:
    """The softmax over what is linked, equal weights where nothing is. It adds up in float32 even bfloat16 scores."""
    weights: Tensor = scores.masked_fill(~linked, torch.finfo(scores.dtype).min).softmax(-1)
    return weights
