"""Which records are for training, validation and test: by seed, relatives together."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnamamba.alphabet import Tokenizer

__all__ = ["Split", "canonical_digests", "shared_sequences", "stratified_parts"]

_IDS = Tokenizer()


@dataclass(frozen=True)
class Split:
    """How training examples are divided where no file says so.

    Relatives (examples of one group; without groups, examples of one sequence on either strand)
    always stay on one side, and every class is divided in the same proportion as far as that
    allows. The division depends on the seed, the groups and the class sizes, not on the order
    of the records.

    Attributes:
        validation: share cut from the training examples; None stands for 0.1 where only
            training files are given, and for none where there are others too.
        test: likewise.
        seed: another seed, another division.
        folds: with k folds the test share is 1/k, and ``fold`` says which.
        fold: 0 to ``folds - 1``.
        column: a table's column that says ``train``, ``validation`` (or ``valid``, ``val``,
            ``dev``) or ``test``; shares are then cut only where set.

    Raises:
        ValueError: shares that leave nothing to train on, or a fold out of range.
    """

    validation: float | None = None
    test: float | None = None
    seed: int = 0
    folds: int | None = None
    fold: int = 0
    column: str | None = None

    @classmethod
    def none(cls) -> "Split":
        """Nothing is cut from the training examples."""
        return cls(validation=0.0, test=0.0)

    def __post_init__(self) -> None:
        for name in ("validation", "test"):
            share = getattr(self, name)
            if share is not None and not 0 <= share < 1:
                raise ValueError(f"split.{name} must be a share from 0 to below 1, got {share}")
        if (self.validation or 0) + (self.test or 0) >= 1:
            raise ValueError(
                f"split.validation {self.validation} and split.test {self.test} leave nothing to "
                "train on; their sum must be below 1"
            )
        if self.folds is None:
            if self.fold:
                raise ValueError(f"split.fold is {self.fold}, but split.folds is not set")
            return
        if self.folds < 2:
            raise ValueError(f"split.folds must be at least 2, got {self.folds}")
        if not 0 <= self.fold < self.folds:
            raise ValueError(f"split.fold must be 0 to {self.folds - 1}, got {self.fold}")
        if self.test is not None:
            raise ValueError("split.folds sets the test share; leave split.test out")
        if (self.validation or 0) + 1 / self.folds >= 1:
            raise ValueError(
                f"split.validation {self.validation} and one of {self.folds} folds leave nothing "
                "to train on"
            )


def stratified_parts(
    strata: Sequence[Hashable], groups: Sequence[str], shares: Sequence[float], seed: int
) -> NDArray[np.int64]:
    """Divide records so that a group stays whole and each stratum meets the shares.

    Greedy: large groups first, each to the part whose strata lack it most. Groups of one record
    meet the shares within two records per stratum and part, and in sum; of each stratum the
    first part gets something.

    Args:
        strata: one a record, its class for example.
        groups: one a record.
        shares: of the parts; they sum to 1.
        seed: orders groups of one size.

    Returns:
        (records,) the number of each record's part.
    """
    key = str(seed).encode()[:64]
    members: defaultdict[str, list[int]] = defaultdict(list)
    for record, group in enumerate(groups):
        members[group].append(record)

    def order(group: str) -> tuple[int, bytes]:
        digest = hashlib.blake2b(group.encode(), digest_size=16, key=key)
        return -len(members[group]), digest.digest()

    sizes = Counter(strata)
    lacking = [{stratum: share * n for stratum, n in sizes.items()} for share in shares]
    # What whole records leave over of the strata's shares; it evens out across strata.
    spare = [sum(lack % 1 for lack in part.values()) for part in lacking]
    unseen = set(sizes)  # strata of which the first part has nothing yet
    parts = np.full(len(groups), -1, dtype=np.int64)
    for group in sorted(members, key=order):
        counts = Counter(strata[record] for record in members[group])
        size = counts.total()
        need = [sum(n * lack[s] for s, n in counts.items()) / size for lack in lacking]
        if max(need) >= 1:
            part = need.index(max(need))
        else:
            part = 0 if unseen & counts.keys() else spare.index(max(spare))
            spare[part] -= size
        if part == 0:
            unseen -= counts.keys()
        for stratum, n in counts.items():
            lacking[part][stratum] -= n
        parts[members[group]] = part
    return parts


def canonical_digests(sequences: Sequence[bytes]) -> list[str]:
    """A name for each sequence, the same for its reverse complement and for either case.

    IUPAC codes count as N. 128 bits: two different sequences never share one in practice.
    """
    digests = []
    for sequence in sequences:
        forward = sequence.translate(_IDS.table)
        reverse = forward.translate(_IDS.complement_table)[::-1]
        digests.append(hashlib.blake2b(min(forward, reverse), digest_size=16).hexdigest())
    return digests


def shared_sequences(splits: Mapping[str, Sequence[str]]) -> list[str]:
    """One line for every two splits that hold the same thing: how many records of the second.

    Args:
        splits: name of the split -> what stands for each of its records: digests, or groups.

    Returns:
        Such as ``"12 of 300 in test also stand in train"``; empty when nothing is shared.
    """
    lines = []
    names = list(splits)
    for i, first in enumerate(names):
        known = set(splits[first])
        for second in names[i + 1 :]:
            count = sum(key in known for key in splits[second])
            if count:
                total = len(splits[second])
                lines.append(f"{count:,} of {total:,} in {second} also stand in {first}")
    return lines
