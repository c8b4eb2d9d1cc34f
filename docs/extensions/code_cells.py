"""The code of notebooks, shown and not run: what ``myst_nb`` does but for the execution."""

from typing import Any, ClassVar

from docutils.nodes import Node
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.directives.code import CodeBlock

__all__ = ["setup"]


class CodeCell(CodeBlock):
    """A code block of Python, whose tags say how a notebook shows what comes of it."""

    optional_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {
        **CodeBlock.option_spec,
        "tags": directives.unchanged,
    }

    def run(self) -> list[Node]:
        self.arguments = ["python"]
        return super().run()


def setup(app: Sphinx) -> dict[str, Any]:
    app.setup_extension("myst_parser")
    app.add_directive("code-cell", CodeCell)
    return {"parallel_read_safe": True}
