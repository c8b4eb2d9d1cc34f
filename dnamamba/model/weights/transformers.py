"""Mamba-1 of transformers (``model_type`` mamba), as its ``save_pretrained`` writes it."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from dnamamba.alphabet import Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.model.weights.causal import CAUSAL, causal_layout
from dnamamba.model.weights.keys import refuse_unless, size, switch
from dnamamba.model.weights.layout import Format, Layout

__all__ = ["Transformers"]

_NEEDED: dict[str, tuple[tuple[Any, ...], str]] = {
    **CAUSAL,
    "hidden_act": (("silu",), "another activation than SiLU"),
    "use_bias": ((False,), "biases on the projections"),
    "use_conv_bias": ((True,), "a convolution without bias"),
}


class Transformers(Format):
    """``MambaForCausalLM``, and ``MambaModel``, whose names lack their first part."""

    about = "transformers' Mamba format"
    families = (MambaConfig,)

    def recognises(self, values: Mapping[str, Any]) -> bool:
        return values.get("model_type") == "mamba"

    def layout(
        self,
        values: Mapping[str, Any],
        tensors: Mapping[str, Tensor],
        tokenizer: Tokenizer | None = None,
    ) -> Layout:
        refuse_unless(values, _NEEDED)
        d_model, expand = size(values, "hidden_size"), size(values, "expand", 2)
        inner = values.get("intermediate_size", expand * d_model)
        if inner != expand * d_model:
            raise ValueError(
                f"intermediate_size is {inner!r:.40}, expected expand * hidden_size = "
                f"{expand * d_model}"
            )
        rank = values.get("time_step_rank", "auto")
        config = MambaConfig(
            vocab_size=size(values, "vocab_size"),
            d_model=d_model,
            n_layers=size(values, "num_hidden_layers"),
            d_state=size(values, "state_size", 16),
            d_conv=size(values, "conv_kernel", 4),
            expand=expand,
            dt_rank=None if rank == "auto" else size(values, "time_step_rank"),
            dt_min=values.get("time_step_min", 1e-3),
            dt_max=values.get("time_step_max", 1e-1),
            norm_eps=values.get("layer_norm_epsilon", 1e-5),
            tie_embeddings=switch(values, "tie_word_embeddings", True),
            bos=None,
        )
        bare = any(name.startswith("embeddings.") for name in tensors)
        return causal_layout(config, values, "embeddings", "" if bare else "backbone.")

    def describe(self, config: Any, tokenizer: Tokenizer) -> dict[str, Any]:
        return {
            "architectures": ["MambaForCausalLM"],
            "bos_token_id": config.bos,
            "conv_kernel": config.d_conv,
            "eos_token_id": None,
            "expand": config.expand,
            "hidden_act": "silu",
            "hidden_size": config.d_model,
            "initializer_range": 0.1,
            "intermediate_size": config.d_inner,
            "layer_norm_epsilon": config.norm_eps,
            "model_type": "mamba",
            "num_hidden_layers": config.n_layers,
            "pad_token_id": None,
            "rescale_prenorm_residual": False,
            "residual_in_fp32": True,
            "state_size": config.d_state,
            "tie_word_embeddings": config.tie_embeddings,
            "time_step_floor": 1e-4,
            "time_step_init_scheme": "random",
            "time_step_max": config.dt_max,
            "time_step_min": config.dt_min,
            "time_step_rank": config.rank,
            "time_step_scale": 1.0,
            "use_bias": False,
            "use_cache": True,
            "use_conv_bias": True,
            "vocab_size": config.vocab_size,
        }
