"""One sequence over P processes, each of which holds a contiguous piece of it.

Within ``over(pieces)`` the ops of this room read this process's piece of a longer sequence, and
give and differentiate what the ops of the same names do for the whole; outside they are those ops.
What is per position (projections, norms, embeddings) needs nothing; gradients of weights are each
piece's share, and add up over the processes to those of the whole.

Two things go from piece to piece, s = 0 .. P - 1 in the order of the scan (from the right in
``reverse``); all else of the sequence stays where it is:

*The convolution's halo.* Its last W - 1 inputs go from each piece to the next, and from the last to
the first, where they are the state behind the sequence. In the backward their gradients return.

*The scan's summaries.* A piece turns the state h_s that enters it into h_{s+1} = p_s h_s + f_s:
p_s = exp(A sum_t Δ_t) is the product of its decays, 0 where a row has a mark of ``resets`` in it,
and f_s its own state at its end, from zero. All (p_s, f_s) are gathered, and each process has

    h_s = f_{s-1} + p_{s-1} (f_{s-2} + p_{s-2} (... + f_0))

before it computes an output; the first piece's own initial state is in f_0. The adjoint goes the
other way: with g_s the gradient of h_s through piece s alone, and e that of the state behind the
sequence, dh_s = g_s + p_s dh_{s+1} and dh_P = e. All (g_s, e) are gathered, g_0 as zero, for which
nobody asks, and piece s takes dh_{s+1} as the gradient of its final state, which makes every other
gradient exact.

So each process sends 2 D N + (W - 1) D numbers for a row, op pair, direction and pass; nobody holds
more of the sequence than its piece and W - 1 positions. A block on Triton is one op here too, and
sends what it has to say of both directions together (``block.fused.piece``).

Every process makes the same calls in the same order, forward and backward: a loss of each piece's
outputs, though it be zero times them, is differentiated everywhere.
"""

from dnamamba_kernels.pieces.context import bound, current, over
from dnamamba_kernels.pieces.convolution import causal_conv1d, causal_conv1d_tail, refuse_lengths
from dnamamba_kernels.pieces.group import Pieces, cut
from dnamamba_kernels.pieces.scan import selective_scan

__all__ = [
    "Pieces",
    "bound",
    "causal_conv1d",
    "causal_conv1d_tail",
    "current",
    "cut",
    "over",
    "refuse_lengths",
    "selective_scan",
]
