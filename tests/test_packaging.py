"""Wheel and sdist carry both import packages and work outside the checkout."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """sdist from the checkout, wheel from that sdist: what a release does."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


def test_wheel_holds_the_two_packages_and_nothing_else(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"dnamamba", "dnamamba_kernels"}
    for needed in (
        "dnamamba/py.typed",
        "dnamamba/data/genome/fasta.py",
        "dnamamba_kernels/py.typed",
        "dnamamba_kernels/selective_scan/reference.py",
    ):
        assert needed in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    models = (ROOT / "dnamamba" / "pretrained").rglob("*.*")
    assert {str(path.relative_to(ROOT)) for path in models if path.is_file()} <= set(names)
    declared = list((ROOT / "dnamamba" / "benchmark").rglob("*.yaml"))
    assert {"gue", "recipe"} <= {path.stem for path in declared}
    assert {str(path.relative_to(ROOT)) for path in declared} <= set(names)


def test_sdist_holds_what_make_needs(dist: Path) -> None:
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"Makefile", "constraints.txt", "configs/quickstart.yaml"} <= names
    assert "data/samples/manifest.toml" in names
    assert not any(name.startswith((".venv/", "runs/", "data/cache/")) for name in names)


def test_installed_wheel_works_outside_the_checkout(dist: Path, tmp_path: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    subprocess.run([*install, str(site), str(wheel)], check=True, capture_output=True)
    program = (
        "import dnamamba, dnamamba_kernels, torch\n"
        "assert dnamamba.__file__.startswith(SITE), dnamamba.__file__\n"
        "assert dnamamba_kernels.__file__.startswith(SITE), dnamamba_kernels.__file__\n"
        "from dnamamba.model import LanguageModel\n"
        "model = LanguageModel(dnamamba.MambaConfig(d_model=16, n_layers=1))\n"
        "vector = dnamamba.embed(model, dnamamba.Tokenizer(), ['ACGTN'])\n"
        "assert vector.shape == (1, 16)\n"
    ).replace("SITE", repr(str(site)))
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(site), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
