"""What a block's backward computes again instead of keeping."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, get_args

import torch
from torch.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    create_selective_checkpoint_contexts,
)

__all__ = ["Recompute", "recomputing"]

Recompute = Literal["nothing", "cheap", "everything"]
"""Between forward and backward, a block keeps

- ``nothing`` is recomputed: every activation, but for what the fused mixer never keeps;
- ``cheap``: its input and the scan's output; norm, projections and convolution are done again.
  On a GPU the fused mixer does most of that by itself, and this gains nothing;
- ``everything``: its input alone.
"""

# The scan costs more than all the rest, and its output is a quarter of what the rest would keep.
_KEPT = {"dnamamba::selective_scan", "dnamamba::chunked_scan", "dnamamba::mixer"}


def recomputing(block: Callable[..., Any], what: Recompute) -> Callable[..., Any]:
    """``block`` as a function that keeps less, where a gradient will be asked for at all.

    Raises:
        ValueError: ``what`` is none of the three.
    """
    if what not in get_args(Recompute):
        raise ValueError(f"recompute must be one of {', '.join(get_args(Recompute))}, got {what!r}")
    if what == "nothing" or not torch.is_grad_enabled():
        return block
    if what == "everything":
        return partial(checkpoint, block, use_reentrant=False)
    contexts = partial(create_selective_checkpoint_contexts, _policy)
    return partial(checkpoint, block, use_reentrant=False, context_fn=contexts)


def _policy(context: Any, operator: Any, *args: Any, **kwargs: Any) -> CheckpointPolicy:
    kept = isinstance(operator, torch._ops.OpOverload) and operator.name() in _KEPT
    return CheckpointPolicy.MUST_SAVE if kept else CheckpointPolicy.PREFER_RECOMPUTE
