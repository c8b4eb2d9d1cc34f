"""``metrics.csv``: one file a run, whole after a kill, continued by a resume."""

import csv
import io
import os
from pathlib import Path
from typing import Any, TextIO

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from dnamamba.files import replacing

__all__ = ["MetricsFile"]

Row = dict[str, Any]


class MetricsFile(Logger):
    """Appends each logged row to ``FOLDER/metrics.csv`` at once.

    A resumed run continues the file: rows that the run cut short has logged after its checkpoint
    make way (see ``go_back``; without it those of the first logged step and later ones). A metric
    that was never logged before adds a column, for which the file is written anew.

    Args:
        folder: the run's folder.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        self.path = Path(folder) / "metrics.csv"
        self._columns: list[str] | None = None  # None before the first row
        self._earlier: list[Row] | None = None  # of the run that is resumed
        self._rows = 0

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

    @property
    def rows(self) -> int:
        """Rows of the run so far."""
        return self._rows

    def go_back(self, step: int, validation_due: bool, rows: int | None = None) -> None:
        """Leave what was logged after a checkpoint out of the run, from the next row on.

        Args:
            step: of the checkpoint.
            validation_due: whether the validation of that step comes after it.
            rows: how many rows the run had; None where the checkpoint does not say.
        """
        self._earlier = [
            row
            for row in self._read()[:rows]
            if int(row["step"]) < step
            or (int(row["step"]) == step and not (validation_due and _of_validation(row)))
        ]
        self._rows = len(self._earlier)

    @rank_zero_only
    def save(self) -> None:
        """Let the rows so far survive a power cut."""
        self._open()
        if self.path.is_file():
            with self.path.open("a") as file:
                os.fsync(file.fileno())

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: ``config.yaml`` and the checkpoints hold them."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        row: Row = {"step": step, **metrics}
        if self._columns is None and self._earlier is None:
            kept = [old for old in self._read() if step is None or int(old["step"]) < step]
            self._earlier, self._rows = kept, len(kept)
        self._open()
        if self._columns is None:
            self._columns = list(row)
            self._rewrite([])
        new = [name for name in row if name not in self._columns]
        if new:
            kept = self._read()
            self._columns += new
            self._rewrite(kept)
        with self.path.open("a", newline="") as file:
            self._writer(file).writerow(row)
        self._rows += 1

    def _open(self) -> None:
        """Drop what is no part of the run."""
        if self._columns is None and self._earlier is not None:
            if self._earlier:
                self._columns = list(self._earlier[0])
                self._rewrite(self._earlier)
            else:
                self.path.unlink(missing_ok=True)
            self._earlier = None

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


def _of_validation(row: Row) -> bool:
    return any(value and name.startswith("validation/") for name, value in row.items())
