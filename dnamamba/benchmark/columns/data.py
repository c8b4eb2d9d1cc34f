"""A task's data, read once in a process for all jobs that need them alike."""

from collections import OrderedDict
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

from dnamamba.alphabet import Tokenizer
from dnamamba.benchmark.jobs.job import Job
from dnamamba.benchmark.tasks.task import Task, changed
from dnamamba.data.modules.labelled import LabelledDataModule
from dnamamba.data.modules.resumable import DataPart

__all__ = ["PARTS", "data_of", "is_of_variants", "samples"]

PARTS: tuple[DataPart, ...] = ("train", "validation", "test")

_KEPT = 4  # as many as a worker's neighbouring jobs take turns with
_read: OrderedDict[str, LabelledDataModule] = OrderedDict()


def is_of_variants(task: Task) -> bool:
    """Whether its samples are variants, else sequences."""
    return bool(task.data["class_path"].rpartition(".")[2] == "VariantDataModule")


def data_of(
    job: Job,
    tokenizer: Tokenizer | None = None,
    settings: Mapping[str, Any] | None = None,
    test: bool = False,
) -> LabelledDataModule:
    """The data module of a job's task, which other jobs share: change nothing of it.

    Args:
        job: says task, fold and seed.
        tokenizer: of the model; None: the built-in one.
        settings: dotted keys within the section ``data`` -> value.
        test: as held-out parts are to be read.

    Raises:
        ValueError: bad files, records or labels; names them.
    """
    tokenizer, test = tokenizer or Tokenizer(), test and bool(job.task.test)
    task = replace(job.task, data=changed(deepcopy(job.task.data), settings or {}))
    content = task.digest(job.root)  # which a user may have changed between two benchmarks
    key = repr((content, job.root, job.fold, test, tokenizer))
    if key not in _read:
        module = task.module(job.root, job.fold, test=test, tokenizer=tokenizer)
        module.read()
        _read[key] = module
        while len(_read) > _KEPT:
            _read.popitem(last=False)
    _read.move_to_end(key)
    module = _read[key]
    return module.dealt(module.global_batch_size, job.seed)


def samples(data: LabelledDataModule, test: LabelledDataModule | None = None) -> dict[str, int]:
    """How many samples each part has.

    Args:
        data: the task's.
        test: as held-out parts are read, where that is otherwise.
    """
    sources = data, data, test or data
    return {part: len(x.dataset(part)) for part, x in zip(PARTS, sources, strict=True)}
