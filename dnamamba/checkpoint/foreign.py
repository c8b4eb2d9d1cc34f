"""Folders that other programs wrote: which format, what the ids stand for, and the model."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from torch import Tensor

from dnamamba.alphabet import Tokenizer
from dnamamba.checkpoint.description import CONFIG, read_json
from dnamamba.checkpoint.opened import Opened, Report
from dnamamba.checkpoint.parts import CheckpointError
from dnamamba.checkpoint.sizes import check_sizes
from dnamamba.checkpoint.tensors import names_of, read_tensors
from dnamamba.config import BackboneConfig, MambaConfig, SymmetricBiMambaConfig
from dnamamba.model import LanguageModel
from dnamamba.model.weights import (
    FORMATS,
    Layout,
    assemble,
    from_layout,
    recognised,
    refuse_parts,
)

__all__ = ["TOKENS", "format_of", "load_foreign", "refuse_unknown", "tokenizer_of", "tokens_of"]

TOKENS = "tokens.json"
"""The file beside a model that says which letters its ids stand for."""


def format_of(values: object, where: str) -> str | None:
    """The name of the format that a ``config.json`` is of; None: of none that is known.

    Raises:
        CheckpointError: a model that is known and has parts that there are none of here.
    """
    try:
        return recognised(values) if isinstance(values, dict) else None
    except ValueError as error:
        raise CheckpointError(f"{where}: {error}") from error


def refuse_unknown(folder: Path, values: Mapping[str, Any]) -> NoReturn:
    """Say of a folder of no known format which part its tensors show, if they do.

    Raises:
        CheckpointError: always.
    """
    where = folder / CONFIG
    try:
        refuse_parts(names_of(folder))
    except ValueError as error:
        raise CheckpointError(f"{where}: {error}") from error
    *others, last = (form.about for form in FORMATS.values())
    kind = f"model_type {values['model_type']!r:.60}" if "model_type" in values else "no model_type"
    raise CheckpointError(
        f"{where} has no format_version and {kind}: written by another program, and in no format "
        f"that is read here, which are dnamamba's own, {', '.join(others)} and {last}"
    )


def load_foreign(
    folder: Path, values: Mapping[str, Any], form: str, tokens: Mapping[str, int] | None
) -> Opened:
    """Read a folder of one of ``FORMATS``.

    Args:
        folder: with ``config.json`` and the weights.
        values: its ``config.json``.
        form: the format.
        tokens: letter -> id, ``mask`` and ``bos``; None: those of ``tokens.json`` in the folder,
            or of the format.

    Raises:
        CheckpointError: weights, sizes or tokens that do not fit; names the file.
    """
    where = str(folder / CONFIG)
    if tokens is None and (folder / TOKENS).is_file():
        tokens = tokens_of(folder / TOKENS)
    tensors = read_tensors(folder)
    try:
        layout = _layout(form, values, tensors, tokens)
        check_sizes(layout.sizes, tensors)
        weights = from_layout(layout, tensors)
        tokenizer, config = _tokenizer(layout, tokens)
        model = assemble(LanguageModel, config, weights)
    except ValueError as error:
        raise CheckpointError(f"{where}, a model in {FORMATS[form].about}: {error}") from error
    except (ArithmeticError, RuntimeError, TypeError) as error:  # of sizes beyond those of tensors
        raise CheckpointError(f"{where}: no model has such sizes: {error}") from error
    ties = tuple(f"{copy} = {original}" for copy, original in layout.ties.items())
    report = Report(form, ties, layout.remarks, _about(tokenizer, getattr(config, "bos", None)))
    source = {"format": form, "config": dict(values), **_dtype(tensors)}
    return Opened(model, tokenizer, report, source)


def _dtype(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """The dtype of the weights, where all have one and it is not fp32."""
    dtypes = {
        str(t.dtype).removeprefix("torch.") for t in tensors.values() if t.is_floating_point()
    }
    return {"dtype": dtypes.pop()} if len(dtypes) == 1 and dtypes != {"float32"} else {}


def tokens_of(path: Path) -> dict[str, int]:
    """A table of tokens from a file: ``{"A": 7, "C": 8, "G": 9, "T": 10, "mask": 3}``.

    Raises:
        CheckpointError: no such file, or no such table; names it.
    """
    try:
        table = read_json(path)
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from error
    if not isinstance(table, dict) or not table:
        raise CheckpointError(f"{path} must be an object of letters and their ids")
    return table


def _layout(
    form: str,
    values: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    tokens: Mapping[str, int] | None,
) -> Layout:
    if tokens is None:
        return FORMATS[form].layout(values, tensors)
    rows = [len(t) for name, t in tensors.items() if "embedding" in name and t.dim() == 2]
    letters = {key: value for key, value in tokens.items() if key != "bos"}
    return FORMATS[form].layout(values, tensors, Tokenizer.of_tokens(letters, max(rows, default=1)))


def _tokenizer(
    layout: Layout, tokens: Mapping[str, int] | None
) -> tuple[Tokenizer, BackboneConfig]:
    if tokens is not None:
        return tokenizer_of(tokens, layout.sizes)
    known = layout.tokenizer or Tokenizer.of_tokens({}, layout.sizes.vocab_size)
    return known, layout.sizes


def tokenizer_of(
    tokens: Mapping[str, int], config: BackboneConfig
) -> tuple[Tokenizer, BackboneConfig]:
    """What the ids of a model stand for, and its sizes with the start token that goes with it.

    Raises:
        ValueError: a table that does not fit the model; says where.
    """
    letters = dict(tokens)
    if (bos := letters.pop("bos", None)) is not None:
        if not isinstance(config, MambaConfig):
            raise ValueError("tokens has bos, but a bidirectional model reads no start token")
        config = replace(config, bos=bos)
    tokenizer = Tokenizer.of_tokens(letters, config.vocab_size)
    if isinstance(config, SymmetricBiMambaConfig) and config.complement is not None:
        for letter, token in letters.items():
            paired, expected = config.complement[token], tokenizer.complement_table[token]
            if letter != "mask" and paired != expected:
                raise ValueError(
                    f"the table of tokens does not fit: {letter} is {token}, whose complement in "
                    f"the model is {paired}, not {expected}"
                )
    return tokenizer, config


def _about(tokenizer: Tokenizer, bos: int | None) -> str:
    if not tokenizer.known:
        return (
            "nobody says what its ids stand for: it encodes no DNA until a table of tokens is given"
        )
    ids = tokenizer.table
    n = f"N is read as id {ids[ord('N')]}" if tokenizer.accepts(ord("N")) else "N is refused"
    letters = " ".join(f"{base}={ids[ord(base)]}" for base in "ACGT")
    start = "no special tokens are added" if bos is None else f"id {bos} is read first"
    return f"letters {letters}, {n}, {start}"
