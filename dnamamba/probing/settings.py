"""What a probe is asked for, checked before any work."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dnamamba.arguments import switch, whole
from dnamamba.inference.reading import Reading
from dnamamba.inference.settings import Pooling
from dnamamba.probing.learners import LEARNERS

__all__ = ["KMERS", "LAYERS", "Settings", "layers_of", "several"]

KMERS = (3, 4, 5, 6)
LAYERS = (-1,)
_LONGEST = 10  # 4^10 counts a sequence


@dataclass(frozen=True)
class Settings:
    """How vectors are made, and what learns from them.

    Attributes:
        layers: hidden states to take, each by itself; -1 for those behind the final norm; empty
            for all there are.
        pooling: over a sequence's bases: mean, max or last.
        both_strands: the mean of both strands' vectors.
        learners: of ``LEARNERS``.
        kmers: lengths among which the baseline chooses; none for no baseline.
        random_weights: whether the same network with new weights stands beside the model.
        folds: of the cross-validation.
        seed: of folds and new weights.
        reading: how sequences are read; changes no figure.

    Raises:
        ValueError: a value out of range; names it.
    """

    layers: tuple[int, ...] = LAYERS
    pooling: Pooling = "mean"
    both_strands: bool = True
    learners: tuple[str, ...] = tuple(LEARNERS)
    kmers: tuple[int, ...] = KMERS
    random_weights: bool = True
    folds: int = 5
    seed: int = 0
    reading: Reading = Reading()  # noqa: RUF009 (frozen)

    def __post_init__(self) -> None:
        if self.pooling not in ("mean", "max", "last"):
            raise ValueError(f"pooling must be 'mean', 'max' or 'last', got {self.pooling!r}")
        switch("both_strands", self.both_strands)
        switch("random_weights", self.random_weights)
        for name in self.learners:
            if name not in LEARNERS:
                raise ValueError(f"learners must be of {', '.join(LEARNERS)}, got {name!r}")
        if not self.learners:
            raise ValueError(f"learners must name one or more of {', '.join(LEARNERS)}")
        object.__setattr__(self, "learners", tuple(dict.fromkeys(self.learners)))
        for k in self.kmers:
            if not 1 <= whole("kmers", k) <= _LONGEST:
                raise ValueError(f"kmers must be 1 to {_LONGEST} bases long, got {k}")
        object.__setattr__(self, "folds", whole("folds", self.folds, 2))
        object.__setattr__(self, "seed", whole("seed", self.seed, 0))


def layers_of(layers: Any) -> tuple[int, ...]:
    """The layers that a user names: one, several, or all (none named).

    Raises:
        ValueError: neither whole numbers nor ``all``, or none.
    """
    named = several(layers)
    if list(map(str, named)) == ["all"]:
        return ()
    try:
        numbers = [int(x) if isinstance(x, str) else whole("layers", x) for x in named]
    except ValueError:
        shown = ", ".join(map(repr, named))
        raise ValueError(
            f"layers must be whole numbers, such as 0 1 -1, or all; got {shown}"
        ) from None
    if not numbers:
        raise ValueError("layers must name one or more, or all")
    return tuple(dict.fromkeys(numbers))


def several(value: Any) -> tuple[Any, ...]:
    """The items of a list or array; of one value by itself, this one."""
    single = isinstance(value, str) or not isinstance(value, Iterable)
    return (value,) if single else tuple(value)
