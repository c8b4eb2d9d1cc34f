"""``dnamamba convert``: a model of others to a folder of ours, or ours to one of theirs."""

from pathlib import Path
from typing import Literal

__all__ = ["convert"]


def convert(
    model: str,
    output: str,
    to: Literal["dnamamba", "caduceus", "mamba-ssm", "transformers"] = "dnamamba",
    tokens: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write a model in another format; weights are the same to the last bit, there and back.

    Exported models have a tokens.json beside them, which says what their ids stand for.

    Args:
        model: a model's folder, of this or another program, a training checkpoint, the name of a
            packaged model, or of one on the Hugging Face hub.
        output: a folder; made if missing.
        to: dnamamba, or a format of others: caduceus takes bidirectional models, mamba-ssm and
            transformers take causal ones.
        tokens: a JSON file that says which letters the model's ids stand for, where the model does
            not, as {"A": 7, "C": 8, "G": 9, "T": 10, "N": 4, "mask": 3}.
        overwrite: replace a model that stands there.

    Raises:
        ValueError: no model, one that the format cannot express, or an output that exists; names
            it.
    """
    from dnamamba.checkpoint import open_model, save
    from dnamamba.checkpoint.foreign import tokens_of
    from dnamamba.checkpoint.publish import publish

    opened = open_model(model, tokens=None if tokens is None else tokens_of(Path(tokens)))
    if to == "dnamamba":
        metadata = {} if opened.source is None else {"source": opened.source}
        save(output, opened.model, opened.tokenizer, metadata=metadata, overwrite=overwrite)
    else:
        publish(Path(output), opened, to, overwrite=overwrite)
