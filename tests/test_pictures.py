"""Pictures are of one family, nothing in them is cut or overlaps, and colours can be told apart."""

import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from itertools import combinations
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from benchmark_tables import small_table
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from dnamamba.benchmark.table import chart
from dnamamba.commands import mutagenesis_plot
from dnamamba.commands.attribution_plot import plot_contributions
from dnamamba.commands.mutagenesis_plot import plot_effects
from dnamamba.files import replacing
from dnamamba.inference.contributions import Contributions
from dnamamba.inference.mutagenesis import Effects
from dnamamba.model.heads import HEADS
from dnamamba.pictures import BASE_COLOURS, COLOURS, NARROW, new_figure, save_png, shortened, styled
from dnamamba.probing import picture
from dnamamba.probing.rows import Row
from dnamamba.report.curve import Curve, plot_curve
from dnamamba.training.held_out import Outcomes
from dnamamba.training.plots import plot_test

MANY = tuple(f"Arabidopsis thaliana subspecies {i}" for i in range(14))

# Machado et al. 2009, table 1, severity 1.0: linear RGB as the colour-blind see it.
BLIND = {
    "nobody": np.eye(3),
    "protanopia": np.array(
        [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]
    ),
    "deuteranopia": np.array(
        [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]
    ),
}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Every figure that is written."""
    figures: list[Figure] = []
    print_png = FigureCanvasAgg.print_png

    def keep(self: FigureCanvasAgg, *args: object, **settings: object) -> None:
        print_png(self, *args, **settings)  # type: ignore[arg-type]
        figures.append(self.figure)

    monkeypatch.setattr(FigureCanvasAgg, "print_png", keep)
    return figures


def outcomes(kind: str, labels: int) -> Outcomes:
    n, generator = 200, torch.Generator().manual_seed(1)
    if kind == "regression":
        label = torch.randn(n, generator=generator)
        said = (label + torch.randn(n, generator=generator)).double()[:, None]
    else:
        label = torch.arange(n) % labels
        said = torch.rand(n, labels, generator=generator).double().softmax(1)
    return Outcomes(torch.arange(n), torch.ones(n).double(), said, label)


def of_test(kind: str, labels: tuple[str, ...]) -> Callable[[Path], object]:
    head = HEADS[kind](4, max(1, len(labels)), 0.0)
    return lambda out: plot_test(out, outcomes(kind, len(labels)), head, labels, replacing)


def of_region(size: int) -> Callable[[Path], object]:
    llr = np.random.default_rng(1).normal(size=(size, 4))
    llr[2] = np.nan
    effects = Effects("chr17", 43_044_007, ("ACNGT" * size)[:size], llr, llr, llr)

    def draw(out: Path) -> None:
        with replacing(out / "region.png") as file:
            plot_effects(effects, file)

    return draw


def of_contributions(size: int, label: str = "enhancer") -> Callable[[Path], object]:
    each = np.random.default_rng(2).normal(size=(size, 4))
    found = Contributions(("ACNGT" * size)[:size], each[:, 0], each, 1.0, 0.0)

    def draw(out: Path) -> None:
        with replacing(out / "why.png") as file:
            plot_contributions(found, "chr17", 43_044_007, f"{label} (log-odds)", file)

    return draw


def of_probe(*layers: int) -> Callable[[Path], object]:
    folds = ({"mcc": 0.5}, {"mcc": 0.6})
    rows = [
        Row(features, layer, learner, folds)
        for features, depths in {"a/long/path/to/a/run/model": layers, "k-mers": (None,)}.items()
        for layer in depths
        for learner in ("linear", "forest")
    ]
    return lambda out: picture.draw(rows, "mcc", "MCC", out / "probe.png")


def of_run(out: Path) -> None:
    course = Curve(np.arange(1.0, 101), 2 - np.linspace(0, 0.2, 100))
    lengths = [(0, 64), (50, 1024)]
    best = 1.9, "Markov order 11 (validation)"
    plot_curve(out / "loss.png", course, course, 10_000, best, lengths=lengths)


PICTURES: dict[str, Callable[[Path], object]] = {
    "two classes": of_test("binary", ("coding", "intergenic")),
    "many classes": of_test("multiclass", MANY),
    "numbers": of_test("regression", ()),
    "a short region": of_region(12),
    "contributions": of_contributions(12),
    "contributions to a long label": of_contributions(12, "WHOLE SENTENCES, " * 9),
    "a probe": of_probe(-1),
    "a probe of layers": of_probe(0, 1, -1),
    "a run": of_run,
    "a benchmark": lambda out: chart.draw(small_table(), out / "chart.png"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_nothing_is_cut_or_overlaps(name: str, drawn: list[Figure], tmp_path: Path) -> None:
    PICTURES[name](tmp_path)
    assert drawn
    for figure in drawn:
        for text in figure.findobj(Text):
            if text.get_text() and text.get_visible() and not text.get_clip_on():
                box = text.get_window_extent()
                words = text.get_text(), box.extents
                assert box.x0 >= -1, words
                assert box.y0 >= -1, words
                assert box.x1 <= figure.bbox.x1 + 1, words
                assert box.y1 <= figure.bbox.y1 + 1, words
        for axes in figure.axes:
            for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
                shown = [label for label in labels if label.get_rotation() in (0, 90)]
                boxes = [label.get_window_extent() for label in shown if label.get_text()]
                for one, other in combinations(boxes, 2):
                    assert not one.overlaps(other), axes.get_xlabel() or axes.get_ylabel()


def test_axes_say_their_units_and_legends_their_classes(
    drawn: list[Figure], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mutagenesis_plot, "LEGIBLE", 9)  # letters in longer lines, areas
    for name in ("many classes", "a short region", "a run"):
        PICTURES[name](tmp_path)
    _, roc, _, region, run = drawn
    legend = roc.axes[0].get_legend()
    assert legend is not None
    named = [text.get_text().partition(":")[0] for text in legend.get_texts()]
    assert named == [*(shortened(label, 32) for label in MANY), "chance"]
    assert legend.get_window_extent().x0 >= roc.axes[0].get_window_extent().x1
    (bases,) = region.legends
    assert [text.get_text() for text in bases.get_texts()] == [*"ACGT", "not scored (N)"]
    assert region.axes[0].get_ylabel().endswith("(nats)")
    assert region.axes[-2].get_xlabel() == "position in chr17 (0-based)"
    assert (run.axes[0].get_xlabel(), run.axes[0].get_ylabel()) == (
        "bases seen (Mb)",
        "bits per base",
    )


def test_a_user_s_own_settings_neither_change_a_picture_nor_are_changed() -> None:
    @styled()
    def draw() -> bytes:
        figure = new_figure(NARROW, 2)
        figure.subplots().plot([1, 2], label="a")
        save_png(figure, file := BytesIO())
        return file.getvalue()

    plain = draw()
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black", "text.usetex": True}):
        assert draw() == plain
        assert matplotlib.rcParams["font.size"] == 30


def test_dollars_in_names_are_no_formula(drawn: list[Figure], tmp_path: Path) -> None:
    names = ("$\\frac$", "1$_$")
    of_test("binary", names)(tmp_path)
    assert [tick.get_text() for tick in drawn[0].axes[0].get_xticklabels()] == list(names)


def test_lines_beyond_the_colours_go_on_in_another_dash(drawn: list[Figure]) -> None:
    @styled()
    def draw() -> list[tuple[object, ...]]:
        axes = new_figure(NARROW, 2).subplots()
        lines = [axes.plot([0, 1])[0] for _ in range(24)]
        return [(line.get_color(), line.get_linestyle()) for line in lines]

    looks = draw()
    assert looks[0][0] == looks[6][0] == COLOURS[0]
    assert len(set(looks)) >= 18  # dashes of one's own have no name


@pytest.mark.parametrize("sight", BLIND)
def test_colours_are_told_apart(sight: str) -> None:
    assert set(BASE_COLOURS.values()) <= set(COLOURS)
    assert len(set(BASE_COLOURS.values())) == 4
    for one, other in combinations(COLOURS, 2):
        distance = np.linalg.norm(_lab(one, BLIND[sight]) - _lab(other, BLIND[sight]))
        assert distance > 10, (one, other)


def _lab(colour: str, sight: np.ndarray) -> np.ndarray:
    """CIELAB (D65) of a colour, as eyes of a kind see it."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(sight @ linear, 0, 1)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    x, y, z = np.cbrt(to_xyz @ seen / np.array([0.9505, 1.0, 1.089]))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_long_names_keep_both_ends() -> None:
    assert shortened("vertebrate-0.5m", 15) == "vertebrate-0.5m"
    assert shortened("runs/a/very/long/path/model", 12) == "run…th/model"
    assert {len(shortened("x" * 40, n)) for n in (9, 10, 11)} == {9, 10, 11}


def test_the_style_costs_no_matplotlib() -> None:
    code = "import sys, dnamamba.pictures; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
