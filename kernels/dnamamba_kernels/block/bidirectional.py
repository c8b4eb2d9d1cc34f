"""A whole Mamba layer that reads from both sides as one op."""

from torch import Tensor

from dnamamba_kernels.block.layer import Direction, Layer
from dnamamba_kernels.block.run import run_block

__all__ = ["bidirectional_block"]


def bidirectional_block(
    x: Tensor,
    residual: Tensor | None,
    norm_weight: Tensor,
    eps: float,
    in_weight: Tensor,
    forward: Direction,
    reverse: Direction,
    out_weight: Tensor,
    resets: Tensor | None = None,
    lengths: Tensor | None = None,
    *,
    recompute: bool = False,
    backend: str | None = None,
) -> tuple[Tensor, Tensor]:
    """A Mamba layer that scans from the left and from the right, and adds both up.

    ::

        h, stream = add_rms_norm(x, residual, norm_weight, eps)
        i, z = split(h @ in_weight.T)
        for each direction, with its own weights:
            u = silu(causal_conv1d(i))
            s, B, C = split(u @ x_weight.T)
            y = selective_scan(u, s @ dt_weight.T, A, B, C, D, z, dt_bias)
        branch = (y of forward + y of reverse) @ out_weight.T

    Schiff et al. 2024 (arXiv:2403.03234), section 3.1: Caduceus' BiMamba with tied projections and
    the strategy "add". Nothing is flipped in memory. Differentiable in every floating argument,
    through both outputs; on Triton and in PyTorch not twice.

    On Triton it is one op, as ``mamba_block`` is; of the two directions autograd keeps each its own
    share of states, u, and row of s, B and C. Elsewhere it is the calls above one by one.

    Within ``dnamamba_kernels.pieces.over`` all is of this process's piece of a sequence;
    ``lengths`` count from where it starts.

    Args:
        x: what the layer before adds to the stream (B, L, d_model); fp32, bf16, fp16 or fp64, L at
            least 1.
        residual: the stream (B, L, d_model), fp32 (fp64 if x is fp64); None is zero.
        norm_weight: (d_model,).
        eps: added to the mean square under the norm's root.
        in_weight: (2 D, d_model); its dtype is that in which the projections run.
        forward: the weights of the direction from the left, shapes and dtypes those that
            ``mamba_block`` says.
        reverse: the same of the direction from the right; its taps reach to the right.
        out_weight: (d_model, D), in in_weight's dtype.
        resets: (B, L) bool, the first base of each packed segment, which neither direction leaves;
            None is none.
        lengths: (B,) int32 or int64 from 0 to L, how many positions of each row are real; None is
            all. A padded row gives what it gives alone. From its length on the branch is zero: what
            stands there, and a gradient that comes in there, matters to nothing but the stream at
            its own position.
        recompute: keep only the stream and the states; elsewhere x and residual.
        backend: "triton", "numba", "torch" or "reference"; None chooses by device
            (see ``dnamamba_kernels.backend``).

    Returns:
        The branch (B, L, d_model) in in_weight's dtype, which the next layer adds to the stream;
        and the stream with x in it (B, L, d_model), fp32 (fp64 if x is fp64).

    Raises:
        ValueError: a shape, dtype or device does not fit; names the argument.
    """
    layer = Layer(
        norm_weight, in_weight, (forward, reverse), out_weight, None, None, resets, lengths, eps
    )
    layer.check("bidirectional_block", x, residual, ["forward.", "reverse."])
    branch, stream, *_ = run_block(x, residual, layer, recompute, backend)
    return branch, stream
