"""What the README shows works: its Python runs, its commands, files and settings are there."""

import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from published import FOREIGN

from dnamamba.cli import _TRAINING
from dnamamba.cli.commands import COMMANDS
from dnamamba.data.windows.settings import GenomeSplit, Part, WindowConfig

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_first_lines_give_what_they_say() -> None:
    names: dict[str, object] = {}
    exec(blocks("python")[0], names)
    assert names["vectors"].shape == (2, 128)
    assert len(names["dna"]) == 60
    assert names["scores"].log_likelihood.shape == (1,)


def test_the_model_goes_on_where_it_stopped() -> None:
    names: dict[str, object] = {}
    exec(blocks("python")[1], names)
    assert names["hidden"].shape == (1, 3, 128)


def test_a_published_folder_gives_vectors_and_variant_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = blocks("python")[2]
    assert len(code.splitlines()) <= 10
    (name,) = re.findall(r'load\("([^"]*)"\)', code)
    shutil.copytree(FOREIGN / "ps-tiny", tmp_path / name)
    (tmp_path / "ref.fa").write_text(">chr1\nACGTTGCAACGATTACAGGC\n")
    (tmp_path / "variants.vcf").write_text(
        "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        "chr1\t11\t.\tG\tA\t.\t.\t.\n"
    )
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code, names)
    assert (names["vectors"].shape, names["bases"].shape) == ((2, 8), (7, 8))
    assert names["variants"][0].variant.name == "chr1:11:G:A"
    assert abs(names["variants"][0].llr) > 1e-3


def test_the_settings_are_settings() -> None:
    (text,) = blocks("yaml")
    data = yaml.safe_load(text)["data"]
    WindowConfig(**data["windows"])
    GenomeSplit(**{name: Part(**part) for name, part in data["split"].items()})


def test_the_install_names_every_extra() -> None:
    (named,) = re.findall(r"pip install 'dnamamba\[([\w,]+)\]'", README)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {*named.split(",")} == {*project["optional-dependencies"]}


def test_commands_and_files_exist() -> None:
    commands = set(re.findall(r"(?<!from )dnamamba ([a-z]+) +[-A-Zair]", README))
    assert commands
    assert commands <= {*_TRAINING, *COMMANDS}
    targets = set(re.findall(r"make ([a-z]+)", README))
    makefile = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    paths = re.findall(
        r"`?((?:configs|data|docs|benchmarks|kernels|dnamamba)/[\w./-]*\w\.(?:md|yaml|py|png))",
        README,
    )
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_benchmark_that_is_run_by_hand_is_listed() -> None:
    listed = (ROOT / "benchmarks" / "README.md").read_text()
    for script in (ROOT / "benchmarks").glob("*.py"):
        if f"python benchmarks/{script.name}" in script.read_text():
            assert f"`{script.name}`" in listed, script.name
