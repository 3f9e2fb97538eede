"""The shortest vector of a hull: MGDA (arXiv 1810.04650), as SDDM merges directions.

    min_w |sum_k w_k v_k|^2,  w_k >= 0,  sum_k w_k = 1

    M = V V^T   products of the vectors        w   weights        i   the vertex that is moved to

Its product with each of the vectors is at least its own square: it goes against none of them. Two
vectors have a closed form; more go by Frank-Wolfe (there, algorithm 2), a fixed number of moves:
no row waits for another, and nothing is read back from the device.
"""

from __future__ import annotations

import torch
from torch import Tensor

MOVES = 20


def min_norm(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """The shortest vector of the hull of each row.

    Args:
        vectors: (..., K, D).

    Returns:
        The vector (..., D), of the same dtype, and its weights (..., K), at least fp32.
    """
    wide = vectors.to(torch.promote_types(vectors.dtype, torch.float32))
    weights = min_norm_weights(wide @ wide.mT)
    merged = (weights.unsqueeze(-2) @ wide).squeeze(-2)
    return merged.to(vectors.dtype), weights


def min_norm_weights(products: Tensor) -> Tensor:
    """The weights alone.

    Args:
        products: M, (..., K, K).

    Returns:
        (..., K), at least 0, summing to 1.
    """
    count = products.shape[-1]
    if count == 2:
        return _of_two(products)
    weights = torch.full_like(products[..., 0], 1 / count)
    for _ in range(MOVES if count > 1 else 0):
        weights = _moved(weights, products)
    return weights


def _of_two(products: Tensor) -> Tensor:
    """w_2 = <u, u - v> / |u - v|^2, clamped; equal vectors are the first."""
    uu, uv, vv = products[..., 0, 0], products[..., 0, 1], products[..., 1, 1]
    apart = (uu + vv - 2 * uv).clamp(min=torch.finfo(products.dtype).tiny)
    second = ((uu - uv) / apart).clamp(0, 1)
    return torch.stack([1 - second, second], -1)


def _moved(w: Tensor, products: Tensor) -> Tensor:
    """One move of Frank-Wolfe, its length by line search."""
    mw = (products @ w.unsqueeze(-1)).squeeze(-1)
    i = mw.argmin(-1, keepdim=True)
    w_m_w, w_m_i = (w * mw).sum(-1, keepdim=True), mw.gather(-1, i)
    i_m_i = products.diagonal(dim1=-2, dim2=-1).gather(-1, i)
    # 0 / 0 where w is that vertex already.
    gamma = ((w_m_w - w_m_i) / (i_m_i + w_m_w - 2 * w_m_i)).nan_to_num(1.0).clamp(0, 1)
    return (1 - gamma) * w + torch.zeros_like(w).scatter(-1, i, gamma)
