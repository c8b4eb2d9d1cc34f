"""The reference of the command line, written from the parsers that read it."""

import argparse
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Any, get_args, get_origin

import docstring_parser

from dnamamba.cli import _TRAINING
from dnamamba.cli.commands import COMMANDS
from dnamamba.cli.described import parser_of
from dnamamba.cli.short_help import FIRST
from dnamamba.cli.use import make_parser

__all__ = ["commands", "settings"]

Action = argparse.Action


def commands() -> str:
    """Every command: what it is for, its arguments and examples."""
    training = "\n".join(f"| `dnamamba {name}` | {about} |" for name, about in _TRAINING.items())
    parts = [
        "## Training\n",
        "`fit`, `validate`, `test` and `predict` take a configuration and any setting of it as a "
        "flag; [](settings.md) has them.\n",
        f"| | |\n|---|---|\n{training}\n",
    ]
    for name, command in COMMANDS.items():
        module, _, function = command.function.partition(":")
        parts.append(_command(name, command.about, getattr(import_module(module), function)))
    return "\n".join(parts)


def _command(name: str, about: str, function: Callable[..., Any]) -> str:
    parser = make_parser(name, function)
    usage = parser.format_usage().removeprefix("usage: ").strip()
    text = docstring_parser.parse(function.__doc__ or "")
    told = "\n\n".join(filter(None, (text.short_description, text.long_description)))
    annotations = {
        key: parameter.annotation
        for key, parameter in inspect.signature(function).parameters.items()
    }
    given = [action for action in parser._actions if not action.option_strings]
    flags = [action for action in parser._actions if _is_setting(action)]
    return "\n".join(
        [
            f"## `dnamamba {name}`\n",
            f"*{_plain(about)}*\n",
            f"```text\n{usage}\n```\n",
            f"{_plain(told)}\n",
            *(_entry(action, annotations.get(action.dest)) for action in given),
            *(_entry(action, annotations.get(action.dest)) for action in flags),
            "```console\n" + "\n".join(f"$ {line}" for line in COMMANDS[name].examples) + "\n```\n",
        ]
    )


def settings() -> str:
    """The settings of a training run, those that are set first before all others."""
    actions = {action.dest: action for action in parser_of("fit")._actions if _is_setting(action)}
    first = [name for names in FIRST.values() for name in names if name in actions]
    parts = ["## What one sets first\n"]
    for title, names in FIRST.items():
        parts += [
            f"### {title.capitalize()}\n",
            *(_entry(actions[n]) for n in names if n in actions),
        ]
    rest: dict[str, list[Action]] = {}
    for name, action in actions.items():
        if name not in first:
            rest.setdefault(_section(name), []).append(action)
    parts.append("## The others\n")
    for section, members in rest.items():
        parts += [f"### `{section}`\n", *(_entry(action) for action in members)]
    return "\n".join(parts)


def _section(name: str) -> str:
    """``data.split.test`` of ``data.split.test.fraction``; what has no dot is of the run."""
    return name.rpartition(".")[0] or "run"


def _is_setting(action: Action) -> bool:
    """Whether it has a value of its own, which no other setting decides and that is no section."""
    names = action.option_strings
    if not names or not names[0].startswith("-") or action.dest.endswith("help"):
        return False
    return action.dest == "config" or "configuration file" not in str(action.help)


def _entry(action: Action, annotation: Any = None) -> str:
    """A flag or a file, what it is, its values and its default, as an entry of a list."""
    names = [n for n in action.option_strings if not n.endswith("+")] or [action.dest.upper()]
    head = ", ".join(f"`{name}`" for name in names)
    kind = getattr(action, "_typehint", None) or annotation
    if (choices := [*_choices(kind)]) and action.option_strings:
        head += " " + " | ".join(f"`{choice}`" for choice in choices)
    told = _plain(" ".join(_bare(str(action.help or "")).split()))
    if told and told[-1] not in ".?!":
        told += "."
    if (default := _default(action)) is not None:
        told += f" Default: `{default}`."
    return f"{head}\n: {told or '-'}\n"


def _choices(kind: Any) -> Iterator[str]:
    """The words that a setting takes, where these are all that it takes."""
    members = get_args(kind) if get_origin(kind) is not None else ()
    if str(get_origin(kind)) == "typing.Literal":
        yield from map(str, members)
    elif members and all(m is type(None) or "Literal" in str(get_origin(m)) for m in members):
        for member in members:
            yield from ["null"] if member is type(None) else map(str, get_args(member))


def _default(action: Action) -> str | None:
    value = action.default
    if value in (None, argparse.SUPPRESS, "") or not action.option_strings:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | str):
        return str(value)
    if isinstance(value, list | tuple) and value:
        return str([*value])
    return None


def _bare(text: str) -> str:
    """A help text without what reStructuredText and jsonargparse put into it."""
    text = re.sub(r":\w+:`~?([^`<]*?)(?:\s*<[^`]*>)?`", r"\1", text)
    text = re.sub(r"\s*Default: ``[^`]*``\.?", "", text)
    return re.sub(r" \((?:required, )?(?:type|default): .*\)$", "", text)


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, with names between backticks as code."""
    text = text.replace("->", "→")
    parts: Iterable[str] = re.split(r"(``[^`]+``|`[^`]+`)", text)
    return "".join(
        part if part.startswith("`") else re.sub(r"([*_<>\[\]\\|$~{}])", r"\\\1", part)
        for part in parts
    )
