"""Log-likelihoods base by base are those of which ``evaluate`` gives the sums."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import opinionated, reading_both_ways
from numpy.typing import NDArray

from dnamamba.alphabet import Tokenizer
from dnamamba.commands.pieces import intervals
from dnamamba.data.genome.fasta import Genome
from dnamamba.inference import evaluation
from dnamamba.inference.evaluation import evaluate, evaluate_bases
from dnamamba.inference.scoring import score
from dnamamba.model.language_model import LanguageModel

TOKENIZER = Tokenizer()
RECORDS = {
    "a": "GATTACANNCAGGTTTACGRACGTTGACCATTGACC",
    "b": "C",
    "gap": "NNNNNN",
    "c": "ACGTTTGACA",
}
BED = "a\t3\t20\tx\t0\t-\na\t20\t36\nc\t0\t10\ty\t0\t-\n"
HOW: list[dict[str, Any]] = [{}, {"window": 7}, {"max_bases": 16, "overlap": 4, "window": 30}]


@pytest.fixture(scope="module", params=["causal", "both ways"])
def model(request: pytest.FixtureRequest) -> LanguageModel:
    return opinionated() if request.param == "causal" else reading_both_ways()


@pytest.fixture
def genome(tmp_path: Path) -> Genome:
    (tmp_path / "ref.fa").write_text("".join(f">{k}\n{v}\n" for k, v in RECORDS.items()))
    return Genome(tmp_path / "ref.fa")


def _whole(parts: Any, lengths: list[int], starts: list[int]) -> list[NDArray[np.float32]]:
    """Every piece put together; parts come in order and leave nothing out."""
    reached, values = list(starts), [[] for _ in lengths]
    numbers = []
    for number, first, part in parts:
        assert first == reached[number]
        reached[number] += len(part)
        values[number].append(part)
        numbers.append(number)
    assert numbers == sorted(numbers)
    whole = [np.concatenate(part) for part in values]
    assert [len(part) for part in whole] == lengths
    return whole


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("bed", [False, True])
@pytest.mark.parametrize("together", [1, 1 << 24])
def test_sums_are_those_of_evaluate(
    model: LanguageModel,
    genome: Genome,
    tmp_path: Path,
    how: dict[str, Any],
    bed: bool,
    together: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evaluation, "_BASES", together)
    (tmp_path / "r.bed").write_text(BED)
    pieces = list(intervals(genome, TOKENIZER, tmp_path / "r.bed" if bed else None))
    expected = evaluate(model, TOKENIZER, pieces, **how)
    parts = evaluate_bases(model, TOKENIZER, pieces, **how)
    whole = _whole(parts, [len(p) for p in pieces], [p.start for p in pieces])
    sums = [np.nansum(values, dtype=np.float64) for values in whole]
    np.testing.assert_allclose(sums, expected.log_likelihood, rtol=1e-5, atol=1e-5)
    assert [np.count_nonzero(~np.isnan(v)) for v in whole] == expected.bases.tolist()
    for piece, values in zip(pieces, whole, strict=True):
        letters = np.array(list(RECORDS[piece.contig][piece.start : piece.end]))
        assert np.isnan(values)[np.isin(letters, ["N", "R"])].all()


def test_a_base_of_the_minus_strand_stands_in_its_place(genome: Genome, tmp_path: Path) -> None:
    """Of a causal model the last base alone is read after all others."""
    model = opinionated()
    (tmp_path / "r.bed").write_text("c\t2\t9\tx\t0\t-\n")
    pieces = list(intervals(genome, TOKENIZER, tmp_path / "r.bed"))
    ((_, first, values),) = evaluate_bases(model, TOKENIZER, pieces)
    read = "TGTCAAACGT"[1:8]  # the other strand of c
    sums = [score(model, TOKENIZER, [read[:n]]).log_likelihood[0] for n in range(1, 8)]
    np.testing.assert_allclose(values[::-1], np.diff([0, *sums]), rtol=1e-4, atol=1e-5)
    assert first == 2
