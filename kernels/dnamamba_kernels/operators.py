"""What the ops share that are operators of PyTorch's: their schemas, and when they keep anything.

An op is a pair of opaque operators, forward and backward, which autograd and torch.compile call as
they are; the backend is an argument. Its arguments are listed once, by a NamedTuple.
"""

from collections.abc import Iterable, Sequence
from typing import Any, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

__all__ = ["arguments", "differentiable", "opaque", "present"]

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
