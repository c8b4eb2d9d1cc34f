"""The dash between a parameter's name and what it is, which Sphinx writes as two hyphens."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

__all__ = ["setup"]


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("doctree-read", _mend)
    return {"parallel_read_safe": True}


def _mend(app: Sphinx, tree: nodes.document) -> None:
    for text in list(tree.findall(nodes.Text)):
        if text == " -- ":
            text.parent.replace(text, nodes.Text(" \N{EN DASH} "))
