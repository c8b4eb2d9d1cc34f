"""Parts that other models have and none here has, known by the names of their tensors."""

import re
from collections.abc import Iterable

__all__ = ["refuse_parts"]

# The first that fits is named, so the more telling come first.
_PARTS = (
    (r"\.(experts?|moe|router)\.|block_sparse_moe", "a mixture of experts"),
    (r"\.mixer\.(submodule\.)?(mamba_\w+\.)?dt_bias$", "Mamba-2 layers"),
    (r"\.(B|C|dt)_bias$|mixer\.\w*theta", "Mamba-3 layers"),
    (r"(score|classifier|classification_head)\.(\w+\.)*(weight|bias)$", "a classification head"),
    (r"filter_fn|short_filter", "Hyena's convolutions"),
    (r"Wqkv|[qkv]_proj|attn|attention", "attention"),
    (r"position_?embedding|pos_?emb|wpe", "position embeddings"),
    (r"norm\w*\.(submodule\.)?bias$|ln_f", "LayerNorm"),
    (r"\.mixer\.\w*(dt|b|c)_(layer)?norm", "norms inside the mixer"),
    (r"embedd\w*\.(\w+\.)*bias$|\bstem\.", "a linear stem instead of an embedding"),
    (r"\.(mlp|fc[12]|ffn)\.", "an MLP beside the mixer"),
    (r"(in|out)_proj\.bias$", "biases on the projections"),
)


def refuse_parts(names: Iterable[str]) -> None:
    """Refuse what is no plain Mamba-1.

    Raises:
        ValueError: names the part and one of its tensors.
    """
    names = list(names)
    if tensor := next((name for name in names if name.startswith("model.")), None):
        raise ValueError(
            f"these are a training checkpoint's names ({tensor}); give the model's own file, or "
            "one whose names lack the first part, model."
        )
    for pattern, part in _PARTS:
        sign = re.compile(pattern)
        if tensor := next((name for name in names if sign.search(name)), None):
            raise ValueError(f"the model has {part} ({tensor}), and dnamamba has no such part")
