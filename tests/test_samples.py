"""The bundled genomes are what the manifest says, and the quickstart's split does not leak."""

import hashlib
import tomllib
from pathlib import Path

import pytest
import yaml

from dnamamba.data.genome.fasta import Genome
from dnamamba.data.modules.genome import GenomeDataModule
from dnamamba.data.windows.settings import GenomeSplit, Part, WindowConfig
from dnamamba.report.leakage import held_out_windows_with_shared_kmers

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "data" / "samples"
MANIFEST = tomllib.loads((SAMPLES / "manifest.toml").read_text())


@pytest.mark.parametrize("file", sorted(MANIFEST))
def test_file_matches_its_manifest(file: str) -> None:
    entry = MANIFEST[file]
    path = SAMPLES / file
    assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]
    assert Genome(path).contigs == {entry["accession"]: entry["length"]}
    assert entry["organism"] in path.read_text().partition("\n")[0]
    assert {"origin", "licence", "sequence"} <= entry.keys()


def test_every_bundled_fasta_is_in_the_manifest() -> None:
    assert {path.name for path in SAMPLES.glob("*.fa")} == set(MANIFEST)


def test_the_excluded_region_is_the_second_copy_of_the_inverted_repeat() -> None:
    genome = Genome(SAMPLES / "arabidopsis_chloroplast.fa")
    first = genome.fetch("NC_000932.1", 84170, 110434)
    assert genome.fetch("NC_000932.1", 128214, 154478, "-") == first
    (line,) = [
        line
        for line in (SAMPLES / "heldout" / "exclude.bed").read_text().splitlines()
        if not line.startswith("#")
    ]
    assert line == "NC_000932.1\t128214\t154478"


@pytest.fixture
def quickstart(monkeypatch: pytest.MonkeyPatch) -> GenomeDataModule:
    """The data of configs/quickstart.yaml."""
    monkeypatch.chdir(ROOT)  # its paths are relative to the checkout
    settings = yaml.safe_load((ROOT / "configs" / "quickstart.yaml").read_text())["data"]
    held_out = {name: Part(**part) for name, part in settings.pop("split").items()}
    windows = WindowConfig(**settings.pop("windows"))
    return GenomeDataModule(**settings, windows=windows, split=GenomeSplit(**held_out))


@pytest.mark.parametrize("part", ["validation", "test"])
def test_no_held_out_window_shares_20_bases_with_training(
    quickstart: GenomeDataModule, part: str
) -> None:
    held_out = list(quickstart.bases(part))
    assert sum(map(len, held_out)) == {"validation": 24_000, "test": 40_000}[part]
    shared = held_out_windows_with_shared_kmers(quickstart.bases("train"), held_out, k=20)
    assert shared.tolist() == []


def test_the_check_finds_a_leak_through_the_inverted_repeat(quickstart: GenomeDataModule) -> None:
    chloroplast = Genome(SAMPLES / "arabidopsis_chloroplast.fa")
    second_copy = [chloroplast.fetch("NC_000932.1", 130_000, 131_000)]
    shared = held_out_windows_with_shared_kmers(quickstart.bases("train"), second_copy, k=20)
    assert shared.tolist() == [0]
