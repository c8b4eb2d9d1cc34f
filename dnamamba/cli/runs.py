"""A run's folder: what lies where, and when a command may write there."""

import sys
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_only

from dnamamba.cards import CARD, CardSettings
from dnamamba.files import why_not_writable
from dnamamba.training.callbacks import (
    BEFORE,
    BestCheckpoint,
    ExportModel,
    LastCheckpoint,
    MemoryForecast,
    RunProgress,
    RunSummary,
)

__all__ = ["RunFolder", "callbacks"]

# What test, predict and report write into a run's folder.
_RESULTS = (
    *("test.json", "predictions*.parquet", "predictions*.tsv"),
    *("confusion.png", "roc.png", "pr.png", "scatter.png"),
    *("summary.json", "loss.png", "generated.fa", "embeddings.npz"),
)


class RunFolder:
    """``config.yaml``, ``metrics.csv``, ``checkpoints/`` with last and best, ``model/`` to share.

    Args:
        path: the folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"
        self.last = self.checkpoints / "last.ckpt"
        self.best = self.checkpoints / "best.ckpt"
        self.model = self.path / "model"

    @staticmethod
    def of(checkpoint: Path) -> Path:
        """The folder of the run that a checkpoint is of; its own where that is none's."""
        folder = checkpoint.absolute().parent
        return folder.parent if folder.name == "checkpoints" else folder

    def find(self, name: str) -> Path:
        """The file that ``--ckpt_path`` names: ``last``, ``best`` or a path.

        Raises:
            FileNotFoundError: it is not there; says what is.
        """
        path = {"last": self.last, "best": self.best}.get(name, Path(name))
        if not path.is_file():
            others = sorted(str(other) for other in self.checkpoints.glob("*.ckpt"))
            remedy = f"{self.path} has none yet"
            if others:
                remedy = f"choose with --ckpt_path among {', '.join(others)}"
            raise FileNotFoundError(f"there is no checkpoint {path}; {remedy}")
        return path

    def prepare(self, resume_from: str | None, overwrite: bool) -> Path | None:
        """Find the checkpoint from which a run goes on; None: it begins, and may ``clear``.

        ``last`` begins anew where there is none yet, so that the same command serves the first
        start and every restart; what a run has left that was cut short before its first
        ``last.ckpt`` makes way.

        Raises:
            ValueError: the folder holds a run, and it is neither resumed nor overwritten.
            FileNotFoundError: the checkpoint is not there.
        """
        if resume_from is not None and (resume_from != "last" or self.last.is_file()):
            return self.find(resume_from)
        # Lightning starts the other processes when the first has begun to write.
        if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
            existing = [path for path in self._files() if path.is_file()]
            if existing and not overwrite:
                self._refuse(existing[0], resume_from)
        return None

    def clear(self) -> None:
        """Make way for a run that begins."""
        # Results of the run before are not those of the one that comes.
        results = [path for name in _RESULTS for path in self.path.glob(name)]
        for path in [*self._files(), *results, self.checkpoints / BEFORE]:
            path.unlink(missing_ok=True)

    def refuse_predictions(self, overwrite: bool) -> None:
        """Say before the work, not after it, that its table is there already.

        Raises:
            ValueError: it is, and ``overwrite`` is False.
        """
        existing = sorted(self.path.glob("predictions*.tsv"))
        if existing and not overwrite:
            raise ValueError(f"{existing[0]} exists; set --overwrite to replace it")

    def check_writable(self, command: str) -> None:
        """Say before the work, not after it, that what it makes cannot be written.

        Raises:
            ValueError: a folder is read-only, or something else has the name of a file or folder.
        """
        results = [self.path / name.replace("*", "") for name in _RESULTS]
        written = {"fit": [self.last, *self._files()], "test": results, "predict": results}
        for path in written.get(command, []):
            if why := why_not_writable(path):
                raise ValueError(
                    f"{path} {why.partition('; ')[0]}; make way for it, or name another --run_dir"
                )

    def _refuse(self, existing: Path, resume_from: str | None) -> None:
        """Refuse to write over a run, but for one that was cut short before its last.ckpt."""
        if resume_from is None:
            raise ValueError(
                f"{self.path} holds a run already ({existing.name}). Resume it with "
                "--ckpt_path last, replace it with --overwrite, or name another folder with "
                "--run_dir"
            )
        others = [path for path in self.checkpoints.glob("*.ckpt") if path != self.best]
        others += self.model.glob("*.*")
        if others:
            raise ValueError(
                f"{self.path} has no last.ckpt to resume from, but {others[0]}: this run had one. "
                "Name a checkpoint with --ckpt_path, replace the run with --overwrite, or name "
                "another folder with --run_dir"
            )
        print(f"{self.path} has no last.ckpt yet: the run begins anew", file=sys.stderr)

    def _files(self) -> list[Path]:
        names = (
            *("metrics.csv", "config.yaml"),
            *(f"model/{name}" for name in ("config.json", "model.safetensors", CARD)),
        )
        # The last checkpoint first: a kill on the way leaves nothing to resume.
        checkpoints = sorted(self.checkpoints.glob("*.ckpt"), key=lambda path: path != self.last)
        return [*checkpoints, *(self.path / name for name in names)]


def callbacks(
    folder: RunFolder,
    module: pl.LightningModule,
    checkpoint_every: int | None,
    log_every: int,
    progress_bar: bool = True,
    card: CardSettings | None = None,
) -> list[pl.Callback]:
    """What a command adds to the trainer.

    Args:
        folder: where files go.
        module: the module; ``best.ckpt`` follows the metric that it names in ``monitor``.
        checkpoint_every: steps between two saves; None for a command that does not train.
        log_every: steps between two log lines.
        progress_bar: whether to show where the run stands.
        card: what the model's card says that no run knows.
    """
    progress: list[pl.Callback] = []
    if progress_bar:
        progress.append(RunProgress(every_n_steps=log_every or 1))
    if checkpoint_every is None:
        return progress
    extra: list[Any] = [
        RunSummary(folder.path),
        MemoryForecast(),
        ExportModel(folder.model, card),
        LastCheckpoint(folder.checkpoints, checkpoint_every),
    ]
    monitor = getattr(module, "monitor", None)
    if monitor is not None:
        extra.append(BestCheckpoint(folder.checkpoints, *monitor))
    return progress + extra
