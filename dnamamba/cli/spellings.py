"""Other spellings of a command: OUTPUT by a flag, and what was typed before there was one spelling.

The one spelling is ``dnamamba COMMAND MODEL FASTA OUTPUT --flags``; a line in any other becomes
one in it before a parser reads it.
"""

import re
import shlex
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dnamamba.cli.errors import UsageError

__all__ = ["OLD_SPELLINGS", "OldSpelling", "one_spelling"]


@dataclass(frozen=True)
class OldSpelling:
    """How a command was typed before.

    Attributes:
        positional: what stood without a flag, in order, by its name of today.
        flags: flag of then -> what stands without one today.
        values: flag of then -> the flag of today, and its value for each value of then.
    """

    positional: tuple[str, ...] = ()
    flags: dict[str, str] = field(default_factory=dict)
    values: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)


_FILES = {"--genome": "fasta", "--checkpoint": "model"}
_STRANDS = {"--strands": ("--both_strands", {"1": "false", "2": "true"})}
OLD_SPELLINGS = {
    "score": OldSpelling(("vcf",), _FILES, _STRANDS),
    "mutagenesis": OldSpelling((), _FILES, _STRANDS),
    "predict": OldSpelling(("model", "vcf", "output"), {"--genome": "fasta"}),
}


class _Flag(NamedTuple):
    name: str
    value: str | None
    typed: list[str]


def one_spelling(
    command: str, arguments: Sequence[str], parser: ArgumentParser
) -> tuple[list[str], str | None]:
    """A command line in the one spelling, which its parser reads.

    Returns:
        The arguments; and a note that names the new spelling where the old one was typed.

    Raises:
        UsageError: spellings are mixed, a value is wrong, or a file is missing.
    """
    positional = [action.dest for action in parser._actions if not action.option_strings]
    old = OLD_SPELLINGS.get(command, OldSpelling())
    named = {**old.flags, **({"--output": "output"} if "output" in positional else {})}
    words, flags = _split(arguments, parser)
    typed = {flag.name for flag in flags}
    if not typed & {*named, *old.values} or typed & {"-h", "--help"}:
        return list(arguments), None

    files = {named[flag.name]: _value(flag) for flag in flags if flag.name in named}
    moved = typed & {*old.flags}
    order = [name for name in (old.positional if moved else positional) if name not in files]
    by_name = dict(zip(order, words, strict=False))
    files |= {name: word for name, word in by_name.items() if name in positional}
    added = [(f"--{name}", word) for name, word in by_name.items() if name not in positional]
    added += [
        _translated(flag, *old.values[flag.name]) for flag in flags if flag.name in old.values
    ]
    if (moved and len(words) > len(order)) or typed & {name for name, _ in added}:
        outdated = ", ".join(sorted(typed & {*old.flags, *old.values}))
        raise UsageError(
            f"{outdated}: an old spelling, not to be mixed with the new, {parser.usage}"
        )
    if missing := [name for name in positional if name not in files]:
        raise UsageError(f"{', '.join(missing)} must be given")

    new = [files[name] for name in positional] + words[len(order) :]
    new += [word for pair in added for word in pair]
    new += [word for flag in flags if flag.name not in {*named, *old.values} for word in flag.typed]
    note = f"note: this is now spelled dnamamba {command} {shlex.join(new)}"
    return new, note if moved or added else None


def _split(arguments: Sequence[str], parser: ArgumentParser) -> tuple[list[str], list[_Flag]]:
    """What stands without a flag, and the flags with their values."""
    bare = [action.option_strings for action in parser._actions if action.nargs == 0]
    switches = {flag for flags in bare for flag in flags}
    lists = {flag for a in parser._actions if a.nargs == "+" for flag in a.option_strings}
    words: list[str] = []
    flags: list[_Flag] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if not _is_flag(word):
            words.append(word)
            continue
        typed = [word]
        word = re.sub(r"^-o=?(?=.)", "--output=", "--output" if word == "-o" else word)
        name, equals, value = word.partition("=")
        if not equals and name not in switches and rest and not _is_flag(rest[0]):
            typed.append(value := rest.pop(0))
            while name in lists and rest and not _is_flag(rest[0]):
                typed.append(rest.pop(0))
        flags.append(_Flag(name, value if equals or len(typed) > 1 else None, typed))
    return words, flags


def _is_flag(word: str) -> bool:
    return re.match(r"-(?!\.?\d)", word) is not None and word != "-"


def _value(flag: _Flag) -> str:
    if flag.value is None:
        raise UsageError(f"{flag.name} needs a value")
    return flag.value


def _translated(flag: _Flag, name: str, values: dict[str, str]) -> tuple[str, str]:
    value = _value(flag)
    if value not in values:
        raise UsageError(f"{flag.name.lstrip('-')} must be {' or '.join(values)}, got {value}")
    return name, values[value]
