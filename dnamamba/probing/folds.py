"""Labelled sequences in folds: classes in equal shares, relatives in one fold."""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnamamba.data.labelled.codec import Codec, strata_of
from dnamamba.data.labelled.splits import stratified_parts
from dnamamba.probing.records import Records
from dnamamba.probing.relatives import groups_of, sampling, sketch

__all__ = ["Divided", "divided", "parts"]

Ints = NDArray[np.int64]

_LEAST = 3  # numbers in a fold from which a correlation says something


class Divided(NamedTuple):
    """Records as a cross-validation reads them.

    Attributes:
        codec: what the labels are.
        targets: (n, ...) as ``Codec.encode`` has them.
        strata: n; of each a fold gets its share.
        groups: n; those of one are in one fold.
        fold: (n,) the fold that tests each.
        apart: what the groups are, or that records are none.
    """

    codec: Codec
    targets: NDArray[Any]
    strata: Sequence[Hashable]
    groups: list[str]
    fold: Ints
    apart: str


def divided(records: Records, folds: int, seed: int, apart: bool) -> Divided:
    """Divide records into folds.

    Args:
        records: at least one.
        folds: how many, at least 2.
        seed: another one, another division.
        apart: keep groups in one fold: those of the records, else relatives (see ``relatives``).

    Raises:
        ValueError: one class or number alone, or too few records or groups for the folds; says of
            which class, and what helps.
    """
    codec, targets = _encoded(records)
    strata = strata_of(records.settings, records.labels, records.names)
    groups = _groups(records, apart)
    called = "record" if not apart else "group" if records.groups else "group of relatives"
    _check(records, codec, strata, groups, folds, called)
    fold = parts(strata, groups, folds, seed)
    for number in range(folds):
        rest = fold != number
        empty = rest.all() or (codec.kind == "number" and (~rest).sum() < 2)
        lost = codec.kind == "class" and len(set(targets[rest].tolist())) < len(codec.classes)
        if empty or lost:
            what = "next to nothing" if empty else "all records of a class"
            raise ValueError(
                f"{records.source}: {_several(called)} are so unequal that fold {number + 1} of "
                f"{folds} would hold {what}; {_remedy(folds, called)}"
            )
    return Divided(codec, targets, strata, groups, fold, _several(called))


def parts(strata: Sequence[Hashable], groups: Sequence[str], folds: int, seed: int) -> Ints:
    """(n,) the fold of each record."""
    return stratified_parts(strata, groups, [1 / folds] * folds, seed)


def _encoded(records: Records) -> tuple[Codec, NDArray[Any]]:
    labels, names = records.labels, records.names
    different = set(labels)
    if len(different) < 2:
        kind = "number" if records.settings.kind == "number" else "label"
        raise ValueError(
            f"{records.source}: all {len(labels):,} records have the {kind} "
            f"{next(iter(different))!r}; a probe needs two at least to tell apart"
        )
    codec = Codec.of_training(records.settings, labels, records.columns)
    targets = codec.encode(labels, names)
    if codec.kind == "number" and not targets.std() > 0:
        raise ValueError(f"{records.source}: all labels are the same number")
    return codec, targets


def _groups(records: Records, apart: bool) -> list[str]:
    if not apart:
        return [str(number) for number in range(len(records.names))]
    if records.groups is not None:
        return records.groups
    sizes = [len(bases) for bases in records.sequences]
    return [str(x) for x in groups_of(sketch(records.sequences, sampling(sizes))).tolist()]


def _check(
    records: Records,
    codec: Codec,
    strata: Sequence[Hashable],
    groups: list[str],
    folds: int,
    called: str,
) -> None:
    n, needed = len(set(groups)), folds * (_LEAST if codec.kind == "number" else 1)
    if n < folds or len(groups) < needed:
        within = "" if called == "record" else f" in {_count(n, called)}"
        each = f" of {_LEAST} numbers each" if codec.kind == "number" else ""
        remedy = _remedy(min(n, len(groups) * folds // needed), called)
        raise ValueError(
            f"{records.source} holds {_count(len(groups), 'record')}{within}, too few for {folds} "
            f"folds{each}; {remedy}"
        )
    if codec.kind != "class":
        return
    of_class: defaultdict[Hashable, set[str]] = defaultdict(set)
    for stratum, group in zip(strata, groups, strict=True):
        of_class[stratum].add(group)
    rarest = min(of_class, key=lambda name: len(of_class[name]))
    if (least := len(of_class[rarest])) < folds:
        raise ValueError(
            f"{records.source}: class {rarest!r} has {_count(least, called)}, fewer than the "
            f"{folds} folds; leave the class out, or {_remedy(least, called)}"
        )


def _remedy(most: int, called: str) -> str:
    """What helps, where at most so many folds would do."""
    ways = ["give more records"]
    if most > 1:
        ways.insert(0, "take fewer folds")
    if called != "record":
        ways.append("let groups be none, if relatives may be on both sides")
    return ", or ".join(ways)


def _count(n: int, called: str) -> str:
    return f"{n:,} {called if n == 1 else _several(called)}"


def _several(called: str) -> str:
    return called.replace("record", "records").replace("group", "groups")
