"""Runs of the command line that are stopped at chosen moments, and what they leave behind.

``Runs`` starts ``stopped_runs_server.py``, which imports torch and Lightning once and carries out
each order in a process of its own. The tests and ``tools/resume_campaign.py`` drive it.
"""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml

__all__ = [
    "KINDS",
    "MOMENTS",
    "SIGNALS",
    "Case",
    "Outcome",
    "Runs",
    "Stop",
    "check",
    "configuration",
    "copy_samples",
]

ROOT = Path(__file__).parents[1]
SIGNALS = ("KILL", "TERM", "INT", "exception", "ENOSPC")
VALIDATE_EVERY = 4

_CALLBACKS, _MODULE = "dnamamba.training.callbacks", "dnamamba.training.module:TrainedModule"
_HOOKS = "pytorch_lightning:LightningModule"
_LOG = "dnamamba.training.metrics_file:MetricsFile.log_metrics"
# Where a run can be stopped: a function of the program or of Lightning, and whether before it is
# called, after, or in the middle of what it writes.
MOMENTS = {
    "import": ("dnamamba.cli:import_module", "before"),
    "indexing": ("dnamamba.data.modules.resumable:ResumableDataModule.setup", "before"),
    "restored": (f"{_CALLBACKS}:RunSummary.on_fit_start", "after"),
    "training begins": (f"{_MODULE}.on_train_start", "before"),
    "epoch begins": (f"{_HOOKS}.on_train_epoch_start", "after"),
    "fetch": ("dnamamba.data.samples.loader:SampleLoader.__iter__", "before"),
    "batch begins": (f"{_HOOKS}.on_train_batch_start", "before"),
    "in the step": (f"{_HOOKS}.backward", "before"),
    "before the update": (f"{_CALLBACKS}:StopOnNonFinite.on_before_optimizer_step", "before"),
    "updated": ("torch.optim:AdamW.step", "after"),
    "scheduled": (f"{_HOOKS}.lr_scheduler_step", "after"),
    "batch ends": (f"{_CALLBACKS}:LastCheckpoint.on_train_batch_end", "after"),
    "before the log": (_LOG, "before"),
    "in the log": (_LOG, "half a line"),
    "after the log": (_LOG, "after"),
    "before the checkpoint": (f"{_CALLBACKS}:LastCheckpoint._save_now", "before"),
    "in the checkpoint": ("torch:save", "half of last.ckpt"),
    "after the checkpoint": (f"{_CALLBACKS}:LastCheckpoint._save_now", "after"),
    "before validation": (f"{_MODULE}.on_validation_start", "before"),
    "in validation": (f"{_HOOKS}.on_validation_batch_end", "after"),
    "validated": (f"{_MODULE}.on_validation_epoch_end", "before"),
    "validation logged": (f"{_MODULE}.on_validation_epoch_end", "after"),
    "in the best": ("torch:save", "half of best.ckpt"),
    "after the best": (f"{_CALLBACKS}:BestCheckpoint.on_validation_end", "after"),
    "validation ends": (f"{_HOOKS}.on_validation_end", "after"),
    "epoch ends": (f"{_HOOKS}.on_train_epoch_end", "after"),
    "training ends": (f"{_HOOKS}.on_train_end", "before"),
    "before the export": (f"{_CALLBACKS}:ExportModel.on_fit_end", "before"),
    "in a write": ("os:fsync", "before"),
    "exported": (f"{_CALLBACKS}:ExportModel.on_fit_end", "after"),
}


@dataclass(frozen=True)
class Stop:
    """Where a run is stopped, and by what.

    Attributes:
        moment: of ``MOMENTS``; or None.
        signal: of ``SIGNALS``.
        occurrence: the moment's first, second, ...
        after: seconds after which the signal comes, where there is no moment.
        rank: of several processes the one that is stopped; None are all.
    """

    moment: str | None
    signal: str
    occurrence: int = 1
    after: float = 0.0
    rank: int | None = 0


