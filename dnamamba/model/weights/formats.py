"""Every format of others that is read and written, and which one a ``config.json`` is of."""

from collections.abc import Mapping
from typing import Any

from dnamamba.model.weights.caduceus import Caduceus
from dnamamba.model.weights.layout import Format
from dnamamba.model.weights.mamba_ssm import MambaSSM
from dnamamba.model.weights.transformers import Transformers

__all__ = ["FORMATS", "recognised"]

FORMATS: dict[str, Format] = {
    "caduceus": Caduceus(),
    "mamba-ssm": MambaSSM(),
    "transformers": Transformers(),
}
"""By the name that ``dnamamba convert --to`` takes; a row added here is recognised and loaded."""

_OTHERS = {
    "mamba2": "Mamba-2 layers",
    "falcon_mamba": "norms inside the mixer",
    "jamba": "attention and a mixture of experts",
    "bamba": "attention and Mamba-2 layers",
    "zamba": "attention",
    "zamba2": "attention and Mamba-2 layers",
    "hyena": "Hyena's convolutions",
    "hyenadna": "Hyena's convolutions",
    "hybridna": "attention and Mamba-2 layers",
}


def recognised(values: Mapping[str, Any]) -> str | None:
    """The name of the format; None: of none of them.

    Raises:
        ValueError: a model that is known and has other parts; names them.
    """
    kind = values.get("model_type")
    if isinstance(kind, str) and kind.lower() in _OTHERS:
        raise ValueError(
            f"the model has {_OTHERS[kind.lower()]} (model_type is {kind}), and dnamamba has no "
            "such part"
        )
    return next((name for name, form in FORMATS.items() if form.recognises(values)), None)
