"""Where the backward of a fused scan writes."""

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from dnamamba_kernels.selective_scan.fused.plan import Plan
from dnamamba_kernels.selective_scan.scan import Scan

__all__ = ["Gradients"]


@dataclass
class Gradients:
    """Where a segment of the backward writes; of A, D and delta_bias each chunk's share, in fp32.

    Sums of shares are taken once, in a fixed order: two runs agree to the bit.
    """

    u: Tensor
    delta: Tensor
    A: Tensor  # (B, chunks, N, D), padded
    B: Tensor
    C: Tensor
    D: Tensor | None  # (B, chunks, D)
    y: Tensor | None  # the output itself, once more
    z: Tensor | None
    delta_bias: Tensor | None  # (B, chunks, D)

    @classmethod
    def of(cls, s: Scan, p: Plan, out: list[Tensor], y: Tensor | None) -> "Gradients":
        batch, _, channels = s.u.shape
        du, ddelta, _, dB, dC, _, dz, *_ = out
        share = du.new_empty
        chunks, fp32 = (batch, p.n_chunks), torch.float32
        return cls(
            u=du,
            delta=ddelta,
            A=share(*chunks, p.states, channels, dtype=fp32),
            B=dB,
            C=dC,
            D=None if s.D is None else share(*chunks, channels, dtype=fp32),
            y=y,
            z=None if s.z is None or not dz.numel() else dz,
            delta_bias=None if s.delta_bias is None else share(*chunks, channels, dtype=fp32),
        )

    def rows(self, part: slice) -> "Gradients":
        """Those of a part of the batch."""
        tensors = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: x[part] for name, x in tensors.items() if x is not None})
