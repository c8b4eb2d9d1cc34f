"""``Leaks``: what a task's test part shares with what models are trained and chosen on."""

import json
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dnamamba.alphabet import Tokenizer
from dnamamba.benchmark.tasks.cache import cache_folder
from dnamamba.benchmark.tasks.task import Task
from dnamamba.data.labelled.splits import canonical_digests
from dnamamba.data.modules.variants import VariantDataModule
from dnamamba.files import replacing
from dnamamba.probing.relatives import groups_of, sampling, sketch, with_relatives

__all__ = ["Leaks", "leaks_of"]

_VERSION = 1
_PARTS = ("train", "validation", "test")
_TOLD = (  # what is counted here
    "the splits are not independent",
    "variants stand in two splits",
    ".* training variants lie less than a window",
)


class Leaks(NamedTuple):
    """Counts of a test part.

    Attributes:
        copies: items that stand in training or validation too, on either strand.
        relatives: items that share a quarter of their 21-mers with one there (copies among them).
        groups: groups of relatives within the test part: the independent items.
        items: all of them.
    """

    copies: int
    relatives: int
    groups: int
    items: int


def leaks_of(task: Task, root: Path, fold: int = 0) -> Leaks:
    """Count what a fold of a task leaks; kept in the cache by the data's digest.

    Sequences count whole, where models read pieces. A variant is a copy where both of its alleles'
    windows are, and a relative by the window of the reference.

    Args:
        task: of sequences or variants.
        root: folder of its files.
        fold: of a cross-validation, from 0.

    Raises:
        ValueError: files that cannot be read, or no test part; names them.
    """
    kept = cache_folder("leaks") / f"{task.digest(root)}-{fold}-{_VERSION}.json"
    if kept.is_file():
        return Leaks(**json.loads(kept.read_text()))
    leaks = _counted(task, task.module(root, fold))
    with replacing(kept) as file:
        file.write(json.dumps(leaks._asdict()).encode())
    return leaks


def _counted(task: Task, module: Any) -> Leaks:
    read = _variants if isinstance(module, VariantDataModule) else _sequences
    names, bases = {}, {}
    with warnings.catch_warnings():
        for told in _TOLD:
            warnings.filterwarnings("ignore", told)
        module.read()
    for part in _PARTS:
        dataset = module.dataset(part)
        names[part], bases[part] = read(dataset) if len(dataset) else ([], [])
    if not bases["test"]:
        raise ValueError(f"{task.key}: nothing is held out for test; give its files or a share")
    known = {*names["train"], *names["validation"]}
    copies = np.array([name in known for name in names["test"]])
    others = [*bases["train"], *bases["validation"]]
    one_of = sampling([len(sequence) for sequence in [*others, *bases["test"]]])
    tested = sketch(bases["test"], one_of)
    return Leaks(
        copies=int(copies.sum()),
        relatives=int((copies | with_relatives(tested, sketch(others, one_of))).sum()),
        groups=int(np.unique(groups_of(tested)).size),
        items=len(bases["test"]),
    )


def _sequences(dataset: Any) -> tuple[list[str], list[bytes]]:
    """What stands for each record where copies are looked for, and its bases."""
    records = dataset.records
    letters = records.tokens.tobytes().translate(_letters(dataset.tokenizer))
    starts = [0, *records.ends[:-1].tolist()]
    bases = [letters[a:b] for a, b in zip(starts, records.ends.tolist(), strict=True)]
    return canonical_digests(bases), bases


def _variants(dataset: Any) -> tuple[list[str], list[bytes]]:
    """The same of variants, whose bases are those of the reference's window."""
    batch = dataset[np.arange(len(dataset))]
    table = _letters(dataset.tokenizer)
    windows: list[list[bytes]] = [
        [
            row[:size].tobytes().translate(table)
            for row, size in zip(batch["tokens"][:, allele].numpy(), sizes, strict=True)
        ]
        for allele, sizes in enumerate(batch["lengths"].T.tolist())
    ]
    pairs = zip(*map(canonical_digests, windows), strict=True)
    return ["-".join(pair) for pair in pairs], windows[0]


def _letters(tokenizer: Tokenizer) -> bytes:
    """The letter of each id; N of what is none of the four bases."""
    letters = bytearray(b"N" * 256)
    for base in b"ACGT":
        letters[int(tokenizer.encode(bytes([base]))[0])] = base
    return bytes(letters)
