"""``dnamamba convert``: theirs to ours and back to the last bit, ours to theirs."""

import json
import logging
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import torch
from published import FOREIGN, NAMES, edited, random_model, tensors_in

import dnamamba
from dnamamba.alphabet import Tokenizer
from dnamamba.checkpoint import save
from dnamamba.cli import main
from dnamamba.commands.convert import convert as convert_model
from dnamamba.config import BiMambaConfig, MambaConfig, SymmetricBiMambaConfig
from dnamamba.model.classifier import Classifier
from dnamamba.model.heads import HeadConfig
from dnamamba.model.weights import FORMATS, recognised


def test_the_command_knows_every_format() -> None:
    choices = get_type_hints(convert_model)["to"]
    assert get_args(choices) == ("dnamamba", *FORMATS)


def convert(model: object, output: Path, *flags: str) -> Path:
    assert main(["convert", str(model), str(output), *flags]) == 0
    return output


@pytest.mark.parametrize("name", NAMES)
def test_theirs_to_ours_and_back_to_the_last_bit(name: str, tmp_path: Path) -> None:
    values = json.loads((FOREIGN / name / "config.json").read_text())
    form = recognised(values)
    assert form is not None
    ours = convert(FOREIGN / name, tmp_path / "ours")
    assert json.loads((ours / "config.json").read_text())["format_version"] == 1
    back = convert(ours, tmp_path / "back", "--to", form)
    assert json.loads((back / "config.json").read_text()) == values
    if form == "mamba-ssm":
        stored, wanted = tensors_in(back), tensors_in(FOREIGN / name)
        assert stored.keys() == wanted.keys()
        assert all(torch.equal(stored[key], wanted[key]) for key in wanted)
        head, words = stored["lm_head.weight"], stored["backbone.embedding.weight"]
        assert head.data_ptr() == words.data_ptr()
    else:
        for file in ("config.json", "model.safetensors"):
            assert (back / file).read_bytes() == (FOREIGN / name / file).read_bytes(), file
    assert not (back / "tokens.json").exists()
    ids = torch.arange(1, values["vocab_size"])[None]
    first, second = (dnamamba.load(folder) for folder in (ours, FOREIGN / name))
    assert first.tokenizer == second.tokenizer
    assert torch.equal(first.model(ids)[0], second.model(ids)[0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_comes_back_as_it_was(dtype: torch.dtype, tmp_path: Path) -> None:
    stored = tensors_in(FOREIGN / "ps-odd")
    halves = {k: t.to(dtype) if t.is_floating_point() else t for k, t in stored.items()}
    folder = edited(tmp_path / "half", "ps-odd", tensors=halves)
    back = convert(convert(folder, tmp_path / "ours"), tmp_path / "back", "--to", "caduceus")
    assert (back / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


OURS: dict[str, tuple[str, Any, Tokenizer]] = {
    "causal": ("transformers", MambaConfig(d_model=20, n_layers=2, d_state=4), Tokenizer()),
    "causal, bytes": (
        "mamba-ssm",
        MambaConfig(vocab_size=256, d_model=16, n_layers=2),
        Tokenizer("byte"),
    ),
    "bidirectional": ("caduceus", BiMambaConfig(d_model=12, n_layers=2), Tokenizer()),
    "symmetric": ("caduceus", SymmetricBiMambaConfig(d_model=12, n_layers=2), Tokenizer()),
    "symmetric, odd": ("caduceus", SymmetricBiMambaConfig(d_model=12, n_layers=1), Tokenizer()),
}


@pytest.mark.parametrize("case", OURS)
def test_ours_to_theirs_and_back(case: str, tmp_path: Path) -> None:
    form, config, tokenizer = OURS[case]
    model = random_model(config)
    save(tmp_path / "ours", model, tokenizer)
    theirs = convert(tmp_path / "ours", tmp_path / "theirs", "--to", form)
    back = dnamamba.load(convert(theirs, tmp_path / "back"))
    assert back.tokenizer == tokenizer
    for name, tensor in model.state_dict().items():
        assert torch.equal(back.model.state_dict()[name], tensor), name
    got: Any = back.model.config
    assert got.tie_embeddings
    assert getattr(got, "bos", None) == getattr(config, "bos", None)
    values = json.loads((theirs / "config.json").read_text())
    # A tied head and an odd number of blocks exist in the unfused path alone.
    assert values.get("fused_add_norm", True) == (case != "symmetric, odd")


@torch.no_grad()
@pytest.mark.parametrize("tied", [True, False])
def test_a_causal_export_opens_in_transformers(tied: bool, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = MambaConfig(d_model=24, n_layers=2, d_state=5, dt_rank=3, tie_embeddings=tied)
    model = random_model(config)
    save(tmp_path / "ours", model, Tokenizer())
    theirs = convert(tmp_path / "ours", tmp_path / "theirs", "--to", "transformers")
    opened, told = transformers.AutoModelForCausalLM.from_pretrained(
        theirs, output_loading_info=True
    )
    assert not any(told[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    ids = torch.randint(0, 16, (2, 33))
    expected, logits = opened.eval()(ids, use_cache=False).logits, model(ids)[0]
    assert (logits - expected).abs().max() <= 1e-5 * expected.abs().max()
    opened.save_pretrained(tmp_path / "again")
    again = dnamamba.load(tmp_path / "again", tokens={"A": 4, "C": 5, "G": 6, "T": 7, "bos": 1})
    assert torch.equal(again.model(ids)[0], logits)


def test_tokens_come_from_a_file_and_stay(tmp_path: Path) -> None:
    table = tmp_path / "table.json"
    table.write_text(json.dumps({"A": 7, "C": 8, "G": 9, "T": 10, "N": 4, "mask": 3, "bos": 2}))
    folder = convert(FOREIGN / "hf-mamba-tiny", tmp_path / "ours", "--tokens", str(table))
    model = dnamamba.load(folder)
    assert model.tokenizer.name == "A=7 C=8 G=9 T=10 N=4 mask=3 size=16"
    config: Any = model.model.config
    assert config.bos == 2
    assert model.embed(["ACGTN"]).shape == (1, 20)
    back = convert(folder, tmp_path / "back", "--to", "transformers")
    assert dnamamba.load(back).tokenizer == model.tokenizer
    unknown = convert(FOREIGN / "hf-mamba-tiny", tmp_path / "unknown")
    assert not dnamamba.load(unknown).tokenizer.known
    told = dnamamba.load(unknown, tokens={"A": 7, "C": 8, "G": 9, "T": 10})
    assert told.tokenizer.base_ids == (7, 8, 9, 10)
    with pytest.raises(ValueError, match="'N' has no id in this model's table"):
        told.embed(["ACGTN"])


def test_every_command_takes_a_published_folder(
    tmp_path: Path,
    samples: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    output = tmp_path / "vectors.npz"
    fasta = str(samples / "phix174.fa")
    with caplog.at_level(logging.INFO, "dnamamba"):
        assert main(["embed", str(FOREIGN / "ph-tiny"), fasta, str(output), "--window", "500"]) == 0
    assert output.exists()
    assert "ph-tiny: caduceus format; tied: lm_head.weight" in caplog.text
    assert main(["evaluate", str(FOREIGN / "hf-mamba-tiny"), fasta]) == 1
    assert "nobody says which letters" in capsys.readouterr().err


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["convert", *map(str, arguments)]) == 1
    text = capsys.readouterr().err.strip().splitlines()[-1]
    assert text.startswith("dnamamba convert: ")
    return text


def test_what_cannot_be_expressed_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def ours(name: str, config: Any) -> Path:
        return save(tmp_path / name, random_model(config), Tokenizer())

    causal = ours("causal", MambaConfig(d_model=8, n_layers=1, norm_eps=1e-3))
    both = ours("both", BiMambaConfig(d_model=8, n_layers=1))
    untied = ours("untied", SymmetricBiMambaConfig(d_model=8, n_layers=2, tie_embeddings=False))
    out = tmp_path / "out"
    text = said(capsys, causal, out, "--to", "caduceus")
    assert "family mamba has no form in Caduceus' format; it takes bimamba and bimamba-sym" in text
    assert "mamba-ssm's format cannot express norm_eps 0.001" in said(
        capsys, causal, out, "--to", "mamba-ssm"
    )
    assert "it takes mamba" in said(capsys, both, out, "--to", "transformers")
    assert "ties lm_head.lm_head.weight to" in said(capsys, untied, out, "--to", "caduceus")
    assert not out.exists()
    classes = HeadConfig(kind="binary", labels=("a", "b"))
    classifier = Classifier(MambaConfig(d_model=8, n_layers=1), head=classes)
    save(tmp_path / "classes", classifier, Tokenizer())
    assert "has no form for the head of a Classifier" in said(
        capsys, tmp_path / "classes", out, "--to", "transformers"
    )
    convert(causal, out, "--to", "transformers")
    assert "holds config.json and model.safetensors; set overwrite" in said(
        capsys, causal, out, "--to", "transformers"
    )
    convert(FOREIGN / "mamba-ssm-tiny", out, "--to", "mamba-ssm", "--overwrite")
    assert sorted(path.name for path in out.iterdir()) == ["config.json", "pytorch_model.bin"]
    missing = said(capsys, FOREIGN / "mamba-ssm-tiny", tmp_path / "x", "--tokens", "no.json")
    assert "no.json: No such file" in missing
