"""The report of a run on masked bases."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_cases import config

from dnamamba.cli import main
from dnamamba.report.report import report
from dnamamba.report.run import RunWindows, open_run
from dnamamba.training.objectives import Masked

MASKED = {"name": "masked_bases", "share": 0.3, "seed": 4}


@pytest.fixture(scope="module", params=["bimamba", "bimamba-symmetric"])
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run, as ``fit`` leaves it."""
    folder = tmp_path_factory.mktemp("finished")
    sizes = {"family": request.param, "d_model": 8, "n_layers": 1, "d_state": 2}
    model = {"model": sizes, "objective": MASKED}
    assert main(["fit", "--config", config(folder, model=model)]) == 0
    return folder / "run"


def test_its_figures_are_those_of_dnamamba_test(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report(str(finished), device="cpu")
    printed = capsys.readouterr().out
    summary = json.loads((finished / "summary.json").read_text())
    figures = summary["masked_bases"]
    assert "bits_per_base" not in summary
    assert figures["objective"] == Masked(share=0.3, seed=4).__dict__ | {"name": "masked_bases"}
    assert figures["windows"] == summary["test"]["windows"] > 10
    assert 0.2 < figures["bases"] / summary["test"]["bases"] < 0.4
    assert f"{figures['bits_per_base']:.4f}" in printed
    assert "Left out: Markov chains" in printed
    assert (finished / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert not (finished / "generated.fa").exists()
    with np.load(finished / "embeddings.npz") as arrays:
        assert len(arrays["embedding"]) == 8

    arguments = ["--config", str(finished / "config.yaml"), "--ckpt_path", "best"]
    assert main(["test", *arguments]) == 0
    printed = capsys.readouterr().out
    assert f"{figures['bits_per_base']:.5f}"[:6] in printed
    assert f"{figures['accuracy']:.5f}"[:6] in printed


def test_fewer_windows_are_measured_as_they_are_in_the_whole(finished: Path) -> None:
    report(str(finished), max_windows=3, device="cpu")
    figures = json.loads((finished / "summary.json").read_text())["masked_bases"]
    run = open_run(finished)
    windows = RunWindows(run.data, "test", 3)
    batch = run.data.dataset("test")[np.array(windows.numbers)]
    example = Masked(share=0.3, seed=4).example(batch, run.data.tokenizer)
    with torch.no_grad():
        model, _ = run.pretrained
        logits, _ = model(example.tokens, lengths=example.lengths)
    right = logits.argmax(-1) == example.targets
    weight = example.weight
    assert figures["bases"] == int(weight.sum())
    assert figures["accuracy"] == pytest.approx(float((right * weight).sum() / weight.sum()))


def test_other_settings_of_the_objective_do_not_resume(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = ["fit", "--config", str(finished / "config.yaml"), "--ckpt_path", "last"]
    assert main([*again, "--model.objective.seed", "5", "--trainer.max_steps", "7"]) != 0
    assert "objective.seed is 5 here and 4 in the checkpoint" in capsys.readouterr().err
