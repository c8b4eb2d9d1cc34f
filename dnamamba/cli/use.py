"""``embed``, ``score``, ``mutagenesis``, ``generate`` and more: functions of the commands room."""

import argparse
import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any, NoReturn

import docstring_parser
import jsonargparse

from dnamamba.cli.errors import UsageError, explain

__all__ = ["make_parser", "run"]

_FUNCTIONS = {
    "embed": "dnamamba.commands.embed:embed_fasta",
    "predict": "dnamamba.commands.predict:predict_file",
    "score": "dnamamba.commands.score:score_vcf",
    "mutagenesis": "dnamamba.commands.mutagenesis:mutagenesis",
    "generate": "dnamamba.commands.generate:generate_fasta",
    "evaluate": "dnamamba.commands.evaluate:evaluate_fasta",
    "report": "dnamamba.report.report:report",
}
_EXAMPLES = {
    "embed": (
        "dnamamba embed runs/quickstart/model genome.fa vectors.npz",
        "dnamamba embed runs/quickstart/model genome.fa vectors.parquet --bed regions.bed",
        "dnamamba embed runs/quickstart/model gene.fa bases.npz --pooling null",
        "dnamamba embed model genome.fa alleles.h5ad --vcf variants.vcf --window 1024 --layer 3",
        "torchrun --nproc-per-node 8 -m dnamamba embed model genome.fa all.parquet --window 1000",
    ),
    "predict": (
        "dnamamba predict runs/finetune-sequence/model new.fa labels.tsv",
        "dnamamba predict runs/finetune-species/model unknown.fa species.parquet --window 500",
        "dnamamba predict runs/finetune-variant/model new.vcf labels.tsv --genome ref.fa",
    ),
    "score": (
        "dnamamba score variants.vcf --genome ref.fa --checkpoint runs/quickstart/model -o out.vcf",
        "dnamamba score clinvar.vcf.gz --genome hg38.fa.gz --checkpoint model -o scores.tsv"
        " --checks.contig_names add_chr",
    ),
    "mutagenesis": (
        "dnamamba mutagenesis --region chr17:43044000-43044200 --genome hg38.fa.gz"
        " --checkpoint model -o brca1",
        "dnamamba mutagenesis --bed exons.bed --genome ref.fa --checkpoint model -o exons",
    ),
    "generate": (
        "dnamamba generate runs/quickstart/model out.fa --prompt ATGGCC --length 500",
        "dnamamba generate runs/quickstart/model out.fa --n 10 --temperature 0.8 --top_k 2",
    ),
    "evaluate": (
        "dnamamba evaluate runs/quickstart/model genome.fa",
        "dnamamba evaluate runs/quickstart/model a.fa b.fa.gz --output bits.tsv",
        "dnamamba evaluate runs/quickstart/model genome.fa --bed held_out.bed --window 1024",
    ),
    "report": ("dnamamba report runs/quickstart",),
}


class _Help(jsonargparse.DefaultHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the examples."""


class _Parser(jsonargparse.ArgumentParser):
    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        known = [action.dest for action in self._actions]
        raise UsageError(explain(message, known)) from ex


def run(command: str, arguments: list[str]) -> int:
    """Parse the arguments by the function's signature, and call it."""
    module, _, name = _FUNCTIONS[command].partition(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    parser = make_parser(command, function)
    settings = parser.instantiate_classes(parser.parse_args(arguments))
    function(**{name: getattr(settings, name) for name in inspect.signature(function).parameters})
    return 0


def make_parser(command: str, function: Callable[..., Any]) -> jsonargparse.ArgumentParser:
    """A parser by the signature and the docstring of a function.

    Parameters without a default are positional, a list among them takes one or more values; those
    behind a ``*`` are flags that must be given, ``output`` also as ``-o``. A switch that is off by
    default is set by its bare flag.
    """
    text = docstring_parser.parse(function.__doc__ or "")
    parser = _Parser(
        prog=f"dnamamba {command}",
        description=text.description,
        epilog="\n".join(["examples:", *(f"  {line}" for line in _EXAMPLES[command])]),
        formatter_class=_Help,
        allow_abbrev=False,
    )
    about = {param.arg_name: param.description for param in text.params}
    parameters = inspect.signature(function).parameters
    lists = [n for n, p in parameters.items() if p.annotation == list[str] and p.default is p.empty]
    switches = [n for n, p in parameters.items() if p.default is False]
    flags = [n for n, p in parameters.items() if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    parser.add_function_arguments(
        function, as_positional=True, as_group=False, skip={*lists, *switches, *flags}
    )
    for name in flags:
        short = ["-o"] if name == "output" else []
        parser.add_argument(*short, f"--{name}", required=True, type=str, help=about.get(name))
    for name in lists:
        parser.add_argument(name, nargs="+", help=about.get(name))
    for name in switches:
        parser.add_argument(f"--{name}", action="store_true", help=about.get(name))
    return parser
