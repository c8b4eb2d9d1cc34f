"""A table with each record's group of relatives beside it, made once and kept in the cache."""

import csv
import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from dnamamba.alphabet import Tokenizer
from dnamamba.benchmark.tasks.cache import cache_folder
from dnamamba.benchmark.tasks.layout import content_digest, named_files
from dnamamba.data.labelled.examples import Fields, read_examples
from dnamamba.data.labelled.labels import Labels
from dnamamba.files import replacing
from dnamamba.probing.relatives import groups_of, sampling, sketch
from dnamamba.settings import plain, typed

__all__ = ["GROUPS_VERSION", "with_groups"]

GROUPS_VERSION = 1
"""Of the way in which relatives are found."""
_COLUMNS = ("sequence", "label", "group", "id")


def with_groups(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of ``LabelledSequenceDataModule`` that read the training files with groups.

    Args:
        settings: arguments that name training files alone, of sequences with one column of labels.

    Returns:
        The same, with a table of the cache in the place of the files.

    Raises:
        ValueError: files that cannot be read, or records without bases or label; names them.
    """
    files = {"train": settings["files"]["train"]}
    fields = typed(Fields, settings.get("fields"))
    labels = typed(Labels, settings.get("labels"))
    paths = list(map(Path, named_files(files)))
    contents = [[path.name, content_digest(path)] for path in paths]
    classes = list(files["train"]) if isinstance(files["train"], Mapping) else None
    said = [GROUPS_VERSION, contents, classes, plain(fields), plain(labels)]
    key = hashlib.blake2b(json.dumps(said).encode(), digest_size=12).hexdigest()
    table = cache_folder("groups") / f"{key}.csv"
    with FileLock(table.with_suffix(".lock")):
        if not table.is_file():
            _write(table, files["train"], fields, labels)
    kept = {name: value for name, value in plain(labels).items() if name != "mapping"}
    return {
        **settings,
        "files": {"train": str(table)},
        "fields": {"group": "group", "id": "id"},
        "labels": kept,
    }


def _write(table: Path, files: Any, fields: Fields, labels: Labels) -> None:
    examples, _ = read_examples(files, fields, labels)
    tokenizer = Tokenizer()
    for example in examples:  # what the table's reader refuses is refused by its own name
        tokenizer.encode(example.sequence, contig=example.where)
    sequences = [example.sequence for example in examples]
    groups = groups_of(sketch(sequences, sampling([len(bases) for bases in sequences])))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for example, group in zip(examples, groups.tolist(), strict=True):
        label = example.label
        shown = label if isinstance(label, str) else labels.separator.join(label)
        writer.writerow([example.sequence.decode("latin-1"), shown, f"g{group}", example.id])
    with replacing(table) as file:
        file.write(text.getvalue().encode())
