"""``embed``, ``score``, ``mutagenesis``, ``generate`` and more: functions of the commands room."""

import argparse
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import docstring_parser
import jsonargparse

from dnamamba.cli import dry_flags
from dnamamba.cli.commands import COMMANDS
from dnamamba.cli.errors import UsageError
from dnamamba.cli.imports import collector_at_rest, import_module
from dnamamba.cli.parsers import CheckedParser
from dnamamba.cli.sigterm import unwound_by_sigterm
from dnamamba.cli.spellings import one_spelling
from dnamamba.lean import import_lightning

__all__ = ["make_parser", "run"]


class _Help(jsonargparse.DefaultHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the examples, and writes MODEL, FASTA and OUTPUT in capitals."""

    def _get_default_metavar_for_positional(self, action: argparse.Action) -> str:
        return action.dest.upper()


def run(command: str, arguments: list[str]) -> int:
    """Parse the arguments by the function's signature, and call it."""
    module, _, name = COMMANDS[command].function.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    parser = make_parser(command, function)
    arguments, note = one_spelling(command, arguments, parser)
    if note and os.environ.get("RANK", "0") == "0":
        print(note, file=sys.stderr)
    settings = parser.instantiate_classes(parser.parse_args(arguments))
    dry = getattr(settings, dry_flags.DRY, False)
    _check_processes(command, dry)
    if COMMANDS[command].lightning:
        with collector_at_rest():
            import_lightning()
    import_module("dnamamba.checkpoint")  # each of them loads a model, by PyTorch
    values = {name: getattr(settings, name) for name in inspect.signature(function).parameters}
    if dry:
        _try(partial(function, **values))
    else:
        function(**values)
    return 0


def _try(work: Callable[[], None]) -> None:
    """Do what comes before the work and some of that, and say what there is to do."""
    from dnamamba.commands.dry_run import Tried, dry_run
    from dnamamba.data.genome.passing import keep_no_cache

    with unwound_by_sigterm(), keep_no_cache(), dry_run():
        try:
            work()
        except Tried as end:
            print(f"{end.statement}\na dry run: nothing was written")


def _check_processes(command: str, dry: bool = False) -> None:
    processes = os.environ.get("WORLD_SIZE", "1")
    if processes != "1" and dry:
        raise UsageError("a dry run is of one process; start it without torchrun")
    if processes != "1" and not COMMANDS[command].shared:
        raise UsageError(
            f"it is the work of one process, and there are to be {processes} (WORLD_SIZE); start "
            "it without torchrun, or unset the variable"
        )


def make_parser(command: str, function: Callable[..., Any]) -> jsonargparse.ArgumentParser:
    """A parser by the signature and the docstring of a function.

    Parameters without a default are positional, a list among them takes one or more values; those
    behind a ``*`` are flags that must be given. A ``Sequence[str]`` has a default: it takes one or
    more values behind its flag, or before the ``*`` is positional and may be left out. A switch
    that is off by default is set by its bare flag. ``output`` is also ``-o``.
    """
    text = docstring_parser.parse(function.__doc__ or "")
    about = {param.arg_name: param.description for param in text.params}
    parameters = inspect.signature(function).parameters
    needed = [n for n, p in parameters.items() if p.default is p.empty]
    flags = [n for n in needed if parameters[n].kind is inspect.Parameter.KEYWORD_ONLY]
    lists = [n for n in needed if parameters[n].annotation == list[str]]
    several = [n for n, p in parameters.items() if p.annotation == Sequence[str]]
    free = [n for n in several if parameters[n].kind is not inspect.Parameter.KEYWORD_ONLY]
    switches = [n for n, p in parameters.items() if p.default is False]
    parser = CheckedParser(
        prog=f"dnamamba {command}",
        usage=_usage(command, [n for n in needed if n not in flags], lists, flags, free),
        description=text.description,
        epilog="\n".join(["examples:", *(f"  {line}" for line in COMMANDS[command].examples)]),
        formatter_class=_Help,
        allow_abbrev=False,
    )
    for name in flags:
        parser.add_argument(f"--{name}", required=True, type=str, help=about.get(name))
    optional = ["output"] if "output" in parameters and "output" not in needed else []
    skip: set[str | int] = {*lists, *several, *switches, *flags, *optional}
    parser.add_function_arguments(function, as_positional=True, as_group=False, skip=skip)
    for name in lists:
        parser.add_argument(name, nargs="+", help=about.get(name))
    for name in several:
        flag, nargs = (name, "*") if name in free else (f"--{name}", "+")
        default = parameters[name].default
        parser.add_argument(flag, nargs=nargs, default=default, help=about.get(name))
    for name in optional:
        parser.add_argument("-o", f"--{name}", type=str | None, help=about.get(name))
    for name in switches:
        parser.add_argument(f"--{name}", action="store_true", help=about.get(name))
    if COMMANDS[command].tried:
        parser.add_argument(*dry_flags.FLAGS, action="store_true", help=dry_flags.ABOUT)
    for action in parser._actions:
        if action.dest == "output" and not action.option_strings:
            action.help = f"{about['output']} Or as a flag: -o, --output."
    return parser


def _usage(
    command: str, positional: list[str], lists: list[str], flags: list[str], free: list[str]
) -> str:
    """The one spelling, as ``dnamamba score MODEL FASTA OUTPUT --vcf VCF [options]``."""
    words = [name.upper() for name in positional]
    words = [f"{word} [{word} ...]" if word.lower() in lists else word for word in words]
    words += [f"[{name.upper()} ...]" for name in free]
    needed = [f"--{name} {name.upper()}" for name in flags]
    return " ".join(["dnamamba", command, *words, *needed, "[options]"])
