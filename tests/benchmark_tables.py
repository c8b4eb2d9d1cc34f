"""A small table that tests of its forms share."""

from dnamamba.benchmark.runs.heading import Heading
from dnamamba.benchmark.table.table import Cell, Line, Table

__all__ = ["small_table"]

KMERS = Heading("kmers", "kmers", None, "k-mers")
SCRATCH = Heading("scratch x", "scratch", None, "from scratch")
FROZEN = Heading("frozen a", "frozen", "a", "a, frozen")
TUNED = Heading("model a", "model", "a", "a")


def small_table() -> Table:
    """Three tasks of MCC, the last of held-out parts alone; two seeds, one run failed."""
    kmers = Cell({(1, 0): 0.5}, 1)
    probes = {"mcc": {(1, 0): 0.61}, "auroc": {(1, 0): 0.8}, "forest/mcc": {(1, 0): 0.6}}
    frozen = Cell({(1, 0): 0.61}, 1, figures=probes)
    whole = {
        KMERS.key: kmers,
        SCRATCH.key: Cell({(1, 0): 0.6, (2, 0): 0.62}, 2, chosen=({"lr": 1e-3},)),
        FROZEN.key: frozen,
        TUNED.key: Cell({(1, 0): 0.7, (2, 0): 0.74}, 2),
    }
    counts = {"test": 1000, "groups": 900, "copies": 2, "relatives": 30}
    published = {"Other 3.9M": 0.66}
    other = {**whole, TUNED.key: Cell({(1, 0): 0.8, (2, 0): 0.82}, 2)}
    return Table(
        (KMERS, SCRATCH, FROZEN, TUNED),
        (
            Line("gue/tf/0", "factor 0", "mcc", whole, **counts, published=published),
            Line("gue/tf/1", "factor 1", "mcc", other, **counts, note="gue: as published"),
            Line("gue/H3", "H3", "mcc", {KMERS.key: kmers, FROZEN.key: frozen}),
        ),
    )
