"""Folders of no known format, of older forms, and of nobody's letters."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
from published import FOREIGN, PICKLE, edited, expected, refusal, tensors_in

import dnamamba
from dnamamba.commands.convert import convert

WORDS = "caduceus.backbone.embeddings.word_embeddings."
TABLE = {"A": 7, "C": 8, "G": 9, "T": 10, "N": 11}


@pytest.mark.parametrize("form", ["safetensors", "index", "pickle"])
@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["encoder.layer.0.moe.experts.0.w1.weight"], "the model has a mixture of experts"),
        (["backbone.layers.0.norm.bias"], "LayerNorm (backbone.layers.0.norm.bias)"),
        (["blocks.0.attention.q_proj.weight"], "attention"),
        (["encoder.weight"], "model_type 'evo': written by another program, and in no format"),
    ],
)
def test_no_known_format(names: list[str], said: str, form: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "evo"}')
    tensors = {name: torch.ones(2) for name in names}
    if form == "safetensors":
        safetensors.torch.save_file(tensors, tmp_path / "model.safetensors")
    elif form == "pickle":
        torch.save(tensors, tmp_path / PICKLE)
    else:  # a large model's: its shards are not so much as opened
        index = {"weight_map": dict.fromkeys(names, "model-00001-of-00001.safetensors")}
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert said in refusal(tmp_path)


def test_no_known_format_and_no_weights(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    said = "no format_version and no model_type: written by another program"
    assert said in refusal(tmp_path)
    for index in ("[1]", '{"weight_map": [3]}', "{"):
        (tmp_path / "model.safetensors.index.json").write_text(index)
        assert said in refusal(tmp_path)


def test_pickles_that_are_no_state_dict(tmp_path: Path) -> None:
    folder = edited(tmp_path / "old", "ph-tiny", file=PICKLE)
    weights = torch.load(folder / PICKLE, weights_only=True)
    torch.save(weights, folder / PICKLE, _use_new_zipfile_serialization=False)
    assert "the form of torch.save before PyTorch 1.6" in refusal(folder)
    torch.save({"state_dict": weights}, folder / PICKLE)
    assert "is a training checkpoint (it has a state_dict)" in refusal(folder)


@pytest.mark.parametrize("fixture", ["ph-tiny", "ps-tiny"])
def test_a_configuration_of_training(fixture: str, tmp_path: Path) -> None:
    """It has all sizes, but neither ``model_type`` nor ``architectures``."""
    keys = dict.fromkeys(["model_type", "architectures", "auto_map", "transformers_version"], ...)
    model = dnamamba.load(edited(tmp_path / "bare", fixture, keys))
    ids = expected(fixture)["input_ids_7"]
    assert torch.equal(model.model(ids)[0], dnamamba.load(FOREIGN / fixture).model(ids)[0])


def test_a_causal_configuration_that_says_it_is_not_bidirectional(tmp_path: Path) -> None:
    keys = {"bidirectional": False, "rcps": False}
    folder = edited(tmp_path / "causal", "mamba-ssm-tiny", keys, file=PICKLE)
    assert dnamamba.load(folder).report.format == "mamba-ssm"  # type: ignore[union-attr]


def test_a_complement_map_of_narrower_integers(tmp_path: Path) -> None:
    names = ("lm_head.complement_map", f"{WORDS}complement_map")
    narrow = {name: tensors_in(FOREIGN / "ps-tiny")[name].int() for name in names}
    ids = expected("ps-tiny")["input_ids_7"]
    got = dnamamba.load(edited(tmp_path / "int32", "ps-tiny", tensors=narrow)).model(ids)[0]
    assert torch.equal(got, dnamamba.load(FOREIGN / "ps-tiny").model(ids)[0])


@pytest.mark.parametrize("fixture", ["hf-mamba-tiny", "mamba-ssm-tiny"])
def test_a_table_with_a_start_token_for_a_converted_model(fixture: str, tmp_path: Path) -> None:
    tokens = {**TABLE, "bos": 2}
    convert(str(FOREIGN / fixture), str(tmp_path / "ours"))
    ours = dnamamba.load(tmp_path / "ours", tokens=tokens)
    theirs = dnamamba.load(FOREIGN / fixture, tokens=tokens)
    texts = ["GATTACA", "A"]
    assert ours.score(texts).bases.tolist() == [7, 1]
    assert (ours.score(texts).log_likelihood == theirs.score(texts).log_likelihood).all()
