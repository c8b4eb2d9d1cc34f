"""What a part of a sequence does to a state that enters it, and what it asks of one: beforehand."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from dnamamba_kernels.checks import compute_dtype
from dnamamba_kernels.parallel import slices
from dnamamba_kernels.selective_scan.op import implementation
from dnamamba_kernels.selective_scan.scan import Scan

__all__ = ["Summary", "initial_gradient", "summary"]

# Elements of Δ that are read at a time: what is in fp32 of them stays small beside the scan.
_ELEMENTS = 1 << 22


class Summary(NamedTuple):
    """A state h before becomes ``product * h + local`` behind; both in the states' dtype."""

    product: Tensor  # (B, D, N), of the decays; 0 where a mark lets nothing pass
    local: Tensor  # (B, D, N), what the scan leaves from its own initial state


def summary(scan: Scan, backend: str) -> Summary:
    """Of a checked scan on a chosen backend, "reference" apart; without a gradient.

    On Triton it takes half of a forward; elsewhere one, whose y is not kept.
    """
    with torch.no_grad():
        if backend == "triton":
            from dnamamba_kernels.selective_scan.fused import ahead

            return Summary(*ahead.summary(scan))
        _, local, _ = implementation(backend).forward(scan._replace(D=None, z=None), False)
        exact = compute_dtype(scan.u.dtype)
        product = torch.exp(_total(scan, exact)[:, :, None] * scan.A.to(exact))
        if scan.resets is not None:
            product.masked_fill_(scan.resets.any(1)[:, None, None], 0.0)
    return Summary(product, local)


def initial_gradient(scan: Scan, states: Tensor, dy: Tensor, backend: str) -> Tensor:
    """The gradient of the state before a scan (B, D, N) through its y alone.

    On Triton it takes a fifth of a backward; elsewhere it is one.

    Args:
        scan: as the backward takes it.
        states: what the forward kept.
        dy: the gradient of y.
        backend: of the forward.
    """
    if backend == "triton":
        from dnamamba_kernels.selective_scan.fused import ahead

        return ahead.initial_gradient(scan, dy)
    return implementation(backend).backward(scan, states, dy, None, True)[-1]


def _total(scan: Scan, exact: torch.dtype) -> Tensor:
    """The sum of Δ over the positions (B, D)."""
    batch, length, channels = scan.delta.shape
    total = scan.delta.new_zeros(batch, channels, dtype=exact)
    for part in slices(length, max(1, _ELEMENTS // max(1, batch * channels))):
        delta = scan.delta[:, part].to(exact)
        if scan.delta_bias is not None:
            delta = delta + scan.delta_bias.to(exact)
        total += (F.softplus(delta) if scan.delta_softplus else delta).sum(1)
    return total
