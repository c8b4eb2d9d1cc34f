"""Published folders that do not fit: one line each, which names what does not."""

import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from published import (
    FOREIGN,
    edited,
    expected,
    file_of,
    refusal,
    tensors_in,
)
from torch import Tensor

import dnamamba
from dnamamba.checkpoint import CheckpointError

TABLE = {"A": 7, "C": 8, "G": 9, "T": 10, "N": 11}
PREFIX = "caduceus.backbone."
WORDS = f"{PREFIX}embeddings.word_embeddings."
REV = f"{PREFIX}layers.0.mixer.mamba_rev."


def ssm(**changes: object) -> dict[str, object]:
    values = json.loads((FOREIGN / "ps-tiny" / "config.json").read_text())["ssm_cfg"]
    return {"ssm_cfg": values | changes}


def one(name: str, change: Callable[[Tensor], Tensor]) -> Callable[[str], dict[str, Tensor]]:
    return lambda fixture: {name: change(tensors_in(FOREIGN / fixture)[name].clone())}


def put(tensor: Tensor, value: float) -> Tensor:
    return tensor.index_put((torch.tensor(0),), torch.tensor(value))


DELTA = f"{PREFIX}layers.0.mixer.mamba_fwd.dt_proj.bias"
NORM = f"{PREFIX}layers.1.norm.weight"

