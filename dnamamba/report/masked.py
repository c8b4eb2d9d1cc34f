"""How well a model that reads both ways fills in the masked bases of held-out windows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from dnamamba.report.comparison import UNIFORM_BITS
from dnamamba.report.run import Run, RunWindows

__all__ = ["MaskedBases", "measure_masked", "print_masked"]

_BATCH = 1 << 17  # positions side by side


@dataclass(frozen=True)
class MaskedBases:
    """Figures of all masked bases of the held-out windows; ``dnamamba test`` gives the same.

    Attributes:
        bits_per_base: of the masked bases.
        perplexity: 2 to the power of that.
        accuracy: share of them for which the likeliest id is the right one.
        bases: how many are masked.
        windows: held-out windows.
        objective: what is masked, and the seed by which.
    """

    bits_per_base: float
    perplexity: float
    accuracy: float
    bases: int
    windows: int
    objective: dict[str, Any]


def measure_masked(run: Run, windows: RunWindows) -> MaskedBases:
    """Mask windows by the run's own objective, and let its model fill them in.

    Raises:
        ValueError: an objective that ``dnamamba.training.objectives`` does not have, or windows
            in which no base is masked.
    """
    # torchmetrics takes seconds to import: not for --help.
    from dnamamba.training.objectives import described, objective_of
    from dnamamba.training.sequence_metrics import SequenceMetrics, token_losses, token_sums

    model, tokenizer = run.pretrained
    device = next(model.parameters()).device
    objective = objective_of(run.objective, causal=False)
    metrics, bases = SequenceMetrics().to(device), 0
    dataset, numbers = run.data.dataset(windows.part), np.array(windows.numbers)
    rows = max(1, _BATCH // run.data.length)
    for at in range(0, len(numbers), rows):
        raw = dataset[numbers[at : at + rows]]
        batch = {name: column.to(device) for name, column in raw.items()}
        example = objective.example(batch, tokenizer)
        with torch.inference_mode():
            logits, _ = model(example.tokens, resets=example.resets, lengths=example.lengths)
            losses = token_losses(logits, example.targets)
            metrics.update(*token_sums(logits, losses, example.targets, example.weight))
        bases += int((example.weight > 0).sum())
    if not bases:
        raise ValueError(
            f"no A, C, G or T of the {len(numbers)} held-out windows is masked; hold more out by "
            "data.split.test and fit again"
        )
    values = {name: float(value) for name, value in metrics.compute().items()}
    return MaskedBases(
        bits_per_base=values["bits_per_base"],
        perplexity=values["perplexity"],
        accuracy=values["accuracy"],
        bases=bases,
        windows=len(numbers),
        objective=described(objective),
    )


def print_masked(figures: MaskedBases, leaking: int, k: int) -> None:
    """A table on the terminal, what it rests on, and what is left out.

    Args:
        figures: what to show.
        leaking: how many of the windows share a k-mer with the training windows.
        k: its length.
    """
    table = Table(title="Held-out sequence, masked bases")
    table.add_column("model")
    for name in ("bits per base", "perplexity", "accuracy"):
        table.add_column(name, justify="right")
    uniform = UNIFORM_BITS, 2**UNIFORM_BITS, 2**-UNIFORM_BITS
    own = figures.bits_per_base, figures.perplexity, figures.accuracy
    for model, (bits, perplexity, accuracy) in (("uniform", uniform), ("Mamba", own)):
        table.add_row(model, f"{bits:.4f}", f"{perplexity:.3f}", f"{accuracy:.4f}")
    console = Console()
    console.print(table)
    for line in (
        f"{figures.bases:,} masked bases of {figures.windows:,} windows, of which {leaking:,} "
        f"share {k} bases with a training window, on either strand",
        "Left out: Markov chains, which guess a base from those before it alone and so are no "
        "measure of a model that sees both sides, and samples, which it cannot generate.",
    ):
        console.print(line, highlight=False, soft_wrap=True)
