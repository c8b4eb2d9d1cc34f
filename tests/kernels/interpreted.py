"""Triton's interpreter without half of its work.

At every call of a device function it goes through its whole language, to replace what it interprets
and has replaced when the kernel began.
"""

from typing import Any

import pytest

__all__ = ["replace_once"]


def replace_once(patch: pytest.MonkeyPatch) -> None:
    """Let the interpreter leave alone what it has replaced; an older one stays as it is."""
    import triton.language as tl
    from triton.runtime import interpreter

    if not hasattr(interpreter, "_LangPatchScope"):
        return
    replace, nothing = interpreter._patch_lang, interpreter._LangPatchScope()

    def once(function: Any) -> Any:
        names = function.__globals__.values()
        languages = [each for each in (tl, tl.core) if any(value is each for value in names)]
        parts = [tl.tensor.to, *(language.load for language in languages)]
        replaced = languages and not any(tl.core.is_builtin(part) for part in parts)
        return nothing if replaced else replace(function)

    patch.setattr(interpreter, "_patch_lang", once)
