"""A second family of backbones, written outside the product: one class and one row of a table.

It reads both ways and keeps no state. It is pretrained by an objective of its own, exported, loaded
in a fresh process from its ``config.json``, embedded with, fine-tuned and predicted with; nothing
in the product names it.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from second_backbone import Echo, EchoConfig, FillIn

import dnamamba
from dnamamba.alphabet import PAD, Tokenizer
from dnamamba.data.modules import (
    GenomeDataModule,
    LabelledFiles,
    LabelledSequenceDataModule,
)
from dnamamba.data.windows.settings import GenomeSplit
from dnamamba.model import LanguageModel
from dnamamba.model.classifier import Classifier
from dnamamba.model.heads import HeadConfig
from dnamamba.training.callbacks import ExportModel
from dnamamba.training.finetune import ClassificationModule
from dnamamba.training.optim import OptimizerConfig
from dnamamba.training.pretrain import PretrainModule

SIZES = EchoConfig(d_model=16, n_layers=2)
SEQUENCES = ["ACGTTGCAAC", "GATTACA", "TTTT", "C"]
QUICK = OptimizerConfig(lr=3e-2, warmup_steps=0)


def trainer(folder: Path, **settings: Any) -> pl.Trainer:
    return pl.Trainer(
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        **settings,
    )


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory, samples: Path) -> Path:
    """The folder of a model that was pretrained by its own objective."""
    folder = tmp_path_factory.mktemp("second")
    pl.seed_everything(0, verbose=False)
    data = GenomeDataModule(
        genomes=[str(samples / "phix174.fa")],
        length=64,
        global_batch_size=8,
        split=GenomeSplit(validation={"fraction": 0.2}, guard=0),  # type: ignore[arg-type]
        cache_dir=str(folder / "cache"),
    )
    module = PretrainModule(model=SIZES, objective=FillIn(), optimizer=QUICK)
    export = ExportModel(folder / "model")
    run = trainer(folder, max_steps=12, callbacks=[export], num_sanity_val_steps=0)
    before = run.validate(module, data, verbose=False)[0]["validation/loss"]
    run.fit(module, data)
    after = run.validate(module, data, verbose=False)[0]["validation/loss"]
    assert after < 0.9 * before
    return folder / "model"


def test_it_loads_from_its_folder(pretrained: Path) -> None:
    model, tokenizer = dnamamba.load(pretrained)
    assert isinstance(model, LanguageModel)
    assert isinstance(model.backbone, Echo)
    assert model.config == SIZES
    assert tokenizer == Tokenizer()


def test_a_fresh_process_embeds_as_this_one(pretrained: Path, tmp_path: Path) -> None:
    expected = dnamamba.load(pretrained).embed(SEQUENCES)
    code = (
        "import sys, numpy, second_backbone, dnamamba\n"
        f"vectors = dnamamba.load(sys.argv[1]).embed({SEQUENCES!r})\n"
        "numpy.save(sys.argv[2], vectors)\n"
    )
    output = tmp_path / "vectors.npy"
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {here!r})\n{code}"]
    subprocess.run([*command, str(pretrained), str(output)], check=True)
    np.testing.assert_array_equal(np.load(output), expected)


def test_a_process_that_does_not_know_it_says_so(pretrained: Path) -> None:
    code = "import sys, dnamamba; dnamamba.load(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, str(pretrained)], capture_output=True)
    assert (
        b"family must be one of mamba, bimamba, bimamba-symmetric, got 'echo'; import the module"
        in done.stderr
    )


def test_vectors_do_not_depend_on_the_batch(pretrained: Path) -> None:
    model = dnamamba.load(pretrained)
    together = model.embed(SEQUENCES, batch_size=4, chunk_length=3)
    for row, sequence in zip(together, SEQUENCES, strict=True):
        alone = model.embed([sequence])[0]
        np.testing.assert_allclose(row, alone, rtol=1e-5, atol=1e-6)
    bases = model.embed(SEQUENCES, pooling=None, layer=0)
    assert [len(rows) for rows in bases] == [len(sequence) for sequence in SEQUENCES]


def test_padded_rows_without_lengths_are_refused(pretrained: Path) -> None:
    model = dnamamba.load(pretrained).model
    tokens = torch.tensor([[4, 5, 6], [4, 5, PAD]])
    with pytest.raises(ValueError, match=r"tokens are padded, and Echo reads from the right"):
        model(tokens)  # type: ignore[call-arg]
    whole, _ = model(tokens, lengths=torch.tensor([3, 2]))  # type: ignore[call-arg]
    alone, _ = model(tokens[1:, :2])  # type: ignore[call-arg]
    torch.testing.assert_close(whole[1:, :2], alone)


def test_a_state_is_refused(pretrained: Path) -> None:
    model: Any = dnamamba.load(pretrained).model
    state = dnamamba.load("vertebrate-0.5m").model.backbone.initial_state(1)  # type: ignore[operator]
    with pytest.raises(ValueError, match="Echo reads a sequence whole and takes no state"):
        model(torch.tensor([[4]]), state)
    with pytest.raises(ValueError, match="a Echo reads a sequence whole: no steps"):
        model.step(torch.tensor([4]), state)


def test_what_needs_a_causal_model_says_so(pretrained: Path) -> None:
    message = r"generating needs a causal model, .* this one is a Echo, which reads both ways"
    with pytest.raises(ValueError, match=message):
        dnamamba.load(pretrained).generate(length=3)


def test_it_scores_by_guessing_masked_bases(pretrained: Path) -> None:
    """Each base given all others; a sequence alone as in a batch."""
    model = dnamamba.load(pretrained)
    scores = model.score(SEQUENCES, mask_every=None)
    assert scores.bases.tolist() == [len(sequence) for sequence in SEQUENCES]
    alone = [model.score([x], mask_every=None).log_likelihood[0] for x in SEQUENCES]
    np.testing.assert_allclose(scores.log_likelihood, alone, rtol=1e-5)


def test_a_causal_objective_refuses_it() -> None:
    with pytest.raises(ValueError, match=r"objective .* causal .* Echo"):
        PretrainModule(model=SIZES, objective="next_base")


def test_fine_tuned_it_predicts(pretrained: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = ["sequence,label"]
    for _ in range(80):
        letters = random.choice(list("ACGT"), random.integers(5, 30), p=[0.4, 0.1, 0.4, 0.1])
        turned = random.integers(2)
        if turned:
            letters = np.array(list("TGCA"))[["ACGT".index(x) for x in letters]]
        rows.append(f"{''.join(letters)},{'py' if turned else 'pu'}")
    table = tmp_path / "t.csv"
    table.write_text("\n".join(rows) + "\n")
    pl.seed_everything(0, verbose=False)
    data = LabelledSequenceDataModule(LabelledFiles(train=str(table)), global_batch_size=16)
    module = ClassificationModule(
        pretrained=str(pretrained), optimizer=QUICK, head=HeadConfig(both_strands=False)
    )
    export = ExportModel(tmp_path / "model")
    run = trainer(tmp_path, max_steps=25, callbacks=[export], num_sanity_val_steps=0)
    run.fit(module, data)
    found = dnamamba.load(tmp_path / "model")
    assert isinstance(found.model, Classifier)
    assert isinstance(found.model.backbone, Echo)
    labels = found.predict(["AGAGGAAGAGAG", "CTCTTCC"]).labels
    assert labels == ["pu", "py"]