# name -> fixture, keys of config.json, tensors, what is said
REFUSED: dict[str, tuple[str, dict[str, Any], Any, str]] = {
    "ew_multiply": ("ps-tiny", {"bidirectional_strategy": "ew_multiply"}, None,
                    "another way to join its directions than the sum (bidirectional_strategy is"),
    "one direction": ("ph-tiny", {"bidirectional": False}, None, "one direction alone"),
    "own projections": ("ph-tiny", {"bidirectional_weight_tie": False}, None,
                        "projections of each direction's own"),
    "LayerNorm": ("ph-tiny", {"rms_norm": False}, None, "LayerNorm (rms_norm is False)"),
    "PlantCAD2": ("plant-tiny", {"layer_cfg": {"mamba_cfg": {"version": "v2"}}}, None,
                  "PlantCAD2's nested configuration"),
    "both ways": ("mamba-ssm-tiny", {"bidirectional": True}, None,
                  "two directions, in a format of causal models (bidirectional is True)"),
    "both strands": ("hf-mamba-tiny", {"rcps": True}, None, "strand symmetry, in a format of"),
    "Mamba-2": ("mamba-ssm-tiny", {"ssm_cfg": {"layer": "Mamba2"}}, None,
                "layers of another kind than Mamba-1 (layer is 'Mamba2')"),
    "headdim": ("ps-tiny", ssm(headdim=64), None, "ssm_cfg has headdim, which no Mamba-1 has"),
    "attention": ("mamba-ssm-tiny", {"attn_layer_idx": [1]}, None, "attention (attn_layer_idx is"),
    "MLP": ("mamba-ssm-tiny", {"d_intermediate": 40}, None, "an MLP beside the mixer"),
    "conv without bias": ("ps-tiny", ssm(conv_bias=False), None, "a convolution without bias"),
    "projection bias": ("hf-mamba-tiny", {"use_bias": True}, None, "biases on the projections"),
    "activation": ("hf-mamba-tiny", {"hidden_act": "gelu"}, None, "another activation than SiLU"),
    "inner width": ("hf-mamba-tiny", {"intermediate_size": 50}, None,
                    "intermediate_size is 50, expected expand * hidden_size = 40"),
    "Mamba-2 of transformers": ("hf-mamba-tiny", {"model_type": "mamba2"}, None,
                                "the model has Mamba-2 layers (model_type is mamba2)"),
    "Falcon": ("hf-mamba-tiny", {"model_type": "falcon_mamba"}, None, "norms inside the mixer"),
    "width missing": ("ph-tiny", {"d_model": ...}, None, "d_model is missing"),
    "words missing": ("mamba-ssm-tiny", {"vocab_size": ...}, None, "vocab_size is missing"),
    "width of text": ("ph-tiny", {"d_model": "8"}, None, "d_model must be an integer, got '8'"),
    "switch of text": ("ps-tiny", {"rcps": "yes"}, None, "rcps must be true or false"),
    "epsilon of text": ("ps-tiny", {"norm_epsilon": "x"}, None, "norm_eps must be a number"),
    "five taps": ("ps-tiny", ssm(d_conv=5), None, "d_conv must be 2, 3 or 4, got 5"),
    "rank of text": ("ps-tiny", ssm(dt_rank="big"), None, "dt_rank must be an integer, got 'big'"),
    "ssm_cfg a list": ("ps-tiny", {"ssm_cfg": [1]}, None, "ssm_cfg must be an object"),
    "many words": ("ph-tiny", {"vocab_size": 10**30}, None, "no such model"),
    "more words": ("ps-tiny", {"vocab_size": 16_000_000}, None,
                   "vocab_size is 16,000,000, but the largest tensor has 32 rows"),
    "many layers": ("ph-tiny", {"n_layer": 9999}, None, "n_layers is 9,999, but there are 36"),
    "wide": ("ph-tiny", {"d_model": 1 << 20}, None, "d_model is 1,048,576, but the largest"),
    "wider": ("ph-tiny", {"d_model": 16}, None, "embeddings.weight is (16, 8), expected (16, 16)"),
    "deeper": ("ph-tiny", {"n_layer": 3}, None, "missing: caduceus.backbone.layers.2."),
    "shallower": ("ph-tiny", {"n_layer": 1}, None, "unexpected: caduceus.backbone.layers.1."),
    "rank": ("ps-tiny", ssm(dt_rank=2), None, "dt_proj.weight is (16, 1), expected (16, 2)"),
    "unfused": ("ps-tiny", {"fused_add_norm": False}, None,
                "fused_add_norm is false, but the norms are named as of the fused path"),
    "no complement": ("ps-tiny", {"complement_map": None},
                      lambda _: {f"{WORDS}complement_map": None, "lm_head.complement_map": None},
                      "neither config.json nor the weights have a complement_map"),
    "complement of floats": ("ps-tiny", {}, lambda _: {
        f"{WORDS}complement_map": torch.arange(16.0)}, "complement_map of the weights is torch.fl"),
    "two complements": ("ps-tiny", {}, lambda _: {"lm_head.complement_map": torch.arange(16)},
                        "lm_head.complement_map is not the complement that the other tensors have"),
    "no involution": ("ps-tiny", {}, lambda _: {f"{WORDS}complement_map": torch.arange(16).roll(1),
                      "lm_head.complement_map": torch.arange(16).roll(1)}, "complement must pair"),
    "complement of letters": ("ps-tiny", {"complement_map": {"A": 3}},
                              lambda _: {f"{WORDS}complement_map": None,
                                         "lm_head.complement_map": None}, "keys that are no ids"),
    "complement beyond": ("ph-tiny", {"complement_map": {"3": 99}}, None, "ids from 0 to 15"),
    "tensor missing": ("ph-tiny", {}, lambda _: {NORM: None}, f"missing: {NORM}"),
    "tensor renamed": ("ph-tiny", {}, lambda _: {NORM: None, f"{NORM}s": torch.ones(8)},
                       f"missing: {NORM}; unexpected: {NORM}s"),
    "tensor more": ("ph-tiny", {}, lambda _: {"extra": torch.ones(1)}, "unexpected: extra"),
    "integers": ("ph-tiny", {}, one(NORM, lambda t: t.int()), f"{NORM} has torch.int32, no float"),
    "NaN": ("ph-tiny", {}, one(DELTA, lambda t: put(t, float("nan"))), f"{DELTA} holds val"),
    "float8": ("ph-tiny", {}, one(NORM, lambda t: t.to(torch.float8_e4m3fn)),
               f"{NORM} has torch.float8_e4m3fn, which is none of"),
    "infinite": ("ps-tiny", {}, lambda _: {NORM: torch.full((8,), float("inf"))}, "not finite"),
    "untied projection": ("ph-tiny", {}, lambda _: {f"{REV}in_proj.weight": torch.ones(32, 8)},
                          f"are not equal, {REV}in_proj.weight differs from"),
    "untied head": ("mamba-ssm-tiny", {}, lambda _: {"lm_head.weight": torch.ones(16, 20)},
                    "lm_head.weight differs from backbone.embedding.weight"),
    "head missing": ("hf-mamba-tiny", {"tie_word_embeddings": False}, None, "missing: lm_head"),
    "dt_bias": ("mamba-ssm-tiny", {}, lambda _: {
        "backbone.layers.0.mixer.dt_bias": torch.ones(4)}, "Mamba-2 layers (backbone.layers.0"),
    "experts": ("ph-tiny", {}, lambda _: {
        f"{PREFIX}layers.0.moe.experts.0.w1.weight": torch.ones(2)}, "a mixture of experts"),
    "norm with bias": ("mamba-ssm-tiny", {}, lambda _: {
        "backbone.layers.0.norm.bias": torch.ones(20)}, "LayerNorm (backbone.layers.0.norm.bias)"),
    "linear stem": ("mamba-ssm-tiny", {}, lambda _: {
        "backbone.embedding.bias": torch.ones(20)}, "a linear stem instead of an embedding"),
    "positions": ("mamba-ssm-tiny", {}, lambda _: {
        "backbone.position_embedding.weight": torch.ones(4, 20)}, "position embeddings"),
    "classifier": ("ph-tiny", {}, lambda _: {"score.weight": torch.ones(2, 8)},
                   "a classification head (score.weight)"),
    "training checkpoint": ("ph-tiny", {}, lambda _: {"model.lm_head.weight": torch.ones(2, 8)},
                            "a training checkpoint's names"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_named(case: str, tmp_path: Path) -> None:
    fixture, config, tensors, said = REFUSED[case]
    change = None if tensors is None else tensors(fixture)
    assert said in refusal(edited(tmp_path / "bad", fixture, config, change, file_of(fixture)))


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        ({"A": 7, "C": 8, "G": 9}, "must have A, C, G and T, it lacks T"),
        ({**TABLE, "Z": 3}, "letters of DNA, and to mask; got 'Z'"),
        ({**TABLE, "A": 16}, "the id of A must be 0 to 15, as the model has, got 16"),
        ({**TABLE, "A": "7"}, "the id of A must be an integer, got '7'"),
        ({**TABLE, "A": 8}, "A and C have the same id, 8"),
        ({**TABLE, "A": 0}, "A has id 0, which fills batches"),
        ({**TABLE, "a": 12}, "give no complement: that of a"),
        ({3: 7}, "got 3"),
        ({**TABLE, "bos": 16}, "bos must be an id from 0 to 15"),
        ({**TABLE, "mask": 7}, "A and mask have the same id, 7"),
    ],
)
def test_a_table_that_does_not_fit(tokens: dict[str, Any], said: str) -> None:
    assert said in refusal(FOREIGN / "hf-mamba-tiny", tokens=tokens)


