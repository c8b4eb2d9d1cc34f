"""The sections of configuration files, as far as they must be known before a parser is made."""

from pathlib import Path
from typing import Any

import yaml
from jsonargparse import get_loader, set_loader

from dnamamba.cli.errors import UsageError
from dnamamba.yaml_text import check_yaml, read_yaml

__all__ = ["names_a_class", "sections"]

_parsers_own = get_loader("yaml")


def _load_yaml(text: str) -> Any:
    """For the files that jsonargparse opens by itself, as that of ``--data data.yaml``."""
    check_yaml(text)
    return _parsers_own(text)


def sections(arguments: list[str]) -> dict[str, Any]:
    """The configuration files' top level, later files over earlier ones.

    Raises:
        UsageError: a file that is not there, cannot be read, or is no YAML of sections.
    """
    set_loader("yaml", _load_yaml, (yaml.YAMLError,))
    merged: dict[str, Any] = {}
    for i, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag not in ("-c", "--config") or not (equals or arguments[i + 1 :]):
            continue
        path = Path(value if equals else arguments[i + 1])
        try:
            content = read_yaml(path)
        except FileNotFoundError as error:
            raise UsageError(f"there is no configuration file {path}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UsageError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
        except OSError as error:
            raise UsageError(f"cannot read the configuration {path}: {error.strerror}") from error
        if not isinstance(content, dict):
            raise UsageError(f"{path} holds no sections; expected model, data, trainer, run_dir")
        merged |= content
    return merged


def names_a_class(name: str, arguments: list[str], sections: dict[str, Any]) -> bool:
    """Whether a section takes a class of its own, in a file or by a flag."""
    section = sections.get(name)
    in_file = isinstance(section, str) or (isinstance(section, dict) and "class_path" in section)
    flags = (f"--{name}", f"--{name}.class_path")
    return in_file or any(argument.partition("=")[0] in flags for argument in arguments)
