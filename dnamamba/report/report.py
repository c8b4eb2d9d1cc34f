"""A finished run on paper: table, curve, samples and every figure as JSON."""

import json
import math
import platform
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dnamamba.commands.generate import write_fasta
from dnamamba.commands.vector_files import open_vectors
from dnamamba.device import best_device
from dnamamba.files import Opened, replacing_together, why_not_writable
from dnamamba.report.comparison import UNIFORM_BITS, Comparison, compare
from dnamamba.report.comparison_table import print_comparison
from dnamamba.report.curve import Curve, plot_curve, read_curve
from dnamamba.report.leakage import held_out_windows_with_shared_kmers
from dnamamba.report.markov import MarkovModels, fit_markov
from dnamamba.version import installed_version

if TYPE_CHECKING:
    from dnamamba.api import Pretrained
    from dnamamba.report.run import Run, RunWindows

__all__ = ["report"]

_FILES = ("summary.json", "loss.png", "generated.fa", "embeddings.npz")
_K = 31
_EMBEDDED = 8


def report(
    run: str, generate_length: int = 1000, max_windows: int = 4096, device: str = "auto"
) -> None:
    """Hold a finished run against its baselines on held-out sequence.

    Prints bits per base of the test windows under a uniform guess, under Markov chains of order
    0 to 10 (smoothed, fitted on exactly the run's training windows) and under the model, and
    the 95 % interval of the difference to the best of them. Writes into the run's folder, over
    what an earlier report wrote: summary.json (every figure), loss.png, generated.fa (from no
    prompt) and embeddings.npz (of a few test windows).

    Of a model that was trained on masked bases it gives bits, perplexity and accuracy of the
    masked bases of those windows; it holds them against no Markov chain, and generates nothing.

    Args:
        run: the folder of a run of dnamamba fit.
        generate_length: bases to generate.
        max_windows: score at most so many test windows, spread evenly.
        device: where the model runs: cpu, cuda, mps; auto takes a GPU if there is one.

    Raises:
        ValueError: no run, a run that holds nothing out for test, or an argument out of range;
            names it, and a remedy.
    """
    from dnamamba.report.run import RunWindows, open_run

    if max_windows < 1:
        raise ValueError(f"max_windows must be at least 1, got {max_windows}")
    for name in _FILES:
        if why := why_not_writable(path := Path(run) / name):
            raise ValueError(f"{path} {why.partition('; ')[0]}, and the report would go there")
    began = time.monotonic()
    finished = open_run(run, best_device(device))
    metrics = finished.folder / "metrics.csv"
    curves = read_curve(metrics, "train"), read_curve(metrics, "validation")
    train, test = RunWindows(finished.data, "train"), RunWindows(finished.data, "test", max_windows)
    if not len(test):
        raise ValueError(f"{run} holds nothing out for test; set data.split.test and fit again")
    leaking = held_out_windows_with_shared_kmers(train, list(test), _K).size
    with replacing_together() as opened:
        if finished.pretrained.model.backbone.causal:
            figures = _next_base(finished, curves, train, test, leaking, opened)
            bases = finished.pretrained.generate(length=generate_length)
            record = "generated_0 seed=0 temperature=1.0", bases
            write_fasta(finished.folder / "generated.fa", [record], opened)
            written = list(_FILES)
        else:
            figures = _masked_bases(finished, curves, test, leaking, opened)
            written = [name for name in _FILES if name != "generated.fa"]
        _embed(finished, opened)
        summary = {
            **figures,
            "test": _part(test) | {f"windows_sharing_{_K}_bases_with_training": leaking},
            "training": _training(finished, train, curves[1]),
            "model": _model(finished.pretrained, finished.weights),
            "report": _circumstances(finished.pretrained, time.monotonic() - began),
        }
        with opened(finished.folder / "summary.json") as file:
            file.write((json.dumps(summary, indent=2) + "\n").encode())
    print(f"written to {finished.folder}: {', '.join(written)}")


def _next_base(
    run: "Run",
    curves: tuple[Curve, Curve],
    train: "RunWindows",
    test: "RunWindows",
    leaking: int,
    opened: Opened,
) -> dict[str, Any]:
    """Hold a causal model against Markov chains: prints, plots, and returns the figures."""
    markov = fit_markov(train, both_strands=run.data.window_config.reverse_complement)
    comparison = _compare(markov, run.pretrained, test)
    print_comparison(comparison, leaking, _K)
    _plot(run, curves, markov, comparison, opened)
    return {"bits_per_base": _bits_per_base(comparison), "markov_strengths": markov.strengths}


