"""``dnamamba score`` from file to file: what stays, what is added, what is refused."""

import gzip
from pathlib import Path
from typing import Any

import pytest
import vcfpy

import dnamamba
from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.cli import main
from dnamamba.commands import score as command
from dnamamba.commands.score import score_vcf
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.variants import VariantChecks, read_variants
from dnamamba.inference.variant_scores import score_variants
from dnamamba.model.language_model import LanguageModel

CHR1 = "ACGTACGTACGGGGTTTTACGTNacgtacACGTTGCAAG"
HEADER = (
    "##fileformat=VCFv4.2\n"
    '##INFO=<ID=AF,Number=A,Type=Float,Description="a">\n'
    '##INFO=<ID=DNAMAMBA_L2,Number=1,Type=Float,Description="of an earlier run">\n'
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="g">\n'
)
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1\n"
RECORDS = [
    "chr1\t1\trs1\tA\tC,<DEL>,G\t29\tPASS\tAF=0.1,0.2,0.3;DNAMAMBA_L2=7\tGT\t0|1",
    "chr1\t5\t.\tACG\tA\t.\t.\t.\tGT\t0/0",
    "chr1\t3\t.\tG\t.\t.\t.\tDB\tGT\t./.",
    "chr1\t39\t.\tG\tGAC\t.\t.\tAF=0.5\tGT\t1|1",
]


@pytest.fixture
def folder(tmp_path: Path, model: LanguageModel, tokenizer: Tokenizer) -> Path:
    """A model, a genome and a VCF."""
    checkpoint.save(tmp_path / "model", model, tokenizer)
    (tmp_path / "ref.fa").write_text(f">chr1\n{CHR1}\n")
    (tmp_path / "v.vcf").write_text(HEADER + COLUMNS + "\n".join(RECORDS))  # no last line end
    return tmp_path


def _score(folder: Path, output: str, vcf: str = "v.vcf", **settings: Any) -> Path:
    model, fasta = str(folder / "model"), str(folder / "ref.fa")
    score_vcf(model, fasta, str(folder / output), vcf=str(folder / vcf), **settings)
    return folder / output


@pytest.mark.filterwarnings("ignore:.*left out")
@pytest.mark.parametrize("name", ["out.vcf", "out.vcf.gz"])
def test_records_stay_and_scores_are_added(
    folder: Path, model: LanguageModel, tokenizer: Tokenizer, name: str
) -> None:
    output = _score(folder, name, batch_size=2)
    genome = Genome(folder / "ref.fa")
    variants = list(read_variants(folder / "v.vcf", genome))
    scores = [f"{s.llr:.6g}" for s in score_variants(model, tokenizer, genome, variants)]
    assert len(set(scores)) == 4

    unpack = gzip.decompress if name.endswith("gz") else bytes
    lines = unpack(output.read_bytes()).decode().splitlines()
    records = [line.split("\t") for line in lines if not line.startswith("#")]
    originals = [record.split("\t") for record in RECORDS]
    assert [r[:7] + r[8:] for r in records] == [r[:7] + r[8:] for r in originals]
    info = [dict(e.partition("=")[::2] for e in r[7].split(";")) for r in records]
    assert info[0]["AF"] == "0.1,0.2,0.3"
    assert info[0]["DNAMAMBA_L2"] != "7"
    assert info[2] == {"DB": ""}
    llr = [i.get("DNAMAMBA_LLR", "").split(",") for i in info]
    expected = [[scores[0], ".", scores[1]], [scores[2]], [""], [scores[3]]]
    for values, wanted in zip(llr, expected, strict=True):
        for value, want in zip(values, wanted, strict=True):
            assert value == want or float(value) == pytest.approx(float(want), abs=2e-4)
    assert sum("ID=DNAMAMBA_L2" in line for line in lines) == 1
    assert "##dnamamba_score=<" in lines[6]


