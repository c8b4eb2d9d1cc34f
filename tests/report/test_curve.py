"""The picture of a run's loss."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from dnamamba.report import curve
from dnamamba.report.curve import Curve, plot_curve


def test_borders_of_lengths_are_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they fall in bases seen; those that the run has not come to are not."""
    seen: list[Figure] = []
    mark = curve._mark

    def look(axes, stages):  # type: ignore[no-untyped-def]
        mark(axes, stages)
        seen.append(axes.figure)

    monkeypatch.setattr(curve, "_mark", look)
    train = Curve(np.arange(1.0, 401), 2 - np.linspace(0, 0.2, 400))
    validation = Curve(np.array([100.0, 400]), np.array([1.95, 1.9]))
    lengths = [(0, 64), (100, 1024), (250, 4096), (5000, 16384)]
    best = 1.85, "Markov order 2 (validation)"
    plot_curve(tmp_path / "a.png", train, validation, 10_000, best, lengths=lengths)
    plot_curve(tmp_path / "b.png", train, validation, 10_000, best)
    marked, plain = (figure.axes[0] for figure in seen)
    assert [text.get_text() for text in marked.texts] == [
        *("windows of 64 bp", "windows of 1,024 bp", "windows of 4,096 bp")
    ]
    assert [float(text.xy[0]) for text in marked.texts] == [0.0, 1.0, 2.5]  # type: ignore[attr-defined]
    upright = [line for line in marked.lines if len(set(line.get_xdata())) == 1]  # type: ignore[arg-type]
    assert [float(line.get_xdata()[0]) for line in upright] == [1.0, 2.5]  # type: ignore[index]
    assert marked.get_xlim() == plain.get_xlim()
    assert not plain.texts
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()
