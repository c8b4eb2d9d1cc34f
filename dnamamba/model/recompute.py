"""What a block's backward computes again instead of keeping."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    create_selective_checkpoint_contexts,
)

from dnamamba.model.state import State
from dnamamba_kernels import pieces

__all__ = ["Recompute", "recomputes", "recomputing"]

Recompute = Literal["nothing", "cheap", "everything"]
"""Between forward and backward, a block keeps

- ``nothing`` is recomputed: every activation;
- ``cheap``: its input and the scan's output; norm, projections and convolution are done again;
- ``everything``: the residual stream with which it begins, alone.

On a GPU a block is one fused operator, which computes again what costs little. It keeps the
stream, the states between the scan's chunks and, where nothing is recomputed, what leaves norm,
convolution and x-projection. ``cheap`` and ``everything`` are the same there: no block scans twice.
"""

# The scan costs more than all the rest, and its output is a quarter of what the rest would keep.
_KEPT = "dnamamba::selective_scan"


def recomputes(what: Recompute) -> bool:
    """Whether a block computes anything again.

    Raises:
        ValueError: ``what`` is none of the three.
    """
    if what not in get_args(Recompute):
        raise ValueError(f"recompute must be one of {', '.join(get_args(Recompute))}, got {what!r}")
    return what != "nothing"


def recomputing(block: Callable[..., Any], what: Recompute) -> Callable[..., Any]:
    """``block`` as a function that keeps less, where a gradient will be asked for at all.

    Raises:
        ValueError: ``what`` is none of the three.
    """
    if not recomputes(what) or not torch.is_grad_enabled():
        return block
    block = pieces.bound(block)  # a backward may come when ``over`` has ended
    if what == "everything":
        return partial(_from_the_sum, block)
    contexts = partial(create_selective_checkpoint_contexts, _policy)
    return partial(checkpoint, block, use_reentrant=False, context_fn=contexts)


def _from_the_sum(
    block: Callable[..., Any], x: Tensor, residual: Tensor | None, *others: Any
) -> tuple[Tensor, Tensor, State]:
    """A block whose input is added up beforehand: kept is one tensor, where its terms are two."""
    stream = torch.promote_types(x.dtype, torch.float32)
    total = x.to(stream) if residual is None else residual + x
    y, _, state = checkpoint(block, total, None, *others, dtype=x.dtype, use_reentrant=False)
    return y, total, state


def _policy(context: Any, operator: Any, *args: Any, **kwargs: Any) -> CheckpointPolicy:
    kept = isinstance(operator, torch._ops.OpOverload) and operator.name() == _KEPT
    return CheckpointPolicy.MUST_SAVE if kept else CheckpointPolicy.PREFER_RECOMPUTE
