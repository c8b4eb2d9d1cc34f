"""Wrong commands, flags and keys: one line, with what was probably meant."""

import re
from collections.abc import Iterable

from dnamamba.spelling import closest

__all__ = ["UsageError", "explain", "innermost", "nearest"]


class UsageError(Exception):
    """What was typed cannot be understood; the message says what and suggests what was meant."""


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean X?`` for the nearest of the known names, or nothing if none is near.

    Of dotted names, one that agrees in its last part is near too, so that ``--lr`` finds
    ``model.optimizer.lr``.
    """
    names = sorted(known)
    meant = closest(name, names)
    if meant is None:
        by_last = {known_name.rpartition(".")[2]: known_name for known_name in names}
        last = closest(name.rpartition(".")[2], by_last)
        meant = by_last[last] if last else None
    return f"; did you mean {meant}?" if meant else ""


def explain(message: str, known: Iterable[str]) -> str:
    """A parser's message, with the nearest of the known keys where it complains of unknown ones.

    Args:
        message: jsonargparse's.
        known: dotted keys, as ``model.optimizer.lr``.
    """
    known = list(known)
    if flags := re.match(r"unrecognized arguments: (.*)", message, re.DOTALL):
        wrong = [word for word in flags[1].split() if word.startswith("-")]
        if not wrong:
            return f"unexpected argument {flags[1]}"
        name = wrong[0].partition("=")[0]
        hint = nearest(name.lstrip("-").rstrip("+"), known)
        return f"unknown flag {name}{hint.replace('did you mean ', 'did you mean --')}"
    if key := re.match(r"Group '([^']+)' does not accept option '([^']+)'", message):
        return unknown_key(f"{key[1]}.{key[2]}", known)
    if key := re.fullmatch(r"Option '([^']+)' is not accepted", message):
        hint = nearest(key[1], known) or nearest(key[1].partition(".")[0], known)
        return f"unknown key {key[1]}{hint}"
    if missing := re.match(r"the following arguments are required: (.*)", message):
        return f"{missing[1]} must be given"
    if linked := re.match(r"argument (\S+) --> (\S+): ", message):
        return f"{linked[2]} always is what {linked[1]} is; set {linked[1]} instead"
    if linked := re.match(r'Linked "(\S+)" must be given via "(\S+)"', message):
        return f"{linked[1]} always is what {linked[2]} is; set {linked[2]} instead"
    return _types(re.sub(r'^Parser key "([^"]+)":\s*', r"\1: ", message))


def _types(message: str) -> str:
    """Types by their names in YAML, and a mismatch with several types in one line."""
    if value := re.search(r"^ *- .*?([\w.]+ must be .*, got .*)$", message, re.MULTILINE):
        return f"{message.partition(': ')[0]}: {value[1]}"
    message = innermost(message)
    message = re.sub(r"<class '(?:[\w.]+\.)?(\w+)'>", r"\1", message).replace("NoneType", "null")
    message = re.sub(r"typing\.Literal\[([^]]*)\]", r"\1", message)
    message = re.sub(r"\b([vV]alue: )None$", r"\1null, leave it out for its default", message)
    union = re.fullmatch(
        r"(.*?: ).*Subtypes: \[(.*?)\]\n.*Given value: (.*)", message.strip(), re.DOTALL
    )
    if union:
        return f"{union[1]}expected one of {union[2]}; got {union[3]}"
    message = re.sub(r"Expected an? ('\w.*)\. Got value: ", r"expected one of \1; got ", message)
    return re.sub(r"Expected an? (\w+)\. Got value: ", r"expected \1; got ", message)


def innermost(message: str) -> str:
    """What is wrong with a class's arguments, where jsonargparse says that the class is not met.

    Args:
        message: jsonargparse's; any other is returned as it is.
    """
    union = re.search(
        r"Does not validate [^\n]*\n( *)Subtypes: ([^\n]*)\n\1Errors:\n(.*?)^\1Given value type: ",
        message,
        re.DOTALL | re.MULTILINE,
    )
    if union is None or not re.search(r"<class '\w+\.", union[2]):
        return message
    errors = re.split(rf"^{union[1]}  - ", union[3], flags=re.MULTILINE)[1:]
    about = [error for error in errors if not error.startswith("Expected a")]
    if len(about) != 1:
        return message
    return " ".join(f"{message[: union.start()]} {innermost(about[0])}".split())


def unknown_key(key: str, known: Iterable[str]) -> str:
    """What to say of a key that a configuration file should not hold."""
    return f"unknown key {key}{nearest(key, known)}"
