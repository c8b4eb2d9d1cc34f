"""Which id is whose complement, as strand-symmetric models of others store it.

Once in ``config.json``, whose keys other programs re-sort as text when they save it again, so that
reading the values in their order gives another map; and as whole numbers beside the weights.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from dnamamba.alphabet import Tokenizer
from dnamamba.model.weights.keys import object_of

__all__ = ["complement_of", "configured_complement"]


def complement_of(
    values: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    buffers: tuple[str, ...],
    vocab_size: int,
    tokenizer: Tokenizer | None,
) -> tuple[tuple[int, ...], str]:
    """V ids, of each its complement's, and in words what is odd about it, or nothing.

    Args:
        values: ``config.json``.
        tensors: the model's; those of ``buffers`` count more than ``config.json``.
        buffers: names of tensors that hold it.
        vocab_size: V.
        tokenizer: whose letters tell it where the model does not; None: there is none.

    Raises:
        ValueError: nothing tells it, or not for V ids.
    """
    configured = configured_complement(values, vocab_size)
    stored = next((tensors[name] for name in buffers if name in tensors), None)
    if stored is not None:
        if stored.is_floating_point() or stored.shape != (vocab_size,):
            raise ValueError(
                f"complement_map of the weights is {stored.dtype} of {tuple(stored.shape)}, "
                f"expected {vocab_size} integers"
            )
        pairs = tuple(int(i) for i in stored.tolist())
        differs = configured is not None and pairs != configured
        return pairs, "complement_map: that of the weights, config.json differs" * differs
    if configured is not None:
        return configured, ""
    if tokenizer is not None and tokenizer.known:
        return tuple(tokenizer.complement_table[:vocab_size]), "complement: that of the token table"
    raise ValueError(
        "rcps is true, and neither config.json nor the weights have a complement_map; give the "
        "token table that the model was trained with (tokens), from whose letters it follows"
    )


def configured_complement(values: Mapping[str, Any], vocab_size: int) -> tuple[int, ...] | None:
    """That of ``config.json``, read by its keys; None: it has none.

    Raises:
        ValueError: a key or a value is no id.
    """
    pairs = object_of(values, "complement_map")
    if not pairs:
        return None
    try:
        by_id = {int(key): value for key, value in pairs.items()}
    except ValueError as error:
        raise ValueError(f"complement_map has keys that are no ids: {error}") from error
    ids = range(vocab_size)
    if any(key not in ids or value not in ids for key, value in by_id.items()) or any(
        isinstance(value, bool) or not isinstance(value, int) for value in by_id.values()
    ):
        raise ValueError(f"complement_map must pair ids from 0 to {vocab_size - 1}")
    return tuple(by_id.get(i, i) for i in ids)  # the code pads it so
