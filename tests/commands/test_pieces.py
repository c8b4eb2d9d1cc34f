from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dnamamba.alphabet import Tokenizer
from dnamamba.commands.pieces import intervals
from dnamamba.data.genome.fasta import Genome
from dnamamba.inference.intervals import Interval, cut
from dnamamba.inference.strands import Opposites

BASES = "AACCGGTTACGTNACGTTGCA"


@pytest.fixture
def genome(tmp_path: Path) -> Genome:
    path = tmp_path / "g.fa"
    path.write_text(f">one\n{BASES}\n>two\nACGTACGT\n")
    return Genome(path)


def _text(piece: Interval) -> str:
    return piece.tokenizer.decode(piece.ids(0, len(piece)))


def test_contigs_whole(genome: Genome, tokenizer: Tokenizer) -> None:
    assert {p.id: _text(p) for p in intervals(genome, tokenizer)} == {
        "one": BASES,
        "two": "ACGTACGT",
    }


def test_bed_names_strands_and_order(genome: Genome, tokenizer: Tokenizer, tmp_path: Path) -> None:
    bed = tmp_path / "x.bed"
    rows = ["# a comment", "two 1 4", "one 0 5 promoter 0 -", "one 0 5 . 0 .", "one 2 4 b 1 +"]
    bed.write_text("\n".join(row.replace(" ", "\t") for row in rows) + "\n")
    got = [
        (p.id, p.contig, p.start, p.end, p.strand, _text(p))
        for p in intervals(genome, tokenizer, bed)
    ]
    assert got == [
        ("two:1-4", "two", 1, 4, "+", "CGT"),
        ("promoter", "one", 0, 5, "-", "CGGTT"),
        ("one:0-5", "one", 0, 5, "+", "AACCG"),
        ("b", "one", 2, 4, "+", "CC"),
    ]


@pytest.mark.parametrize("strand", ["+", "-"])
def test_any_piece_of_an_interval_is_that_piece_of_its_text(
    genome: Genome, tokenizer: Tokenizer, strand: str
) -> None:
    piece = Interval(genome, tokenizer, "x", "one", 3, 20, strand)  # type: ignore[arg-type]
    whole = piece.ids(0, 17)
    for start, stop in [(0, 0), (0, 1), (5, 9), (16, 17), (17, 17)]:
        np.testing.assert_array_equal(piece.ids(start, stop), whole[start:stop])


def test_cut_covers_every_base_once(genome: Genome, tokenizer: Tokenizer) -> None:
    windows = list(cut(intervals(genome, tokenizer), 8))
    assert [(n, w.contig, w.start, w.end) for n, w in windows] == [
        (0, "one", 0, 8),
        (0, "one", 8, 16),
        (0, "one", 16, 21),
        (1, "two", 0, 8),
    ]
    assert [len(w) for _, w in cut(intervals(genome, tokenizer), None)] == [21, 8]


def test_windows_by_columns_are_those_one_by_one(
    genome: Genome, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    bed = tmp_path / "x.bed"
    bed.write_text("two\t1\t8\none\t0\t21\tgene\t0\t-\none\t3\t4\n")
    pieces = intervals(genome, tokenizer, bed)
    for window in (None, 1, 3, 7, 100):
        expected = [piece for _, piece in cut(pieces, window)]
        windows = pieces.cut(window)
        assert list(windows) == expected
        assert windows.lengths.tolist() == [len(piece) for piece in expected]
        for name in ("id", "contig", "start", "end", "strand"):
            assert windows.column(name) == [getattr(piece, name) for piece in expected]
        assert list(windows[1:3]) == expected[1:3]
        assert list(windows.take([2, 0, 2])) == [expected[i] for i in (2, 0, 2)]
    with pytest.raises(ValueError, match="window must be at least 1 or null, got 0"):
        pieces.cut(0)


@pytest.mark.parametrize("name", ["nucleotide", "byte"])
@pytest.mark.parametrize("lines", ["ACGTNacgtnACGGT", "ACGTRYuUnacKVBDHMSW"])
def test_rows_read_together_are_those_read_alone(tmp_path: Path, name: str, lines: str) -> None:
    path = tmp_path / "g.fa"
    path.write_text(f">one\n{lines}\n>two\n{lines[::-1]}\n")
    (tmp_path / "x.bed").write_text(
        "two\t1\t14\tx\t0\t-\none\t0\t15\ntwo\t3\t9\none\t2\t12\tx\t0\t-\n"
    )
    pieces = intervals(Genome(path), Tokenizer(name), tmp_path / "x.bed")
    for first, last in [(0, 15), (0, 3), (3, 9), (8, 14), (12, 15)]:
        stops = np.minimum(last, pieces.lengths)
        starts = np.minimum(first, stops)
        for read in (pieces, Opposites(pieces, pieces.tokenizer)):
            out = np.full((4, 16), 77, dtype=np.uint8)
            read.write(starts, stops, out[:, 1:])
            expected = np.full_like(out, 77)
            for row, piece, start, stop in zip(expected, read, starts, stops, strict=True):
                row[1 : 1 + stop - start] = piece.ids(int(start), int(stop))
            np.testing.assert_array_equal(out, expected)
            few = np.full((2, 15), 77, dtype=np.uint8)
            read.write(starts[:2], stops[:2], few)
            np.testing.assert_array_equal(few, expected[:2, 1:])


def test_a_letter_that_is_refused_is_named_by_its_place(tmp_path: Path) -> None:
    path = tmp_path / "g.fa"
    path.write_text(">one\nACGTACGT\n>two\nACGTRACGT\n")
    (tmp_path / "x.bed").write_text("one\t0\t5\ntwo\t3\t8\tx\t0\t-\n")
    lenient = intervals(Genome(path), Tokenizer(), tmp_path / "x.bed")
    strict = replace(lenient, tokenizer=Tokenizer(iupac="error"))
    with pytest.raises(ValueError, match=r"g two, position .* is an IUPAC code"):
        strict.write(np.zeros(2, np.int64), strict.lengths, np.empty((2, 5), np.uint8))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("one\t0\t5\tx\t0\tminus", r"x.bed, line 1: strand must be \+ or - or ., got 'minus'"),
        ("three\t0\t5", r"x.bed, line 1.*three"),
        ("one\t5\t5", "x.bed, line 1"),
        ("one\t0\t99", "x.bed, line 1.*21"),
        ("", "x.bed"),
    ],
)
def test_bad_rows_are_named(
    genome: Genome, tokenizer: Tokenizer, tmp_path: Path, line: str, message: str
) -> None:
    bed = tmp_path / "x.bed"
    bed.write_text(line + "\n")
    with pytest.raises(ValueError, match=message):
        intervals(genome, tokenizer, bed)


def test_the_tokenizers_policy_is_applied_at_once(tmp_path: Path) -> None:
    path = tmp_path / "g.fa"
    path.write_text(">one\nACGTRACGT\n")
    with pytest.raises(ValueError, match=r"one.*'R' is an IUPAC code"):
        intervals(Genome(path), Tokenizer(iupac="error"))
