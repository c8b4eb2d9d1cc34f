"""Pages whose text is made from the program: an introduction stands in the file, the rest here."""

from collections.abc import Callable
from typing import Any

from command_pages import commands, settings
from sphinx.application import Sphinx

__all__ = ["setup"]

PAGES: dict[str, Callable[[], str]] = {
    "reference/commands": commands,
    "reference/settings": settings,
}
"""Name of a page -> what is added to it, in Markdown."""


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", _add)
    app.connect("env-get-outdated", lambda *_: [*PAGES])
    return {"parallel_read_safe": True}


def _add(app: Sphinx, name: str, source: list[str]) -> None:
    if name in PAGES:
        source[0] += "\n" + PAGES[name]()
