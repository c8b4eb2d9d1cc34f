"""The documentation site is built without a warning, its notebooks' code shown and not run."""

import html
import re
import sys
import warnings
from pathlib import Path

import pytest
from sphinx.cmd.build import main

from dnamamba.cli import _TRAINING
from dnamamba.cli.commands import COMMANDS
from dnamamba.cli.short_help import FIRST

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [
    path.relative_to(DOCS).with_suffix("")
    for path in sorted(DOCS.rglob("*.md"))
    if "build" not in path.parts
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    errors = folder / "errors.txt"
    path = [*sys.path]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Sphinx's and docutils' own code
        how = ["-W", "--keep-going", "-q", "-w", str(errors), "-d", str(folder / "read")]
        status = main([*how, str(DOCS), str(folder / "html")])
    sys.path[:] = path
    assert status == 0, errors.read_text()
    return folder / "html"


def text(site: Path, page: str) -> str:
    """What a reader sees of a page, without its markup."""
    return html.unescape(re.sub(r"<[^>]+>", "", (site / f"{page}.html").read_text()))


def test_every_page_is_there_and_in_the_contents(site: Path) -> None:
    contents = (site / "index.html").read_text()
    for page in PAGES:
        assert (site / f"{page}.html").is_file()
        assert page.name == "index" or f'href="{page}.html"' in contents, page


def test_every_command_stands_with_its_flags_and_examples(site: Path) -> None:
    said = text(site, "reference/commands")
    for name in _TRAINING:
        assert f"dnamamba {name}" in said
    for command in COMMANDS.values():
        assert all(f"$ {line}" in said for line in command.examples)
    for flag in ("--both_strands", "--checks.mismatch", "--mask_every", "--overwrite"):
        assert flag in said


def test_every_setting_that_comes_first_stands_with_others(site: Path) -> None:
    said = text(site, "reference/settings")
    for name in [name for names in FIRST.values() for name in names]:
        assert f"--{name}" in said
    assert "--trainer.detect_anomaly" in said


def test_python_is_there_by_its_docstrings(site: Path) -> None:
    assert "Open a trained model." in text(site, "reference/python")
    assert "initial_state" in text(site, "reference/python-kernels")


def test_notebooks_show_their_code(site: Path) -> None:
    assert 'mutate(model, tokenizer, genome, "inserted"' in text(site, "notebooks/mutagenesis")


def test_what_a_function_returns_is_not_taken_for_a_type(site: Path) -> None:
    # As napoleon does where the first line of a section has a colon.
    for page in (site / "reference").glob("python*.html"):
        taken = re.findall(r"Returns<.*?</dt>\s*<dd[^>]*><p><em>.*?</em>", page.read_text())
        assert taken == [], page.name
