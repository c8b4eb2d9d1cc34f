"""Commands with models that read both ways, and ``embed`` on both strands of any model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import opinionated, reading_both_ways

import dnamamba
from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.commands.embed import embed_fasta
from dnamamba.commands.embedding_parts import EmbeddingJob
from dnamamba.commands.evaluate import evaluate_fasta
from dnamamba.commands.generate import generate_fasta
from dnamamba.commands.mutagenesis import mutagenesis
from dnamamba.commands.pieces import intervals
from dnamamba.commands.score import score_vcf
from dnamamba.data.genome.fasta import Genome
from dnamamba.inference.reading import Reading

CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}
MODELS = {
    "causal": opinionated,
    "plain": reading_both_ways,
    "symmetric": lambda: reading_both_ways(symmetric=True),
}


@pytest.fixture(scope="module")
def records() -> list[str]:
    random = np.random.default_rng(6)
    return ["".join(random.choice(list("ACGT"), n)) for n in (150, 40)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, records: list[str]) -> Path:
    """A folder with a model of each kind, a FASTA and a VCF."""
    path = tmp_path_factory.mktemp("both-ways")
    for name, make in MODELS.items():
        checkpoint.save(path / name, make(), Tokenizer())
    (path / "g.fa").write_text("".join(f">r{i}\n{r}\n" for i, r in enumerate(records)))
    ref = records[0]
    alts = {10: "ACGT"[("ACGT".index(ref[10]) + 1) % 4], 20: ref[20] + "AC"}
    lines = ["##fileformat=VCFv4.2", "##contig=<ID=r0>"]
    lines.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    both = f"{alts[10]},{ref[10]}TT"
    lines.append(f"r0\t11\t.\t{ref[10]}\t{both}\t.\t.\t.")
    lines.append(f"r0\t21\t.\t{ref[20]}\t{alts[20]}\t.\t.\tX=1;DNAMAMBA_L2=3")
    (path / "in.vcf").write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("kind", list(MODELS))
@pytest.mark.parametrize("pooling", ["mean", None])
def test_embed_on_both_strands(
    folder: Path, records: list[str], kind: str, pooling: Any, tmp_path: Path
) -> None:
    settings: Any = {"pooling": pooling, "both_strands": True, "chunk_length": 33, "batch_size": 2}
    embed_fasta(str(folder / kind), str(folder / "g.fa"), str(tmp_path / "v.npz"), **settings)
    with np.load(tmp_path / "v.npz") as arrays:
        got, strands = arrays["embedding"], str(arrays["strands"])
    expected = dnamamba.load(folder / kind).embed(records, pooling=pooling, both_strands=True)
    np.testing.assert_allclose(got, np.concatenate(expected).reshape(got.shape), **CLOSE)
    assert strands == "2"


@pytest.mark.parametrize("kind", list(MODELS))
def test_parts_remember_what_changes_a_vector(folder: Path, kind: str) -> None:
    network, tokenizer = checkpoint.load(folder / kind)
    pieces = intervals(Genome(folder / "g.fa"), tokenizer)

    def name(both: bool, **reading: Any) -> str:
        settings = ("mean", -1, both, Reading(**reading))
        job = EmbeddingJob(network, tokenizer, pieces, ("id",), *settings)  # type: ignore[arg-type]
        return next(iter(job.parts(Path("x"), "digest"))).name

    assert (name(True) == name(False)) == (kind == "symmetric")
    assert name(False, max_bases=150, overlap=9) == name(False)  # all of it fits
    windows = name(False, max_bases=100, overlap=9)
    assert (windows == name(False)) == (kind == "causal")
    assert (windows == name(False, max_bases=100, overlap=8)) == (kind == "causal")


@pytest.mark.parametrize("kind", ["plain", "symmetric"])
def test_score_writes_what_applies(folder: Path, kind: str, tmp_path: Path) -> None:
    inputs = str(folder / kind), str(folder / "g.fa")
    for name in ("s.vcf", "s.tsv"):
        with pytest.warns(UserWarning, match="indel"):
            score_vcf(*inputs, str(tmp_path / name), vcf=str(folder / "in.vcf"), context=30)
    with pytest.warns(UserWarning, match="indel"):
        (expected,) = dnamamba.load(folder / kind).score_variants(
            folder / "in.vcf", folder / "g.fa", context=30
        )
    text = (tmp_path / "s.vcf").read_text()
    assert "##INFO=<ID=DNAMAMBA_LLR,Number=A" in text
    assert "DNAMAMBA_L2" not in text
    assert "DNAMAMBA_COSINE" not in text
    assert "context=30,strands=2>" in text
    first, second = text.splitlines()[-2:]
    assert first.endswith(f"\tDNAMAMBA_LLR={expected.llr:.6g},.")
    assert second.endswith("\tX=1")  # an indel: left as it was, but for scores of an earlier run
    header, row = (tmp_path / "s.tsv").read_text().splitlines()
    assert header == "contig\tpos\tid\tref\talt\tllr\tllr_forward\tllr_reverse"
    assert row.split("\t")[5:] == [f"{value:.6g}" for value in expected[1:4]]


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"flank": 3}, "flank has no meaning for a model that reads both ways"),
        ({"context": -1}, "context must be at least 0, got -1"),
    ],
)
def test_settings_are_refused_before_the_variants_are_read(
    folder: Path, tmp_path: Path, settings: dict[str, int], match: str
) -> None:
    (tmp_path / "bad.vcf").write_text("no VCF\n")
    inputs = str(folder / "plain"), str(folder / "g.fa"), str(tmp_path / "s.tsv")
    with pytest.raises(ValueError, match=match):
        score_vcf(*inputs, vcf=str(tmp_path / "bad.vcf"), **settings)
    assert not (tmp_path / "s.tsv").exists()


@pytest.mark.parametrize(
    ("kind", "of_the_other"), [("causal", {"overlap": 9}), ("plain", {"chunk_length": 7})]
)
def test_what_bounds_the_memory_of_the_other_kind_is_passed_over(
    folder: Path, records: list[str], kind: str, of_the_other: dict[str, int]
) -> None:
    model = dnamamba.load(folder / kind)
    bounded: Any = {"max_bases": 64}
    for found in (model.embed, lambda *given, **how: model.score(*given, **how).log_likelihood):
        expected = found(records, **bounded)  # type: ignore[operator]
        np.testing.assert_array_equal(found(records, **bounded, **of_the_other), expected)  # type: ignore[operator]


def test_evaluate_masks_as_score_does(
    folder: Path, records: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "bits.tsv"
    settings: Any = {"mask_every": 4, "max_bases": 128, "overlap": 30}
    evaluate_fasta(str(folder / "plain"), [str(folder / "g.fa")], str(table), **settings)
    rows = [line.split("\t") for line in table.read_text().splitlines()[1:]]
    expected = dnamamba.load(folder / "plain").score(records, **settings).bits_per_base
    np.testing.assert_allclose([float(row[-1]) for row in rows], expected, rtol=1e-5)
    notes = tmp_path / "bits.json"
    evaluate_fasta(str(folder / "plain"), [str(folder / "g.fa")], str(notes), mask_every=4)
    assert "masked and guessed" in " ".join(capsys.readouterr().out.split())
    beside = json.loads(notes.read_text())
    assert (beside["score"], beside["mask_every"]) == ("pseudo-likelihood", 4)


def test_mutagenesis_tables_a_region(folder: Path, tmp_path: Path) -> None:
    inputs = str(folder / "plain"), str(folder / "g.fa"), str(tmp_path / "m")
    mutagenesis(*inputs, region="r0:10-12", context=20)
    lines = (tmp_path / "m.tsv").read_text().splitlines()
    assert len(lines) == 7
    assert (tmp_path / "m.png").stat().st_size > 0


def test_generate_says_what_to_use(folder: Path, tmp_path: Path) -> None:
    message = r"generating needs a causal model, .* a BiMamba, which reads both ways and guesses"
    with pytest.raises(ValueError, match=message):
        generate_fasta(str(folder / "plain"), str(tmp_path / "x.fa"), length=5)
    assert not (tmp_path / "x.fa").exists()
