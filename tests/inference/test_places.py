"""Places read together are what slices of the contig say."""

from pathlib import Path

import numpy as np
import pytest

from dnamamba.alphabet import Tokenizer
from dnamamba.bases import complement_bases
from dnamamba.data.genome.fasta import Genome
from dnamamba.inference import places
from dnamamba.inference.places import encode_texts, read_place, read_places

CONTIGS = {"one": b"GATTACAgattaccaGGTTTTACGNACGTACCTGA", "two": b"ACGTT"}


@pytest.fixture
def genome(tmp_path: Path) -> Genome:
    text = b"".join(b">%s\n%s\n" % (name.encode(), bases) for name, bases in CONTIGS.items())
    (tmp_path / "ref.fa").write_bytes(text)
    return Genome(tmp_path / "ref.fa")


SPANS = [
    ("one", 0, 1),
    ("one", 34, 35),
    ("two", 2, 4),
    ("one", 9, 20),
    ("one", 0, 35),
    ("one", 9, 9),
]


@pytest.mark.parametrize("at_once", [1, 20, 1000])
@pytest.mark.parametrize(("context", "flank"), [(3, 5), (5, 3), (0, 0), (100, 2)])
def test_each_is_what_surrounds_it(
    genome: Genome, context: int, flank: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "_AT_ONCE", at_once)
    tokenizer = Tokenizer("byte")
    got = read_places(genome, tokenizer, SPANS, context, flank)
    for (contig, start, end), place in zip(SPANS, got, strict=True):
        bases = CONTIGS[contig]
        turned = complement_bases(bases)[::-1]
        assert place.letters == bases[start:end]
        for strand, text, first, last in [
            (0, bases, start, end),
            (1, turned, len(bases) - end, len(bases) - start),
        ]:
            before, behind = text[max(0, first - context) : first], text[last : last + flank]
            np.testing.assert_array_equal(place.prefixes[strand], tokenizer.encode(before))
            np.testing.assert_array_equal(place.flanks[strand], tokenizer.encode(behind))


def test_a_refused_letter_is_named_by_contig_and_position(genome: Genome) -> None:
    tokenizer = Tokenizer.of_tokens({"A": 7, "C": 8, "G": 9, "T": 10}, 16)
    spans = [("two", 2, 3), ("one", 22, 23)]
    with pytest.raises(ValueError, match=r"ref one, position 24 \(0-based\): 'N' has no id"):
        read_places(genome, tokenizer, spans, 5, 5)
    with pytest.raises(ValueError, match="no contig 'three'"):
        read_place(genome, tokenizer, "three", 0, 1, 5, 5)


def test_texts_lie_one_behind_the_other() -> None:
    ids, edges = encode_texts(Tokenizer(), ["GAT", "", "a"])
    assert edges.tolist() == [0, 3, 3, 4]
    assert ids.tolist() == Tokenizer().encode("GATA").tolist()
    with pytest.raises(ValueError, match="sequence, position 1 "):
        encode_texts(Tokenizer(), ["GAT", "AZ"])
