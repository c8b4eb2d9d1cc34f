"""The model's sizes, in one frozen object a family that checks itself."""

from dataclasses import dataclass, fields
from math import ceil, inf
from typing import Literal

from dnamamba.alphabet import BOS, PAD, Tokenizer

__all__ = [
    "BackboneConfig",
    "BiMambaConfig",
    "BidirectionalConfig",
    "MambaConfig",
    "SelectiveConfig",
    "SymmetricBiMambaConfig",
]

# Nobody means more; whoever writes more should not wait for it to be built.
_MOST, _MOST_LAYERS = 1 << 24, 10_000


@dataclass(frozen=True)
class BackboneConfig:
    """What the configuration of every family of backbones says.

    A family is a subclass that adds its own sizes, and a default of its own for ``family``.

    Attributes:
        vocab_size: V, the number of token ids; the tokenizer's ``vocab_size``.
        d_model: width of the residual stream.
        n_layers: number of residual blocks.
        tie_embeddings: the language-model head shares the embedding's weight.
        family: of ``dnamamba.model.families.BACKBONES``: chooses the class.

    Raises:
        ValueError: a field is of the wrong type or out of range; names it.
    """

    vocab_size: int = 16
    d_model: int = 256
    n_layers: int = 8
    tie_embeddings: bool = True
    family: str = ""

    def __post_init__(self) -> None:
        self._check_types()
        for name in ("vocab_size", "d_model", "n_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    def _check_id(self, name: str) -> None:
        value = getattr(self, name)
        if value is not None and not 0 <= value < self.vocab_size:
            most = self.vocab_size - 1
            raise ValueError(f"{name} must be an id from 0 to {most} or null, got {value}")

    def _check_types(self) -> None:
        """The values may come from a file; a bool is an int to Python, but no size.

        Types other than numbers and switches are for the family to check.
        """
        if self.family != type(self).family:
            raise ValueError(f"family must be {type(self).family!r}, got {self.family!r}")
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type in (int, int | None):
                optional = field.type == int | None
                fits, kind = isinstance(value, int) or (value is None and optional), "an integer"
            elif field.type is float:
                fits, kind = isinstance(value, int | float), "a number"
            elif field.type is bool:
                fits, kind = isinstance(value, bool), "true or false"
            else:
                continue
            if not fits or (isinstance(value, bool) and field.type is not bool):
                raise ValueError(f"{field.name} must be {kind}, got {value!r}")
            most = _MOST_LAYERS if field.name == "n_layers" else _MOST
            if kind == "an integer" and value is not None and value > most:
                raise ValueError(f"{field.name} must be at most {most:,}, got {value:,}")


@dataclass(frozen=True)
class SelectiveConfig(BackboneConfig):
    """Sizes and initialisation of every stack of Mamba-1's selective scans.

    Beside those of ``BackboneConfig``:

    Attributes:
        d_state: N, the state's size per channel.
        d_conv: taps of the causal depthwise convolution, 2 to 4.
        expand: inner channels D = ``expand * d_model``.
        dt_rank: R, the rank of the projection to Δ; None stands for ``ceil(d_model / 16)``.
        dt_min: lower end of the log-uniform initial Δ.
        dt_max: upper end of the log-uniform initial Δ.
        norm_eps: ε of every RMSNorm.
    """

    d_state: int = 16
    d_conv: int = 4
    expand: int = 2
    dt_rank: int | None = None
    dt_min: float = 1e-3
    dt_max: float = 1e-1
    norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("d_state", "expand"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 2 <= self.d_conv <= 4:
            raise ValueError(f"d_conv must be 2, 3 or 4, got {self.d_conv}")
        if self.d_state > 256:
            raise ValueError(f"d_state must be at most 256, got {self.d_state}")
        if self.dt_rank is not None and self.dt_rank < 1:
            raise ValueError(f"dt_rank must be at least 1 or null, got {self.dt_rank}")
        if not 0 < self.dt_min <= self.dt_max < inf:
            raise ValueError(f"need 0 < dt_min <= dt_max, got {self.dt_min} and {self.dt_max}")
        if not 0 < self.norm_eps < inf:
            raise ValueError(f"norm_eps must be positive, got {self.norm_eps}")

    @property
    def d_inner(self) -> int:
        """D, the number of inner channels."""
        return self.expand * self.d_model

    @property
    def rank(self) -> int:
        """R, the rank of the projection to Δ."""
        return ceil(self.d_model / 16) if self.dt_rank is None else self.dt_rank


@dataclass(frozen=True)
class MambaConfig(SelectiveConfig):
    """Sizes and initialisation of a Mamba-1 (Gu and Dao 2023, arXiv:2312.00752).

    Attributes:
        bos: the id that is read before a sequence's first base; None: none is, and the first base
            is not predicted.
        family: mamba.

    The others are those of ``SelectiveConfig``.

    Raises:
        ValueError: a field is of the wrong type or out of range; names it.
    """

    bos: int | None = BOS
    family: Literal["mamba"] = "mamba"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_id("bos")


@dataclass(frozen=True)
class BidirectionalConfig(SelectiveConfig):
    """Sizes and initialisation of a stack that reads from both sides.

    d_state, d_conv and dt_rank are those of each direction; the inner channels serve both.

    Attributes:
        pad: the id that stands only behind a row's end, so that rows which hold it need
            ``lengths``; None: any id may stand anywhere.
    """

    pad: int | None = PAD

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_id("pad")


@dataclass(frozen=True)
class BiMambaConfig(BidirectionalConfig):
    """Sizes and initialisation of a bidirectional Mamba-1 (Schiff et al. 2024, arXiv:2403.03234).

    Attributes:
        family: bimamba.

    The others are those of ``BidirectionalConfig``.

    Raises:
        ValueError: a field is of the wrong type or out of range; names it.
    """

    family: Literal["bimamba"] = "bimamba"


@dataclass(frozen=True)
class SymmetricBiMambaConfig(BidirectionalConfig):
    """A bidirectional Mamba-1 that treats both strands alike (Schiff et al. 2024, section 4).

    Attributes:
        complement: V ids, of each the complementary base's; an involution. None is that of the
            built-in tokenizer with so many ids.
        family: bimamba-symmetric.

    The others are those of ``BidirectionalConfig``; d_model is the width of each strand's stream.

    Raises:
        ValueError: a field is of the wrong type or out of range; names it.
    """

    complement: tuple[int, ...] | None = None
    family: Literal["bimamba-symmetric"] = "bimamba-symmetric"

    def __post_init__(self) -> None:
        super().__post_init__()
        pairs = self.complement
        if pairs is None:
            pairs = _built_in_complement(self.vocab_size)
        elif not isinstance(pairs, list | tuple) or not all(type(x) is int for x in pairs):
            raise ValueError(f"complement must be a list of ids, got {pairs!r:.80}")
        ids = range(self.vocab_size)
        if len(pairs) != len(ids) or any(x not in ids or pairs[pairs[x]] != x for x in pairs):
            raise ValueError(
                f"complement must pair all {self.vocab_size} ids, each the complement of its "
                f"complement, got {list(pairs)!r:.80}"
            )
        object.__setattr__(self, "complement", tuple(pairs))  # YAML and JSON give lists


def _built_in_complement(vocab_size: int) -> tuple[int, ...]:
    for name in ("nucleotide", "byte", "plantcaduceus"):
        tokenizer = Tokenizer(name)
        if tokenizer.vocab_size == vocab_size:
            return tuple(tokenizer.complement_table[:vocab_size])
    raise ValueError(
        f"complement must say which id is whose complement: no built-in tokenizer has {vocab_size} "
        "ids"
    )
