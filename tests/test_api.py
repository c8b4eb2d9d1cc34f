import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dnamamba
from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
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
