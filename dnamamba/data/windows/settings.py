"""What a user sets about windows and held-out parts; each checks itself."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal, get_args

from dnamamba.data.windows.tiling import Short, Tail
from dnamamba.settings import typed

__all__ = [
    "LONGEST",
    "SHORTEST",
    "GenomeSplit",
    "Part",
    "Rows",
    "WindowConfig",
    "check_fractions",
    "check_rows",
]

SHORTEST, LONGEST = 64, 1 << 28  # bases in a window: any human chromosome fits

Rows = Literal["windows", "packed", "lanes"]
"""What the rows of a training batch are:

- ``windows``: pieces of one region each, laid out by the settings of windows;
- ``packed``: full rows of whatever fits, in any order;
- ``lanes``: the same, but row r of a step goes on where row r of the step before ended.
"""


@dataclass(frozen=True)
class WindowConfig:
    """Which windows there are. Held-out regions differ: see ``make_plans``.

    Attributes:
        include: a BED; only these regions are used at all, for training and held-out parts.
        exclude: a BED; these regions are used for nothing.
        stride: bases from one training window's start to the next one's; by default the length.
            Shorter, windows overlap; longer, bases between them are left out.
        tail: what becomes of a region's end that no window covers: the last window ends flush
            with it and overlaps the one before (``shift``), is short and padded (``pad``), or
            the piece is left out (``drop``).
        short: a region shorter than a window is padded (``pad``) or left out (``drop``).
        max_ambiguous: a training window with a larger share of N and other IUPAC codes is left
            out.
        shuffle: another order in each epoch, or the genome's order.
        reverse_complement: read half of the training samples as their reverse complement.

    Raises:
        ValueError: a value out of range.
    """

    include: str | None = None
    exclude: str | None = None
    stride: int | None = None
    tail: Tail = "shift"
    short: Short = "drop"
    max_ambiguous: float = 0.5
    shuffle: bool = True
    reverse_complement: bool = True

    def __post_init__(self) -> None:
        for name, choices in (("tail", ("shift", "pad", "drop")), ("short", ("pad", "drop"))):
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"windows.{name} must be one of {', '.join(choices)}, "
                    f"got {getattr(self, name)!r}"
                )
        if self.stride is not None and self.stride < 1:
            raise ValueError(f"windows.stride must be at least 1 base, got {self.stride}")
        if not 0 <= self.max_ambiguous <= 1:
            raise ValueError(
                f"windows.max_ambiguous is a share from 0 to 1, got {self.max_ambiguous}"
            )


@dataclass(frozen=True)
class Part:
    """A part of the genomes, named in one of three ways; nothing set: no such part.

    Attributes:
        contigs: names of whole contigs (``genome:contig`` where several genomes share a name).
        bed: a BED file.
        fraction: of each genome's bases, 0 to below 1, taken in contiguous blocks that
            depend on the seed alone.

    Raises:
        ValueError: a fraction out of range, or more than one way.
    """

    contigs: tuple[str, ...] = ()
    bed: str | None = None
    fraction: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "contigs", tuple(self.contigs))  # YAML and JSON give lists
        if not 0 <= self.fraction < 1:
            raise ValueError(f"a split's fraction must be from 0 to below 1, got {self.fraction}")
        ways = {"contigs": list(self.contigs), "bed": self.bed, "fraction": self.fraction}
        named = [f"{name} {value}" for name, value in ways.items() if value]
        if len(named) > 1:
            raise ValueError(
                "a part of the split is named by contigs, bed or fraction, not by several: got "
                f"{' and '.join(named)}; take one away (contigs: [], bed: null, fraction: 0)"
            )

    def __bool__(self) -> bool:
        return bool(self.contigs or self.bed or self.fraction)


def check_rows(rows: Rows, windows: WindowConfig, weights: Sequence[float] | None) -> None:
    """Refuse settings that mean nothing where rows are packed or lanes.

    Raises:
        ValueError: an unknown kind of rows, or a setting of single windows; names it.
    """
    if rows not in get_args(Rows):
        raise ValueError(f"data.rows must be one of {', '.join(get_args(Rows))}, got {rows!r}")
    if rows == "windows":
        return
    if weights is not None:
        raise ValueError(
            f"data.genomes mixes windows of genomes by weight, but rows of data.rows={rows} run "
            "from one genome into the next; name the genomes as a list, or set data.rows=windows"
        )
    single = ("stride", "tail", "short", "max_ambiguous")
    changed = [
        f"windows.{field.name}={getattr(windows, field.name)}"
        for field in fields(WindowConfig)
        if field.name in single and getattr(windows, field.name) != field.default
    ]
    if changed:
        raise ValueError(
            f"data.{', data.'.join(changed)} is about windows that are laid out one by one; "
            f"data.rows={rows} reads every base once, but for runs of N: leave it out, or set "
            "data.rows=windows"
        )


def check_fractions(validation: Part, test: Part) -> None:
    """Refuse fractions that leave nothing to train on.

    Raises:
        ValueError: names them.
    """
    if validation.fraction + test.fraction >= 1:
        raise ValueError(
            f"split.validation.fraction {validation.fraction} and split.test.fraction "
            f"{test.fraction} leave nothing to train on; their sum must be below 1"
        )


@dataclass(frozen=True)
class GenomeSplit:
    """How the bases are divided into training, validation and test.

    Attributes:
        validation: what is held out to watch the run.
        test: what is held out for the end.
        train: contigs or a BED to train on; by default everything that is not held out.
        guard: bases left out of training on both sides of what is held out.
        block: bases in a block of a split by fraction; by default a hundredth of the genome, at
            least 16 windows, and less where a fraction is too small for one such block.

    Raises:
        ValueError: fractions that leave nothing to train on, or a value out of range.
    """

    validation: Part = Part()
    test: Part = Part()
    train: Part = Part()
    guard: int = 1000
    block: int | None = None

    def __post_init__(self) -> None:
        for name in ("validation", "test", "train"):
            object.__setattr__(self, name, typed(Part, getattr(self, name)))
        if self.train.fraction:
            raise ValueError(
                "split.train takes contigs or a bed; fractions are set for what is held out"
            )
        check_fractions(self.validation, self.test)
        if self.guard < 0:
            raise ValueError(f"split.guard must be 0 or more bases, got {self.guard}")
        if self.block is not None and self.block < 1:
            raise ValueError(f"split.block must be at least 1 base, got {self.block}")
