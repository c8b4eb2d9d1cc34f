"""Caduceus (Schiff et al. 2024, arXiv:2403.03234), Ph and PS; PlantCaduceus is such a PS."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from dnamamba.alphabet import Tokenizer
from dnamamba.config import BiMambaConfig, SymmetricBiMambaConfig
from dnamamba.model.weights.complement import complement_of, configured_complement
from dnamamba.model.weights.fused_path import turned, turning
from dnamamba.model.weights.keys import (
    padded,
    refuse_unless,
    residual_remark,
    size,
    ssm_sizes,
    switch,
)
from dnamamba.model.weights.layout import Format, Layout

__all__ = ["Caduceus"]

_NEEDED: dict[str, tuple[tuple[Any, ...], str]] = {
    "layer_cfg": ((None,), "PlantCAD2's nested configuration, of Mamba-2 layers"),
    "norm_cfg": ((None,), "PlantCAD2's nested configuration, of Mamba-2 layers"),
    "bidirectional": ((True,), "one direction alone"),
    "bidirectional_strategy": (("add", None), "another way to join its directions than the sum"),
    "bidirectional_weight_tie": ((True,), "projections of each direction's own"),
    "rms_norm": ((True,), "LayerNorm"),
    "attn_layer_idx": (([], None), "attention"),
    "d_intermediate": ((0, None), "an MLP beside the mixer"),
}
_WORDS = "backbone.embeddings.word_embeddings."


class Caduceus(Format):
    """``CaduceusForMaskedLM`` and ``Caduceus``, as transformers saves them."""

    about = "Caduceus' format"
    families = (BiMambaConfig, SymmetricBiMambaConfig)

    def recognises(self, values: Mapping[str, Any]) -> bool:
        classes = values.get("architectures")
        named = isinstance(classes, list) and any(str(c).startswith("Caduceus") for c in classes)
        kind = values.get("model_type")
        by_keys = kind is None and values.get("bidirectional") is True and "rcps" in values
        return kind == "caduceus" or named or by_keys

    def layout(
        self,
        values: Mapping[str, Any],
        tensors: Mapping[str, Tensor],
        tokenizer: Tokenizer | None = None,
    ) -> Layout:
        refuse_unless(values, _NEEDED)
        symmetric = switch(values, "rcps", False)
        sizes = {
            "vocab_size": padded(values, tensors),
            "d_model": size(values, "d_model"),
            "n_layers": size(values, "n_layer"),
            "norm_eps": values.get("norm_epsilon", 1e-5),
            "pad": None,
            **ssm_sizes(values),
        }
        bare = any(name.startswith(_WORDS) for name in tensors)  # the class without a head
        prefix = "" if bare else "caduceus."
        if symmetric:
            return _symmetric(values, sizes, tensors, prefix, tokenizer)
        tied = switch(values, "tie_word_embeddings", True)
        config = BiMambaConfig(**sizes, tie_embeddings=tied)
        pairs = configured_complement(values, config.vocab_size)
        return Layout(
            sizes=config,
            name=lambda name: _name(name, prefix),
            ties=_ties(prefix, config.n_layers, symmetric=False, head=tied),
            tokenizer=_tokenizer(config.vocab_size, pairs),
            remarks=residual_remark(values),
        )

    def describe(self, config: Any, tokenizer: Tokenizer) -> dict[str, Any]:
        symmetric = isinstance(config, SymmetricBiMambaConfig)
        pairs = config.complement if symmetric else None
        if pairs is None and tokenizer.known:
            pairs = tokenizer.complement_table[: config.vocab_size]
        # A tied head and an odd number of blocks exist in the unfused path alone.
        fused = not (symmetric and config.n_layers % 2 and config.tie_embeddings)
        untied = {} if symmetric or config.tie_embeddings else {"tie_word_embeddings": False}
        return {
            "architectures": ["CaduceusForMaskedLM"],
            "auto_map": {
                "AutoConfig": "configuration_caduceus.CaduceusConfig",
                "AutoModel": "modeling_caduceus.Caduceus",
                "AutoModelForMaskedLM": "modeling_caduceus.CaduceusForMaskedLM",
                "AutoModelForSequenceClassification": (
                    "modeling_caduceus.CaduceusForSequenceClassification"
                ),
            },
            "bidirectional": True,
            "bidirectional_strategy": "add",
            "bidirectional_weight_tie": True,
            "complement_map": None if pairs is None else {str(i): p for i, p in enumerate(pairs)},
            "d_model": config.d_model,
            "fused_add_norm": fused,
            "initializer_cfg": {
                "initializer_range": 0.02,
                "n_residuals_per_layer": 1,
                "rescale_prenorm_residual": True,
            },
            "model_type": "caduceus",
            "n_layer": config.n_layers,
            "norm_epsilon": config.norm_eps,
            "pad_vocab_size_multiple": 1 if config.vocab_size % 8 else 8,
            "rcps": symmetric,
            "residual_in_fp32": True,
            "rms_norm": True,
            "ssm_cfg": {
                "bias": False,
                "conv_bias": True,
                "d_conv": config.d_conv,
                "d_state": config.d_state,
                "dt_init": "random",
                "dt_init_floor": 1e-4,
                "dt_max": config.dt_max,
                "dt_min": config.dt_min,
                "dt_rank": "auto" if config.dt_rank is None else config.dt_rank,
                "dt_scale": 1.0,
                "expand": config.expand,
                "use_fast_path": True,
            },
            **untied,
            "torch_dtype": "float32",
            "transformers_version": "4.38.1",
            "vocab_size": config.vocab_size,
        }


def _symmetric(
    values: Mapping[str, Any],
    sizes: dict[str, Any],
    tensors: Mapping[str, Tensor],
    prefix: str,
    tokenizer: Tokenizer | None,
) -> Layout:
    fused = switch(values, "fused_add_norm", True)
    _check_path(tensors, fused)
    buffers = (f"{prefix}{_WORDS}complement_map", "lm_head.complement_map")
    pairs, remark = complement_of(values, tensors, buffers, sizes["vocab_size"], tokenizer)
    # Their code ties its head whatever tie_word_embeddings says.
    tied = not (fused and sizes["n_layers"] % 2)
    config = SymmetricBiMambaConfig(**sizes, complement=pairs, tie_embeddings=tied)
    remarks = (*residual_remark(values), remark, turning(config) if fused else "")
    return Layout(
        sizes=config,
        name=lambda name: _name(name, prefix, symmetric=True, fused=fused),
        ties=_ties(prefix, config.n_layers, symmetric=True, head=True),
        buffers={name: torch.tensor(pairs) for name in buffers},
        turn=partial(turned, config) if fused else dict,
        tokenizer=_tokenizer(config.vocab_size, pairs),
        remarks=tuple(filter(None, remarks)),
    )


def _check_path(tensors: Mapping[str, Tensor], fused: bool) -> None:
    unfused = next((name for name in tensors if name.endswith("norm.submodule.weight")), None)
    if tensors and fused != (unfused is None):
        raise ValueError(
            f"fused_add_norm is {str(fused).lower()}, but the norms are named as of the "
            f"{'unfused' if unfused else 'fused'} path, which is another function; published "
            "models have fused_add_norm true, and setting it false loses their norms"
        )


def _name(name: str, prefix: str, symmetric: bool = False, fused: bool = True) -> str:
    """The name of a tensor in their files."""
    if name == "lm_head.weight":
        return "lm_head.lm_head.weight" if symmetric else name
    name = prefix + name
    inner = "embedding." if symmetric else ""
    name = name.replace("backbone.embedding.", _WORDS + inner)
    for part in ("in_proj", "out_proj"):
        name = name.replace(f".mixer.{part}.", f".mixer.mamba_fwd.{part}.")
    if symmetric:
        name = name.replace(".mixer.", ".mixer.submodule.")
    if not fused:
        name = name.replace("norm.weight", "norm.submodule.weight")
        name = name.replace("norm_f.weight", "norm_f.submodule.weight")
    return name


def _ties(prefix: str, n_layers: int, symmetric: bool, head: bool) -> dict[str, str]:
    """Copy -> original."""

    def name(ours: str) -> str:
        return _name(ours, prefix, symmetric)

    ties = {name("lm_head.weight"): name("backbone.embedding.weight")} if head else {}
    for i in range(n_layers):
        for part in ("in_proj", "out_proj"):
            original = name(f"backbone.layers.{i}.mixer.{part}.weight")
            ties[original.replace("mamba_fwd", "mamba_rev")] = original
    return ties


def _tokenizer(vocab_size: int, pairs: tuple[int, ...] | None) -> Tokenizer | None:
    """Of the published ones that whose letters pair so."""
    for name in ("caduceus", "plantcaduceus"):
        tokenizer = Tokenizer(name)
        if (tokenizer.vocab_size, tuple(tokenizer.complement_table[:vocab_size])) == (
            vocab_size,
            pairs,
        ):
            return tokenizer
    return None
