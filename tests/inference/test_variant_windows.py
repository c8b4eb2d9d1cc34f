"""Both alleles, piece by piece, against windows that are cut whole."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dnamamba.alphabet import Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.variants import Variant, allele_windows
from dnamamba.inference.variant_windows import VariantWindow, variant_windows

SIZE = 300


class Counted(Genome):
    """Keeps how many bases each fetch gave."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.fetched: list[int] = []

    def fetch(self, *place: Any) -> bytes:
        bases = super().fetch(*place)
        self.fetched.append(len(bases))
        return bases


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Counted:
    path = tmp_path_factory.mktemp("genome") / "g.fa"
    letters = np.frombuffer(b"ACGTacgtN", np.uint8)
    bases = letters[np.random.default_rng(4).integers(0, 9, SIZE)].tobytes().decode()
    path.write_text(f">chr1\n{bases}\n")
    return Counted(path)


def variant(genome: Genome, start: int, size: int, alt: str) -> Variant:
    ref = genome.fetch("chr1", start, start + size).decode().upper()
    return Variant("chr1", start, ref, alt)


@pytest.mark.parametrize(
    ("start", "size", "alt"),
    [
        (150, 1, "G"),  # SNV
        (150, 3, "TTT"),  # MNV
        (150, 1, "ACCGT"),  # insertion
        (150, 6, "A"),  # deletion
        (150, 5, "TGG"),  # both
        (0, 1, "T"),
        (0, 4, "C"),
        (0, 1, "CATTAG"),
        (SIZE - 1, 1, "T"),
        (SIZE - 1, 1, "GGGG"),
        (SIZE - 5, 5, "A"),
        (3, 2, "TACA"),
    ],
)
@pytest.mark.parametrize("length", [12, 40, 1000])
@pytest.mark.parametrize("chunk", [1, 7, None])
def test_pieces_make_the_windows_that_are_cut_whole(
    genome: Counted, start: int, size: int, alt: str, length: int, chunk: int | None
) -> None:
    tokenizer, site = Tokenizer(), variant(genome, start, size, alt)
    whole = allele_windows(genome, site, length)
    windows = variant_windows(genome, tokenizer, [site], length)
    assert [window.allele for window in windows] == ["ref", "alt"]
    for window, bases in zip(windows, (whole.ref, whole.alt), strict=True):
        assert len(window) == len(bases)
        assert window.positions(0, len(window)).tolist() == positions(window, whole.position)
        read = []
        for low in range(0, len(window), chunk or len(window)):
            high = min(low + (chunk or len(window)), len(window))
            genome.fetched.clear()
            read.append(window.ids(low, high))
            assert sum(genome.fetched) <= high - low
        np.testing.assert_array_equal(np.concatenate(read), tokenizer.encode(bases))
        assert window.ids(0, 0).size == 0


def positions(window: VariantWindow, before: int) -> list[int]:
    """Each base's place on the reference, written out."""
    ref, alt = len(window.variant.ref), len(window.variant.alt)
    allele = range(ref if window.allele == "ref" else alt)
    inside = [window.variant.start + min(i, ref - 1) for i in allele]
    behind = range(window.variant.start + ref, window.end)
    return [*range(window.start, window.start + before), *inside, *behind]


def test_windows_are_laid_without_reading_them(genome: Counted) -> None:
    sites = [variant(genome, start, 1, "A") for start in range(50)]
    genome.fetched.clear()
    windows = variant_windows(genome, Tokenizer(), sites, 64)
    assert sum(map(len, windows)) > 0
    assert genome.fetched == []


def test_what_does_not_fit_is_refused(genome: Counted) -> None:
    with pytest.raises(ValueError, match="window must be at least 2 bases, got 1"):
        variant_windows(genome, Tokenizer(), [], 1)
    site = variant(genome, 100, 1, "A" * 9)
    with pytest.raises(ValueError, match=r"an allele of 9 bases does not fit .*at least 18"):
        variant_windows(genome, Tokenizer(), [site], 12)


def test_a_refused_letter_is_named_by_its_place(tmp_path: Path) -> None:
    path = tmp_path / "r.fa"
    path.write_text(">chr1\n" + "A" * 20 + "R" + "A" * 20 + "\n")
    site, tokenizer = Variant("chr1", 10, "A", "G"), Tokenizer(iupac="error")
    for window in variant_windows(Genome(path), tokenizer, [site], 40):
        with pytest.raises(ValueError, match=r"r chr1.*20"):
            window.ids(11, 30)