@dataclass(frozen=True)
class Case:
    """A run and its stops.

    Attributes:
        kind: of ``KINDS``.
        every: steps between two checkpoints.
        workers: processes that read ahead.
        stops: one after the other, each on the run as the one before has left it.
        world: processes that train.
    """

    kind: str
    every: int
    workers: int
    stops: tuple[Stop, ...]
    world: int = 1


class Outcome(NamedTuple):
    """What became of a case.

    Attributes:
        stops: how many of its stops were reached.
        wrong: what differs from the run never stopped, or what the run that failed said.
        seconds: from the last stop to the end of the last process.
        codes: of each process, after the last stop.
    """

    stops: int
    wrong: list[str]
    seconds: float
    codes: list[int]


def _labelled(
    data: str, module: str, tuning: dict[str, Any] | None = None, **arguments: Any
) -> dict[str, Any]:
    head = {"dropout": 0.2, "pooling": "mean", "both_strands": True}
    model = {"model": {"d_model": 8, "n_layers": 1, "d_state": 2}, "head": head}
    # High, and not lowered, so that the best is not the last.
    optimizer = {"lr": 0.2, "warmup_steps": 2, "min_lr_ratio": 1.0}
    return {
        "data": {"class_path": f"dnamamba.data.modules.{data}", "init_args": arguments},
        "model": {
            "class_path": f"dnamamba.training.finetune.{module}",
            "init_args": {**model, "optimizer": optimizer, **(tuning or {})},
        },
    }


def _stopping(**trainer: Any) -> dict[str, Any]:
    patience = {"monitor": "validation/loss", "patience": 2, "verbose": False}
    stopping = {"class_path": "pytorch_lightning.callbacks.EarlyStopping", "init_args": patience}
    return {"callbacks": [stopping], **trainer}


_PRETRAINING: dict[str, Any] = {
    "data": {
        "genomes": ["data/samples/phix174.fa"],
        "length": 128,
        "global_batch_size": 4,
        "split": {"validation": {"fraction": 0.3}, "guard": 10},
    },
    "model": {
        "model": {"d_model": 8, "n_layers": 1, "d_state": 2},
        "optimizer": {"lr": 0.1, "warmup_steps": 2, "min_lr_ratio": 1.0},
    },
}
_SEQUENCE_DATA: dict[str, Any] = {
    "files": {"train": "FOLDER/sequences.csv"},
    "fields": {"sequence": "sequence", "label": "label"},
    "split": {"validation": 0.3, "test": 0.0},
    "global_batch_size": 8,
}
_SEQUENCE_CLASSES = "sequences.LabelledSequenceDataModule", "ClassificationModule"
_SEQUENCES = _labelled(*_SEQUENCE_CLASSES, **_SEQUENCE_DATA)
_BY_LAYER = {"tuning": {"unfreeze_every": 3, "layer_decay": 0.8}, "class_weights": True}
KINDS: dict[str, dict[str, Any]] = {
    "pretraining": _PRETRAINING,
    "masked": {
        "data": _PRETRAINING["data"] | {"soft_mask_weight": 0.5},
        "model": {
            "model": _PRETRAINING["model"]["model"] | {"family": "bimamba"},
            "objective": {"name": "masked_bases", "share": 0.3, "seed": 7},
            "optimizer": _PRETRAINING["model"]["optimizer"],
        },
    },
    "lanes": {
        **_PRETRAINING,
        "data": _PRETRAINING["data"] | {"rows": "lanes", "length": 64},
        "trainer": {"accumulate_grad_batches": 2},
    },
    "accumulated": {
        **_PRETRAINING,
        "data": _PRETRAINING["data"] | {"length_schedule": [[0, 64], [5, 256], [8, 128]]},
        "trainer": {"accumulate_grad_batches": 2},
    },
    "sequences": _SEQUENCES,
    "layer by layer": _labelled(*_SEQUENCE_CLASSES, _BY_LAYER, **_SEQUENCE_DATA),
    "stopping early": {**_SEQUENCES, "trainer": _stopping(max_steps=40)},
    "by epochs": {
        **_SEQUENCES,
        "trainer": _stopping(
            max_steps=-1, max_epochs=6, val_check_interval=1.0, check_val_every_n_epoch=1
        ),
    },
    "species": _labelled(
        "species.SpeciesDataModule",
        "ClassificationModule",
        species={"hiv": "data/samples/hiv1.fa", "phix": "data/samples/phix174.fa"},
        length=256,
        split={"validation": {"fraction": 0.3}, "guard": 10},
        global_batch_size=8,
        balanced=True,
    ),
    "variants": _labelled(
        "variants.VariantDataModule",
        "VariantModule",
        files={"genome": "data/samples/arabidopsis_chloroplast.fa", "train": "FOLDER/v.vcf"},
        fields={"info": "EFFECT"},
        labels={"kind": "class", "classes": ["synonymous", "stop"]},
        split={"validation": {"fraction": 0.3}, "block": 2000},
        length=32,
        global_batch_size=8,
        reverse_complement=True,
    ),
}


