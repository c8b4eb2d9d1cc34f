"""The arguments of the scan and of its step: listed and checked here, handed on as one value."""

from typing import NamedTuple

import torch
from torch import Tensor

from dnamamba_kernels.checks import compute_dtype, expect

__all__ = ["Scan", "Step"]


class Scan(NamedTuple):
    """What ``selective_scan`` takes; the tensors that take a gradient come first."""

    u: Tensor  # (B, L, D)
    delta: Tensor  # (B, L, D)
    A: Tensor  # (D, N)
    B: Tensor  # (B, L, N)
    C: Tensor  # (B, L, N)
    D: Tensor | None  # (D,)
    z: Tensor | None  # (B, L, D)
    delta_bias: Tensor | None  # (D,)
    initial_state: Tensor | None  # (B, D, N)
    resets: Tensor | None  # (B, L)
    delta_softplus: bool
    reverse: bool

    def check(self) -> None:
        """Raises:
        ValueError: a shape, dtype or device does not fit; names the argument.
        """
        op, u, A = "selective_scan", self.u, self.A
        if u.dim() != 3 or A.dim() != 2:
            raise ValueError(
                f"{op}: u must have shape (B, L, D) and A (D, N), "
                f"got {tuple(u.shape)} and {tuple(A.shape)}"
            )
        (batch, length, channels), states = u.shape, A.shape[1]
        if length < 1 or channels < 1 or not 1 <= states <= 256:
            raise ValueError(
                f"{op}: L and D must be at least 1 and N from 1 to 256, "
                f"got L = {length}, D = {channels}, N = {states}"
            )
        inputs, maps, device = (batch, length, channels), (batch, length, states), u.device
        state, state_dtype = (batch, channels, states), compute_dtype(u.dtype)
        expect(op, "u", u, "B, L, D", inputs, device)
        expect(op, "delta", self.delta, "B, L, D", inputs, device)
        expect(op, "A", A, "D, N", (channels, states), device)
        expect(op, "B", self.B, "B, L, N", maps, device)
        expect(op, "C", self.C, "B, L, N", maps, device)
        expect(op, "D", self.D, "D", (channels,), device)
        expect(op, "z", self.z, "B, L, D", inputs, device)
        expect(op, "delta_bias", self.delta_bias, "D", (channels,), device)
        expect(op, "initial_state", self.initial_state, "B, D, N", state, device, state_dtype)
        expect(op, "resets", self.resets, "B, L", (batch, length), device, torch.bool)

    def rows(self, part: slice) -> "Scan":
        """The same scan of a part of the batch."""
        return self._replace(
            u=self.u[part],
            delta=self.delta[part],
            B=self.B[part],
            C=self.C[part],
            z=None if self.z is None else self.z[part],
            initial_state=None if self.initial_state is None else self.initial_state[part],
            resets=None if self.resets is None else self.resets[part],
        )

    def channels(self, part: slice) -> "Scan":
        """The same scan of a part of the channels."""
        return self._replace(
            u=self.u[..., part],
            delta=self.delta[..., part],
            A=self.A[part],
            D=None if self.D is None else self.D[part],
            z=None if self.z is None else self.z[..., part],
            delta_bias=None if self.delta_bias is None else self.delta_bias[part],
            initial_state=None if self.initial_state is None else self.initial_state[:, part],
        )

    def gradients(self, initial: bool, **own: Tensor) -> list[Tensor]:
        """Room for those of u to initial_state, dense, but for those in ``own``.

        Empty for one left out; ``initial`` says whether there is an initial state.
        """
        empty = self.u.new_empty
        out = [
            own[name] if name in own else empty(0) if x is None else x.new_empty(x.shape)
            for name, x in zip(self._fields[:8], self[:8], strict=True)
        ]
        state = (len(self.u), *self.A.shape) if initial else (0,)
        return [*out, empty(state, dtype=compute_dtype(self.u.dtype))]

    def leave(self, state: Tensor) -> Tensor:
        """The state (B, any, any) as it leaves, or its gradient as it enters from there.

        In reverse, none crosses a mark at position 0.
        """
        if self.resets is None or not self.reverse:
            return state
        return state.masked_fill(self.resets[:, 0, None, None], 0.0)


class Step(NamedTuple):
    """What ``selective_scan_step`` takes."""

    state: Tensor  # (B, D, N)
    u: Tensor  # (B, D)
    delta: Tensor  # (B, D); with dt_weight (B, R)
    A: Tensor  # (D, N); log(-A) if logarithmic
    B: Tensor  # (B, N)
    C: Tensor  # (B, N)
    D: Tensor | None  # (D,)
    z: Tensor | None  # (B, D)
    delta_bias: Tensor | None  # (D,)
    dt_weight: Tensor | None  # (D, R)
    delta_softplus: bool
    logarithmic: bool

    def check(self) -> None:
        """Raises:
        ValueError: a shape, dtype or device does not fit; names the argument.
        """
        op, state, u = "selective_scan_step", self.state, self.u
        if state.dim() != 3 or u.dim() != 2:
            raise ValueError(
                f"{op}: state must have shape (B, D, N) and u (B, D), "
                f"got {tuple(state.shape)} and {tuple(u.shape)}"
            )
        (batch, channels, states), device = state.shape, u.device
        expect(op, "state", state, "B, D, N", state.shape, device, compute_dtype(u.dtype))
        expect(op, "u", u, "B, D", (batch, channels), device)
        if self.dt_weight is None:
            expect(op, "delta", self.delta, "B, D", (batch, channels), device)
        else:
            rank = self.dt_weight.shape[-1]
            expect(op, "dt_weight", self.dt_weight, "D, R", (channels, rank), device)
            expect(op, "delta", self.delta, "B, R", (batch, rank), device)
        expect(op, "A", self.A, "D, N", (channels, states), device)
        expect(op, "B", self.B, "B, N", (batch, states), device)
        expect(op, "C", self.C, "B, N", (batch, states), device)
        expect(op, "D", self.D, "D", (channels,), device)
        expect(op, "z", self.z, "B, D", (batch, channels), device)
        expect(op, "delta_bias", self.delta_bias, "D", (channels,), device)
