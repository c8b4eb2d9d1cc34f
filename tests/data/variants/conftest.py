"""The genome that the variants of ``vcf_cases`` are of."""

import pytest
from vcf_cases import CHR1

from dnamamba.data.genome.fasta import Genome


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    path = tmp_path_factory.mktemp("genome") / "ref.fa"
    path.write_text(f">chr1\n{CHR1}\n>chr2\nTTTT\n>chrM\nGATC\n>scaffold_7\nACGT\n")
    return Genome(path)