@pytest.mark.filterwarnings("ignore:.*left out")
def test_other_tools_read_the_output(folder: Path) -> None:
    with vcfpy.Reader.from_path(str(_score(folder, "out.vcf.gz"))) as reader:
        assert reader.header.get_info_field_info("DNAMAMBA_LLR").number == "A"
        first = next(iter(reader)).INFO["DNAMAMBA_COSINE"]
    assert [value is None for value in first] == [False, True, False]


@pytest.mark.filterwarnings("ignore:.*left out")
def test_a_scored_file_can_be_scored_again(folder: Path) -> None:
    once = _score(folder, "once.vcf").read_text()
    assert _score(folder, "twice.vcf", vcf="once.vcf").read_text() == once
    assert _score(folder, "once.vcf", vcf="once.vcf", overwrite=True).read_text() == once


@pytest.mark.filterwarnings("ignore:.*left out")
def test_table(folder: Path) -> None:
    rows = [line.split("\t") for line in _score(folder, "out.tsv").read_text().splitlines()]
    assert rows[0] == [
        "contig", "pos", "id", "ref", "alt",
        "llr", "llr_forward", "llr_reverse", "l2", "cosine",
    ]  # fmt: skip
    assert [row[:5] for row in rows[1:]] == [
        ["chr1", "1", "rs1", "A", "C"],
        ["chr1", "1", "rs1", "A", "G"],
        ["chr1", "5", ".", "ACG", "A"],
        ["chr1", "39", ".", "G", "GAC"],
    ]
    for row in rows[1:]:
        llr, forward, reverse, l2, cosine = map(float, row[5:])
        assert llr == pytest.approx((forward + reverse) / 2, abs=1e-4)
        assert l2 > 0
        assert 0 < cosine < 2


@pytest.mark.filterwarnings("ignore:.*left out")
def test_from_the_command_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (folder / "v.vcf").read_text()
    (folder / "v.vcf").write_text(text.replace("chr1\t", "ch1\t"))
    files = [str(folder / name) for name in ("model", "ref.fa", "out.tsv")]
    arguments = ["score", *files, "--vcf", str(folder / "v.vcf")]
    assert main(arguments) == 1
    assert "did you mean 'chr1'" in capsys.readouterr().err
    assert not (folder / "out.tsv").exists()
    (folder / "v.vcf").write_text(text.replace("chr1\t", "1\t"))
    assert main([*arguments, "--checks.contig_names", "add_chr", "--both_strands", "false"]) == 0
    assert (folder / "out.tsv").read_text().count("\n1\t") == 4
    assert main([*arguments, "--checks.contig_names", "add_chr"]) == 1
    assert "exists; remove it, or set overwrite" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:.*left out")
def test_from_python(folder: Path) -> None:
    scores = dnamamba.load(folder / "model").score_variants(
        folder / "v.vcf", folder / "ref.fa", VariantChecks(kinds=["snv"]), flank=8
    )
    assert [score.variant.name for score in scores] == ["chr1:1:A:C", "chr1:1:A:G"]
    expected = _score(folder, "out.tsv", flank=8).read_text().splitlines()[1:3]
    for score, line in zip(scores, expected, strict=True):
        assert float(line.split("\t")[5]) == pytest.approx(score.llr, abs=1e-4)


BAD = [
    ("REF mismatch", "chr1\t1\t.\tG\tC\t.\t.\t.", r"line 9: chr1:1: REF is G, but .*ref\.fa has A"),
    ("contig absent", "chr9\t1\t.\tA\tC\t.\t.\t.", r"line 9: .*no contig 'chr9'"),
    ("position 0", "chr1\t0\t.\tA\tC\t.\t.\t.", r"line 9: POS 0 .*lies outside chr1"),
    ("past the end", "chr1\t99\t.\tA\tC\t.\t.\t.", r"line 9: POS 99 .*lies outside chr1"),
    ("cut off", "chr1\t1\t.\tA", r"line 9: 4 columns where a VCF has at least 8"),
]