def _masked_bases(
    run: "Run", curves: tuple[Curve, Curve], test: "RunWindows", leaking: int, opened: Opened
) -> dict[str, Any]:
    """Measure a model that reads both ways: prints, plots, and returns the figures."""
    from dnamamba.report.masked import measure_masked, print_masked

    figures = measure_masked(run, test)
    print_masked(figures, leaking, _K)
    plot_curve(run.folder / "loss.png", *curves, run.bases_per_step, None, opened, run.lengths)
    return {"masked_bases": asdict(figures) | {"uniform": UNIFORM_BITS}}


def _compare(markov: MarkovModels, pretrained: "Pretrained", windows: "RunWindows") -> Comparison:
    bases = list(windows)
    baseline = markov.score(bases)
    scores = pretrained.score(bases)
    if not np.array_equal(baseline.bases, scores.bases):
        raise ValueError("the model and the Markov chains scored different bases")
    return compare(baseline, -scores.log_likelihood / math.log(2))


def _plot(
    run: "Run",
    curves: tuple[Curve, Curve],
    markov: MarkovModels,
    test: Comparison,
    opened: Opened,
) -> None:
    """The curve is of the windows that were validated, and so is the line beside it."""
    order, line, part = test.best_order, test.markov[test.best_order], "test"
    if len(run.validated):
        bits, bases = markov.score(run.validated)
        line, part = float(bits[:, order].sum() / bases.sum()), "validation"
    name = f"Markov order {order} ({part})"
    best = line, name
    plot_curve(run.folder / "loss.png", *curves, run.bases_per_step, best, opened, run.lengths)


def _embed(run: "Run", opened: Opened) -> None:
    """Mean embeddings of a few test windows, with their places."""
    from dnamamba.report.run import RunWindows

    windows = RunWindows(run.data, "test", _EMBEDDED)
    names = list(run.data.genomes)
    places = list(windows.places())
    columns = {
        "id": [f"{names[g]} {contig}:{start}-{end}" for g, contig, start, end in places],
        "contig": [contig for _, contig, _, _ in places],
        "start": np.array([start for _, _, start, _ in places]),
        "end": np.array([end for _, _, _, end in places]),
        "strand": ["+"] * len(places),
    }
    vectors = run.pretrained.embed(list(windows))
    path = run.folder / "embeddings.npz"
    with open_vectors(path, vectors.shape, {"pooling": "mean"}, opened=opened) as file:
        file.write(columns, vectors)


def _bits_per_base(comparison: Comparison) -> dict[str, Any]:
    return {
        "uniform": UNIFORM_BITS,
        "markov": {str(order): bits for order, bits in enumerate(comparison.markov)},
        "best_markov_order": comparison.best_order,
        "best_markov": comparison.markov[comparison.best_order],
        "mamba": comparison.mamba,
        "mamba_minus_best_markov": comparison.difference,
        "interval_95": list(comparison.interval),
        "bootstrap_windows": comparison.windows,
        "scored_bases": comparison.bases,
    }


def _part(windows: "RunWindows") -> dict[str, Any]:
    places = list(windows.places())
    return {"windows": len(places), "bases": sum(end - start for _, _, start, end in places)}


def _training(run: "Run", train: "RunWindows", validation: Curve) -> dict[str, Any]:
    return {
        **_part(train),
        "genomes": run.data.genome_paths,
        "reverse_complement": run.data.window_config.reverse_complement,
        "steps": run.steps,
        "positions_seen": run.steps * run.bases_per_step,
        "seconds": run.seconds,
        "best_validation_bits_per_base": float(validation.bits.min())
        if validation.bits.size
        else None,
    }


def _model(pretrained: "Pretrained", weights: Path) -> dict[str, Any]:
    model = pretrained.model
    return {
        "weights": str(weights),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "config": asdict(model.config),
        "tokenizer": asdict(pretrained.tokenizer),
    }


def _circumstances(pretrained: "Pretrained", seconds: float) -> dict[str, Any]:
    return {
        "seconds": round(seconds, 1),
        "device": str(next(pretrained.model.parameters()).device),
        "python": platform.python_version(),
        "dnamamba": installed_version(),
        "torch": version("torch"),
    }
