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
_FEWER = "take fewer folds, give more records, or let groups be none if they need not stay together"


class Divided(NamedTuple):
    """Records as a cross-validation reads them.

    Attributes:
        codec: what the labels are.
        targets: (n, ...) as ``Codec.encode`` has them.
        strata: n; of each a fold gets its share.
        groups: n; those of one are in one fold.
        fold: (n,) the fold that tests each.
    """

    codec: Codec
    targets: NDArray[Any]
    strata: Sequence[Hashable]
    groups: list[str]
    fold: Ints


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
    called = "records" if not apart else "groups" if records.groups else "groups of relatives"
    _check(records, codec, strata, groups, folds, called)
    fold = parts(strata, groups, folds, seed)
    for number in range(folds):
        rest = fold != number
        empty = rest.all() or (codec.kind == "number" and (~rest).sum() < 2)
        lost = codec.kind == "class" and len(set(targets[rest].tolist())) < len(codec.classes)
        if empty or lost:
            what = "hold next to nothing" if empty else "hold all records of a class"
            raise ValueError(
                f"{records.source}: the {called} are so unequal that fold {number + 1} of {folds} "
                f"would {what}; {_FEWER}"
            )
    return Divided(codec, targets, strata, groups, fold)


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
        records_of = f"{len(groups):,} records" + (
            "" if called == "records" else f" in {n:,} {called}"
        )
        raise ValueError(
            f"{records.source} holds {records_of}, too few for {folds} folds; {_FEWER}"
        )
    if codec.kind != "class":
        return
    of_class: defaultdict[Hashable, set[str]] = defaultdict(set)
    for stratum, group in zip(strata, groups, strict=True):
        of_class[stratum].add(group)
    rarest = min(of_class, key=lambda name: len(of_class[name]))
    if len(of_class[rarest]) < folds:
        raise ValueError(
            f"{records.source}: class {rarest!r} has {len(of_class[rarest])} {called}, fewer than "
            f"the {folds} folds; {_FEWER}, or leave the class out"
        )
