"""Files that others share run no code, whichever way they come in."""

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from cli_cases import config

import dnamamba
from dnamamba.cli import main

Command = Callable[[Path, Path], list[str]]

FASTA = "data/samples/phix174.fa"
VCF = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
ADVICE = ("weights_only", "add_safe_globals", "allowlist", "serialization")


class Code:
    """What a pickle turns into a call."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run's configuration and of the run."""
    folder = tmp_path_factory.mktemp("run")
    assert main(["fit", "--config", config(folder, trainer={"max_steps": 3})]) == 0
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of it; its configuration names the copy."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    config(tmp_path, trainer={"max_steps": 6})
    return tmp_path


WAYS: dict[str, Command] = {
    "embed": lambda ckpt, out: ["embed", str(ckpt), FASTA, str(out / "v.npz")],
    "score": lambda ckpt, out: [
        *("score", str(ckpt), FASTA, str(out / "s.tsv"), "--vcf", str(out / "v.vcf")),
    ],
    "mutagenesis": lambda ckpt, out: [
        *("mutagenesis", str(ckpt), FASTA, str(out / "e"), "--region", "NC_001422.1:0-2"),
    ],
    "predict MODEL": lambda ckpt, out: ["predict", str(ckpt), FASTA, str(out / "p.tsv")],
    "convert": lambda ckpt, out: ["convert", str(ckpt), str(out / "c")],
    "evaluate": lambda ckpt, out: ["evaluate", str(ckpt), FASTA],
    "generate": lambda ckpt, out: ["generate", str(ckpt), str(out / "g.fa"), "--length", "4"],
    **{
        f"{command}, {name}": lambda ckpt, out, command=command, name=name: [
            *(command, "--config", str(out / "config.yaml")),
            *("--ckpt_path", str(ckpt) if name == "a path" else name, "--overwrite"),
        ]
        for command in ("fit", "validate", "test", "predict")
        for name in ("last", "a path", "best")
        if (command, name) != ("fit", "best")
    },
    "report": lambda ckpt, out: ["report", str(out / "run")],
}
CALLS: dict[str, Callable[[Path], Code]] = {
    "os.system": lambda mark: Code(os.system, f"touch {mark}"),
    "eval": lambda mark: Code(eval, f"open({str(mark)!r}, 'w')"),
    "Path.touch": lambda mark: Code(Path.touch, mark),
}


@pytest.mark.parametrize(
    ("way", "call"),
    [*(("load", call) for call in CALLS), *((way, "os.system") for way in WAYS)],
)
@pytest.mark.parametrize("forced", [False, True])
def test_a_checkpoint(
    run: Path,
    way: str,
    call: str,
    forced: bool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if forced:  # a setting of the environment changes nothing
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    mark = run / "executed"
    checkpoints = run / "run" / "checkpoints"
    content = torch.load(checkpoints / "last.ckpt", weights_only=True)
    for name in ("last", "best"):
        torch.save({**content, "more": CALLS[call](mark)}, checkpoints / f"{name}.ckpt")
    path = checkpoints / "last.ckpt"
    if way == "load":
        with pytest.raises(ValueError, match="never runs code from a file"):
            dnamamba.load(path)
    else:
        (run / "v.vcf").write_text(VCF)
        assert main(WAYS[way](path, run)) == 1
        error = capsys.readouterr().err.splitlines()[-1]
        assert "never runs code from a file" in error
        assert ".ckpt" in error
        assert not [advice for advice in ADVICE if advice in error]
    assert not mark.exists()


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_bare_pickle(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "model.ckpt"
    code = Code(os.system, f"touch {tmp_path / 'executed'}")
    path.write_bytes(pickle.dumps(code, protocol))
    with pytest.raises(ValueError, match=r"model\.ckpt is truncated or no training checkpoint"):
        dnamamba.load(path)
    torch.save(code, path, _use_new_zipfile_serialization=False)
    with pytest.raises(ValueError, match=r"model\.ckpt is truncated or no training checkpoint"):
        dnamamba.load(path)
    assert not (tmp_path / "executed").exists()


TAGS = [
    "!!python/object/apply:os.system ['touch {mark}']",
    "!!python/object/new:os.system ['touch {mark}']",
    "!!python/name:os.system",
    "!!python/module:os",
    "!!python/object/apply:eval [\"open('{mark}', 'w')\"]",
]


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("place", ["a section", "a value", "a key", "a section's own file"])
def test_tags_of_yaml(
    tag: str, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mark = tmp_path / "executed"
    text, written = Path(config(tmp_path)).read_text(), tag.format(mark=mark)
    path = tmp_path / "tagged.yaml"
    flags = ["--config", str(path)]
    if place == "a section":
        path.write_text(f"{text}\nextra: {written}\n")
    elif place == "a value":
        path.write_text(text.replace("length: 64", f"length: {written}"))
    elif place == "a key":
        path.write_text(f"{text}\n? {written}\n: 1\n")
    else:
        path.write_text(f"genomes: {written}\n")
        flags = [f"--data={path}", f"--run_dir={tmp_path / 'run'}"]
    assert main(["fit", *flags]) == 2
    assert "could not determine a constructor" in capsys.readouterr().err
    assert not mark.exists()


def test_a_run_s_configuration(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = run / "run" / "config.yaml"
    path.write_text(f"data: {TAGS[0].format(mark=run / 'executed')}\n")
    assert main(["report", str(run / "run")]) == 1
    assert "config.yaml is damaged, it is not YAML" in capsys.readouterr().err
    assert not (run / "executed").exists()


def test_names_are_no_paths(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A contig, a record or a run may be called what it likes: nothing is written beside."""
    genome = tmp_path / "in" / "g.fa"
    genome.parent.mkdir()
    genome.write_text(">../../up\n" + "ACGTTGCA" * 8 + "\n>/tmp/$(touch executed)\nACGT\n")
    before = sorted(tmp_path.rglob("*"))
    model, out = "vertebrate-0.5m", tmp_path / "out"
    for command in (
        ["embed", model, str(genome), str(out / "v.npz")],
        ["evaluate", model, str(genome), "--output", str(out / "bits.tsv")],
        ["mutagenesis", model, str(genome), str(out / "e"), "--region", "../../up:0-2"],
    ):
        assert main(command) == 0, capsys.readouterr().err
    assert sorted(set(tmp_path.rglob("*")) - set(before) - {out}) == sorted(out.iterdir())
    assert not Path("executed").exists()


def test_a_table_s_name_of_a_model_is_no_module(tmp_path: Path) -> None:
    """What a model's folder calls its class is looked up in a table, never imported."""
    shutil.copytree(Path(dnamamba.__file__).parent / "pretrained/vertebrate-0.5m", tmp_path / "m")
    path = tmp_path / "m" / "config.json"
    content = yaml.safe_load(path.read_text())
    for changes in ({"model": "os.system"}, {"model": "../x"}, {"config": {"family": "os"}}):
        path.write_text(yaml.safe_dump({**content, **changes}, default_flow_style=True))
        with pytest.raises(ValueError, match=r"config\.json"):
            dnamamba.load(tmp_path / "m")
