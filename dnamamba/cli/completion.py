"""``dnamamba --print-completion SHELL``: a script by which a shell completes what is typed.

It holds all commands and flags as they are: a shell that completes starts no Python.
"""

import argparse
import importlib
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from dnamamba.cli.commands import COMMANDS
from dnamamba.cli.errors import UsageError
from dnamamba.cli.short_help import first_sentence
from dnamamba.cli.use import make_parser
from dnamamba.extras import library
from dnamamba.lean import import_lightning

__all__ = ["SHELLS", "completion"]

SHELLS = {
    "bash": 'eval "$(dnamamba --print-completion bash)" in ~/.bashrc',
    "zsh": 'eval "$(dnamamba --print-completion zsh)" in ~/.zshrc, behind compinit',
}
"""Shell -> how it reads the script."""

_WORDS = {bool: ("true", "false"), type(None): ("null",)}


def completion(arguments: list[str], training: Mapping[str, str]) -> str:
    """The script of a shell.

    Args:
        arguments: its name.
        training: command that trains -> what it does.

    Raises:
        UsageError: no such shell.
        ModuleNotFoundError: shtab is missing; names the extra.
    """
    if len(arguments) != 1 or arguments[0] not in SHELLS:
        got = " ".join(arguments) or "none"
        raise UsageError(f"--print-completion takes {' or '.join(SHELLS)}, got {got}")
    shtab = library("shtab", "completion", "A script for completion")
    (shell,) = arguments
    text: str = shtab.complete(_whole(training, shtab.FILE), shell)
    return text


def _whole(training: Mapping[str, str], file: Mapping[str, str]) -> argparse.ArgumentParser:
    """All commands as one parser of the standard library, which shtab reads."""
    whole = argparse.ArgumentParser("dnamamba", allow_abbrev=False)
    whole.add_argument("--version", action="store_true", help="the version")
    whole.add_argument("--print-completion", choices=list(SHELLS), help="a script for a shell")
    commands = whole.add_subparsers()
    for name in dict.fromkeys((*training, *COMMANDS)):
        about = training.get(name) or COMMANDS[name].about
        parser = commands.add_parser(name, help=_escaped(about), allow_abbrev=False)
        parser.add_argument("--debug", action="store_true", help="show where an error came from")
        for action in _actions(name, name in training):
            _add(parser, action, file)
    return whole


def _actions(command: str, trains: bool) -> Iterator[argparse.Action]:
    """What a command takes; ``predict`` is two of one name."""
    if command in COMMANDS:
        module, _, name = COMMANDS[command].function.partition(":")
        function = getattr(importlib.import_module(module), name)
        yield from make_parser(command, function)._actions
    if trains:
        import_lightning()
        yield from importlib.import_module("dnamamba.cli.described").parser_of(command)._actions


def _add(parser: argparse.ArgumentParser, action: argparse.Action, file: Mapping[str, str]) -> None:
    """The same argument in words of the standard library, with what may stand behind it."""
    # jsonargparse has a second flag of each list, to add to it, and calls a link a flag.
    flags = [f for f in action.option_strings if f.startswith("-") and not f.endswith("+")]
    other = bool(action.option_strings) and not flags
    if other or action.help == argparse.SUPPRESS or {*flags} & {*parser._option_string_actions}:
        return
    how: dict[str, Any] = {"help": _escaped(first_sentence(str(action.help or "")))}
    if action.nargs == 0:
        how["action"] = "store_true"
    else:
        how["choices"] = _choices(action) or None
        if action.nargs in ("+", "*"):
            how["nargs"] = action.nargs
    added = parser.add_argument(*(flags or [action.dest.replace(".", "_")]), **how)
    if action.nargs != 0 and not how["choices"] and _may_be_file(action):
        added.complete = file  # type: ignore[attr-defined]


def _choices(action: argparse.Action) -> list[str]:
    """The words of which a value is one; empty where it may be another."""
    if action.choices:
        return [str(choice) for choice in action.choices]
    kinds = list(_members(getattr(action, "_typehint", None)))
    words = [word for kind in kinds for word in _WORDS.get(kind, ())]
    words += [str(w) for kind in kinds if get_origin(kind) is Literal for w in get_args(kind)]
    closed = all(kind in _WORDS or get_origin(kind) is Literal for kind in kinds)
    return words if closed and {*words} != {"null"} else []


def _may_be_file(action: argparse.Action) -> bool:
    """Whether text may stand there: nobody says of which text that it is a path."""
    kind = getattr(action, "_typehint", None)
    return kind is None or any(member in (str, dict, list) for member in _members(kind))


def _members(kind: Any) -> Iterator[Any]:
    """The types of which a value may be one, lists by what they are of."""
    if get_origin(kind) in (Union, UnionType):
        for member in get_args(kind):
            yield from _members(member)
    else:
        yield kind if get_origin(kind) in (None, Literal) else get_origin(kind)


def _escaped(text: str) -> str:
    return text.replace("%", "%%")
