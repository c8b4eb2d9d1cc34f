"""Every configuration of the checkout runs, or is built."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.cli import main
from dnamamba.cli.training import TrainingCLI
from dnamamba.config import MambaConfig
from dnamamba.model import LanguageModel

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
RESULTS = sorted((ROOT / "configs" / "results").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=[str(p.relative_to(ROOT)) for p in CONFIGS])
def test_every_configuration_runs(path: Path, tmp_path: Path) -> None:
    """As it stands but for its size, the device, and the number of steps."""
    arguments = [
        *("--config", str(path), "--run_dir", str(tmp_path / "run")),
        *("--trainer.accelerator=cpu", "--trainer.devices=1", "--trainer.max_steps=2"),
        *("--trainer.val_check_interval=1", "--trainer.limit_val_batches=1"),
        "--trainer.log_every_n_steps=1",
    ]
    model = yaml.safe_load(path.read_text())["model"]
    if "class_path" not in model:  # a pretraining
        arguments += ["--data.cache_dir", str(tmp_path / "cache")]
        arguments += ["--data.length=256", "--data.global_batch_size=2"]
        arguments += ["--model.model.d_model=8", "--model.model.n_layers=1"]
    else:
        sizes = MambaConfig(d_model=8, n_layers=1, d_state=2)
        arguments += ["--data.init_args.global_batch_size=16"]
        if model["init_args"].get("pretrained"):
            pretrained = checkpoint.save(tmp_path / "model", LanguageModel(sizes), Tokenizer())
            arguments += ["--model.init_args.pretrained", str(pretrained)]
        else:
            arguments += ["--model.init_args.model", json.dumps(asdict(sizes))]
    assert main(["fit", *arguments]) == 0
    assert (tmp_path / "run" / "model" / "model.safetensors").is_file()


@pytest.mark.parametrize("path", RESULTS, ids=[path.stem for path in RESULTS])
def test_every_configuration_of_the_results_is_built(path: Path, tmp_path: Path) -> None:
    """Their data is not in the checkout: classes, sizes and settings are checked as they stand."""
    run = ["--run_dir", str(tmp_path / "run"), "--trainer.accelerator=cpu", "--trainer.devices=1"]
    cli = TrainingCLI("fit", ["--config", str(path), *run])
    model = yaml.safe_load(path.read_text())["model"]
    assert type(cli.model).__name__ == model.get("class_path", "PretrainModule").split(".")[-1]
