"""Jobs that use a model: commands, and calls from Python."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dnamamba.cli import main
from dnamamba.data.genome.fasta import Genome
from dnamamba.inference.effects import Effects
from dnamamba.inference.mutagenesis import mutate
from jobs import checks
from jobs.fits import small_model
from jobs.inputs import MODEL, Inputs
from jobs.job import Job
from jobs.processes import seconds_of

__all__ = ["USES", "Call", "Command"]


@dataclass(frozen=True)
class Command(Job):
    """A command, from its start to its end; the second of two runs counts.

    Attributes:
        output: name of the file that it writes.
        words: the command without the output's and the device's flags, made of the inputs.
        check: refuses a wrong output, says what it compared.
    """

    output: str
    words: Callable[[Inputs], list[str]]
    check: Callable[[Inputs, Path], str]

    def measure(self, inputs: Inputs) -> dict[str, Any]:
        words, written = self._line(inputs)
        first = seconds_of("dnamamba", words)
        checked = self.check(inputs, written)
        if inputs.device == "cuda":
            torch.cuda.empty_cache()  # what the check used: a command plans with what is free
        words, _ = self._line(inputs)
        seconds = seconds_of("dnamamba", words)
        # What no command of this machine can go below, then and there: PyTorch's import alone.
        alone = seconds_of("torch.version", ())
        return {"figure": seconds, "first": first, "checked": checked, "import_torch": alone}

    def in_process(self, inputs: Inputs) -> Callable[[], object]:
        self._line(inputs)  # makes the inputs
        return lambda: main(self._line(inputs)[0])

    def _line(self, inputs: Inputs) -> tuple[list[str], Path]:
        written = inputs.output(self.output)
        return [*self.words(inputs), "-o", str(written), "--device", inputs.device], written


@dataclass(frozen=True)
class Call(Job):
    """A call from Python, the model loaded and warmed by a small call; the second run counts.

    Attributes:
        call: the work, its result, for all of the input or a little of it.
        check: refuses a wrong result, says what it compared.
    """

    call: Callable[[Inputs, bool], Any]
    check: Callable[[Inputs, Any], str]

    def measure(self, inputs: Inputs) -> dict[str, Any]:
        self.call(inputs, True)
        seconds, results = zip(*(self._timed(inputs) for _ in range(2)), strict=True)
        checked = [self.check(inputs, result) for result in results]
        if inputs.device == "cuda":
            torch.cuda.empty_cache()
        return {"figure": seconds[1], "first": seconds[0], "checked": checked[1]}

    def in_process(self, inputs: Inputs) -> Callable[[], object]:
        self.call(inputs, True)
        return lambda: self.call(inputs, False)

    def _timed(self, inputs: Inputs) -> tuple[float, Any]:
        began = time.perf_counter()
        result = self.call(inputs, False)  # on the CPU: nothing is left to wait for
        return time.perf_counter() - began, result


def _embed_strings(inputs: Inputs, little: bool) -> Any:
    return inputs.pretrained.embed(inputs.strings[: 2 if little else None])


def _mutate(inputs: Inputs, little: bool) -> Effects:
    sizes = inputs.sizes
    start = sizes.mutagenesis_context + 1_000
    end = start + (1 if little else sizes.mutated)
    how = *inputs.pretrained, Genome(inputs.genome), "chr1", start, end
    return mutate(*how, context=sizes.mutagenesis_context)


def _embed(regions: str) -> Callable[[Inputs], list[str]]:
    return lambda inputs: [
        "embed", MODEL, str(inputs.genome), "--bed", str(getattr(inputs, regions)),
    ]  # fmt: skip


def _predict(inputs: Inputs) -> list[str]:
    return ["predict", str(small_model(inputs)), str(inputs.short_fasta)]


def _score(inputs: Inputs) -> list[str]:
    variants, context = str(inputs.variants), str(inputs.sizes.window)
    return ["score", MODEL, str(inputs.genome), "--vcf", variants, "--context", context]


def _evaluate(inputs: Inputs) -> list[str]:
    return ["evaluate", MODEL, str(inputs.genome)]


def _generate(inputs: Inputs) -> list[str]:
    return ["generate", MODEL, "--length", str(inputs.sizes.drawn)]


# fmt: off
USES = (
    Call("embed-strings", "`model.embed` of 20,000 strings of 512 in Python", "s", 2, "> 30 s",
         _embed_strings, checks.strings),
    Command("generate", "`generate`, 20,000 bases", "s", 6, "17 s",
            "drawn.fa", _generate, checks.drawn),
    Command("evaluate", "`evaluate`, 25 Mb", "s", 6, "15 s",
            "bits.tsv", _evaluate, checks.bits),
    Command("predict", "`predict`, 50,000 x 101", "s", 5, "-",
            "labels.tsv", _predict, checks.labels),
    Command("embed-512", "`embed`, 50,000 regions of 512, to npz", "s", 6, "34 s",
            "vectors.npz", _embed("regions"), checks.vectors("regions")),
    Command("embed-mixed", "`embed`, 20,000 regions of 100 to 3,000", "s", 8, "56 s",
            "vectors.npz", _embed("mixed"), checks.vectors("mixed")),
    Call("mutagenesis", "`mutagenesis` of 1 kb, context 8 kb, after the start", "s", None, "-",
         _mutate, checks.effects),
    Command("score", "`score`, 28,998 variants, context 1,024, both strands", "s", 12, "104 s",
            "scored.vcf", _score, checks.scores),
)
# fmt: on
