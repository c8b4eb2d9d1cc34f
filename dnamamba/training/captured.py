"""The forward and backward of a small batch as one CUDA graph."""

import logging
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from dnamamba.alphabet import PAD
from dnamamba_kernels import pieces

__all__ = ["Batch", "CapturedStep", "bucketed_length", "is_small"]

Batch = dict[str, Tensor]
Measure = Callable[[Batch], tuple[Tensor, ...]]
"""A batch -> the loss, and what else is to be known of it, without gradients; all tensors."""

_log = logging.getLogger(__name__)

# Positions in a batch up to which a GPU can be done before the host has issued the work.
_SMALL = 1 << 19
# The share of a GPU's memory that a graph may keep to itself.
_SHARE = 4
# Batches of one shape that run launch by launch before it is captured: kernels compile meanwhile.
_SEEN = 2
# Shapes that are captured; each keeps what it works on.
_MOST = 16


def is_small(positions: int) -> bool:
    """Whether a batch of so many positions a device, on a GPU, is taken as one graph.

    Of several devices each takes its own; gradients are then exchanged behind it, not while the
    backward goes on: of a small step that is less than what its launches take.
    """
    return positions <= _SMALL


def bucketed_length(length: int) -> int:
    """The next of eight lengths an octave."""
    step = max(8, (1 << length.bit_length()) // 16)
    return length + -length % step


class CapturedStep:
    """Measures training batches, and of small ones takes the gradients along.

    A small step has hundreds of kernels that take a GPU less time than the host takes to launch
    them. So on a GPU the loss of a small batch comes with its gradients, and once a shape has been
    seen a few times both are captured as one CUDA graph and replayed: the same kernels in the same
    order. Rows that are padded anyway are padded on to one of few lengths, and lanes have marks
    whether any begins anew or not, so that one graph serves all steps. Larger batches, other
    devices, and modules that are compiled or have hooks are left to autograd. What cannot be
    captured runs launch by launch, which is said once; so does, without a word, what as a graph
    would keep much of the memory.

    Of several devices each has graphs of its own, in which nothing is exchanged: a loss that needs
    to know of the others is told beforehand. Its backward, to which DDP listens, comes behind the
    graph.

    The backward of a loss must come before the next call.

    Args:
        module: whose parameters are trained; they may be changed in place alone.
        measure: a function of a batch and of the module's tensors, that does not wait for the
            device.
    """

    def __init__(self, module: nn.Module, measure: Measure) -> None:
        self._measure = measure
        self._step = _Step(module, measure)
        self._parts = list(module.modules())
        self._named = list(module.named_parameters())
        self._seen: dict[Hashable, int] = {}
        self._graphs: dict[Hashable, _Graph] = {}
        self._pool: Any = None
        self._refused = False

    def __call__(self, batch: Batch) -> tuple[Tensor, ...]:
        """What ``measure`` gives."""
        if not self._is_small(batch):
            return self._measure(batch)
        batch = _bucketed(_with_marks(batch))
        trained = {name: x for name, x in self._named if x.requires_grad}
        outputs, gradients = self._run(batch, trained)
        # What nothing reads is no part of the graph: DDP may look for it.
        pairs = zip(gradients, trained.values(), strict=True)
        known = [(gradient, x) for gradient, x in pairs if gradient is not None]
        read = [x for _, x in known]
        results: tuple[Tensor, ...] = _WithGradients.apply([g for g, _ in known], *outputs, *read)
        return results

    def _is_small(self, batch: Batch) -> bool:
        tokens = batch["tokens"]
        # A loss in fp16 is scaled before its backward.
        half = torch.is_autocast_enabled("cuda") and (
            torch.get_autocast_dtype("cuda") == torch.float16
        )
        # Of a sequence in pieces the others are asked within the step.
        alone = pieces.current() is None
        small = tokens.is_cuda and is_small(tokens.numel()) and alone and not half
        return small and not torch.is_anomaly_enabled() and not _are_watched(self._parts)

    def _run(self, batch: Batch, trained: Mapping[str, Tensor]) -> "_Result":
        shapes = tuple((name, x.shape, x.dtype) for name, x in batch.items())
        key = shapes, tuple(x.data_ptr() for x in trained.values())
        if key not in self._graphs and not self._refused:
            self._seen[key] = self._seen.get(key, 0) + 1
            if self._seen[key] == _SEEN + 1 and len(self._graphs) < _MOST:
                self._capture(key, batch, trained)
        if key in self._graphs:
            return self._graphs[key].replay(batch)
        return self._step.result(batch, trained)

    def _capture(self, key: Hashable, batch: Batch, trained: Mapping[str, Tensor]) -> None:
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        inputs = {name: x.clone() for name, x in batch.items()}
        graph = torch.cuda.CUDAGraph()
        torch.cuda.empty_cache()
        before = torch.cuda.memory_reserved()
        try:
            # Other threads may allocate meanwhile, as one that pins the next batch does.
            how = {"pool": self._pool, "capture_error_mode": "thread_local"}
            with torch.cuda.graph(graph, **how):
                result = self._step.result(inputs, trained)
        except RuntimeError as error:
            self._refused = True
            _log.warning(
                "training steps are issued launch by launch, which for small batches is slower: "
                "they cannot be captured as a CUDA graph (%s)",
                str(error).partition("\n")[0],
            )
            return
        if torch.cuda.memory_reserved() - before > torch.cuda.mem_get_info()[1] // _SHARE:
            del result
            graph.reset()
        else:
            self._graphs[key] = _Graph(graph, inputs, result)


class _Result(NamedTuple):
    outputs: tuple[Tensor, ...]
    gradients: Sequence[Tensor | None]  # of the loss, the first output


class _Graph(NamedTuple):
    graph: torch.cuda.CUDAGraph
    inputs: Batch
    result: _Result

    def replay(self, batch: Batch) -> _Result:
        torch._foreach_copy_(list(self.inputs.values()), list(batch.values()))
        self.graph.replay()
        return self.result


class _Step(nn.Module):
    """``measure`` as a module, whose parameters others can stand in for."""

    def __init__(self, module: nn.Module, measure: Measure) -> None:
        super().__init__()
        self.module, self.measure = module, measure

    def forward(self, batch: Batch) -> tuple[Tensor, ...]:
        return self.measure(batch)

    def result(self, batch: Batch, trained: Mapping[str, Tensor]) -> _Result:
        # Twins of the parameters: to these themselves autograd may have tied another stream, which
        # a capture must not wait for.
        twins = {f"module.{name}": x.detach().requires_grad_() for name, x in trained.items()}
        with torch.enable_grad(), _autocast_without_cache():
            loss, *others = functional_call(self, twins, (batch,))
        with torch.autocast("cuda", enabled=False):
            gradients = torch.autograd.grad(loss, list(twins.values()), allow_unused=True)
        return _Result((loss.detach(), *(x.detach() for x in others)), gradients)


class _WithGradients(torch.autograd.Function):
    """A loss whose gradients are known already."""

    @staticmethod
    def forward(ctx: Any, gradients: Sequence[Tensor], *tensors: Tensor) -> Any:
        # The next replay writes over all of them: outputs are copied, gradients are when scaled.
        loss, *others = (x.clone() for x in tensors[: len(tensors) - len(gradients)])
        ctx.gradients, ctx.outputs = gradients, 1 + len(others)
        ctx.mark_non_differentiable(*others)
        return (loss, *others)

    @staticmethod
    def backward(ctx: Any, *incoming: Tensor) -> Any:
        scaled = torch._foreach_mul(ctx.gradients, incoming[0]) if ctx.gradients else ()
        return (None, *[None] * ctx.outputs, *scaled)


def _are_watched(parts: Iterable[nn.Module]) -> bool:
    """Whether calling one of them is more than its forward: a replay would pass over a hook."""
    return any(
        part._forward_hooks
        or part._forward_pre_hooks
        or part._backward_hooks
        or part._backward_pre_hooks
        or part._compiled_call_impl
        for part in parts
    )


def _autocast_without_cache() -> torch.autocast:
    """As it is; but weights that are cast once a step must not outlive a capture."""
    enabled, dtype = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
    return torch.autocast("cuda", dtype, enabled, cache_enabled=False)


def _with_marks(batch: Batch) -> Batch:
    """Lanes with ``resets``, in the same place. To take a second graph, when some lane begins anew
    for the third time, would stop a run for longer than a kernel's look at its marks adds up to.
    """
    if "lane" not in batch:
        return batch
    others = {name: x for name, x in batch.items() if name != "resets"}
    marks = batch.get("resets")
    if marks is None:
        marks = torch.zeros_like(batch["tokens"], dtype=torch.bool)
    return {**others, "resets": marks}


def _bucketed(batch: Batch) -> Batch:
    """Rows of a batch that says how long each is, padded to one of eight lengths an octave."""
    if "lengths" not in batch or "resets" in batch or "soft_mask" in batch:
        return batch
    tokens = batch["tokens"]
    missing = bucketed_length(tokens.shape[-1]) - tokens.shape[-1]
    return {**batch, "tokens": F.pad(tokens, (0, missing), value=PAD)}
