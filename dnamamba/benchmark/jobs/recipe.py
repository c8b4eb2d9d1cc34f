"""``Recipe``: how models are fine-tuned; the package's own is ``recipe.yaml``."""

import hashlib
import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from dnamamba.spelling import closest
from dnamamba.yaml_text import read_yaml

__all__ = ["RATE", "Plan", "Recipe"]

RATE = "model.init_args.optimizer.lr"
"""The setting that depends on the model's width."""

_EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")
_OWN = Path(__file__).with_name("recipe.yaml")
_SECTIONS = ("data.init_args.", "model.init_args.", "trainer.")

# Settings of a configuration that have a name of their own, or that the benchmark decides.
_DECIDED = {
    "data.init_args.global_batch_size": "set batch",
    "trainer.max_steps": "set epochs, and steps.least and steps.most",
    "trainer.max_epochs": "set epochs, and steps.least and steps.most",
    "trainer.val_check_interval": "set validations",
    "model.init_args.optimizer.warmup_steps": "set warmup",
    "model.init_args.monitor": "the task says by which metric to choose",
    "data.init_args.seed": "a job says it",
    "data.init_args.tokenizer": "the model says it",
    "model.init_args.tokenizer": "the model says it",
    "model.init_args.pretrained": "the columns say it",
    "model.init_args.model": "the columns say it",
}


class Plan(NamedTuple):
    """The length of a run.

    Attributes:
        batch: training items in a step.
        steps: in all; a multiple of ``every``.
        every: so many steps there is a validation.
        warmup: steps of rising learning rate.
    """

    batch: int
    steps: int
    every: int
    warmup: int


