"""The texts that the program's code can say, with … for what it fills in."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

__all__ = ["OPEN", "source_texts"]

OPEN = "…"


@cache
def source_texts(folder: Path) -> frozenset[str]:
    """Every string of the code below a folder; an f-string is one text."""
    found: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            found.update(_texts(node))
    return frozenset(found)


def _texts(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp):
        text = _text(node)
        if text.strip(OPEN):
            yield text


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else OPEN
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left) + _text(node.right)
    return OPEN
