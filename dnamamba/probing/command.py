"""``dnamamba probe``: what a model's frozen vectors know of the labels of a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from dnamamba import arguments
from dnamamba.data.labelled.examples import Fields
from dnamamba.data.labelled.labels import Labels
from dnamamba.files import why_not_writable
from dnamamba.inference.settings import BATCH_SIZE, CHUNK_LENGTH, Pooling

__all__ = ["probe_file"]


def probe_file(
    model: str,
    data: str,
    *,
    output: str | None = None,
    layers: Sequence[str] = ("-1",),
    pooling: Pooling = "mean",
    both_strands: bool = True,
    learners: Sequence[str] = ("linear", "forest"),
    kmers: Sequence[str] = ("3", "4", "5", "6"),
    random_weights: bool = True,
    folds: int = 5,
    groups: Literal["auto", "relatives", "none"] = "auto",
    seed: int = 0,
    fields: Fields = Fields(),  # noqa: B008 (frozen)
    labels: Labels = Labels(),  # noqa: B008 (frozen)
    numbers: bool | None = None,
    batch_size: int = BATCH_SIZE,
    chunk_length: int = CHUNK_LENGTH,
    max_bases: int | None = None,
    overlap: int | None = None,
    device: str = "auto",
    overwrite: bool = False,
) -> None:
    """Learn labels from a frozen model's vectors, beside k-mers and random weights.

    Logistic (of numbers ridge) regression and a random forest with fixed settings learn from the
    vectors of all folds but one and are tested on that one. Relatives stay in one fold. Beside the
    model stand canonical k-mers, of which k and the strength of the regression are chosen within
    each training part, and the same network with random weights. Prints a table; with an output
    folder writes probe.md, probe.csv, probe.json and probe.png. Nothing is fine-tuned: for that,
    and for suites of tasks, see dnamamba benchmark.

    Args:
        model: a folder, .ckpt file or name, ours or published; of a fine-tuned model the backbone
            is probed, with a warning: it may have seen the labels.
        data: a table (.csv, .tsv, .parquet) with columns of sequences and labels, a FASTA whose
            headers name the label, or a folder with one FASTA a class.
        output: a folder for table and picture.
        layers: take the hidden states behind these blocks, counted from 0, each by itself; -1
            stands for those behind the final norm, and the word all for all of them.
        pooling: mean, max or last over a sequence's bases.
        both_strands: one vector for both strands, the mean of a sequence's and of its reverse
            complement's.
        learners: linear, forest or both.
        kmers: lengths among which k-mers are chosen; the word none for no such line.
        random_weights: put the same network with random weights beside the model.
        folds: of the cross-validation, 2 at least.
        groups: what stays in one fold. auto: records that a column of groups says belong together
            (group, or fields.group), where there is none relatives, which share a quarter of their
            21-mers on either strand; relatives: these, whatever the column; none: nothing.
        seed: of folds and random weights.
        fields: the columns of a table, or the pattern of FASTA headers; what is not set is found
            out.
        labels: what labels mean.
        numbers: true: labels are a measure; false: they name classes; null: numbers with fractions,
            or of more than 20 values, are a measure.
        batch_size: most sequences side by side.
        chunk_length: most bases at a time of one sequence, by a causal model.
        max_bases: bases at a time, in all sequences side by side; null: as many as keep the device
            busy and fit.
        overlap: bases that a window of a sequence longer than max_bases reads on either side of
            those it answers for; null: 8192, or a quarter of max_bases.
        device: where to run: cpu, cuda, mps; auto takes a GPU if there is one.
        overwrite: replace files of an earlier probe in the output folder.

    Raises:
        ValueError: bad input, one class, or too few records or groups for the folds; names file,
            record or argument, and a remedy. All before any long work.
        ModuleNotFoundError: a library is missing; names the extra to install.
    """
    from dnamamba.commands.progress import progress
    from dnamamba.device import best_device
    from dnamamba.inference.reading import Reading
    from dnamamba.probing.folds import divided
    from dnamamba.probing.probe import check_scikit_learn, probed, subject_of
    from dnamamba.probing.records import read_records
    from dnamamba.probing.settings import Settings, layers_of

    check_scikit_learn()
    folder = None if output is None else _folder(output, overwrite)
    reading = Reading(batch_size, chunk_length, max_bases, overlap)
    settings = Settings(
        layers_of(layers), pooling, both_strands, tuple(learners), _kmers(kmers), random_weights,
        folds, seed, reading,
    )  # fmt: skip
    target = best_device(device)
    records = read_records(data, fields, labels, numbers, groups == "auto")
    split = divided(records, settings.folds, settings.seed, groups != "none")
    subject = subject_of(model)
    if folder is not None:
        _make(folder)
    found = probed(subject, records, split, settings, target, progress)
    print(found)
    if folder is not None:
        found.write(folder)


def _folder(output: str, overwrite: bool) -> Path:
    """Refuse an output before any work is done for it."""
    from dnamamba.probing.result import FILES

    folder = arguments.path("output", output)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"output must be a folder, and {folder} is a file; name another")
    existing = [name for name in FILES if (folder / name).exists()]
    if existing and not overwrite:
        raise ValueError(
            f"output {folder} holds {existing[0]}; name another folder, or set overwrite "
            "(--overwrite)"
        )
    if why := why_not_writable(folder / FILES[0]):
        raise ValueError(f"output {folder / FILES[0]} {why}")
    return folder


def _make(folder: Path) -> None:
    """Raises: ValueError: the folder cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"output {folder} cannot be made: {error.strerror}; name another folder"
        ) from error


def _kmers(kmers: Sequence[str]) -> tuple[int, ...]:
    if list(kmers) == ["none"]:
        return ()
    try:
        return tuple(dict.fromkeys(int(k) for k in kmers))
    except ValueError:
        raise ValueError(f"kmers must be whole numbers, or none; got {' '.join(kmers)}") from None