def test_tokens_of_another_type() -> None:
    with pytest.raises(CheckpointError, match="tokens must be letters and their ids, got 'ACGT'"):
        dnamamba.load(FOREIGN / "hf-mamba-tiny", tokens="ACGT")  # type: ignore[arg-type]


def test_a_table_against_the_model(tmp_path: Path) -> None:
    assert "A is 8, whose complement in the model is 9, not 10" in refusal(
        FOREIGN / "ps-tiny", tokens={"A": 8, "C": 7, "G": 9, "T": 10}
    )
    assert "reads no start token" in refusal(FOREIGN / "ph-tiny", tokens={**TABLE, "bos": 1})
    with pytest.raises(CheckpointError, match="has its own tokenizer; leave tokens out"):
        dnamamba.load("vertebrate-0.5m", tokens=TABLE)
    bare = {"lm_head.complement_map": None, f"{WORDS}complement_map": None}
    folder = edited(tmp_path / "bare", "ps-tiny", {"complement_map": None}, bare)
    model = dnamamba.load(folder, tokens={**TABLE, "N": 4, "mask": 3})
    ids = expected("ps-tiny")["input_ids_7"]
    whole = dnamamba.load(FOREIGN / "ps-tiny")
    assert torch.equal(model.model(ids)[0], whole.model(ids)[0])
    assert "complement: that of the token table" in str(model.report)
    (folder / "tokens.json").write_text("[1]")
    with pytest.raises(CheckpointError, match=r"tokens\.json must be an object of letters"):
        dnamamba.load(folder)


class Code:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("touch /tmp/dnamamba-was-run",)


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("pytorch_model.bin", pickle.dumps(Code()), "is truncated or no file of weights"),
        ("pytorch_model.bin", b"", "is truncated or no file of weights"),
        ("model.safetensors", b"", "is truncated or no safetensors file"),
        ("model.safetensors", struct.pack("<Q", 1 << 62) + b"{}", "truncated or no safetensors"),
        ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    ],
)
def test_damaged_weights(file: str, content: bytes, said: str, tmp_path: Path) -> None:
    folder = edited(tmp_path / "bad", "ph-tiny")
    (folder / "model.safetensors").unlink()
    assert "has no model.safetensors and no pytorch_model.bin" in refusal(folder)
    (folder / file).write_bytes(content)
    assert said in refusal(folder)


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_truncated_weights(file: str, tmp_path: Path) -> None:
    folder = edited(tmp_path / "bad", "ph-tiny", file=file)
    os.truncate(folder / file, (folder / file).stat().st_size - 100)
    assert f"{file} is truncated or no" in refusal(folder)


def test_a_pickle_that_wants_to_run_code(tmp_path: Path) -> None:
    folder = edited(tmp_path / "bad", "ph-tiny", tensors={}, file="pytorch_model.bin")
    torch.save({"x": Code()}, folder / "pytorch_model.bin")
    text = refusal(folder)
    assert "asks to run code (posix.system)" in text
    assert not Path("/tmp/dnamamba-was-run").exists()
    torch.save([torch.ones(1)], folder / "pytorch_model.bin")
    assert "expected tensors by name, got list" in refusal(folder)
    torch.save({"x": 3}, folder / "pytorch_model.bin")
    assert "'x' is no tensor, but int" in refusal(folder)
