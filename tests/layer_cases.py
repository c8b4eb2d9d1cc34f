"""Layers of one and of two directions over padded and packed rows, and what each row gives alone.

A row alone is cut to its length; read from both sides, each of its segments is a sequence of its
own, flipped in memory. No lengths, no marks, no ``reverse`` is left to be wrong.
"""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from kernels_cases import ALL_ON, Case, block_case, marks, options_on
from torch import Tensor
from torch.nn import functional as F

from dnamamba_kernels import (
    Direction,
    add_rms_norm,
    bidirectional_block,
    causal_conv1d,
    mamba_block,
    selective_scan,
)

__all__ = ["alone", "bidirectional_case", "padded_case"]

SIDES = ("forward", "reverse")


def lengths_of(B: int, L: int) -> Tensor:
    """Rows that are whole, half padding, a single base, nothing but padding."""
    return torch.tensor([L, (L + 1) // 2, 1, 0], dtype=torch.int32).repeat(B // 4 + 1)[:B]


def padded_case(B: int, L: int, row: int = ALL_ON, dtype: torch.dtype = torch.float32) -> Case:
    """A layer of one direction, with ``lengths_of`` the rows."""
    case = block_case(B, L, row, dtype)
    return replace(case, options=case.options | {"lengths": lengths_of(B, L)})


def bidirectional_case(
    B: int,
    L: int,
    row: int = ALL_ON,
    dtype: torch.dtype = torch.float32,
    sizes: tuple[int, int] = (6, 10),
) -> Case:
    """A layer of two directions; ``sizes`` are M and D."""
    residual, biased, padded, packed = options_on(row, 4)
    random = torch.Generator().manual_seed(1000 * L + row)
    wide, (M, D), W, N, R = torch.promote_types(dtype, torch.float32), sizes, 4, 3, 2

    def normal(*shape: int, of: torch.dtype = wide, scale: float = 1.0) -> Tensor:
        return (torch.randn(shape, generator=random) * scale).to(of)

    tensors = {
        "x": normal(B, L, M, of=dtype),
        "residual": normal(B, L, M) if residual else None,
        "norm_weight": normal(M),
        "in_weight": normal(2 * D, M, of=dtype, scale=M**-0.5),
        "out_weight": normal(M, D, of=dtype, scale=D**-0.5),
    }
    for side in SIDES:
        direction = Direction(
            conv_weight=normal(D, W, scale=0.5),
            conv_bias=normal(D) if biased else None,
            x_weight=normal(R + 2 * N, D, of=dtype, scale=D**-0.5),
            dt_weight=normal(D, R, of=dtype, scale=0.3),
            dt_bias=normal(D) - 1 if biased else None,
            A=-normal(D, N).abs(),
            D=normal(D),
        )
        tensors |= {f"{side}.{name}": x for name, x in direction._asdict().items()}
    options = {
        "eps": 1e-5,
        "resets": marks(B, L, random) if packed else None,
        "lengths": lengths_of(B, L) if padded else None,
    }
    return Case(_bidirectional, tensors, options, dtype, ("branch", "stream"))


def alone(case: Case) -> dict[str, Tensor]:
    """What each row gives alone, in fp64; the branch of padding is zero, its stream the sum."""
    by_row = _segments_alone if case.op is _bidirectional else _causal_alone
    return replace(case, op=by_row).to(torch.float64).run("reference")


def _sides(arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments named by side and field, put together."""
    directions = {
        side: Direction(**{name: arguments.pop(f"{side}.{name}") for name in Direction._fields})
        for side in SIDES
    }
    return arguments | directions


def _bidirectional(**arguments: Any) -> tuple[Tensor, ...]:
    return bidirectional_block(**_sides(arguments))


def _stitched(rows: list[Tensor], L: int) -> Tensor:
    return torch.stack([F.pad(row, (0, 0, 0, L - len(row))) for row in rows])


def _stream(x: Tensor, residual: Tensor | None) -> Tensor:
    return x if residual is None else x + residual


def _causal_alone(
    *, lengths: Tensor, resets: Tensor | None, **arguments: Any
) -> tuple[Tensor, ...]:
    x, by_row = arguments["x"], ("x", "residual", "conv_state", "ssm_state")
    (D, W), N = arguments["conv_weight"].shape, arguments["A"].shape[1]
    results = []
    for b, n in enumerate(lengths.tolist()):
        own = {name: t if t is None else t[b : b + 1] for name, t in arguments.items()
               if name in by_row}  # fmt: skip
        if n == 0:
            conv, ssm = own["conv_state"], own["ssm_state"]
            conv = x.new_zeros(1, D, W - 1) if conv is None else conv
            ssm = x.new_zeros(1, D, N) if ssm is None else ssm
            results.append((x[b, :0], conv[0], ssm[0]))
            continue
        own |= {name: None if own[name] is None else own[name][:, :n] for name in by_row[:2]}
        cut = None if resets is None else resets[b : b + 1, :n]
        branch, _, conv, ssm = mamba_block(**(arguments | own), resets=cut)
        results.append((branch[0], conv[0], ssm[0]))
    branches, convs, ssms = zip(*results, strict=True)
    stream = _stream(x, arguments["residual"])
    return _stitched(list(branches), x.shape[1]), stream, torch.stack(convs), torch.stack(ssms)


def _segments_alone(*, resets: Tensor | None, lengths: Tensor | None, **arguments: Any) -> Any:
    x, residual = arguments["x"], arguments["residual"]
    B, L, _ = x.shape
    stream, branches = _stream(x, residual), []
    for b in range(B):
        n = L if lengths is None else int(lengths[b])
        cuts = [] if resets is None else resets[b, :n].nonzero()[:, 0].tolist()
        edges = sorted({0, n, *cuts})
        parts = [
            _from_both_sides(stream[b : b + 1, start:end], **arguments)
            for start, end in pairwise(edges)
        ]
        branches.append(torch.cat([x[b, :0], *parts]))
    return _stitched(branches, L), stream


def _from_both_sides(stream: Tensor, backend: str, **arguments: Any) -> Tensor:
    """The branch (L, M) of a whole sequence (1, L, M) by plain calls, flipped for the second."""
    weights = _sides(dict(arguments))
    h, _ = add_rms_norm(stream, None, weights["norm_weight"], weights["eps"], backend=backend)
    i, z = F.linear(h, weights["in_weight"]).chunk(2, -1)
    total = torch.zeros_like(z)
    for side in SIDES:
        w: Direction = weights[side]
        turned = [t.flip(1) if side == "reverse" else t for t in (i, z)]
        u, _ = causal_conv1d(turned[0], w.conv_weight, w.conv_bias, backend=backend)
        R, N = w.dt_weight.shape[1], w.A.shape[1]
        s, B, C = F.linear(u, w.x_weight).split((R, N, N), -1)
        delta = F.linear(s, w.dt_weight)
        y, _ = selective_scan(u, delta, w.A, B, C, w.D, turned[1], w.dt_bias, backend=backend)
        total = total + (y.flip(1) if side == "reverse" else y)
    return F.linear(total, weights["out_weight"])[0]
