"""Every public name is typed and says what it takes, gives and refuses."""

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import docstring_parser
import pytest

import dnamamba
from dnamamba.data.genome.fasta import Genome
from dnamamba.inference.prediction import Predictions
from dnamamba.inference.scoring import Scores
from dnamamba.sklearn import DnaEmbedder

NAMES: dict[str, Any] = {
    **{name: getattr(dnamamba, name) for name in dnamamba.__all__},
    **{kind.__name__: kind for kind in (DnaEmbedder, Genome, Predictions, Scores)},
}
OURS = "dnamamba"


class Member(NamedTuple):
    """A function, or what is behind a property.

    Attributes:
        function: it.
        text: its docstring, or that of what it overrides.
    """

    function: Callable[..., Any]
    text: str | None


def members(name: str) -> Iterator[tuple[str, Member]]:
    """The function, or each public method and property of the class, those of ours it inherits."""
    thing = NAMES[name]
    if not inspect.isclass(thing):
        yield name, Member(thing, inspect.getdoc(thing))
        return
    for key in dir(thing):
        member = inspect.getattr_static(thing, key)
        function = member.fget if isinstance(member, property) else member
        function = getattr(function, "__func__", function)  # of static and class methods
        ours = inspect.isfunction(function) and function.__module__.startswith(OURS)
        if ours and (key == "__iter__" or not key.startswith("_")):
            yield f"{name}.{key}", Member(function, inspect.getdoc(getattr(thing, key)))


CALLABLES = {path: member for name in NAMES for path, member in members(name)}


def test_the_walk_finds_what_users_call() -> None:
    """A test of nothing would be green, too."""
    assert {"embed", "load", "push", "Pretrained.to", "Mamba.forward", "DnaEmbedder.fit"} <= set(
        CALLABLES
    )
    assert len(CALLABLES) > 40


@pytest.mark.parametrize("path", CALLABLES)
def test_every_function_is_typed_and_says_what_it_takes(path: str) -> None:
    function, text = CALLABLES[path]
    signature = inspect.signature(function)
    taken = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
    assert [p.name for p in taken if p.annotation is p.empty] == []
    assert signature.return_annotation is not signature.empty
    assert text, "no docstring"
    assert [p.name for p in taken if not re.search(rf"\b{p.name}\b", text)] == []


@pytest.mark.parametrize("name", [name for name, kind in NAMES.items() if inspect.isclass(kind)])
def test_every_class_says_what_it_is(name: str) -> None:
    kind = NAMES[name]
    assert kind.__doc__
    init = inspect.signature(kind)
    taken = [p for p in init.parameters.values() if p.kind is not p.VAR_KEYWORD]
    assert [p.name for p in taken if p.annotation is p.empty] == []
    said = "\n".join(part.__doc__ or "" for part in kind.__mro__ if OURS in part.__module__)
    assert [p.name for p in taken if f"{p.name}:" not in said] == []


@pytest.mark.parametrize("path", [path for path in CALLABLES if path.startswith("Pretrained.")])
def test_every_method_that_takes_anything_says_what_it_refuses(path: str) -> None:
    function, text = CALLABLES[path]
    told = docstring_parser.parse(text or "")
    taken = {name for name in inspect.signature(function).parameters if name != "self"}
    assert {param.arg_name.lstrip("*") for param in told.params} == taken
    assert not taken or told.raises
