"""Performer: softmax attention in linear time, by random features."""

from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kg.errors import check_at_least_one


@final
class Performer(nn.Module):
    """phi(q) (phi(k)^T v) / phi(q) (phi(k)^T 1) (FAVOR+; Choromanski et al., 2021). O((M + N) D num_features).

    phi_i(x) = exp(w_i . x - |x|^2 / 2), w_i ~ N(0, I), so that phi(q) . phi(k) is exp(q . k) in the mean; q and k stand
    for D^-1/4 q and D^-1/4 k, where one longer than 2 is shortened to 2: the error of phi(q) . phi(k) grows as
    exp(|q + k|^2 / 2). To length 1, 64 features are near the softmax, but a key counts at most e^2 times as much as
    another, which is too little to pick one of many; to length 2 it is e^8, and beyond it learning finds noise.
    In training every redraw_every-th call draws the features anew, and no weight may rely on those it has; 0: none
    does, and the weights learn with one fixed kernel.
    """

    calls: Tensor
    projection: Tensor

    def __init__(self, num_heads: int, head_dim: int, num_features: int = 64, redraw_every: int = 0) -> None:
        super().__init__()
        check_at_least_one(num_features=num_features)
        self.redraw_every = redraw_every
        self.register_buffer("projection", orthogonal_normals(num_heads, num_features, head_dim))
        self.register_buffer("calls", torch.tensor(0))  # in training; stored: a resumed one redraws alike

    def forward(
        self,
        q: Float[Tensor, "B H M D"],
        k: Float[Tensor, "B H N D"],
        v: Float[Tensor, "B H N D"],
        mask: Bool[Tensor, "B N"],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B H M D"]:
        if self.training and generator is not None and self.redraw_every:  # to ask is no training: it may sample
            self.calls += 1
            if self.calls % self.redraw_every == 0:  # a new tensor: the old one may wait for its backward pass
                self.projection = orthogonal_normals(*self.projection.shape, generator=generator).to(self.projection)
        absent = ~mask[:, None, :, None]
        k, v = (x.masked_fill(absent, 0) for x in (k, v))  # a NaN there would go through the products
        with torch.autocast(q.device.type, enabled=False):
            wide = torch.promote_types(q.dtype, torch.float32)
            of_q, of_k = (exponents(shortened(x.to(wide)), self.projection.to(wide)) for x in (q, k))
            of_k = of_k.masked_fill(absent, torch.finfo(wide).min)  # its features are 0, above and below the line
            # What is subtracted is one number a query, and one a row's keys: it cancels, so it needs no gradient.
            phi_q = (of_q - of_q.detach().amax(3, keepdim=True)).exp()
            phi_k = (of_k - of_k.detach().amax((2, 3), keepdim=True)).exp()
            found = phi_q @ (phi_k.mT @ v.to(wide)) / (phi_q @ phi_k.sum(2)[..., None])
        return found.to(v.dtype)


def shortened(x: Float[Tensor, "B H N D"]) -> Float[Tensor, "B H N D"]:
    """D^-1/4 x, or the vector of length 2 in its direction where that is longer."""
    x = x * x.shape[-1] ** -0.25
    length: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x / (length / 2).clamp(min=1)


def exponents(x: Float[Tensor, "B H N D"], projection: Float[Tensor, "H F D"]) -> Float[Tensor, "B H N F"]:
    """log phi(x): w_i . x - |x|^2 / 2."""
    return x @ projection.mT - x.square().sum(-1, keepdim=True) / 2


def orthogonal_normals(
    num_heads: int, num_rows: int, dim: int, *, generator: torch.Generator | None = None
) -> Float[Tensor, "H F D"]:
    """Rows from N(0, I), of each dim in turn orthogonal to each other: it lowers the variance of the kernel.

    Q is uniform (Haar) only with the signs that make R's diagonal positive, and LAPACK has it negative. The lengths are
    those of other rows from N(0, I).
    """
    device = None if generator is None else generator.device
    normals = torch.randn(num_heads, -(-num_rows // dim), dim, dim, generator=generator, device=device)
    q, r = torch.linalg.qr(normals)
    rows: Tensor = (q * r.diagonal(dim1=-2, dim2=-1).sign()[..., None, :]).flatten(1, 2)[:, :num_rows]
    others = torch.randn(rows.shape, generator=generator, device=device)
    return rows * others.square().sum(2, keepdim=True).sqrt()
