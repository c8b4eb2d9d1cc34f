"""Triton's interpreter without what it does over and over.

At every call of a device function it goes through its whole language, to replace what it interprets
and has replaced when the kernel began. Of every sum and product of integers it finds out whether
they overflow, and drops the answer. Of every tensor it works out anew what its type is and what
NumPy calls it. The arithmetic is left as it is.
"""

import dataclasses
from typing import Any

import pytest

__all__ = ["quicken"]


def quicken(patch: pytest.MonkeyPatch) -> None:
    """Let the interpreter do once what it does at every step; another version stays as it is."""
    import triton
    from triton.runtime import interpreter

    if not triton.__version__.startswith("3.7."):
        return
    _replace_once(patch)
    builder = interpreter.interpreter_builder
    if not builder.options.debug:  # without which an overflow is not said
        quiet = dataclasses.replace(builder.options, sanitize_overflow=False)
        patch.setattr(builder, "options", quiet)
    _know_types(patch)


def _replace_once(patch: pytest.MonkeyPatch) -> None:
    """Leave alone what has been replaced."""
    import triton.language as tl
    from triton.runtime import interpreter

    replace, nothing = interpreter._patch_lang, interpreter._LangPatchScope()
    known: dict[Any, list[Any]] = {}

    def once(function: Any) -> Any:
        if function not in known:
            names = function.__globals__.values()
            known[function] = [
                each for each in (tl, tl.core) if any(value is each for value in names)
            ]
        languages = known[function]
        parts = [tl.tensor.to, *(language.load for language in languages)]
        replaced = languages and not any(tl.core.is_builtin(part) for part in parts)
        return nothing if replaced else replace(function)

    patch.setattr(interpreter, "_patch_lang", once)


def _know_types(patch: pytest.MonkeyPatch) -> None:
    """Remember of types what follows from their names, which say element and shape."""
    from triton.language import core, semantic
    from triton.runtime import interpreter

    block, tensor, rules = core.block_type, core.tensor, semantic.TritonSemantic
    make_block, make_tensor, numpy_type = (
        block.__init__,
        tensor.__init__,
        interpreter._get_np_dtype,
    )
    cast, broadcast, to_ir = rules.cast, rules.broadcast_impl_value, block.to_ir
    blocks: dict[Any, dict[str, Any]] = {}
    tensors: dict[str, dict[str, Any]] = {}
    shapes: dict[Any, Any] = {}
    numpy_types: dict[str, Any] = {}
    irs: dict[str, Any] = {}

    def new_block(self: Any, element: Any, shape: Any) -> None:
        sizes = [n.value if isinstance(n, core.constexpr) else n for n in shape]
        key = (element.name, *sizes)
        if key not in blocks:
            make_block(self, element, shape)
            blocks[key] = dict(vars(self))
        vars(self).update(blocks[key])

    def new_tensor(self: Any, handle: Any, type: Any) -> None:
        if type.name not in tensors:
            make_tensor(self, handle, type)
            # One for all elements: what has the same shape has the same object.
            self.shape = shapes.setdefault(tuple(n.value for n in self.shape), self.shape)
            tensors[type.name] = {k: v for k, v in vars(self).items() if k != "handle"}
        vars(self).update(tensors[type.name])
        self.handle = handle

    def known_numpy_type(type: Any) -> Any:
        if type.name not in numpy_types:
            numpy_types[type.name] = numpy_type(type)
        return numpy_types[type.name]

    def known_ir(self: Any, builder: Any) -> Any:
        if self.name not in irs:
            irs[self.name] = to_ir(self, builder)
        return irs[self.name]

    def casts(self: Any, input: Any, target: Any, *rounding: Any) -> Any:
        same = input.dtype is target.scalar
        return input if same else cast(self, input, target, *rounding)

    def broadcasts(self: Any, lhs: Any, rhs: Any) -> Any:
        return (lhs, rhs) if lhs.shape is rhs.shape else broadcast(self, lhs, rhs)

    patch.setattr(block, "__init__", new_block)
    patch.setattr(block, "to_ir", known_ir)
    patch.setattr(tensor, "__init__", new_tensor)
    patch.setattr(interpreter, "_get_np_dtype", known_numpy_type)
    patch.setattr(rules, "cast", casts)
    patch.setattr(rules, "broadcast_impl_value", broadcasts)
