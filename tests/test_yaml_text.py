"""YAML: what is read as ever, and what is refused before it takes time or room."""

import time
from pathlib import Path

import pytest
import yaml

from dnamamba.cli import main
from dnamamba.report.run import open_run
from dnamamba.yaml_text import load_yaml


def doubling(levels: int, width: int = 10) -> str:
    """Each line holds the one above ``width`` times: width ** levels values."""
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * width)}]"
        for level in range(1, levels)
    ]
    return "\n".join(lines) + "\n"


def merging(levels: int) -> str:
    lines = ["a0: &a0 {k: 1}"]
    lines += [
        f"a{level}: &a{level} {{<<: [{', '.join([f'*a{level - 1}'] * 10)}]}}"
        for level in range(1, levels)
    ]
    return "\n".join(lines) + "\n"


BOMBS = {
    "lists": doubling(12),
    "merged mappings": merging(12),
    "itself": "a: &a [*a]\n",
    "deep": "a: " + "[" * 50_000,
    "deep blocks": "".join(" " * i + f"k{i}:\n" for i in range(300)),
    "long": "a: [" + "1," * 210_000 + "1]\n",
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_would_grow_is_refused(name: str) -> None:
    start = time.process_time()
    with pytest.raises(yaml.YAMLError):
        load_yaml(BOMBS[name])
    assert time.process_time() - start < 30


def test_aliases_are_read() -> None:
    text = "a: &a {x: 1, y: &y [2, 3]}\nb: {<<: *a, z: *y}\nc: *a\n"
    assert load_yaml(text) == yaml.safe_load(text)
    assert load_yaml(doubling(4)) == yaml.safe_load(doubling(4))
    assert load_yaml("") is None


@pytest.mark.parametrize("name", ["lists", "merged mappings", "itself", "deep"])
@pytest.mark.parametrize("command", ["fit", "validate", "predict"])
def test_a_configuration_that_would_grow(
    command: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bomb.yaml"
    path.write_text(BOMBS[name])
    assert main([command, "--config", str(path), "--run_dir", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"dnamamba {command}: {path} is not YAML: ")
    assert len(error.splitlines()) == 1


def test_a_section_s_own_file_that_would_grow(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """jsonargparse opens it, not we."""
    (tmp_path / "data.yaml").write_text(BOMBS["lists"])
    flags = [f"--data={tmp_path / 'data.yaml'}", f"--run_dir={tmp_path / 'run'}"]
    assert main(["fit", *flags]) == 2
    assert "its aliases stand for more than 200,000 values" in capsys.readouterr().err


def test_a_run_s_configuration_that_would_grow(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(BOMBS["lists"])
    with pytest.raises(ValueError, match=r"config\.yaml is damaged, it is not YAML: its aliases"):
        open_run(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\nb: {c: 1, 'c': 2}\n",
        "a:\n  - {b: 1}\n  - b: [1, {x: 2}]\n    c: 3\n    b: 4\n",
        "? a\n: 1\n? a\n: 2\n",
    ],
)
def test_a_key_twice_in_one_section_is_refused(text: str) -> None:
    with pytest.raises(yaml.YAMLError, match="stands twice in one section, in lines"):
        load_yaml(text)


@pytest.mark.parametrize(
    "text",
    [
        "a: a\nb: {a: 1}\nc: [{a: 1}, {a: 2}]\n",
        "x: &x {a: 1}\ny: {<<: *x, a: 2}\n",
        "x: &x a\ny: {*x : x, b: x}\n",
        "version: '" + "1" * 400 + "'\n",
    ],
)
def test_what_only_looks_like_it_is_read_as_ever(text: str) -> None:
    assert load_yaml(text) == yaml.safe_load(text)


def test_a_number_without_end_is_refused() -> None:
    with pytest.raises(yaml.YAMLError, match="a number of 5,000 digits"):
        load_yaml("a: -" + "9" * 5000)