@pytest.mark.parametrize(("record", "match"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_a_bad_record_is_found_before_anything_is_scored(
    folder: Path, record: str, match: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = [r for r in RECORDS if "<DEL>" not in r and "\t.\t.\t.\tDB" not in r]
    lines = [*good, good[0], record]
    (folder / "bad.vcf").write_text(HEADER + COLUMNS + "\n".join(lines) + "\n")

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("scored")

    monkeypatch.setattr(command, "_annotated", never)
    before = sorted(folder.iterdir())
    with pytest.raises(ValueError, match=match):
        _score(folder, "out.vcf", vcf="bad.vcf")
    assert sorted(folder.iterdir()) == before


def test_policies_reach_the_reader(folder: Path) -> None:
    (folder / "bad.vcf").write_text(HEADER + COLUMNS + f"{BAD[0][1]}\n{RECORDS[1]}\n")
    with pytest.warns(UserWarning, match=r"left out .*1 whose REF differs") as said:
        output = _score(folder, "out.vcf", "bad.vcf", checks=VariantChecks(mismatch="skip"))
    assert len(said) == 1
    first, second = output.read_text().splitlines()[-2:]
    assert first == BAD[0][1]
    assert "DNAMAMBA_LLR=" in second


@pytest.mark.filterwarnings("ignore:.*left out")
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_what_is_left_out_stays_byte_by_byte(folder: Path, end: bytes) -> None:
    header = [
        b"##fileformat=VCFv4.2",
        b"##contig={'length': '249250621', 'ID': 'chr1'}",
        b'##INFO=<ID=E,Number=A,Type=String,Description="M\xfcller)',
        b"# a comment",
    ]
    good = b"chr1\t1\trs1\tA\tC\t.\t.\tNOTE=M\xfcller"
    bad = [
        b"chr1\t1", b"chr1 1 . A C . . .", b"##INFO=<ID=again>", b"#CHROM",
        b"chr1\t1\tcaf\xe9\tA\tC\t.\t.\tX=1", b"chr1\t1\t.\tM\tG\t.\t.\tX=1",
    ]  # fmt: skip
    columns = b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
    lines = [*header, columns, good, *bad, good]
    (folder / "bad.vcf").write_bytes(end.join(lines) + end)
    lenient = VariantChecks(malformed="skip", mismatch="skip")
    output = _score(folder, "out.vcf", "bad.vcf", checks=lenient).read_bytes().split(b"\n")
    written = [line.rstrip(b"\r") for line in output]
    assert written[:4] == header
    assert written[8] == columns
    assert written[9].startswith(good + b";DNAMAMBA_LLR=")
    assert written[10:-2] == bad
    assert written[-2:] == [written[9], b""]


@pytest.mark.parametrize("names", ["add_chr", {"1": "chr1"}])
def test_the_table_names_contigs_as_the_vcf_does(folder: Path, names: Any) -> None:
    (folder / "v.vcf").write_text(HEADER + COLUMNS + RECORDS[1].replace("chr1", "1") + "\n")
    rows = _score(folder, "out.tsv", checks=VariantChecks(contig_names=names)).read_text()
    assert rows.splitlines()[1].startswith("1\t5\t.\tACG\tA\t")


@pytest.mark.filterwarnings("ignore:.*left out")
def test_a_failure_leaves_nothing_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(command, "_record", fails)
    before = sorted(folder.iterdir())
    for name in ("out.vcf", "out.vcf.gz"):
        with pytest.raises(OSError, match="no room to write"):
            _score(folder, name)
    assert sorted(folder.iterdir()) == before


def test_a_vcf_of_no_record_becomes_one_of_no_record(folder: Path) -> None:
    (folder / "none.vcf").write_text(HEADER + COLUMNS)
    assert _score(folder, "out.vcf", "none.vcf").read_text().endswith(COLUMNS)


@pytest.mark.parametrize(
    ("output", "settings", "match"),
    [
        ("out.txt", {}, r"output must end in .vcf or .vcf.gz or .tsv"),
        ("out.tsv", {"context": -1}, "context must be at least 0"),
    ],
)
def test_bad_settings(folder: Path, output: str, settings: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        _score(folder, output, **settings)
