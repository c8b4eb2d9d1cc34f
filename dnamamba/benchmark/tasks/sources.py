"""Where a task's files lie: in the user's data folder, or in the cache, fetched once."""

from pathlib import Path

from dnamamba.benchmark.tasks.cache import cache_folder
from dnamamba.benchmark.tasks.layout import named_files, stored
from dnamamba.benchmark.tasks.task import Task
from dnamamba.fetching import Checksum, fetch

__all__ = ["at_hand", "root_of"]

_SHOWN = 4


def root_of(task: Task, data: Path | None = None) -> Path:
    """The folder in which a task's files lie; fetches them into the cache if they are nowhere.

    Files are looked for in ``data``, in a folder directly within it, and beside it. Where the
    validation and test parts are all there is, they will do (see ``Task.lacks_training``). What is
    fetched is checked by its sha256; a file that is whole is not fetched again.

    Args:
        task: whose files are needed.
        data: the user's data folder.

    Raises:
        ValueError: there is no such folder.
        FileNotFoundError: files are missing and cannot be fetched; says where to put them.
        ModuleNotFoundError: pooch is missing, and there are files to fetch; names the extra.
    """
    roots = _roots(task, data)
    for has, wanted in ((_has_all, task.paths), (Task.lacks_training, _held_out(task))):
        if root := next((root for root in roots if has(task, root)), None):
            return root
        if wanted and set(wanted) <= set(task.files):
            for name in wanted:
                _fetch(task, name, data)
            return _cache(task)
    raise FileNotFoundError(_missing(task, data))


def at_hand(task: Task, data: Path | None = None) -> str:
    """What there is of a task's files, in a few words; fetches nothing. Raises: see ``root_of``."""
    roots = _roots(task, data)
    if any(_has_all(task, root) for root in roots):
        return "at hand"
    if set(task.paths) <= set(task.files):
        return "can be fetched"
    if any(task.lacks_training(root) for root in roots):
        return "held-out parts at hand"
    if (wanted := _held_out(task)) and set(wanted) <= set(task.files):
        return "held-out parts can be fetched"
    return f"missing: {_names([name for name in task.paths if name not in task.files])}"


def _roots(task: Task, data: Path | None) -> list[Path]:
    """Folders in which a task's files may lie. Raises: ValueError: ``data`` is none."""
    roots = [Path(task.root)] if task.root else []
    if data is not None and not data.is_dir():
        raise ValueError(f"{data} is no folder; name the folder of the benchmarks' files by --data")
    if data is not None:
        within = sorted(path for path in data.iterdir() if path.is_dir())
        roots += [data, *within, data.resolve().parent]
    return [*roots, _cache(task)]


def _cache(task: Task) -> Path:
    """Where files of its suite are fetched to."""
    return cache_folder("files") / task.suite


def _has_all(task: Task, root: Path) -> bool:
    return len(task.stored(root)) == len(task.paths)


def _held_out(task: Task) -> list[str]:
    """The files of validation and test, where both have some."""
    files = task.data["init_args"]["files"]
    parts = [list(named_files({part: files.get(part)})) for part in ("validation", "test")]
    return [name for part in parts for name in part] if all(parts) else []


def _fetch(task: Task, name: str, data: Path | None) -> None:
    target, source = _cache(task) / name, task.files[name]
    try:
        fetch(source["address"], target, Checksum("sha256", source["sha256"]), "benchmark")
    except (OSError, ValueError) as error:
        wrong = isinstance(error, ValueError)
        what = f"what it gives has another sha256 than {source['sha256']}" if wrong else str(error)
        folder = "a folder that you name by --data" if data is None else str(data)
        raise FileNotFoundError(
            f"{task.key}: cannot fetch {source['address']}: {what}. Get the file by hand and put "
            f"it into {folder} as {name}, or at {target}"
        ) from error


def _missing(task: Task, data: Path | None) -> str:
    if task.root:
        root = Path(task.root)
        absent = [name for name in task.paths if stored(root, name, task.aliases) is None]
        return f"{task.key}: there is no {_names(absent)} in {root}"
    where = "a folder and name it by --data" if data is None else f"{data}"
    absent = [name for name in task.paths if name not in task.files]
    return (
        f"{task.key}: its files are not at hand, and no address of {_names(absent)} is known; put "
        f"them into {where} (compressed by gzip or not), or choose other tasks"
    )


def _names(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
