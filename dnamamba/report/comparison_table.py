"""The comparison as a table on the terminal."""

from rich.console import Console
from rich.table import Table

from dnamamba.report.comparison import UNIFORM_BITS, Comparison

__all__ = ["print_comparison"]


def print_comparison(comparison: Comparison, leaking: int, k: int) -> None:
    """Bits per base of every model, and what they rest on.

    Args:
        comparison: what to show.
        leaking: how many of the windows share a k-mer with the training windows.
        k: its length.
    """
    best = comparison.markov[comparison.best_order]
    low, high = comparison.interval
    table = Table(title="Held-out sequence, bits per base")
    table.add_column("model")
    table.add_column("bits per base", justify="right")
    table.add_column("against best Markov", justify="right")

    def row(name: str, bits: float, style: str | None = None) -> None:
        table.add_row(name, f"{bits:.4f}", f"{bits - best:+.4f}", style=style)

    row("uniform", UNIFORM_BITS)
    for order, bits in enumerate(comparison.markov):
        chosen = order == comparison.best_order
        name = f"Markov, order {order}{' (best)' if chosen else ''}"
        row(name, bits, "yellow" if chosen else None)
    table.add_section()
    row("Mamba", comparison.mamba, "bold green" if comparison.difference < 0 else "bold red")
    console = Console()
    console.print(table)
    console.print(
        f"Mamba - best Markov: {comparison.difference:+.4f} bits per base, 95 % interval "
        f"{low:+.4f} to {high:+.4f} (paired bootstrap over {comparison.windows:,} windows, "
        f"{comparison.bases:,} bases)",
        highlight=False,
        soft_wrap=True,
    )
    console.print(
        f"Held-out windows that share {k} bases with a training window, on either strand: "
        f"{leaking:,} of {comparison.windows:,}",
        highlight=False,
        soft_wrap=True,
        style="bold red" if leaking else None,
    )
