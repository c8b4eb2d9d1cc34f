"""Runs of ``dnamamba fit`` that benchmarks make: the configuration, and a clock of the steps."""

import json
from pathlib import Path
from typing import Any

from jobs.inputs import Inputs

__all__ = ["step_clock", "write_config"]


def step_clock(times: Path, warm_up: int) -> dict[str, Any]:
    """A callback that leaves in ``times`` what steps took behind the first ``warm_up``."""
    arguments = {"path": str(times), "warm_up": warm_up}
    return {"class_path": "step_callbacks.StepClock", "init_args": arguments}


def write_config(
    inputs: Inputs,
    run: Path,
    sections: dict[str, Any],
    steps: int,
    callback: dict[str, Any] | None = None,
    **trainer: Any,
) -> Path:
    """The configuration of a run, beside its folder.

    Args:
        inputs: they say on what device.
        run: the run's folder.
        sections: ``data`` and ``model``.
        steps: of the optimiser.
        callback: as a configuration names it.
        trainer: settings of the trainer that are not as by default here.
    """
    settings = {
        "accelerator": "gpu" if inputs.device == "cuda" else "cpu",
        "devices": 1,
        "max_steps": steps,
        "val_check_interval": steps,
        "check_val_every_n_epoch": None,
        "limit_val_batches": 4,
        "gradient_clip_val": 1.0,
        "precision": "bf16-mixed",
        "callbacks": [callback] if callback else [],
    }
    content = {"run_dir": str(run), **sections, "trainer": settings | trainer}
    path = run.with_name(f"{run.name}.yaml")
    path.write_text(json.dumps(content))  # JSON is YAML
    return path
