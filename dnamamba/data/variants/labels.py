"""Labels of variants: from an INFO field of their VCF, or from a table beside it."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dnamamba.arguments import each_once, path_text, path_texts
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.labelled.labels import Label, Labels
from dnamamba.data.labelled.tables import read_rows
from dnamamba.data.variants.checks import VariantChecks
from dnamamba.data.variants.record import Variant, read_variants

__all__ = ["LabelledVariant", "VariantFields", "read_labelled_variants"]


@dataclass(frozen=True)
class VariantFields:
    """Where the labels of variants stand: ``info`` or ``table``.

    Attributes:
        info: an INFO field; of one with a value an allele, the allele's.
        table: a table (see ``read_rows``); variants that it does not name are left out, and
            counted in a warning.
        label: its column of labels.
        key: its columns that say which variant: contig, position counted from 1, REF and ALT,
            named and written as in the VCF; or a single column of the VCF's IDs.

    Raises:
        ValueError: neither or both sources, or a key of neither one nor four columns.
    """

    info: str | None = None
    table: str | None = None
    label: str = "label"
    key: tuple[str, ...] = ("chrom", "pos", "ref", "alt")

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", tuple(self.key))  # YAML and JSON give lists
        if self.table is not None:
            object.__setattr__(self, "table", path_text("fields.table", self.table))
        if self.info and self.table:
            raise ValueError("labels come from fields.info or from fields.table, not from both")
        if len(self.key) not in (1, 4):
            raise ValueError(
                "fields.key must name four columns (contig, position, REF, ALT) or one (the VCF's "
                f"ID), got {', '.join(self.key)}"
            )


class LabelledVariant(NamedTuple):
    """A variant, its label, and where it stands, for errors."""

    variant: Variant
    label: Label
    where: str


def read_labelled_variants(
    vcfs: str | Sequence[str],
    genome: Genome,
    fields: VariantFields,
    labels: Labels,
    checks: VariantChecks,
    longest: int,
) -> list[LabelledVariant]:
    """Read every variant of one or several VCFs that has a label.

    Args:
        vcfs: the files.
        genome: the reference.
        fields: where the labels stand.
        labels: what they mean.
        checks: what to do with records that cannot be used.
        longest: most bases in an allele.

    Raises:
        ValueError: bad files or records, a missing label, or no variant left; names file and
            line.
    """
    if not (fields.info or fields.table):
        raise ValueError("where are the labels? Set fields.info or fields.table")
    table = _read_table(fields, checks) if fields.table else None
    labelled: list[LabelledVariant] = []
    left_out = 0
    texts = path_texts("data.files", vcfs)
    paths = [texts] if isinstance(texts, str) else texts
    each_once("data.files", paths)
    for vcf in paths:
        for variant in read_variants(vcf, genome, checks, fields.info, longest):
            where = f"{vcf}, line {variant.line}"
            written = variant.info
            if table is not None:
                row = next((table[key] for key in _keys(variant, fields) if key in table), None)
                if row is None:
                    left_out += 1
                    continue
                where, written = row
            label = labels.parse([written], [fields.info or fields.label], where)
            if label is None:
                left_out += 1
            else:
                labelled.append(LabelledVariant(variant, label, where))
    source = labels.leaves_out if table is None else f"{fields.table} (or {labels.leaves_out})"
    if left_out:
        warnings.warn(f"{vcfs}: {source} leaves out {left_out:,} variants", stacklevel=2)
    if not labelled:
        why = f"; {left_out:,} of them have no label by {source}" if left_out else ""
        raise ValueError(f"{vcfs}: no variant is left{why}")
    return labelled


def _read_table(fields: VariantFields, checks: VariantChecks) -> dict[str, tuple[str, str]]:
    """Key of a variant -> where its row stands, and the label as written."""
    table: dict[str, tuple[str, str]] = {}
    for where, (label, *cells) in read_rows(str(fields.table), [fields.label, *fields.key]):
        if len(cells) == 4:
            contig, position, ref, alt = (cell.strip() for cell in cells)
            key = ":".join([checks.contig(contig), position, ref.upper(), alt.upper()])
        else:
            key = cells[0].strip()
        if (first := table.setdefault(key, (where, label)))[0] != where:
            raise ValueError(f"{where}: variant {key} has a label at {first[0]} too; keep one")
    return table


def _keys(variant: Variant, fields: VariantFields) -> Iterator[str]:
    if len(fields.key) == 4:
        yield variant.name
    else:
        yield from variant.id.split(";")
