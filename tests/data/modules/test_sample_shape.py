"""What every dataset says of its largest sample bounds its batches, and is reached."""

from pathlib import Path
from typing import Any

import numpy as np

from dnamamba.data.labelled.length import Length
from dnamamba.data.modules.genome import GenomeDataModule
from dnamamba.data.modules.sequences import LabelledFiles, LabelledSequenceDataModule
from dnamamba.data.modules.variants import VariantDataModule, VariantFiles
from dnamamba.data.variants.labels import VariantFields


def shapes(data: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The one said, and that of all samples in one batch."""
    data.setup()
    dataset = data.dataset("train")
    return dataset.sample_shape, tuple(dataset[np.arange(len(dataset))]["tokens"].shape[1:])


def test_windows(samples: Path, tmp_path: Path) -> None:
    genome = [str(samples / "phix174.fa")]
    said, found = shapes(GenomeDataModule(genome, length=96, cache_dir=str(tmp_path)))
    assert said == found == (96,)


def test_sequences(tmp_path: Path) -> None:
    rows = [f"{'ACGT' * k},{k % 2}" for k in range(5, 45)]
    table = tmp_path / "t.csv"
    table.write_text("sequence,label\n" + "\n".join(rows) + "\n")
    files = LabelledFiles(str(table))
    said, found = shapes(LabelledSequenceDataModule(files, split=None))
    assert said == found == (176,)
    length = Length(100, "center")
    assert shapes(LabelledSequenceDataModule(files, split=None, length=length)) == ((100,),) * 2


def test_variants(tmp_path: Path) -> None:
    genome = tmp_path / "g.fa"
    genome.write_text(">chr1\n" + "ACGT" * 500 + "\n")
    vcf = tmp_path / "v.vcf"
    rows = [f"chr1\t{4 * k + 1}\t.\tA\tG\t.\t.\tSIG={'ab'[k % 2]}\n" for k in range(20, 480)]
    vcf.write_text(
        '##fileformat=VCFv4.2\n##INFO=<ID=SIG,Number=1,Type=String,Description="s">\n'
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n" + "".join(rows)
    )
    files = VariantFiles(str(genome), str(vcf))
    said, found = shapes(VariantDataModule(files, fields=VariantFields("SIG"), length=64))
    assert said == found == (2, 64)
