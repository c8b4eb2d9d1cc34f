"""Folders that other programs wrote: what they say, and every form they come in."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from published import (
    FOREIGN,
    NAMES,
    edited,
    expected,
    file_of,
    published,
    refusal,
    tensors_in,
)

import dnamamba
from dnamamba.alphabet import Tokenizer
from dnamamba.config import BiMambaConfig, MambaConfig, SymmetricBiMambaConfig

TABLE = {"A": 7, "C": 8, "G": 9, "T": 10, "N": 11}
WORDS = "caduceus.backbone.embeddings.word_embeddings."


def test_what_was_read_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "dnamamba"):
        odd = dnamamba.load(FOREIGN / "ps-odd")
    text = str(odd.report)
    assert text in caplog.text
    assert text.startswith(
        "caduceus format; tied: lm_head.lm_head.weight = "
        "caduceus.backbone.embeddings.word_embeddings.embedding.weight and 6 more; "
    )
    for said in (
        "residual_in_fp32 false",
        "channels reversed and directions exchanged in blocks 1; an odd number of blocks",
        "letters A=7 C=8 G=9 T=10, N is read as id 4, no special tokens are added",
    ):
        assert said in text
    assert odd.model.config.tie_embeddings is False
    assert "blocks 0, 2" in str(dnamamba.load(FOREIGN / "plant-tiny").report)
    assert dnamamba.load("vertebrate-0.5m").report is None


@pytest.mark.parametrize(
    ("name", "tokenizer"),
    [
        *((name, "caduceus") for name in ("ph-tiny", "ps-tiny", "ps-odd")),
        ("plant-tiny", "plantcaduceus"),
    ],
)
def test_tokens_are_those_of_the_training(name: str, tokenizer: str) -> None:
    model = dnamamba.load(FOREIGN / name)
    assert model.tokenizer == Tokenizer(tokenizer)
    config: Any = model.model.config
    assert config.pad is None
    assert np.isfinite(model.embed(["ACGTN" * 3, "NNNN", "RYacgu"])).all()


@pytest.mark.parametrize("name", ["hf-mamba-tiny", "mamba-ssm-tiny"])
def test_unknown_tokens_are_asked_for(name: str, tmp_path: Path) -> None:
    nobody = dnamamba.load(FOREIGN / name)
    assert nobody.model(expected(name)["input_ids_7"])[0].shape == (2, 7, 16)
    assert not nobody.tokenizer.known
    for use in (
        lambda: nobody.embed(["ACGT"]),
        lambda: nobody.score(["ACGT"]),
        lambda: nobody.generate("ACGT", length=3),
    ):
        with pytest.raises(ValueError, match="nobody says which letters this model's ids stand"):
            use()
    told = dnamamba.load(FOREIGN / name, tokens=TABLE)
    assert told.tokenizer.encode("ACGTNacgtn").tolist() == [7, 8, 9, 10, 11] * 2
    assert told.embed(["ACGT"]).shape == (1, 20)
    config: Any = told.model.config
    assert config.bos is None
    folder = edited(tmp_path / "beside", name, file=file_of(name))
    (folder / "tokens.json").write_text(json.dumps({**TABLE, "bos": 2, "mask": 3}))
    beside = dnamamba.load(folder)
    config = beside.model.config
    assert (config.bos, beside.tokenizer.mask) == (2, 3)
    assert beside.generate(length=5, seed=1).strip("ACGT") == ""


def test_a_protein_model_loads_by_weights_alone(tmp_path: Path) -> None:
    """33 words in the configuration, 40 rows in the weights, its tied head stored too."""
    config = MambaConfig(vocab_size=40, d_model=16, n_layers=2, bos=None)
    model = published(tmp_path, config, "mamba-ssm", Tokenizer("size=40"))
    values = json.loads((tmp_path / "config.json").read_text())
    values |= {"vocab_size": 33, "ssm_cfg": {}, "residual_in_fp32": False}
    del values["tie_embeddings"]
    (tmp_path / "config.json").write_text(json.dumps(values))
    assert "lm_head.weight" in torch.load(tmp_path / "pytorch_model.bin", weights_only=True)
    read = dnamamba.load(tmp_path)
    ids = torch.arange(33)[None]
    assert torch.equal(read.model(ids)[0], model(ids)[0])
    with pytest.raises(ValueError, match="give the table that it was trained with"):
        read.embed(["ACGT"])


def test_weights_in_several_files(tmp_path: Path) -> None:
    folder = edited(tmp_path / "shards", "ph-tiny", tensors={})
    stored = tensors_in(folder)
    (folder / "model.safetensors").unlink()
    halves = {"model-00001-of-00002.safetensors": {}, "model-00002-of-00002.safetensors": {}}
    for i, (name, tensor) in enumerate(stored.items()):
        halves[[*halves][i % 2]][name] = tensor
    for file, tensors in halves.items():
        safetensors.torch.save_file(tensors, folder / file)
    places = {name: file for file, tensors in halves.items() for name in tensors}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    ids = expected("ph-tiny")["input_ids_7"]
    whole = dnamamba.load(FOREIGN / "ph-tiny").model
    assert torch.equal(dnamamba.load(folder).model(ids)[0], whole(ids)[0])
    first = next(iter(places))
    for wrong, said in (
        ({"weight_map": {**places, first: "../x.safetensors"}}, "is no file of its folder"),
        ({"weight_map": {**places, first: "gone.safetensors"}}, "names gone.safetensors, which is"),
        ({"weight_map": {**places, "more": places[first]}}, "disagree about more"),
        ({"weight_map": [1]}, "has no weight_map"),
        ([], "has no weight_map"),
    ):
        index.write_text(json.dumps(wrong))
        assert said in refusal(folder)


@pytest.mark.parametrize("name", NAMES[:5])
def test_the_class_without_a_head(name: str, tmp_path: Path) -> None:
    """Its names lack their first part, and it is tied by rule."""
    stored = tensors_in(FOREIGN / name)
    first = "backbone." if name == "hf-mamba-tiny" else "caduceus."
    bare = dict.fromkeys(stored) | {
        key.removeprefix(first): tensor for key, tensor in stored.items() if key.startswith(first)
    }
    model = dnamamba.load(edited(tmp_path / "bare", name, tensors=bare)).model
    ids = expected(name)["input_ids_7"]
    assert torch.equal(model(ids)[0], dnamamba.load(FOREIGN / name).model(ids)[0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_precisions(dtype: torch.dtype, tmp_path: Path) -> None:
    stored = tensors_in(FOREIGN / "ps-tiny")
    other = {k: t.to(dtype) if t.is_floating_point() else t for k, t in stored.items()}
    model = dnamamba.load(edited(tmp_path / "other", "ps-tiny", tensors=other)).model
    kind = torch.float64 if dtype == torch.float64 else torch.float32
    assert {parameter.dtype for parameter in model.parameters()} == {kind}
    embedding = other[f"{WORDS}embedding.weight"]
    assert torch.equal(model.backbone.embedding.weight, embedding.to(kind))


def test_the_complement_of_the_weights_counts_more(tmp_path: Path) -> None:
    folder = edited(tmp_path / "other", "ps-tiny", {"complement_map": {"7": 8, "8": 7}})
    model = dnamamba.load(folder)
    assert "that of the weights, config.json differs" in str(model.report)
    assert model.tokenizer == Tokenizer("caduceus")


SIZES: list[tuple[str, Any]] = [
    ("caduceus", BiMambaConfig(vocab_size=16, d_model=12, n_layers=1, d_state=3, d_conv=2)),
    ("caduceus", BiMambaConfig(vocab_size=13, d_model=8, n_layers=2, tie_embeddings=False)),
    ("caduceus", SymmetricBiMambaConfig(d_model=10, n_layers=2, d_conv=3, expand=3, dt_rank=5)),
    ("caduceus", SymmetricBiMambaConfig(d_model=6, n_layers=3, d_state=2, norm_eps=1e-3)),
    ("transformers", MambaConfig(vocab_size=21, d_model=12, n_layers=2, expand=1, d_conv=2)),
    ("transformers", MambaConfig(d_model=118, n_layers=1, d_state=5, tie_embeddings=False)),
    ("mamba-ssm", MambaConfig(vocab_size=40, d_model=20, n_layers=2, dt_rank=9, d_conv=3)),
    ("mamba-ssm", MambaConfig(d_model=16, n_layers=1, expand=4, tie_embeddings=False)),
]


@torch.no_grad()
@pytest.mark.parametrize(("form", "config"), SIZES)
def test_other_sizes(form: str, config: Any, tmp_path: Path) -> None:
    """Written in a format of others and read again, a model is what it was."""
    tokenizer = Tokenizer() if config.vocab_size == 16 else Tokenizer.of_tokens(
        {**TABLE, "N": 4, "mask": 3}, config.vocab_size
    )  # fmt: skip
    model = published(tmp_path, config, form, tokenizer)
    read = dnamamba.load(tmp_path)
    assert read.tokenizer == tokenizer
    wanted = {**model.state_dict()}
    assert read.model.state_dict().keys() == wanted.keys()
    for name, tensor in read.model.state_dict().items():
        assert torch.equal(tensor, wanted[name]), name
    ids = torch.randint(1, config.vocab_size, (2, 9))
    assert torch.equal(read.model(ids)[0], model(ids)[0])
    got: Any = read.model.config
    assert (got.rank, got.norm_eps, got.d_conv) == (config.rank, config.norm_eps, config.d_conv)
    assert getattr(got, "bos", None) == getattr(config, "bos", None)


def test_fixtures_are_small() -> None:
    assert sum(path.stat().st_size for path in FOREIGN.rglob("*") if path.is_file()) < 1_000_000
    assert {path.name for path in FOREIGN.iterdir() if path.is_dir()} == set(NAMES)
