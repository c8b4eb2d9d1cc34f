import errno
import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from dnamamba.api import load
from dnamamba.cli import main
from dnamamba.data.genome.fasta import Genome
from dnamamba.report.markov import fit_markov
from dnamamba.report.report import report
from dnamamba.report.run import RunWindows, open_run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of four steps, as ``fit`` leaves it."""
    folder = tmp_path_factory.mktemp("finished")
    random = np.random.default_rng(0)
    letters = np.frombuffer(b"AACGTN", dtype=np.uint8)
    for name, size in (("one", 9000), ("two", 5000)):
        bases = letters[random.integers(0, 6, size)].tobytes().decode()
        (folder / f"{name}.fa").write_text(f">{name}\n{bases}\n")
    genomes = json.dumps([str(folder / f"{name}.fa") for name in ("one", "two")])
    arguments = [
        *("--run_dir", str(folder / "run")),
        *("--data.genomes", genomes, "--data.length", "128", "--data.global_batch_size", "4"),
        *("--data.split.test.fraction", "0.2", "--data.split.validation.fraction", "0.1"),
        *("--model.model.d_model", "16", "--model.model.n_layers", "1"),
        *("--trainer.max_steps", "4", "--trainer.accelerator=cpu", "--trainer.devices=1"),
        *("--trainer.val_check_interval", "2", "--trainer.log_every_n_steps", "1"),
        *("--trainer.check_val_every_n_epoch", "null"),
    ]
    assert main(["fit", *arguments]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def reported(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reported") / "run"
    shutil.copytree(finished, folder)
    report(str(folder), generate_length=70, device="cpu")
    return folder


def _summary(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return content


def test_every_figure_follows_from_the_runs_own_windows(reported: Path) -> None:
    summary = _summary(reported)
    figures = summary["bits_per_base"]
    data = open_run(reported).data
    train, test = list(data.bases("train")), list(data.bases("test"))

    scores = load(reported / "model").score(test, batch_size=1)
    mamba = -scores.log_likelihood.sum() / math.log(2) / scores.bases.sum()
    assert figures["mamba"] == pytest.approx(mamba, rel=1e-5)
    bits, bases = fit_markov(train).score(test)
    expected = (bits.sum(0) / bases.sum()).tolist()
    assert list(figures["markov"].values()) == pytest.approx(expected)
    assert figures["best_markov"] == min(expected) == expected[figures["best_markov_order"]]
    assert figures["mamba_minus_best_markov"] == pytest.approx(mamba - min(expected), rel=1e-4)
    low, high = figures["interval_95"]
    assert low < figures["mamba_minus_best_markov"] < high

    assert summary["test"]["windows"] == len(test)
    assert summary["test"]["bases"] == sum(map(len, test))
    assert summary["test"]["windows_sharing_31_bases_with_training"] == 0
    assert summary["training"]["windows"] == len(train)
    assert summary["training"]["steps"] == 4
    assert summary["training"]["positions_seen"] == 4 * 4 * 128
    assert summary["training"]["seconds"] > 0
    assert summary["model"]["config"]["d_model"] == 16


def test_pictures_and_samples(reported: Path) -> None:
    assert (reported / "loss.png").read_bytes().startswith(b"\x89PNG")
    header, *lines = (reported / "generated.fa").read_text().splitlines()
    assert header.startswith(">generated_0")
    assert [len(line) for line in lines] == [60, 10]
    with np.load(reported / "embeddings.npz") as arrays:
        assert arrays["embedding"].shape == (8, 16)
        genome = Genome(_fasta(reported, arrays))
        place = [arrays[name][0].item() for name in ("contig", "start", "end")]
        expected = load(reported / "model").embed([genome.fetch(*place)])
        np.testing.assert_allclose(arrays["embedding"][:1], expected, rtol=1e-4, atol=1e-5)


def _fasta(run: Path, arrays: Any) -> Path:
    name = str(arrays["contig"][0])
    paths = _summary(run)["training"]["genomes"]
    return next(Path(path) for path in paths if Path(path).stem == name)


def test_a_second_report_gives_the_same_figures(
    reported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _summary(reported)
    report(str(reported), generate_length=70, device="cpu")
    after = _summary(reported)
    assert {**before, "report": 0} == {**after, "report": 0}
    printed = capsys.readouterr().out
    assert f"{before['bits_per_base']['mamba']:.4f}" in printed
    assert "Markov, order 10" in printed
    assert "uniform" in printed


@pytest.mark.parametrize(("limit", "batches"), [(1, 1), (2, 2), (10**6, None), (0.5, 0.5), (0, 0)])
def test_the_line_beside_the_validation_is_of_the_windows_that_it_read(
    limit: float, batches: float | None, finished: Path, tmp_path: Path
) -> None:
    shutil.copytree(finished, tmp_path / "run")
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    config["trainer"]["limit_val_batches"] = limit
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(config))
    run = open_run(tmp_path / "run")
    read = list(run.data.val_dataloader())
    if isinstance(batches, float):
        batches = int(len(read) * batches)
    index = [int(i) for batch in read[:batches] for i in batch["index"] if i >= 0]
    assert run.validated.numbers == sorted(index)
    assert len(run.validated) == len(index)
    if index:
        tokens = next(
            t for b in read for i, t in zip(b["index"], b["tokens"], strict=True) if i == min(index)
        )
        window = next(iter(run.validated))
        assert run.data.tokenizer.encode(window).tolist() == tokens[: len(window)].tolist()


def test_fewer_windows_are_spread_evenly(finished: Path) -> None:
    data = open_run(finished).data
    every = RunWindows(data, "test")
    some = RunWindows(data, "test", 3)
    n = len(every)
    assert some.numbers == [int(n / 6), int(n / 2), int(5 * n / 6)]
    assert list(some) == [bases for i, bases in enumerate(every) if i in some.numbers]
    assert len(RunWindows(data, "test", 10**6)) == n


def test_a_run_without_a_test_part_is_refused(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    settings = yaml.safe_load((folder / "config.yaml").read_text())
    del settings["data"]["split"]["test"]
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    with pytest.raises(ValueError, match=r"holds nothing out for test; set data.split.test"):
        report(str(folder), device="cpu")
    assert not (folder / "summary.json").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.yaml", None, r"no .*config.yaml; expected the run_dir"),
        ("config.yaml", "a: [", r"config.yaml is damaged"),
        ("config.yaml", "model: {}", r"config.yaml has no data.genomes"),
        ("checkpoints/last.ckpt", None, r"has no checkpoints/last.ckpt"),
        ("model/model.safetensors", "", r"model.safetensors is truncated"),
        ("metrics.csv", None, r"no .*metrics.csv"),
    ],
)
def test_a_damaged_run_is_named(
    finished: Path, tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        report(str(folder), device="cpu")


def test_arguments_out_of_range(finished: Path) -> None:
    with pytest.raises(ValueError, match="max_windows must be at least 1, got 0"):
        report(str(finished), max_windows=0)


_WRITTEN = ("generated.fa", "loss.png", "embeddings.npz", "summary.json")


def _contents(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in _WRITTEN]


def test_a_full_disk_leaves_the_report_of_before(
    reported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(reported, folder)
    sync = os.fsync

    def full(descriptor: int) -> None:
        if "/.summary.json." in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"no room to write .*summary\.json.* there is intact"):
        report(str(folder), generate_length=90, device="cpu")
    assert _contents(folder) == _contents(reported)
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        path.name for path in reported.iterdir()
    )


def test_a_folder_that_cannot_be_written_is_refused_before_the_work(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loss.png").mkdir()
    with pytest.raises(ValueError, match=r"loss\.png is a folder, and the report would go there"):
        report(str(tmp_path))
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # of root too
    with pytest.raises(
        ValueError, match=r"summary\.json cannot be written, .* is read-only to you"
    ):
        report(str(finished))
