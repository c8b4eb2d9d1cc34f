"""``dnamamba generate``: sequences drawn from a model, as FASTA."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from dnamamba.commands.output import check_output
from dnamamba.device import best_device
from dnamamba.files import Opened, replacing

__all__ = ["ENDINGS", "generate_fasta", "write_fasta"]

ENDINGS = (".fa", ".fasta", ".fna")
_LINE = 60


def generate_fasta(
    model: str,
    output: str,
    prompt: str = "",
    length: int = 1000,
    n: int = 1,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    device: str = "auto",
    overwrite: bool = False,
) -> None:
    """Draw sequences that continue a prompt and write them as FASTA, the prompt left out.

    The prompt is read in chunks, then every base costs one step of the recurrence: memory does
    not grow with the length. Sequence i depends on the seed and i alone, not on n.

    Args:
        model: a model's folder, of this or another program, a training checkpoint, or the name of a
            packaged model or of one on the Hugging Face hub.
        output: a .fa, .fasta or .fna file.
        prompt: bases to continue; empty to start where a sequence starts.
        length: bases to draw for each sequence.
        n: how many sequences.
        temperature: divides the logits; below 1 is bolder, 0 always takes the likeliest base.
        top_k: draw from the k likeliest bases, 1 to 4; null for all.
        top_p: draw from the fewest likeliest bases that hold this much probability, above 0 and
            up to 1; null for all.
        seed: of the draws, 0 or more.
        device: where to run: cpu, cuda, mps; auto takes a GPU if there is one.
        overwrite: replace an output that exists.

    Raises:
        ValueError: an argument out of range, a letter of the prompt that is no base, an output
            that exists, or no model; names it, and a remedy.
    """
    from dnamamba.checkpoint import load
    from dnamamba.inference.generation import generate

    path = check_output(output, ENDINGS, overwrite)
    language_model, tokenizer = load(model, best_device(device))
    sequences = generate(
        language_model,
        tokenizer,
        prompt,
        length=length,
        n=n,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
    )
    settings = f"seed={seed} temperature={temperature} top_k={top_k} top_p={top_p}"
    after = f" prompt={prompt if len(prompt) <= _LINE else f'{len(prompt)}bp'}" if prompt else ""
    records = [(f"generated_{i} {settings}{after}", bases) for i, bases in enumerate(sequences)]
    write_fasta(path, records)


def write_fasta(path: Path, records: Sequence[tuple[str, str]], opened: Opened = replacing) -> None:
    """Header lines (without ">") and bases, 60 to a line; the file is whole or not there."""
    with opened(path) as file:
        for header, bases in records:
            file.write(f">{header}\n".encode())
            file.writelines(_wrapped(bases))


def _wrapped(bases: str) -> Iterator[bytes]:
    for start in range(0, len(bases), _LINE):
        yield f"{bases[start : start + _LINE]}\n".encode()
