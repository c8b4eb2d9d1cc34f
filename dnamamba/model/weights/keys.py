"""Keys of other programs' ``config.json``: what they must say, and the sizes among them."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

__all__ = ["object_of", "padded", "refuse_unless", "residual_remark", "size", "ssm_sizes", "switch"]

_MOST = 1 << 24


def refuse_unless(
    values: Mapping[str, Any], needed: Mapping[str, tuple[tuple[Any, ...], str]]
) -> None:
    """Refuse a configuration of another kind of model.

    Args:
        values: the configuration.
        needed: key -> the values that it may have, where it is there, and the part that any other
            value stands for.

    Raises:
        ValueError: names part, key and value.
    """
    for key, (allowed, part) in needed.items():
        value = values.get(key, allowed[0])
        if not any(type(value) is type(one) and value == one for one in allowed):
            raise ValueError(
                f"the model has {part} ({key} is {value!r:.60}), and dnamamba has no such part"
            )


def size(values: Mapping[str, Any], key: str, default: int | None = None) -> int:
    """An integer.

    Raises:
        ValueError: it is not there and has no default, or is none.
    """
    value = values.get(key, default)
    if value is None:
        raise ValueError(f"{key} is missing")
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{key} must be an integer, got {value!r:.60}")
    return value


def switch(values: Mapping[str, Any], key: str, default: bool) -> bool:
    """True or false.

    Raises:
        ValueError: something else.
    """
    value = values.get(key, default)
    if not isinstance(value, bool):
        raise ValueError(f"{key} must be true or false, got {value!r:.60}")
    return value


def object_of(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    """An object; empty where it is null or not there.

    Raises:
        ValueError: something else.
    """
    value = values.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{key} must be an object, got {value!r:.60}")
    return value


def padded(values: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> int:
    """Rows of the embedding: ``vocab_size`` up to the next ``pad_vocab_size_multiple``.

    Raises:
        ValueError: either is no size, or one that none of the tensors has room for.
    """
    rows, multiple = size(values, "vocab_size"), size(values, "pad_vocab_size_multiple", 8)
    if not (0 < rows < _MOST and 0 < multiple < _MOST):
        raise ValueError(
            f"vocab_size is {rows:,} and pad_vocab_size_multiple {multiple:,}: no such model"
        )
    rows = -(-rows // multiple) * multiple
    longest = max((len(t) for t in tensors.values() if t.dim()), default=rows)
    if rows > longest:
        raise ValueError(f"vocab_size is {rows:,}, but the largest tensor has {longest:,} rows")
    return rows


def residual_remark(values: Mapping[str, Any]) -> tuple[str, ...]:
    """What to say where the residual stream was kept in the weights' dtype."""
    if switch(values, "residual_in_fp32", True):
        return ()
    return ("residual_in_fp32 false: the stream is fp32 here, which in fp32 is the same",)


_NEEDED: dict[str, tuple[tuple[Any, ...], str]] = {
    "layer": (("Mamba1", None), "layers of another kind than Mamba-1"),
    "bias": ((False, None), "biases on the projections"),
    "conv_bias": ((True,), "a convolution without bias"),
}
_INITIAL = ("dt_min", "dt_max", "dt_init", "dt_scale", "dt_init_floor", "use_fast_path")


def ssm_sizes(values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of ``SelectiveConfig`` that ``ssm_cfg`` holds: mamba-ssm's own, and Caduceus'.

    Raises:
        ValueError: a key that no Mamba-1 has, or a part that there is none of here; names it.
    """
    cfg = object_of(values, "ssm_cfg")
    refuse_unless(cfg, _NEEDED)
    sizes = {"d_state": 16, "d_conv": 4, "expand": 2}
    unknown = [key for key in cfg if key not in (*_NEEDED, *_INITIAL, *sizes, "dt_rank")]
    if unknown:
        raise ValueError(f"ssm_cfg has {', '.join(unknown)}, which no Mamba-1 has")
    read: dict[str, Any] = {key: size(cfg, key, default) for key, default in sizes.items()}
    read["dt_rank"] = None if cfg.get("dt_rank", "auto") == "auto" else size(cfg, "dt_rank")
    read.update({key: cfg[key] for key in ("dt_min", "dt_max") if cfg.get(key) is not None})
    return read
