"""What a probe has found: figures of every fold, as a table and as files."""

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dnamamba.files import replacing_together
from dnamamba.probing.picture import draw
from dnamamba.probing.rows import METRICS, Row
from dnamamba.tables import aligned

__all__ = ["FILES", "Probe"]

FILES = ("probe.md", "probe.csv", "probe.json", "probe.png")


@dataclass(frozen=True)
class Probe:
    """Figures of a cross-validated probe; ``print`` shows its table.

    Attributes:
        rows: one a learner of k-mers, of new weights and of the model, for each layer.
        metrics: the names of all figures, the main one first.
        kind: of the labels: class, multilabel or number.
        about: data, model and settings, in plain types.
        remarks: what a reader should know, a sentence each.
    """

    rows: tuple[Row, ...]
    metrics: tuple[str, ...]
    kind: str
    about: Mapping[str, Any]
    remarks: tuple[str, ...] = ()

    def columns(self) -> dict[str, list[Any]]:
        """A line a row and metric, as ``pandas.DataFrame`` takes it: name -> values.

        ``features``, ``layer`` (None of k-mers), ``learner``, ``metric``, ``mean`` and sample
        ``deviation`` over the ``folds`` in which the metric is defined.
        """
        names = ("features", "layer", "learner", "metric", "mean", "deviation", "folds")
        lines = [
            (row.features, row.layer, row.learner, metric, *row.spread(metric))
            for row in self.rows
            for metric in self.metrics
        ]
        return {name: [line[i] for line in lines] for i, name in enumerate(names)}

    def markdown(self) -> str:
        """The table of the main figures, and the remarks."""
        shown = METRICS[self.kind]
        several = len({row.layer for row in self.rows if row.layer is not None}) > 1
        head = ["features", *(["layer"] if several else []), "learner", *shown.values()]
        lines = [
            [
                row.features,
                *([row.layer_name] if several else []),
                row.learner,
                *(_cell(*row.spread(metric)) for metric in shown),
            ]
            for row in self.rows
        ]
        remarks = "\n".join(f"- {remark}" for remark in self.remarks)
        return f"{aligned(head, lines, left=head.index('learner') + 1)}\n\n{remarks}"

    def __str__(self) -> str:
        return self.markdown()

    def plot(self, path: str | Path) -> None:
        """Draw the main figure as a PNG: a dot a column, or of several layers a line over them."""
        draw(self.rows, self.metrics[0], METRICS[self.kind][self.metrics[0]], Path(path))

    def write(self, folder: str | Path) -> None:
        """Write ``probe.md``, ``.csv``, ``.json`` and ``.png``; what stands there is replaced.

        Raises:
            OSError: it cannot be written; what stood there is intact.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        texts = (f"{self.markdown()}\n", self._csv(), self._json())
        with replacing_together() as opened:
            for name, text in zip(FILES, texts, strict=False):
                with opened(folder / name) as file:
                    file.write(text.encode())
            shown = METRICS[self.kind][self.metrics[0]]
            draw(self.rows, self.metrics[0], shown, folder / FILES[-1], opened)

    def _csv(self) -> str:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        columns = self.columns()
        writer.writerow(columns)
        for line in zip(*columns.values(), strict=True):
            writer.writerow([_short(cell) for cell in line])
        return text.getvalue()

    def _json(self) -> str:
        rows = [
            {
                "features": row.features,
                "layer": row.layer,
                "learner": row.learner,
                "folds": [{name: _number(x) for name, x in fold.items()} for fold in row.folds],
                **({"chosen": list(row.chosen)} if row.chosen else {}),
            }
            for row in self.rows
        ]
        content = {**self.about, "kind": self.kind, "metrics": list(self.metrics), "rows": rows}
        return json.dumps({**content, "remarks": list(self.remarks)}, indent=1) + "\n"


def _cell(mean: float | None, deviation: float | None, folds: int) -> str:
    if mean is None:
        return "–"
    return f"{mean:.3f}" + ("" if deviation is None else f" ± {deviation:.3f}")


def _short(cell: Any) -> Any:
    return round(cell, 6) if isinstance(cell, float) else cell


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
