"""The sections of configuration files, as far as they must be known before a parser is made."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import get_loader, set_loader

from dnamamba.cli.errors import UsageError
from dnamamba.yaml_text import check_yaml, read_yaml

__all__ = ["names_a_class", "sections"]

_SECTIONS = ("model", "data", "trainer")
_ENDINGS = (".yaml", ".yml", ".json")
_parsers_own = get_loader("yaml")


def _load_yaml(text: str) -> Any:
    """For the files that jsonargparse opens by itself, as that of ``--data data.yaml``."""
    check_yaml(text)
    return _parsers_own(text)


def sections(arguments: list[str]) -> dict[str, Any]:
    """The configuration files' top level, later files over earlier ones.

    The files of single sections, as of ``--data data.yaml``, are only looked at: the parser reads
    them.

    Raises:
        UsageError: a file that is not there, cannot be read, or is no YAML of sections.
    """
    set_loader("yaml", _load_yaml, (yaml.YAMLError,))
    merged: dict[str, Any] = {}
    for i, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if not (equals or arguments[i + 1 :]):
            continue
        path = Path(value if equals else arguments[i + 1])
        if flag not in ("-c", "--config"):
            _check_section(flag.lstrip("-"), path)
            continue
        content = _content(path)
        if not isinstance(content, dict):
            raise UsageError(f"{path} holds no sections; expected model, data, trainer, run_dir")
        for name, section in content.items():
            if isinstance(section, str):
                _check_section(str(name), path.parent / section)
        merged |= content
    return merged


def _check_section(name: str, path: Path) -> None:
    """Refuse a file in the place of a section, or of a part of one, as the main file is."""
    section, _, part = name.partition(".")
    if section not in _SECTIONS or (part and path.suffix not in _ENDINGS):
        return
    with suppress(OSError, ValueError):  # a text that is no path
        if path.is_file():
            _content(path)


def _content(path: Path) -> Any:
    try:
        return read_yaml(path)
    except FileNotFoundError as error:
        raise UsageError(f"there is no configuration file {path}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not YAML: {error}; save it as UTF-8") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    except OSError as error:
        raise UsageError(f"cannot read the configuration {path}: {error.strerror}") from error


def names_a_class(name: str, arguments: list[str], sections: dict[str, Any]) -> bool:
    """Whether a section takes a class of its own, in a file or by a flag."""
    section = sections.get(name)
    in_file = isinstance(section, str) or (isinstance(section, dict) and "class_path" in section)
    flags = (f"--{name}", f"--{name}.class_path")
    return in_file or any(argument.partition("=")[0] in flags for argument in arguments)