@dataclass(frozen=True)
class Recipe:
    """How models are fine-tuned.

    Attributes:
        epochs: times that the training items are read, within the bounds of ``steps``.
        steps: ``least`` and ``most`` steps of a run.
        batch: number of training items -> items in a step, from that number on.
        validations: in a run; the weights of the best one are kept.
        trial: share of a run's length in which each choice is tried, where there are several; the
            best one is then run whole. 1: all are.
        warmup: share of the steps in which the learning rate rises.
        width: d_model at which learning rates are as written; another model's are multiplied by
            ``width / d_model``.
        choices: dotted key, or several behind commas that take the same value -> values to try.
        settings: dotted key -> value; keys are those of a configuration of ``dnamamba fit``.

    Raises:
        ValueError: a value out of range or an unknown key; names it.
    """

    epochs: float
    steps: Mapping[str, int]
    batch: Mapping[int, int]
    validations: int
    trial: float
    warmup: float
    width: int
    choices: Mapping[str, list[Any]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "choices", "settings"):
            if not isinstance(getattr(self, name), Mapping):
                raise ValueError(f"recipe: {name} must be a section, got {getattr(self, name)!r}")
        for name in ("epochs", "validations", "width"):
            _positive(name, getattr(self, name), whole=name != "epochs")
        if {*self.steps} != {"least", "most"}:
            raise ValueError(f"recipe: steps must say least and most, got {[*self.steps]}")
        for section in ("steps", "batch"):
            for name, value in getattr(self, section).items():
                _positive(f"{section}.{name}", value)
        if self.steps["least"] > self.steps["most"]:
            raise ValueError(f"recipe: steps.least is above steps.most: {dict(self.steps)}")
        if not self.batch or not all(isinstance(items, int) for items in self.batch):
            raise ValueError(f"recipe: batch must be items: batch, got {dict(self.batch)}")
        if not isinstance(self.trial, int | float) or not 0 < self.trial <= 1:
            raise ValueError(f"recipe: trial must be a share of a run, got {self.trial!r}")
        if not isinstance(self.warmup, int | float) or not 0 <= self.warmup < 1:
            raise ValueError(f"recipe: warmup must be a share of the steps, got {self.warmup!r}")
        for key in self.settings:
            _check_dotted(key)
        object.__setattr__(self, "settings", _numbers(self.settings))
        for key, values in self.choices.items():
            if not isinstance(values, list | tuple) or not values:
                raise ValueError(f"recipe: choices.{key} must be a list of values, got {values!r}")
        object.__setattr__(self, "choices", _numbers(self.choices))
        for option in self.options() if self.choices else ():
            self.with_option(option)

    @classmethod
    def read(cls, path: Path | None = None, changes: Mapping[str, Any] | None = None) -> "Recipe":
        """A recipe from a file.

        Args:
            path: YAML with some of the fields, which replace those of the package's own; None: the
                package's own as it is.
            changes: see ``changed``.

        Raises:
            ValueError: no recipe; names the file and the key.
        """
        recipe = cls(**read_yaml(_OWN))
        if path is not None:
            try:
                content = read_yaml(path)
            except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
                raise ValueError(f"{path} is no recipe: {error}") from error
            if not isinstance(content, Mapping):
                raise ValueError(f"{path} is no recipe: expected {', '.join(_FIELDS)}")
            try:
                recipe = recipe.changed(content)
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from error
        return recipe.changed(changes or {})

    def changed(self, changes: Mapping[str, Any]) -> "Recipe":
        """With other values.

        Args:
            changes: a field, a field's dotted key (``steps.most``), or a key of ``settings``, whose
                choices are then dropped -> value; ``settings`` themselves are added to.

        Raises:
            ValueError: an unknown key, or a value out of range.
        """
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        for key, value in changes.items():
            name, _, rest = key.partition(".")
            if key == "settings" and isinstance(value, Mapping):
                values["settings"] = {**values["settings"], **value}
            elif key in _FIELDS:
                values[key] = value
            elif name in _FIELDS and isinstance(values[name], Mapping) and rest:
                values[name] = {**values[name], int(rest) if rest.isdecimal() else rest: value}
            else:
                _check_dotted(key)
                values["settings"] = {**values["settings"], key: value}
                choices: Mapping[str, Any] = values["choices"]
                values["choices"] = {k: v for k, v in choices.items() if key not in _each(k)}
        return Recipe(**values)

    def options(self) -> list[dict[str, Any]]:
        """Every combination of the choices; one that says nothing where there are none."""
        keys = [_each(names) for names in self.choices]
        return [
            {key: value for names, value in zip(keys, option, strict=True) for key in names}
            for option in itertools.product(*self.choices.values())
        ]

    def plan(self, items: int, share: float = 1.0) -> Plan:
        """The length of a run, or of a share of one, on so many training items."""
        known = [start for start in self.batch if start <= items] or [min(self.batch)]
        batch = min(self.batch[max(known)], items)
        steps = round(self.epochs * items / batch)
        steps = min(max(steps, self.steps["least"]), self.steps["most"])
        steps = max(1, round(steps * share))
        every = max(1, steps // self.validations)
        steps = every * min(self.validations, steps)
        return Plan(batch, steps, every, round(self.warmup * steps))

    def with_option(self, option: Mapping[str, Any]) -> "Recipe":
        """With one of the ``options``, and no choice left."""
        return replace(self, choices={}).changed(option)

    def section(self, name: str) -> dict[str, Any]:
        """The settings of ``data``, ``model`` or ``trainer``: key within it -> value."""
        start = f"{name}."
        return {
            key.removeprefix(start): value
            for key, value in self.settings.items()
            if key.startswith(start)
        }

    @property
    def digest(self) -> str:
        """Hex digits of all that it says."""
        text = json.dumps(asdict(self), sort_keys=True, default=str)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


_FIELDS = tuple(f.name for f in fields(Recipe))


def _each(keys: str) -> list[str]:
    """The settings that a choice is of."""
    return [key.strip() for key in str(keys).split(",")]


def _numbers(value: Any) -> Any:
    """With 1e-3 as the number that is meant: to YAML it is a text, for it lacks a point."""
    if isinstance(value, Mapping):
        return {key: _numbers(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_numbers(part) for part in value]
    return float(value) if isinstance(value, str) and _EXPONENT.fullmatch(value) else value


def _positive(name: str, value: Any, whole: bool = True) -> None:
    number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not number or value <= 0:
        kind = "an integer" if whole else "a number"
        raise ValueError(f"recipe: {name} must be {kind} above 0, got {value!r}")


def _check_dotted(key: str) -> None:
    if not isinstance(key, str) or not any(
        key.startswith(section) and len(key) > len(section) for section in _SECTIONS
    ):
        near = closest(str(key), _FIELDS)
        meant = f" (did you mean {near}?)" if near else ""
        raise ValueError(
            f"recipe: unknown key {key!r}{meant}; known are {', '.join(_FIELDS)}, and keys that "
            f"begin with {', '.join(_SECTIONS)}"
        )
    for decided, remedy in _DECIDED.items():
        if f"{key}.".startswith(f"{decided}."):
            raise ValueError(f"recipe: {key} is not for the recipe to set; {remedy}")
