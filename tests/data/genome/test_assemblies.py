"""References by name: the table, and the file that a name stands for."""

from pathlib import Path

import pytest

from dnamamba.data.genome import assemblies as table
from dnamamba.data.genome.assemblies import assemblies, located, named
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.genome.several import open_genomes

FASTA = ">chr1\nACGTACGT\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, and a cache without references."""
    monkeypatch.setenv("DNAMAMBA_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _put(name: str, text: str = FASTA) -> Path:
    path = named(name).file.with_suffix("")  # type: ignore[union-attr]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_every_reference_has_an_address_and_a_name_of_its_own() -> None:
    names = [n.lower() for each in assemblies() for n in (each.name, *each.aliases)]
    assert len(names) == len(set(names))
    for each in assemblies():
        assert each.address.startswith("https://")
        assert each.address.endswith((".fa.gz", ".fna.gz"))
        assert each.checksums.rpartition("/")[0] == each.address.rpartition("/")[0]
        assert "{" not in each.address


@pytest.mark.parametrize(
    ("name", "meant"),
    [("hg38", "hg38"), ("HG38", "hg38"), ("T2T-CHM13", "hs1"), ("grcm39", "mm39"), ("hg", None)],
)
def test_names(name: str, meant: str | None) -> None:
    assert (assembly.name if (assembly := named(name)) else None) == meant


def test_a_name_stands_for_the_file_that_was_fetched() -> None:
    path = _put("hg38")
    assert located("hg38") == path
    genome = Genome("hg38")
    assert (genome.path, genome.name) == (path, "hg38")
    assert list(open_genomes(["hg38"])) == ["hg38"]


def test_a_file_comes_before_a_name(folder: Path) -> None:
    _put("hg38")
    (folder / "hg38").write_text(">own\nACGT\n")
    assert list(Genome("hg38").contigs) == ["own"]


def test_a_folder_of_that_name_is_passed_over(folder: Path) -> None:
    (folder / "hg38").mkdir()
    path = _put("hg38")
    assert located("hg38") == path


@pytest.mark.parametrize("path", ["ref.fa", "folder/hg38", "genome", "hg38.fa", Path("some")])
def test_other_paths_are_left_as_they_are(path: str | Path) -> None:
    assert located(path) is path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mm10", "the reference of that name has not been fetched: run `dnamamba genome mm10`"),
        ("GRCh38", "run `dnamamba genome GRCh38`"),
        ("CHM13", "run `dnamamba genome hs1`"),
        ("hg83", "cannot read FASTA hg83: .*did you mean the reference hg38.*genome --list"),
    ],
)
def test_what_is_not_at_hand_is_not_fetched(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Genome(name)
    with pytest.raises(ValueError, match=message):
        open_genomes([name])


def test_one_reference_under_two_names_is_given_twice() -> None:
    _put("hs1")
    with pytest.raises(ValueError, match=r"more than once in data\.genomes"):
        open_genomes(["hs1", "CHM13"])


def test_the_table_is_read_once() -> None:
    assert table.assemblies() is table.assemblies()
