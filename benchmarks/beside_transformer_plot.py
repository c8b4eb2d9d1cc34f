"""docs/beside-transformer.png: the figures of ``beside_transformer.py``, to be seen.

    python benchmarks/beside_transformer_plot.py [--results FILE.json] [--picture FILE.png]

On the left decoding, a line for each context and batch with a dot for each model; on the right
training by length. Of the Transformer the faster of plain and compiled where one dot is drawn.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from dnamamba.pictures import COLOURS, GREYS, grid, new_figure, save_png, styled

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "beside_transformer.json"
PICTURE = ROOT / "docs" / "beside-transformer.png"
MAMBA, TRANSFORMER, PLAIN = COLOURS[0], COLOURS[1], COLOURS[4]
TRANSFORMERS = {"compiled": TRANSFORMER, "plain": PLAIN}


def draw(results: dict[str, Any]) -> Figure:
    """Two panels, to be read at 800 pixels of width."""
    figure = new_figure(8, 3.6)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.05])
    _decoding(left, results["decoding"])
    _training(right, results["training"], results["ahead_from"])
    return figure


def _decoding(axes: Axes, rows: list[dict[str, Any]]) -> None:
    slowest = min(row[name] for row in rows for name in ("mamba", *TRANSFORMERS) if name in row)
    for place, row in enumerate(rows):
        axes.plot(row["mamba"], place, "o", ms=8, color=MAMBA, zorder=3)
        rates = [row[name] for name in TRANSFORMERS if name in row]
        if not rates:
            shown = f"out of memory: needs {row['needs_gib']:,.0f} GiB"
            axes.text(slowest, place, shown, va="center", color=TRANSFORMER)
            continue
        axes.plot([max(rates), row["mamba"]], [place] * 2, color=GREYS[2], lw=2)
        axes.plot(max(rates), place, "o", ms=8, color=TRANSFORMER, zorder=3)
        middle = (max(rates) * row["mamba"]) ** 0.5  # on the logarithmic axis
        shown = f"{row['times']:.3g} times"
        axes.text(middle, place - 0.14, shown, ha="center", va="bottom")
    names = [f"{row['batch']:,} rows\nafter {_length(row['context'])}" for row in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.5, -0.6)
    axes.set_xscale("log")
    axes.margins(x=0.12)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _rate(x)))
    axes.set_xlabel("tokens a second")
    axes.set_title("decoding after a context")
    grid(axes, "x")


def _training(axes: Axes, rows: list[dict[str, Any]], ahead: dict[str, float | None]) -> None:
    lengths = [row["length"] for row in rows]
    axes.plot(lengths, [row["mamba"] / 1e6 for row in rows], "o-", color=MAMBA, label="Mamba")
    for name, colour in TRANSFORMERS.items():
        known = [row for row in rows if name in row]
        if known:
            rates = [row[name] / 1e6 for row in known]
            label = f"Transformer, {name}"
            axes.plot([row["length"] for row in known], rates, "o-", color=colour, label=label)
    crossing = next((ahead[name] for name in TRANSFORMERS if name in ahead), None)
    if crossing is not None:
        axes.axvline(crossing, color=GREYS[1], lw=1, ls=":")
        axes.text(crossing, 0.08, f" Mamba ahead from {_length(crossing)}", color=GREYS[0])
    axes.set_xscale("log", base=2)
    axes.set_xticks(lengths, [_length(length) for length in lengths])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(0, axes.get_ylim()[1] * 1.05)
    axes.set_xlabel("tokens in a row")
    axes.set_ylabel("million tokens a second")
    axes.set_title("training, 262,144 tokens a step")
    grid(axes, "both")
    axes.legend(loc="upper right")


def _length(tokens: float) -> str:
    """1,024 as 1k, 131,072 as 131k; a length between those measured with a decimal."""
    shown = int(tokens / 100) / 10 if isinstance(tokens, float) else tokens // 1000
    return f"{shown}k"


def _rate(tokens: float) -> str:
    return f"{tokens / 1e6:g} M" if tokens >= 1e6 else f"{tokens / 1e3:g} k"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS, help="what was measured")
    parser.add_argument("--picture", type=Path, default=PICTURE, help="where to draw it")
    arguments = parser.parse_args()
    if not arguments.results.is_file():
        parser.error(f"{arguments.results} is missing: run benchmarks/beside_transformer.py first")
    results = json.loads(arguments.results.read_text())
    if "training" not in results:
        parser.error(f"{arguments.results} is of a run that was stopped: run it again")
    with styled(), arguments.picture.open("wb") as file:
        save_png(draw(results), file)
    print(f"drawn to {arguments.picture}")


if __name__ == "__main__":
    main()