def copy_samples(folder: Path) -> None:
    """Put the few labelled records that the kinds read into a folder."""
    samples = ROOT / "data" / "samples" / "labelled"
    for name, source, rows in (
        ("sequences.csv", "coding.csv", 60),
        ("v.vcf", "chloroplast_stops.vcf", 70),
    ):
        lines = (samples / source).read_text().splitlines()[:rows]
        (folder / name).write_text("\n".join(lines) + "\n")


def configuration(kind: str, samples: Path, run: Path) -> dict[str, Any]:
    """The configuration of a run.

    Args:
        kind: of ``KINDS``.
        samples: the folder of ``copy_samples``.
        run: the run's folder.
    """
    text = yaml.safe_dump(KINDS[kind]).replace("FOLDER", str(samples))
    content: dict[str, Any] = yaml.safe_load(text)
    trainer = {
        "accelerator": "cpu",
        "devices": 1,
        "max_steps": 14,
        "val_check_interval": VALIDATE_EVERY,
        "check_val_every_n_epoch": None,
        "log_every_n_steps": 3,
        "num_sanity_val_steps": 0,
        "enable_progress_bar": False,
    }
    trainer |= content.get("trainer", {})
    return {**content, "trainer": trainer, "run_dir": str(run)}


class Runs:
    """Carries out runs in processes of their own, each in a folder of its own.

    Args:
        folder: of all that they read and write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        copy_samples(folder)
        self._log = (folder / "server.txt").open("w")
        # Runs are forked, which CUDA does not survive: they are held to the CPU's bits in any case.
        environment = {
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
            "DNAMAMBA_CACHE": str(folder / "cache"),
        }
        self._server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("stopped_runs_server.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, **environment},
        )
        self._whole: dict[tuple[str, int], Path] = {}
        self.count, self.seconds = 0, 0.0
        self.fit(self.new("stopping early"))  # in the server itself, which is then quicker

    def close(self) -> None:
        """End the server."""
        with self._server, self._log:
            pass

    def whole(self, kind: str, world: int = 1) -> Path:
        """The folder of a run that was never stopped, the same for all that are."""
        if (kind, world) not in self._whole:
            path = self.new(kind, world=world)
            codes, _ = self.fit(path)
            assert not any(codes), _said(path)
            self._whole[kind, world] = path
        return self._whole[kind, world]

    def new(self, kind: str, every: int = VALIDATE_EVERY, workers: int = 0, world: int = 1) -> Path:
        """The folder of a run that is yet to begin.

        Args:
            kind: of ``KINDS``.
            every: steps between two checkpoints.
            workers: processes that read ahead.
            world: processes that train.
        """
        self.count += 1
        path = self.folder / f"run-{self.count}"
        path.mkdir()
        content = configuration(kind, self.folder, path / "run")
        data = content["data"]
        data.get("init_args", data)["num_workers"] = workers
        content["checkpoint_every"] = every
        content["trainer"] |= {"devices": world, "strategy": "auto" if world == 1 else "ddp"}
        (path / "config.yaml").write_text(yaml.safe_dump(content))
        return path

    def fit(self, path: Path, stop: Stop | None = None) -> tuple[list[int], bool]:
        """Begin a run or go on with it.

        Returns:
            The exit status of each process, and whether the stop was reached. ``seconds`` is then
            how long it took them to end.
        """
        hit = path / "hit"
        hit.unlink(missing_ok=True)
        config = path / "config.yaml"
        order: dict[str, Any] = {
            "arguments": ["fit", "-c", str(config), "--ckpt_path", "last"],
            "output": str(path / "said.txt"),
            "world": yaml.safe_load(config.read_text())["trainer"]["devices"],
        }
        if stop is not None:
            target, how = MOMENTS[stop.moment] if stop.moment else (None, "later")
            order["stop"] = {**asdict(stop), "target": target, "how": how, "hit": str(hit)}
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(json.dumps(order), file=self._server.stdin, flush=True)
        answer = json.loads(self._server.stdout.readline())
        self.seconds = answer["seconds"]
        return answer["codes"], hit.exists()


def check(runs: Runs, case: Case) -> Outcome:
    """Stop a run, let it end, and hold it against the one that was never stopped."""
    whole = runs.whole(case.kind, case.world)
    path = runs.new(case.kind, case.every, case.workers, case.world)
    stops, codes = 0, [0]
    for stop in case.stops:
        codes, hit = runs.fit(path, stop)
        stops += hit
    seconds = runs.seconds
    ended, _ = runs.fit(path)
    wrong = (
        [f"exit status {ended}", _said(path)[-1500:]] if any(ended) else differences(whole, path)
    )
    if not wrong:
        shutil.rmtree(path)
    return Outcome(stops, wrong, seconds, codes)


def differences(one: Path, other: Path) -> list[str]:
    """In what two finished runs differ: the names of files and of what is in them."""
    a, b = _left(one), _left(other)
    return sorted(name for name in a.keys() | b.keys() if not _same(a.get(name), b.get(name)))


def _left(path: Path) -> dict[str, Any]:
    """What a run left, but for times and for what depends on how often it was saved."""
    run = path / "run"
    left: dict[str, Any] = {}
    for name in ("last", "best"):
        checkpoint = torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)
        parts = ("global_step", "epoch", "state_dict", "optimizer_states", "lr_schedulers")
        carried = ("random_state", "running_sums", "resume_point")
        left |= {f"{name}.ckpt {part}": checkpoint[part] for part in (*parts, *carried)}
        left[f"{name}.ckpt lanes"] = checkpoint.get("lanes")
        for key, state in checkpoint["callbacks"].items():
            if not key.startswith("LastCheckpoint"):
                kept = {k: v for k, v in state.items() if k not in ("seconds", "dirpath")}
                left[f"{name}.ckpt {key}"] = _relative(kept, path)
        metrics = left[f"{name}.ckpt resume_point"]["metrics"]
        left[f"{name}.ckpt resume_point"]["metrics"] = _timeless(metrics)
    with (run / "metrics.csv").open(newline="") as file:
        left["metrics.csv"] = [_timeless(row) for row in csv.DictReader(file)]
    left |= {f"model/{file.name}": file.read_bytes() for file in (run / "model").iterdir()}
    card = left["model/README.md"].decode()
    left["model/README.md"] = re.sub(r"; time: [\d:]+;", ";", card)
    summary = re.findall(r"^ ?(steps|bases read|best \S+) +(\S.*?) *$", _said(path), re.MULTILINE)
    left["summary"] = summary or "no summary"
    config = yaml.safe_load((run / "config.yaml").read_text())
    left["config.yaml"] = {key: config[key] for key in ("ckpt_path", "model", "seed_everything")}
    left["files"] = sorted(str(file.relative_to(run)) for file in run.rglob("*"))
    return left


def _said(path: Path) -> str:
    """What the last process of a run printed."""
    return (path / "said.txt").read_text()


def _timeless(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if not name.endswith("per_second")}


def _relative(state: Any, path: Path) -> Any:
    if isinstance(state, dict):
        return {_relative(k, path): _relative(v, path) for k, v in state.items()}
    return os.path.relpath(state, path) if isinstance(state, str) and "/" in state[:1] else state


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b)
