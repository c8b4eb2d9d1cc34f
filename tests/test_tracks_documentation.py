"""What docs/tracks.md shows works: its commands are typed, its YAML trains, its Python runs."""

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from models import opinionated

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.cli import main
from dnamamba.config import MambaConfig
from dnamamba.model.classifier import Classifier
from dnamamba.model.heads import HeadConfig
from dnamamba.tracks import open_track

PAGE = (Path(__file__).parents[1] / "docs" / "tracks.md").read_text()
SIZE = 1300


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the page names."""
    path, random = tmp_path_factory.mktemp("page"), np.random.default_rng(0)
    letters = np.frombuffer(b"ACGT", np.uint8)[random.integers(0, 4, SIZE)].tobytes().decode()
    (path / "genome.fa").write_text(f">chr1\n{letters}\n")
    starts = range(100, SIZE - 40, 40)
    lines = [f"chr1\t{at}\t{at + 30}\tr\t0\t{'+-'[at % 80 == 20]}\n" for at in starts]
    (path / "regions.bed").write_text("".join(lines))
    (path / "peaks.bed").write_text("".join(lines[:1]))
    (path / "sites.fa").write_text(">a\nGATTACA\n>b\nGATAACA\n")
    at = np.arange(SIZE)
    with open_track(path / "signal.bw", {"chr1": SIZE}, "signal") as track:
        track.write("chr1", at, at + 1, np.array([base in "GC" for base in letters]))
    torch.manual_seed(0)
    head = HeadConfig(kind="binary", labels=("no", "yes"))
    tuned = Classifier(MambaConfig(d_model=16, n_layers=1, d_state=4), head)
    checkpoint.save(path / "TUNED", tuned, Tokenizer())
    checkpoint.save(path / "MODEL", opinionated(), Tokenizer())
    (yaml,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    # One group a region, for there is one contig; on the CPU, and as little as can be.
    yaml = yaml.replace("scale: log1p", "scale: log1p, block: 40").replace("max_steps: 10", FAST)
    (path / "signal.yaml").write_text(yaml)
    return path


FAST = "max_steps: 2, val_check_interval: 2, check_val_every_n_epoch: null, accelerator: cpu"


@pytest.mark.filterwarnings("ignore:contributions of")  # of models without training
def test_every_command_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    lines = re.findall(r"^    dnamamba (.*)", PAGE, re.MULTILINE)
    assert len(lines) == 14
    for line in lines:
        assert main(shlex.split(line)) == 0, (line, capsys.readouterr().err)
    for made in (
        "likelihood.bw", "likelihood.bedgraph.gz", "vectors.e17.bw", "windows.bw",
        "effects/one.mean.bw", "effects/two.meme", "why/one.png", "why/three.meme", "peaks.meme",
    ):  # fmt: skip
        assert (folder / made).stat().st_size > 100, made
    head, *rows = (folder / "predicted.tsv").read_text().splitlines()
    assert head.split("\t")[-1] == "predicted"
    assert len(rows) == (folder / "regions.bed").read_text().count("\n")
    assert "pearson" in (folder / "runs/signal/metrics.csv").read_text()


def test_the_python_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    assert capsys.readouterr().out.startswith("(21,) (21, 4)\n")
    assert abs(names["found"].gap) < 1e-2
