"""Gradients for guides, also where the host samples without them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def gradient(energy: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The gradient of an energy at x, picture by picture.

    Works under ``torch.no_grad`` and ``torch.inference_mode``, and keeps no graph. The energies
    are summed, never averaged: a picture must not change with its batch.

    Args:
        energy: (B, ...) to (B,).
        x: where, (B, ...).

    Returns:
        d energy / d x, of x's shape and dtype.
    """
    with torch.inference_mode(False), torch.enable_grad():
        # A copy made here is an ordinary tensor, whatever x is.
        point = x.detach().clone().requires_grad_()
        (slope,) = torch.autograd.grad(energy(point).sum(), point)
    return slope


def gradient_through(
    denoise: Callable[[Tensor], Tensor], energy: Callable[[Tensor], Tensor], x: Tensor
) -> tuple[Tensor, Tensor]:
    """What a function makes of x, and the gradient with respect to x of an energy of that.

    Args:
        denoise: (B, ...) to (B, ...), such as a network.
        energy: of its result, (B,).
        x: where, (B, ...).

    Returns:
        denoise(x) without a graph, and the gradient; see :func:`gradient`. Inside the gradient of
        another guide, denoise(x) keeps its graph, and the gradient counts as a constant there.
    """
    within = x.requires_grad
    with torch.inference_mode(False), torch.enable_grad():
        point = x if within else x.detach().clone().requires_grad_()
        result = denoise(point)
        (slope,) = torch.autograd.grad(energy(result).sum(), point, retain_graph=within)
    return result if within else result.detach(), slope


def ordinary(x: Tensor) -> Tensor:
    """The same numbers as a tensor that autograd can keep, whatever mode x was made in."""
    if not x.is_inference():
        return x
    with torch.inference_mode(False):
        return torch.empty(0, dtype=x.dtype, device=x.device).set_(
            x.untyped_storage(), x.storage_offset(), x.size(), x.stride()
        )


@contextmanager
def ordinary_weights(module: nn.Module) -> Iterator[None]:
    """A network whose weights autograd can keep, while it is open; nothing is copied.

    Weights that were made in ``torch.inference_mode``, as a host may do, can otherwise not be
    differentiated through.
    """
    exchanged: list[tuple[dict[str, nn.Parameter | Tensor | None], str, Tensor]] = []
    for part in module.modules():
        for table in (part._parameters, part._buffers):
            for name, value in table.items():
                if value is not None and value.is_inference():
                    exchanged.append((table, name, value))  # type: ignore[arg-type]
    try:
        with torch.inference_mode(False):
            for table, name, value in exchanged:
                view = ordinary(value)
                keep = isinstance(value, nn.Parameter)
                table[name] = nn.Parameter(view, requires_grad=False) if keep else view
        yield
    finally:
        for table, name, value in exchanged:
            table[name] = value
