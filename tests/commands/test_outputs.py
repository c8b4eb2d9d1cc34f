"""Where a command writes is looked at before its work, and is whole afterwards, or as it was."""

import errno
import os
from pathlib import Path

import pytest

from dnamamba.cli import main

COMMANDS = {
    "embed": (["embed", "MODEL", "FASTA", "OUTPUT.npz"], "OUTPUT.npz"),
    "score": (["score", "MODEL", "FASTA", "OUTPUT.tsv", "--vcf", "VCF"], "OUTPUT.tsv"),
    "predict": (["predict", "MODEL", "FASTA", "OUTPUT.tsv"], "OUTPUT.tsv"),
    "mutagenesis": (
        ["mutagenesis", "MODEL", "FASTA", "OUTPUT", "--region", "one:1-20"],
        "OUTPUT.mean.bedgraph",
    ),
    "generate": (["generate", "MODEL", "OUTPUT.fa", "--length", "20"], "OUTPUT.fa"),
    "evaluate": (["evaluate", "MODEL", "FASTA", "--output", "OUTPUT.json"], "OUTPUT.json"),
}
UNSUITABLE = {
    "a folder": "is a folder; name a file in it",
    "a pipe": "is no regular file, but a device or a pipe; name a file",
    "below a file": "is no folder; name a file elsewhere",
    "read-only": "is read-only to you; name a file elsewhere",
}


def arguments(folder: Path, command: str, model: str, output: Path) -> list[str]:
    (folder / "ref.fa").write_text(">one\n" + "GATTACACGT" * 6 + "\n")
    (folder / "in.vcf").write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        "one\t30\t.\tT\tA\t.\t.\t.\n"
    )
    words = {"MODEL": model, "FASTA": str(folder / "ref.fa"), "VCF": str(folder / "in.vcf")}
    typed = [words.get(word, word).replace("OUTPUT", str(output)) for word in COMMANDS[command][0]]
    return [*typed, "--overwrite"]


@pytest.mark.parametrize("unsuitable", UNSUITABLE)
@pytest.mark.parametrize("command", COMMANDS)
def test_an_output_that_cannot_be_written_is_refused_before_the_work(
    command: str,
    unsuitable: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / ("file" if unsuitable == "below a file" else "new") / "out"
    path = output.with_name(COMMANDS[command][1].replace("OUTPUT", output.name))
    path.parent.mkdir() if unsuitable != "below a file" else path.parent.touch()
    if unsuitable == "a folder":
        path.mkdir()
    elif unsuitable == "a pipe":
        os.mkfifo(path)
    elif unsuitable == "read-only":  # of root too
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != output.parent)
    # The model is not there, which would be said first if it were read first.
    assert main(arguments(tmp_path, command, str(tmp_path / "no-model"), output)) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert UNSUITABLE[unsuitable] in error
    assert str(path.parent) in error
    assert [*path.parent.glob("*")] == ([path] if unsuitable in ("a folder", "a pipe") else [])


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "predict"])
def test_a_full_disk_leaves_what_was_there(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "out" / "out"
    output.parent.mkdir()
    path = output.with_name(COMMANDS[command][1].replace("OUTPUT", output.name))
    path.write_text("old")
    sync = os.fsync

    def full(descriptor: int) -> None:
        if "/out/" in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    assert main(arguments(tmp_path, command, "vertebrate-0.5m", output)) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith(f"dnamamba {command}: ")
    assert "no room to write" in error
    assert path.read_text() == "old"
    assert [item for item in output.parent.glob("*") if item.is_file()] == [path]
