"""``metrics.csv``: one file a run, whole after a kill, continued by a resume."""

import csv
import io
from pathlib import Path
from typing import Any, TextIO

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from dnamamba.files import replacing

__all__ = ["MetricsFile"]

Row = dict[str, Any]


class MetricsFile(Logger):
    """Appends each logged row to ``FOLDER/metrics.csv`` at once.

    A resumed run continues the file: rows of its first logged step and later ones, left by the
    run that was cut short, make way. A metric that was never logged before adds a column, for
    which the file is written anew.

    Args:
        folder: the run's folder.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        self.path = Path(folder) / "metrics.csv"
        self._columns: list[str] | None = None

    @property
    def name(self) -> str:
        return ""

    @property
    def version(self) -> str:
        return ""

    @property
    def save_dir(self) -> str:
        """The run's folder; Lightning puts ``config.yaml`` there."""
        return str(self.path.parent)

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: ``config.yaml`` and the checkpoints hold them."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        row: Row = {"step": step, **metrics}
        if self._columns is None:
            kept = [old for old in self._read() if step is None or int(old["step"]) < step]
            self._columns = list(kept[0]) if kept else list(row)
            self._rewrite(kept)
        new = [name for name in row if name not in self._columns]
        if new:
            kept = self._read()
            self._columns += new
            self._rewrite(kept)
        with self.path.open("a", newline="") as file:
            self._writer(file).writerow(row)

    def _read(self) -> list[Row]:
        if not self.path.is_file():
            return []
        whole, _, _ = self.path.read_text().rpartition("\n")  # a kill can cut the last line short
        return list(csv.DictReader(io.StringIO(whole)))

    def _rewrite(self, rows: list[Row]) -> None:
        text = io.StringIO()
        writer = self._writer(text)
        writer.writeheader()
        writer.writerows(rows)
        with replacing(self.path) as file:
            file.write(text.getvalue().encode())

    def _writer(self, file: TextIO) -> "csv.DictWriter[str]":
        return csv.DictWriter(file, self._columns or [], restval="", lineterminator="\n")
