"""``MambaLMHeadModel`` of mamba-ssm (state-spaces/mamba), as its ``save_pretrained`` writes it."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from dnamamba.alphabet import Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.model.weights.causal import CAUSAL, causal_layout
from dnamamba.model.weights.keys import padded, refuse_unless, size, ssm_sizes, switch
from dnamamba.model.weights.layout import Format, Layout

__all__ = ["MambaSSM"]

_NEEDED: dict[str, tuple[tuple[Any, ...], str]] = {
    **CAUSAL,
    "rms_norm": ((True,), "LayerNorm"),
    "attn_layer_idx": (([], None), "attention"),
    "d_intermediate": ((0, None), "an MLP beside the mixer"),
}


class MambaSSM(Format):
    """``config.json`` says the vocabulary before it is padded; the file holds a tied head too."""

    about = "mamba-ssm's format"
    file = "pytorch_model.bin"
    families = (MambaConfig,)

    def recognises(self, values: Mapping[str, Any]) -> bool:
        sizes = "ssm_cfg" in values or {"d_model", "n_layer"} <= values.keys()
        return sizes and values.get("model_type") is None

    def layout(
        self,
        values: Mapping[str, Any],
        tensors: Mapping[str, Tensor],
        tokenizer: Tokenizer | None = None,
    ) -> Layout:
        refuse_unless(values, _NEEDED)
        config = MambaConfig(
            vocab_size=padded(values, tensors),
            d_model=size(values, "d_model"),
            n_layers=size(values, "n_layer"),
            tie_embeddings=switch(values, "tie_embeddings", True),
            bos=None,
            **ssm_sizes(values),
        )
        return causal_layout(config, values, "embedding")

    def describe(self, config: Any, tokenizer: Tokenizer) -> dict[str, Any]:
        rank = {} if config.dt_rank is None else {"dt_rank": config.dt_rank}
        ssm = {"d_state": config.d_state, "d_conv": config.d_conv, "expand": config.expand, **rank}
        return {
            "d_model": config.d_model,
            "n_layer": config.n_layers,
            "vocab_size": config.vocab_size,
            "ssm_cfg": ssm,
            "rms_norm": True,
            "residual_in_fp32": True,
            "fused_add_norm": True,
            "pad_vocab_size_multiple": 1 if config.vocab_size % 8 else 8,
            "tie_embeddings": config.tie_embeddings,
        }
