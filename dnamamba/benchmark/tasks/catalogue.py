"""Tasks by name: those that are declared here, and a user's own."""

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from dnamamba.benchmark.tasks.own import own_tasks
from dnamamba.benchmark.tasks.task import Task
from dnamamba.spelling import closest
from dnamamba.yaml_text import read_yaml

__all__ = ["read_suite", "suites", "tasks_for", "tasks_of"]

_SUITES = Path(__file__).with_name("suites")
_DECLARED = (".yaml", ".yml")
_KEYS = ("note", "aliases", "defaults", "published", "tasks", "address", "sha256")


@cache
def suites() -> tuple[str, ...]:
    """Names of the declared suites."""
    return tuple(sorted(path.stem for path in _SUITES.glob("*.yaml")))


def tasks_for(words: Iterable[str]) -> list[Task]:
    """The tasks that words stand for, each once.

    Raises:
        ValueError: see ``tasks_of``; or two tasks of one name.
    """
    tasks: dict[str, Task] = {}
    for word in words:
        for task in tasks_of(word):
            if tasks.setdefault(task.key, task) != task:
                raise ValueError(
                    f"{word}: another task is called {task.key}, too ({tasks[task.key].root}); "
                    "rename the file or the folder"
                )
    return list(tasks.values())


def tasks_of(word: str) -> list[Task]:
    """The tasks that a word stands for.

    Args:
        word: a suite (``gue``); a task or the beginning of several (``gue/tf/0``, ``gue/tf``); a
            user's own labelled table, folder (see ``own_tasks``) or declaration of a suite
            (``.yaml``, with files relative to its folder). A folder that is called as a suite is
            named by ``./gue``.

    Raises:
        ValueError: nothing is called so (names the nearest), or a file that is none of these.
    """
    if not word.strip():
        raise ValueError(_no_such(word, []))
    suite, _, name = word.strip().rstrip("/").partition("/")
    if suite in suites():
        tasks = _declared(suite)
        chosen = [t for t in tasks if not name or f"{t.name}/".startswith(f"{name}/")]
        if chosen:
            return chosen
        if not Path(word).exists():
            raise ValueError(_no_such(word, [task.key for task in tasks]))
    path = Path(word).expanduser()
    if not path.exists():
        raise ValueError(_no_such(word, [*suites(), *_all_keys()]))
    if path.suffix.lower() in _DECLARED:
        return read_suite(path, root=str(path.resolve().parent))
    return own_tasks(path)


@cache
def _declared(suite: str) -> tuple[Task, ...]:
    return tuple(read_suite(_SUITES / f"{suite}.yaml"))


def _all_keys() -> list[str]:
    return [task.key for suite in suites() for task in _declared(suite)]


def _no_such(word: str, known: list[str]) -> str:
    near = closest(word, known, cutoff=0.5)
    hint = f" (did you mean {near!r}?)" if near else ""
    return (
        f"{word!r} is neither a task nor a file{hint}; the suites are {', '.join(suites())}, and "
        "`dnamamba benchmark --list` shows their tasks"
    )


def read_suite(path: Path, root: str = "") -> list[Task]:
    """The tasks of a declaration.

    ``defaults`` and each entry of ``tasks`` hold the fields of ``Task``; sections of both are laid
    over each other, and ``{folder}`` in a file's name is the entry's ``folder`` or name. The list
    ``published`` names the columns of the entries' lists. ``address`` is where the files of
    ``sha256`` (file -> checksum) are fetched from: followed by the file's name where it ends in /.

    Args:
        path: the YAML file.
        root: where the files lie; empty: wherever they are found.

    Raises:
        ValueError: no such declaration; names the file, and what is wrong.
    """
    try:
        content = read_yaml(path)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {error}") from error
    if not isinstance(content, Mapping) or not isinstance(content.get("tasks"), Mapping):
        raise ValueError(f"{path}: a declaration of tasks has the key tasks: name -> its fields")
    if unknown := [key for key in content if key not in _KEYS]:
        raise ValueError(f"{path}: unknown key {unknown[0]!r}; there are {', '.join(_KEYS)}")
    return [
        _task(path, str(name), entry, {**content, "root": root})
        for name, entry in content["tasks"].items()
    ]


def _task(path: Path, name: str, entry: Any, suite: Mapping[str, Any]) -> Task:
    try:
        fields = _over(suite.get("defaults") or {}, entry or {})
        folder = str(fields.pop("folder", name))
        published = fields.get("published", {})
        if isinstance(published, list):
            fields["published"] = dict(zip(suite["published"], published, strict=True))
        fields = {"title": name, "note": suite.get("note", ""), **fields, "root": suite["root"]}
        task = Task(path.stem, name, **fields)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise ValueError(f"{path}, task {name}: {error}") from error
    settings = task.data["init_args"]
    settings["files"] = _filled(settings["files"], folder)
    task.aliases.update(suite.get("aliases") or {})
    task.files.update(_fetched(task, suite))
    return task


def _fetched(task: Task, suite: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    """Address and checksum of the task's files."""
    address, sums = suite.get("address", ""), suite.get("sha256") or {}
    for name in task.paths:
        if name in sums:
            full = address + name if address.endswith("/") else address
            yield name, {"address": full, "sha256": sums[name]}


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Sections laid over each other; neither is changed."""
    merged = deepcopy(dict(below))
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(under, Mapping) and isinstance(value, Mapping):
            merged[key] = _over(under, value)
        else:
            merged[key] = deepcopy(value)
    return merged


def _filled(files: Any, folder: str) -> Any:
    if isinstance(files, Mapping):
        return {str(key): _filled(value, folder) for key, value in files.items()}
    if isinstance(files, list):
        return [_filled(value, folder) for value in files]
    return files.replace("{folder}", folder) if isinstance(files, str) else files
