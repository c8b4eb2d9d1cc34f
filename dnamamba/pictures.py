"""The family look of all pictures: colours, fonts, lines, sizes. Only drawing imports matplotlib.

@styled()
def draw(values, output):
    figure = new_figure(WIDE, 4.0)
    axes = figure.subplots()
    axes.plot(values)
    with replacing(output) as file:
        save_png(figure, file)
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "BASE_COLOURS",
    "COLOURS",
    "DIVERGING",
    "GREYS",
    "NARROW",
    "SEQUENTIAL",
    "SMALL",
    "WIDE",
    "WIDEST",
    "band",
    "fitting",
    "grid",
    "legend_above",
    "new_figure",
    "save_png",
    "shortened",
    "styled",
]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Of Okabe and Ito (2008, Color Universal Design), told apart by the colour-blind."""
GREYS = ("#444444", "#888888", "#b0b0b0")
"""What no model made: baselines, chance, borders."""
BASE_COLOURS = {"A": COLOURS[2], "C": COLOURS[0], "G": COLOURS[4], "T": COLOURS[1]}
"""Green, blue, orange, red, as sequence logos have them, each of ``COLOURS``."""
SEQUENTIAL, DIVERGING = "Blues", "RdBu"
"""Colour maps of shares, and of what is below or above 0 (red, blue)."""
NARROW, WIDE, WIDEST = 5.0, 7.6, 9.0
"""Widths in inches: one square plot, a curve, a table."""
SMALL = 7
"""Points: letters of ticks where there are many."""

_DPI = 150
_POINTS = 9
_INK, _RULE = "0.25", "0.88"
_DASHES = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)))


@contextmanager
def styled() -> Iterator[None]:
    """Within this block, or function, new figures look alike, whatever the user's own settings."""
    import matplotlib
    from cycler import cycler

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        # More lines than colours go on in another dash.
        lines = cycler(linestyle=_DASHES) * cycler(color=COLOURS)
        matplotlib.rcParams["axes.prop_cycle"] = lines
        yield


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure, in inches, that makes room for its labels by itself."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=_DPI, layout="constrained")


def save_png(figure: "Figure", file: IO[bytes]) -> None:
    """Draw a figure into an open file; within ``styled``, as it was made."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure).print_png(file)


def grid(axes: "Axes", along: Literal["x", "y", "both"]) -> None:
    """Thin lines behind what is drawn, at the ticks of an axis."""
    axes.grid(axis=along, color=_RULE, linewidth=0.8)
    axes.set_axisbelow(True)


def band(axes: "Axes", low: float, high: float) -> None:
    """A pale stripe from side to side, that leads the eye along a line of a table."""
    axes.axhspan(low, high, color="0.96", zorder=0, linewidth=0)


def legend_above(figure: "Figure", columns: int, **settings: Any) -> None:
    """The legend of all axes, over them, if they have anything to tell apart."""
    if any(axes.get_legend_handles_labels()[0] for axes in figure.axes) or "handles" in settings:
        figure.legend(loc="outside upper center", ncols=columns, **settings)


def fitting(letters: int, width: float, most: int) -> int:
    """How many legend entries of so many letters stand side by side, ``most`` at most."""
    return max(1, min(most, int(width / (0.7 + 0.07 * letters))))


def shortened(name: str, letters: int) -> str:
    """A name without its middle where it is long: ends tell models, species and folders apart."""
    if len(name) <= letters:
        return name
    head = (letters - 1) // 3
    return f"{name[:head]}…{name[head + 1 - letters :]}"


_STYLE: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": _POINTS,
    "axes.titlesize": _POINTS,
    "axes.labelsize": _POINTS,
    "xtick.labelsize": _POINTS - 1,
    "ytick.labelsize": _POINTS - 1,
    "legend.fontsize": _POINTS - 1,
    "legend.frameon": False,
    "legend.columnspacing": 1.5,
    "text.color": "black",
    "text.parse_math": False,  # a label with two dollars is no formula
    "axes.edgecolor": _INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "lines.linewidth": 1.5,
    "lines.markersize": 5.5,
    "axes.formatter.useoffset": False,
    "savefig.dpi": _DPI,
}
