"""A user's own labelled table or folder as tasks, with what it holds for settings."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from dnamamba.benchmark.tasks.task import Task
from dnamamba.data.labelled.reading import PART_NAMES
from dnamamba.data.labelled.tables import is_table
from dnamamba.probing.written import Written, is_fasta, stem, written_in

__all__ = ["in_folds", "own_tasks"]

_SEQUENCES = "dnamamba.data.modules.sequences.LabelledSequenceDataModule"
_SHARES = {"validation": 0.15, "test": 0.2}
_DEEPEST = 2  # levels of folders below the one that is named
_TABLES = ".csv, .tsv, .parquet or FASTA"

Files = dict[str, Any]


def own_tasks(path: Path) -> list[Task]:
    """The tasks in a table, a FASTA or a folder.

    A folder holds train, dev (or validation) and test, or one FASTA a class, or folders of such.
    What no file and no column says of the split is cut from the training part: 15 % for validation,
    20 % for test, with relatives on one side where there is no column of groups. Labels that are
    numbers, with fractions or of more than 20 values, are a measure; all others name classes.

    Args:
        path: a file or a folder that exists.

    Raises:
        ValueError: neither; or no column of sequences or labels (lists the columns).
    """
    if not path.is_dir():
        if not (is_table(path) or is_fasta(path)):
            raise ValueError(f"{path} is no labelled data by its name; expected {_TABLES}")
        return [_task(path.resolve().parent, stem(path), {"train": path.name})]
    tasks = list(_of_folder(path.resolve(), path.resolve().name))
    if not tasks:
        raise ValueError(
            f"{path} holds no task; expected train, dev (or validation) and test ({_TABLES}), or "
            "one FASTA a class, or folders of these, two levels deep at most"
        )
    return tasks


def in_folds(task: Task, folds: int) -> Task:
    """A task of a user's own table, in folds in place of one test part.

    Args:
        task: as ``own_tasks`` gives it.
        folds: 2 at least.

    Raises:
        ValueError: it is of a suite or declared, or something says what its test part is.
    """
    settings = task.data["init_args"]
    split = settings.get("split") or {}
    if task.suite != "own":
        raise ValueError(
            f"{task.key}: folds are for labelled tables of your own; leave them out, or set folds "
            "in a declaration (docs/benchmark.md)"
        )
    if "test" in settings["files"] or "column" in split:
        raise ValueError(
            f"{task.key} says itself what its test part is; leave folds out, or give one table "
            "without a column of splits"
        )
    split = {name: share for name, share in split.items() if name != "test"}
    data = {**task.data, "init_args": {**settings, "split": split}}
    return replace(task, data=data, folds=folds)


def _of_folder(folder: Path, name: str) -> Iterator[Task]:
    files = sorted(path for path in folder.iterdir() if path.is_file())
    parts = {
        PART_NAMES[stem(path).lower()]: path.name
        for path in files
        if stem(path).lower() in PART_NAMES and (is_table(path) or is_fasta(path))
    }
    classes = {stem(path): path.name for path in files if is_fasta(path)}
    if "train" in parts:
        yield _task(folder, name, parts)
    elif parts.keys() == {"validation", "test"}:  # its training part is not at hand
        yield _task(folder, name, {"train": parts["validation"], "test": parts["test"]})
    elif len(classes) > 1:
        yield _task(folder, name, {"train": classes})
    else:
        for below in _folders(folder) if name.count("/") < _DEEPEST else ():
            yield from _of_folder(below, f"{name}/{below.name}")


def _folders(folder: Path) -> list[Path]:
    """Those within; links are not followed."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_dir() and not path.is_symlink() and not path.name.startswith(".")
    )


def _task(root: Path, name: str, files: Files) -> Task:
    said = written_in(root, files["train"])
    parts = {*files, *said.parts}
    shares = {part: share for part, share in _SHARES.items() if part not in parts}
    split = {**shares, **({"column": said.split} if said.split else {})}
    apart = len(shares) == len(_SHARES) and not (said.group or said.split)
    return Task(
        suite="own",
        name=name,
        title=name,
        data={"class_path": _SEQUENCES, "init_args": _settings(files, said, split)},
        metric="pearson" if said.numbers else "mcc",
        note="; ".join(
            ["relatives are kept in one part"] * apart + ["labels are a measure"] * said.numbers
        ),
        apart=apart,
        root=str(root),
    )


def _settings(files: Files, said: Written, split: dict[str, Any]) -> dict[str, Any]:
    settings: dict[str, Any] = {"files": files, "reverse_complement": True}
    if said.fields:
        settings["fields"] = said.fields
    if said.numbers:
        settings["labels"] = {"kind": "number"}
    if split:
        settings["split"] = split
    return settings
