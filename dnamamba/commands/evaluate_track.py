"""Log-likelihoods of single bases as a track, and the sums of them."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dnamamba.alphabet import Tokenizer
from dnamamba.commands.dry_run import written_to
from dnamamba.inference.evaluation import evaluate_bases
from dnamamba.inference.intervals import Intervals
from dnamamba.inference.scores import Scores
from dnamamba.tracks import open_track

if TYPE_CHECKING:
    from torch import nn

__all__ = ["evaluate_track"]

_ROWS = 1 << 18  # of the track, in memory with their places


def evaluate_track(
    path: Path | None, model: "nn.Module", tokenizer: Tokenizer, pieces: Intervals, **how: Any
) -> Scores:
    """What ``evaluate`` finds, and a track of the bases.

    Args:
        path: the track; None: somebody else writes it.
        model: see ``evaluate_bases``.
        tokenizer: see ``evaluate_bases``.
        pieces: in the order of a track.
        **how: settings of ``evaluate_bases``.

    Raises:
        ValueError: see ``evaluate_bases``.
    """
    names = pieces.column("contig")
    log_likelihood, bases = np.zeros(len(pieces)), np.zeros(len(pieces), dtype=np.int64)
    with ExitStack() as stack:
        track = None
        if path is not None:
            about = "log-likelihood of each base in nats, dnamamba evaluate"
            contigs, folder = pieces.genome.contigs, stack.enter_context(written_to(path.parent))
            where = folder / path.name
            track = stack.enter_context(open_track(where, contigs, "log-likelihood", about))
        for number, first, values in evaluate_bases(model, tokenizer, list(pieces), **how):
            log_likelihood[number] += np.nansum(values, dtype=np.float64)
            bases[number] += np.count_nonzero(~np.isnan(values))
            if track is not None:
                for at in range(0, len(values), _ROWS):
                    part = values[at : at + _ROWS]
                    start = first + at + np.arange(len(part))
                    track.write(names[number], start, start + 1, part)
    return Scores(log_likelihood, bases)
