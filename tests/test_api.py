import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import dnamamba
from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.config import BiMambaConfig
from dnamamba.model.classifier import Classifier
from dnamamba.model.heads import HeadConfig
from dnamamba.model.language_model import LanguageModel


@pytest.fixture
def folder(tmp_path: Path, model: LanguageModel, tokenizer: Tokenizer) -> Path:
    checkpoint.save(tmp_path / "model", model, tokenizer)
    return tmp_path / "model"


def test_a_loaded_model_does_what_the_functions_do(
    folder: Path, model: LanguageModel, tokenizer: Tokenizer
) -> None:
    loaded = dnamamba.load(folder)
    texts = ["ACGT", "GATTACA"]
    np.testing.assert_array_equal(loaded.embed(texts), dnamamba.embed(model, tokenizer, texts))
    bases = loaded.embed(texts, pooling=None, batch_size=1)
    assert [vectors.shape for vectors in bases] == [(4, 32), (7, 32)]
    np.testing.assert_array_equal(
        loaded.score(texts).log_likelihood, dnamamba.score(model, tokenizer, texts).log_likelihood
    )
    assert loaded.generate("AC", length=9) == dnamamba.generate(model, tokenizer, "AC", length=9)
    assert len(loaded.generate(length=9, n=2)) == 2


def test_unpacks_in_evaluation_mode(folder: Path, tokenizer: Tokenizer) -> None:
    model, own = dnamamba.load(str(folder))
    assert isinstance(model, LanguageModel)
    assert not model.training
    assert own == tokenizer


def test_a_model_says_what_it_is(folder: Path, model: LanguageModel, tokenizer: Tokenizer) -> None:
    count = sum(parameter.numel() for parameter in model.parameters())
    assert repr(dnamamba.load(folder)) == (
        f"Pretrained({folder}: mamba, causal; d_model 32, n_layers 2, d_state 8; "
        f"{count:,} parameters, float32 on cpu; predicts the next base)"
    )
    assert repr(dnamamba.Pretrained(model, tokenizer)).startswith("Pretrained(mamba, causal; ")
    head = HeadConfig("multilabel", ("a", "b"))
    labels = Classifier(BiMambaConfig(d_model=8, n_layers=1, d_state=2), head)
    assert repr(dnamamba.Pretrained(labels, tokenizer)).endswith(
        "float32 on cpu; predicts labels of sequences: a, b)"
    )
    assert "bimamba, bidirectional; d_model 8," in repr(dnamamba.Pretrained(labels, tokenizer))


def test_a_model_is_moved_and_turned_into_another_type(folder: Path) -> None:
    texts = ["ACGTTGCA", "GATTACA"]
    whole = dnamamba.load(folder)
    half = dnamamba.load(folder).to("cpu", "bfloat16")
    assert (half.device, half.dtype) == (torch.device("cpu"), torch.bfloat16)
    assert "bfloat16 on cpu" in repr(half)
    np.testing.assert_allclose(half.embed(texts), whole.embed(texts), atol=0.1)
    assert whole.to(dtype=torch.float64) is whole
    assert whole.to().dtype == torch.float64
    for value in ("int64", "float8_e4m3fn", "cuda", 3, "no"):
        with pytest.raises(ValueError, match="dtype must be float32, float64, bfloat16 or float16"):
            whole.to(dtype=value)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="device must be auto, cpu, cuda"):
        whole.to("gpu")
    assert whole.dtype == torch.float64


def test_nothing_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no-such-model"):
        dnamamba.load(tmp_path / "no-such-model")


def test_public_names_are_all_there() -> None:
    for name in dnamamba.__all__:
        assert getattr(dnamamba, name).__name__ == name
        assert name in dir(dnamamba)
    with pytest.raises(AttributeError, match="no attribute 'Bamba'"):
        _ = dnamamba.Bamba  # type: ignore[attr-defined]


def test_import_is_light_and_inference_knows_no_lightning() -> None:
    code = """
import sys
import dnamamba
assert not {"torch", "numpy"} & set(sys.modules), "import dnamamba"
dnamamba.embed, dnamamba.score, dnamamba.generate, dnamamba.load, dnamamba.Mamba
assert "torch" in sys.modules
heavy = {"pytorch_lightning", "lightning", "torchmetrics", "matplotlib", "pyarrow", "pyfaidx"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize("value", [None, 3, 1.5, b"x.vcf", ["x.vcf"]])
def test_what_is_no_path_is_named(folder: Path, value: Any) -> None:
    loaded = dnamamba.load(folder)
    uses = [
        (lambda: loaded.score_variants(value, "ref.fa"), "vcf"),
        (lambda: loaded.score_variants("new.vcf", value), "genome"),
        (lambda: loaded.predict_file(value), "input"),
    ]
    for use, name in uses:
        with pytest.raises(ValueError, match=f"{name} must be a path, got"):
            use()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"context": "9"}, "context must be a whole number, got '9'"),
        ({"flank": None}, "flank must be a whole number, got None"),
        ({"batch_size": 1.5}, r"batch_size must be a whole number, got 1\.5"),
        ({"both_strands": "no"}, "both_strands must be True or False, got 'no'"),
        ({"checks": "skip"}, "checks must be VariantChecks or None, got 'skip'"),
    ],
)
def test_settings_of_another_type_are_named(
    folder: Path, tmp_path: Path, settings: Any, message: str
) -> None:
    (tmp_path / "ref.fa").write_text(">a\nACGTACGT\n")
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    (tmp_path / "v.vcf").write_text(f"##fileformat=VCFv4.2\n{columns}" + "a\t5\t.\tA\tG\t.\t.\t.\n")
    with pytest.raises(ValueError, match=message):
        dnamamba.load(folder).score_variants(tmp_path / "v.vcf", tmp_path / "ref.fa", **settings)
