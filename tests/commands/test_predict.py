"""``dnamamba predict`` of variants: which row is which."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dnamamba.alphabet import Tokenizer
from dnamamba.commands import prediction_input as command
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.variants import VariantChecks, read_variants
from dnamamba.data.variants.dataset import VariantDataset
from dnamamba.inference.variant_windows import variant_windows

COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
VCF = f"##fileformat=VCFv4.2\n{COLUMNS}17\t5\trs1\tA\tC\t.\t.\t.\n"


@pytest.mark.parametrize("names", ["add_chr", {"17": "chr17"}])
def test_variants_are_named_as_in_their_vcf(
    tmp_path: Path, tokenizer: Tokenizer, names: Any
) -> None:
    (tmp_path / "g.fa").write_text(">chr17\nACGTACGTACGT\n")
    (tmp_path / "v.vcf").write_text(VCF)
    genome, vcf = Genome(tmp_path / "g.fa"), str(tmp_path / "v.vcf")
    checks = VariantChecks(contig_names=names)
    network: Any = SimpleNamespace(settings=SimpleNamespace(length=8))
    columns, _ = command._read_variants(network, tokenizer, vcf, genome, checks)
    assert columns == {"contig": ["17"], "pos": [5], "id": ["rs1"], "ref": ["A"], "alt": ["C"]}

    variants = list(read_variants(vcf, genome, checks))
    assert [w.id for w in variant_windows(genome, tokenizer, variants, 8)] == ["17:5:A:C"] * 2
    assert VariantDataset(genome, variants, 8, tokenizer).names(np.array([0])) == ["17:5:A:C"]
    assert [variant.contig for variant in variants] == ["chr17"]  # where its bases are
