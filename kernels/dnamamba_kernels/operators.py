"""What the ops share that are operators of PyTorch's: their schemas, and when they keep anything.

An op is a pair of opaque operators, forward and backward, which autograd and torch.compile call as
they are; the backend is an argument. Its arguments are listed once, by a NamedTuple.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

__all__ = ["Operator", "arguments", "differentiable", "opaque", "operator", "present"]

_LIBRARY = torch.library.Library("dnamamba", "FRAGMENT")

_KINDS: dict[Any, str] = {
    Tensor: "Tensor",
    Tensor | None: "Tensor?",
    bool: "bool",
    float: "float",
    torch.dtype: "ScalarType",
}


def arguments(fields: type[tuple[Any, ...]], prefix: str = "", each: Sequence[str] = ()) -> str:
    """A NamedTuple's fields as a schema names them: ``Tensor u, Tensor? z, bool reverse``.

    A field that holds a tuple of NamedTuples stands for theirs, once with each prefix of ``each``.
    """
    spelled = []
    for name, kind in get_type_hints(fields).items():
        if get_origin(kind) is tuple:
            spelled += [arguments(get_args(kind)[0], side) for side in each]
        else:
            spelled.append(f"{_KINDS[kind]} {prefix}{name}")
    return ", ".join(spelled)


class Operator:
    """An operator of PyTorch's, ``dnamamba::name``: opaque to autograd and to torch.compile.

    What ``torch.library.custom_op`` gives, but for the import of torch._dynamo at the first call,
    which takes seconds and which nobody needs who does not compile.

    Args:
        name: within the namespace.
        schema: arguments and results, as ``(Tensor x) -> Tensor``.
        run: what it does, on any device.

    Attributes:
        overload: PyTorch's side of it.
    """

    def __init__(self, name: str, schema: str, run: Callable[..., Any]) -> None:
        _LIBRARY.define(name + schema)
        _LIBRARY.impl(name, run, "CompositeExplicitAutograd")
        self._name = f"dnamamba::{name}"
        self.overload = getattr(torch.ops.dnamamba, name).default

    def __call__(self, *inputs: Any) -> Any:
        return self.overload(*inputs)

    def register_fake(self, outputs: Callable[..., Any]) -> Callable[..., Any]:
        """Say what results look like: a decorator."""
        torch.library.register_fake(self._name, outputs, lib=_LIBRARY)
        return outputs

    def register_autograd(
        self, backward: Callable[..., Any], setup_context: Callable[..., None] | None = None
    ) -> None:
        """Say what its gradient is; see ``torch.library.register_autograd``."""
        torch.library.register_autograd(
            self._name, backward, setup_context=setup_context, lib=_LIBRARY
        )

    def refuse_autograd(self) -> None:
        """Let a backward through it fail: else it would pass over it without a word."""

        def backward(ctx: Any, *_: Any) -> None:
            raise NotImplementedError(f"{self._name}: no autograd formula was registered")

        self.register_autograd(backward)


def operator(name: str, schema: str) -> Callable[[Callable[..., Any]], Operator]:
    """Make an ``Operator`` of a function: a decorator."""
    return partial(Operator, name, schema)


def differentiable(*values: Any) -> bool:
    """Whether autograd will ask for the gradient of any tensor among ``values``."""
    return torch.is_grad_enabled() and any(
        isinstance(value, Tensor) and value.requires_grad for value in values
    )


def opaque(*values: Any) -> bool:
    """Whether a call is to be one operator: where autograd or the compiler would look inside.

    Anywhere else the function is called as it is, which spares the dispatcher's 10 µs and more.
    """
    return differentiable(*values) or torch.compiler.is_compiling()


def present(gradients: Sequence[Tensor], exists: Iterable[bool]) -> list[Tensor | None]:
    """Gradients as autograd takes them: None where the op was called without the argument."""
    pairs = zip(gradients, exists, strict=True)
    return [gradient if wanted else None for gradient, wanted in pairs]
