"""Mamba sequence models for genomes.

    model = dnamamba.load("runs/quickstart/model")
    vectors = model.embed(["ACGTTGCA", "GATTACA"])

Names are imported when they are first used: ``import dnamamba`` itself costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dnamamba.alphabet import Tokenizer
    from dnamamba.api import Pretrained, load
    from dnamamba.commands.embed import embed_fasta
    from dnamamba.commands.push import push
    from dnamamba.config import MambaConfig
    from dnamamba.inference.attribution import attribute
    from dnamamba.inference.embedding import embed
    from dnamamba.inference.generation import generate
    from dnamamba.inference.prediction import predict
    from dnamamba.inference.scoring import score
    from dnamamba.model.mamba import Mamba
    from dnamamba.probing.probe import probe

__all__ = [
    "Mamba",
    "MambaConfig",
    "Pretrained",
    "Tokenizer",
    "attribute",
    "embed",
    "embed_fasta",
    "generate",
    "load",
    "predict",
    "probe",
    "push",
    "score",
]

_HOMES = {
    "Mamba": "dnamamba.model.mamba",
    "MambaConfig": "dnamamba.config",
    "Pretrained": "dnamamba.api",
    "Tokenizer": "dnamamba.alphabet",
    "attribute": "dnamamba.inference.attribution",
    "embed": "dnamamba.inference.embedding",
    "embed_fasta": "dnamamba.commands.embed",
    "generate": "dnamamba.inference.generation",
    "load": "dnamamba.api",
    "predict": "dnamamba.inference.prediction",
    "probe": "dnamamba.probing.probe",
    "push": "dnamamba.commands.push",
    "score": "dnamamba.inference.scoring",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
