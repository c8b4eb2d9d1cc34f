"""What the pages show works: their Python runs, commands are understood, files are there."""

import re
import shlex
import tomllib
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonargparse import ArgumentParser

import dnamamba
from dnamamba.cli import _TRAINING
from dnamamba.cli.commands import COMMANDS
from dnamamba.cli.spellings import one_spelling
from dnamamba.cli.use import make_parser

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TEXTS = {
    str(path.relative_to(DOCS)): path.read_text()
    for path in sorted(DOCS.rglob("*.md"))
    if "build" not in path.parts
}
VCF = """\
##fileformat=VCFv4.2
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO
chr1\t11\t.\tG\tA\t.\t.\t.
chr1\t19\t.\tGC\tG\t.\t.\t.
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With the files that the pages take for granted."""
    (tmp_path / "ref.fa").write_text(">chr1\nACGTTGCAACGATTACAGGCTTAACGT\n")
    (tmp_path / "variants.vcf").write_text(VCF)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(page: str) -> dict[str, Any]:
    """The names that are left when the page's Python has run, one block behind the other."""
    names: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", TEXTS[page], re.DOTALL):
        exec(code, names)
    return names


def test_vectors_are_as_wide_and_as_many_as_said(folder: Path) -> None:
    names = run("embed.md")
    assert (names["vectors"].shape, names["bases"].shape) == ((2, 128), (7, 128))
    assert not np.allclose(names["early"], names["largest"])


def test_the_indel_is_scored_as_by_hand(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = run("score.md")
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(" ")[0] for line in said[:2]] == ["chr1:11:G:A", "chr1:19:GC:G"]
    assert said[2:] == ["-1.695", "-1.695"]
    score = names["model"].score
    for allele, figures in re.findall(
        r"^\| (REF|ALT) \|.*\n.*\n\| \| (.*) \|$", TEXTS["score.md"], re.MULTILINE
    ):
        *bases, total, size, mean = map(float, figures.split(" | "))
        read = names["prefix"] + ("AT" if allele == "REF" else "A") + names["flank"]
        starts = [read[:n] for n in range(len(names["prefix"]), len(read) + 1)]
        found = np.diff(score(starts).log_likelihood)
        np.testing.assert_allclose(bases, found, atol=6e-4)
        sums = [sum(found), len(found), np.mean(found)]
        np.testing.assert_allclose([total, size, mean], sums, atol=6e-4)


def test_a_region_has_four_figures_a_base(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    effects = run("mutagenesis.md")["effects"]
    assert capsys.readouterr().out.startswith("(20, 4)\n")
    assert effects.mean.shape == (20,)


def test_a_state_goes_on_where_it_stopped() -> None:
    assert run("concepts/state.md")["second"].shape == (1, 36, 32)


def test_a_genome_gives_either_strand(folder: Path) -> None:
    genome = run("concepts/windows.md")["genome"]
    assert genome.fetch("chr1", 0, 4) == genome.fetch("chr1", 0, 4, "-") == b"ACGT"


def test_tables_come_back_with_their_ids() -> None:
    names = run("tables.md")
    assert list(names["both"]["id"]) == ["a", "b"]
    assert names["X"].shape == (2, 128)


@cache
def parser_of(command: str) -> ArgumentParser:
    module, _, name = COMMANDS[command].function.partition(":")
    return make_parser(command, getattr(import_module(module), name))


def test_commands_are_in_the_one_spelling() -> None:
    shown = [
        (page, match[1])
        for page, text in TEXTS.items()
        for match in re.finditer(rf"dnamamba ((?:{'|'.join(COMMANDS)}) [^-`\n][^`\n]*)", text)
        if "[" not in match[1] and page != "benchmark.md"  # which has a test of its own
    ]
    assert len(shown) > 20
    for page, line in shown:
        command, *arguments = shlex.split(line, comments=True)
        parser = parser_of(command)
        assert one_spelling(command, arguments, parser) == (arguments, None), page
        parser.parse_args(arguments)


def test_files_are_there() -> None:
    path = r"(?:configs|data|benchmarks|kernels|tools)/[\w./-]*\w\.(?:md|yaml|py|fa|vcf|csv)"
    named = {name for text in TEXTS.values() for name in re.findall(path, text)}
    assert len(named) > 10
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def listed(page: str, begin: str, end: str) -> set[str]:
    """The names in a sentence of a page, or of the README."""
    text = (ROOT / page).read_text()
    return {*re.findall(r"`(\w+)`", text.partition(begin)[2].partition(end)[0])}


def test_lists_of_commands_are_whole() -> None:
    tried = {name for name, command in COMMANDS.items() if command.tried}
    said = listed("docs/dry-run.md", "is the same) is there for", ". The command")
    assert said == {*_TRAINING, *tried}
    shared = {name for name, command in COMMANDS.items() if command.shared}
    assert listed("docs/several-gpus.md", "\nSo ", " share their work") == shared
    assert listed("README.md", "GPUs share the work of ", ", and write") == shared


def test_lists_of_extras_are_whole() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    (everything,) = re.findall(r"dnamamba\[([\w,]+)\]'\s+# all", (ROOT / "README.md").read_text())
    assert {*everything.split(",")} == {*extras}
    errors = TEXTS["reference/errors.md"]
    assert [name for name in extras if not re.search(rf"[`[]{name}[`\]]", errors)] == []


def test_the_python_reference_has_every_public_name() -> None:
    reference = "".join(text for page, text in TEXTS.items() if page.startswith("reference/python"))
    names = {*re.findall(r"^\.\. auto\w+:: dnamamba\.(\w+)$", reference, re.MULTILINE)}
    assert {*dnamamba.__all__} - names == set()
