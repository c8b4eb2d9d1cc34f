"""The model's sizes, in one frozen object a family that checks itself."""

from dataclasses import dataclass, fields
from math import ceil, inf
from typing import Literal

__all__ = ["BackboneConfig", "MambaConfig"]

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

    def _check_types(self) -> None:
        """The values may come from a file; a bool is an int to Python, but no size.

        Types other than numbers and switches are for the family to check.
        """
        if self.family != type(self).family:
            raise ValueError(f"family must be {type(self).family!r}, got {self.family!r}")
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type in (int, int | None):
                fits, kind = isinstance(value, int) or value is field.default is None, "an integer"
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
class MambaConfig(BackboneConfig):
    """Sizes and initialisation of a Mamba-1 (Gu and Dao 2023, arXiv:2312.00752).

    Attributes:
        vocab_size: V, the number of token ids; the tokenizer's ``vocab_size``.
        d_model: width of the residual stream.
        n_layers: number of residual blocks.
        d_state: N, the state's size per channel.
        d_conv: taps of the causal depthwise convolution, 2 to 4.
        expand: inner channels D = ``expand * d_model``.
        dt_rank: R, the rank of the projection to Δ; None stands for ``ceil(d_model / 16)``.
        dt_min: lower end of the log-uniform initial Δ.
        dt_max: upper end of the log-uniform initial Δ.
        norm_eps: ε of every RMSNorm.
        tie_embeddings: the language-model head shares the embedding's weight.
        family: mamba.

    Raises:
        ValueError: a field is of the wrong type or out of range; names it.
    """

    d_state: int = 16
    d_conv: int = 4
    expand: int = 2
    dt_rank: int | None = None
    dt_min: float = 1e-3
    dt_max: float = 1e-1
    norm_eps: float = 1e-5
    family: Literal["mamba"] = "mamba"

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
