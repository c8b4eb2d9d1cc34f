"""What the tests of the command line share: a configuration of a run of seconds, its step."""

from pathlib import Path
from typing import Any

import torch
import yaml

__all__ = ["config", "step"]


def config(folder: Path, **sections: Any) -> str:
    """A small run on phiX174 (5,386 bp)."""
    content: dict[str, Any] = {
        "run_dir": str(folder / "run"),
        "data": {
            "genomes": ["data/samples/phix174.fa"],
            "length": 64,
            "global_batch_size": 4,
            "cache_dir": str(folder / "cache"),
            "split": {"validation": {"fraction": 0.2}, "test": {"fraction": 0.2}, "guard": 64},
        },
        "model": {
            "model": {"d_model": 8, "n_layers": 1, "d_state": 2},
            "optimizer": {"lr": 1e-2, "warmup_steps": 2, "min_lr_ratio": 1.0},
        },
        "trainer": {
            "accelerator": "cpu",
            "devices": 1,
            "max_steps": 6,
            "val_check_interval": 3,
            "check_val_every_n_epoch": None,
            "log_every_n_steps": 2,
        },
    }
    for name, section in sections.items():
        content[name] = {**content[name], **section} if isinstance(section, dict) else section
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


def step(run: Path) -> int:
    """How far a run's last checkpoint has come."""
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    return int(checkpoint["global_step"])
