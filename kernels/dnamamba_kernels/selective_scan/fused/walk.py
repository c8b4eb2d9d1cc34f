"""What the kernels that walk along the sequence share: the arguments, laid out as they read them.

``summary``, ``output``, ``prepare`` and ``adjoint`` take some thirty parameters each. Those of all
four are listed here once, by name; their launches add what is their own.
"""

from dataclasses import dataclass
from typing import Any

import torch
import triton
from torch import Tensor

from dnamamba_kernels.dense import dense
from dnamamba_kernels.fused_math import LOG2E
from dnamamba_kernels.selective_scan.fused.forward import pack_kernel
from dnamamba_kernels.selective_scan.fused.plan import STEPS, Plan, plan
from dnamamba_kernels.selective_scan.scan import Scan

__all__ = ["Walk", "by_state", "decay_of", "plan_of", "stride", "with_dense_rows"]


@dataclass(frozen=True)
class Walk:
    """A scan, u, delta and z dense along the channels, and what is made of it for the kernels."""

    scan: Scan
    plan: Plan
    decay: Tensor  # (N, D)
    packed: Tensor  # (B, L, 2, N): B_t and C_t side by side in fp32
    cuts: Tensor | None  # (B, tiles) bytes: where marks lie, a bit for each position of a tile

    @classmethod
    def of(cls, scan: Scan, p: Plan, decay: Tensor) -> "Walk":
        """``decay`` is ``decay_of`` the scan, or of the one whose rows it is."""
        return cls(scan, p, decay, *_pack(scan, p))

    @classmethod
    def whole(cls, scan: Scan) -> "Walk":
        """Of all rows."""
        p = plan_of(scan)
        return cls.of(scan, p, decay_of(scan, p))

    def programs(self, pieces: int, block: int) -> tuple[int]:
        """The grid: a program for each row, piece of the sequence and block of channels."""
        batch, _, channels = self.scan.u.shape
        return (triton.cdiv(channels, block) * pieces * batch,)

    def shared(self, block: int, warps: int) -> dict[str, Any]:
        """What all four take, ``block`` channels a program of ``warps`` warps."""
        s, (_, length, channels) = self.scan, self.scan.u.shape
        return {
            "u": s.u,
            "delta": s.delta,
            "bias": dense(s.delta_bias),
            "decay": self.decay,
            "packed": self.packed,
            "cuts": self.cuts,
            "length": length,
            "zero": 0,
            "n_blocks": triton.cdiv(channels, block),
            "u_batch": s.u.stride(0),
            "delta_batch": s.delta.stride(0),
            "cuts_batch": stride(self.cuts, 0),
            "N": self.plan.states,
            "CHANNELS": channels,
            "BLOCK_D": block,
            "U_ROW": s.u.stride(1),
            "DELTA_ROW": s.delta.stride(1),
            "SOFTPLUS": s.delta_softplus,
            "REVERSE": s.reverse,
            "num_warps": warps,
        }

    def gated(self) -> dict[str, Any]:
        """What all but ``summary`` take: skip, gate, and whether the last tile of rows is whole."""
        s = self.scan
        return {
            "skip": dense(s.D),
            "z": s.z,
            "z_batch": stride(s.z, 0),
            "Z_ROW": stride(s.z, 1),
            "WHOLE": s.u.shape[1] % STEPS == 0,
        }


def with_dense_rows(scan: Scan) -> Scan:
    """The scan as the kernels take it; what does not lie dense along the channels is copied."""
    return scan._replace(u=dense(scan.u), delta=dense(scan.delta), z=dense(scan.z))


def plan_of(scan: Scan) -> Plan:
    batch, length, channels = scan.u.shape
    return plan(batch, length, channels, scan.A.shape[1])


def decay_of(s: Scan, p: Plan) -> Tensor:
    """A log2(e), transposed and padded (N, D): exp(Δ A) is then exp2 of one product."""
    channels, n_states = s.A.shape
    new = s.A.new_empty if n_states == p.states else s.A.new_zeros
    decay = new(p.states, channels, dtype=torch.float32)
    torch.mul(s.A.t().float(), LOG2E.value, out=decay[:n_states])
    return decay


def by_state(state: Tensor | None, p: Plan) -> Tensor | None:
    """(B, D, N) -> (B, N, D), padded."""
    if state is None:
        return None
    batch, channels, n_states = state.shape
    out = state.new_zeros(batch, p.states, channels, dtype=torch.float32)
    out[:, :n_states] = state.transpose(1, 2)
    return out


def stride(tensor: Tensor | None, dimension: int) -> int:
    return 0 if tensor is None else tensor.stride(dimension)


def _pack(s: Scan, p: Plan) -> tuple[Tensor, Tensor | None]:
    """``Walk.packed`` and ``Walk.cuts``, in one launch."""
    batch, length, n_states = s.B.shape
    packed = s.B.new_empty(batch, length, 2, p.states, dtype=torch.float32)
    marks, cuts, tiles = None, None, triton.cdiv(length, STEPS)
    if s.resets is not None:
        marks = s.resets.contiguous().view(torch.uint8)
        cuts = marks.new_empty(batch, tiles)
    rows = max(1, 1024 // p.states)
    pack_kernel[(triton.cdiv(batch * length, rows),)](
        s.B, s.C, packed, marks, cuts, batch * length, length, n_states, tiles,
        *s.B.stride(), *s.C.stride(),
        N=p.states, ROWS=rows, REVERSE=s.reverse, num_warps=4,
    )  # fmt: skip
    return packed, cuts
