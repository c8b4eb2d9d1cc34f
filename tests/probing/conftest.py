"""A tiny model, and sequences of two classes that k-mers tell apart."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.model import LanguageModel
from dnamamba.probing import learners

Table = tuple[list[str], list[str]]


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learners, "TREES", 10)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a model with two blocks."""
    torch.manual_seed(0)
    model = LanguageModel(MambaConfig(d_model=8, n_layers=2, d_state=4))
    with torch.no_grad():
        model.backbone.embedding.weight.normal_()
    return str(checkpoint.save(tmp_path_factory.mktemp("probed") / "model", model, Tokenizer()))


@pytest.fixture(scope="session")
def table() -> Table:
    """60 sequences of 30 to 60 bases; those called ``at`` hold more A and T."""
    random = np.random.default_rng(0)
    labels = ["at" if i % 2 else "gc" for i in range(60)]
    weights = {"at": (0.3, 0.2, 0.2, 0.3), "gc": (0.2, 0.3, 0.3, 0.2)}
    sequences = [
        "".join(random.choice(list("ACGT"), int(random.integers(30, 60)), p=weights[label]))
        for label in labels
    ]
    return sequences, labels


@pytest.fixture
def csv(tmp_path: Path, table: Table) -> Path:
    """The table as a file."""
    path = tmp_path / "labelled.csv"
    lines = [f"{bases},{label}\n" for bases, label in zip(*table, strict=True)]
    path.write_text("sequence,label\n" + "".join(lines))
    return path
