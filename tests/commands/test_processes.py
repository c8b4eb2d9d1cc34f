"""Commands on two processes: the files of one, byte by byte, and one line of an error."""

import json
import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from models import opinionated, reading_both_ways

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.cli import main
from dnamamba.commands import processes
from dnamamba.config import MambaConfig
from dnamamba.model.classifier import Classifier
from dnamamba.model.heads import HeadConfig

DRIVER = Path(__file__).with_name("processes_driver.py")
COMMANDS = {
    "evaluate": "evaluate FOLDER/causal FOLDER/g.fa --output OUT/a.json --window 40",
    "contigs": "evaluate FOLDER/both FOLDER/g.fa --output OUT/b.tsv --max_bases 200 --overlap 20",
    "score": "score FOLDER/causal FOLDER/g.fa OUT/c.vcf.gz --vcf FOLDER/v.vcf --batch_size 2",
    "masked": "score FOLDER/both FOLDER/g.fa OUT/d.tsv --vcf FOLDER/v.vcf --context 30",
    "mutagenesis": "mutagenesis FOLDER/causal FOLDER/g.fa OUT/e --region r0:10-16 --context 20",
    "predict": "predict FOLDER/labels FOLDER/g.fa OUT/f.tsv --window 30 --batch_size 4",
    "embed": "embed FOLDER/causal FOLDER/g.fa OUT/g.npz --window 50",
    "embed table": "embed FOLDER/causal FOLDER/t.csv OUT/h.npz --keep n",
    "predict table": "predict FOLDER/labels FOLDER/t.csv OUT/i.tsv --keep n --batch_size 2",
}
WRONG = {
    "missing": ("evaluate FOLDER/causal FOLDER/none.fa", None),
    "usage": ("evaluate FOLDER/causal FOLDER/g.fa --windows 3", None),
    "alone": ("generate FOLDER/causal OUT/none.fa", None),
    "unwritten": ("evaluate FOLDER/causal FOLDER/g.fa --output OUT/none.json", "unwritten"),
    "one fails": ("evaluate FOLDER/causal FOLDER/g.fa --output OUT/none.json", "fails"),
    "killed": ("evaluate FOLDER/causal FOLDER/g.fa --output OUT/none.json", "killed"),
}


@pytest.fixture(scope="module", params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> str:
    """Of both processes; a single GPU they share."""
    return str(request.param)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, device: str) -> Path:
    """Models, a genome, a VCF, and what both processes made of all commands in ``two``."""
    folder = tmp_path_factory.mktemp("processes")
    torch.manual_seed(0)
    labels = HeadConfig(kind="multiclass", labels=("a", "b", "c"))
    classifier = Classifier(MambaConfig(d_model=16, n_layers=2, d_state=4), labels)
    models = {"causal": opinionated(), "both": reading_both_ways(), "labels": classifier}
    for name, model in models.items():
        checkpoint.save(folder / name, model, Tokenizer())
    random = np.random.default_rng(5)
    records = ["".join(random.choice(list("ACGT"), n)) for n in (400, 230, 100)]
    (folder / "g.fa").write_text("".join(f">r{i}\n{r}\n" for i, r in enumerate(records)))
    lines = [f"{record[i : i + 40]},{i}\n" for record in records for i in range(0, len(record), 40)]
    (folder / "t.csv").write_text("seq,n\n" + "".join(lines))
    rows = [f"r0\t{i + 1}\t.\t{records[0][i]}\t{alt}\t.\t.\t.\n" for i, alt in _alleles(records[0])]
    (folder / "v.vcf").write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n" + "".join(rows)
    )
    _on_two(folder, device)
    return folder


def _alleles(record: str) -> list[tuple[int, str]]:
    return [(i, "T" if record[i] != "T" else "G") for i in range(0, 400, 40)]


def _on_two(folder: Path, device: str) -> None:
    cases = [(name, line, None) for name, line in COMMANDS.items()]
    cases += [(name, line, how) for name, (line, how) in WRONG.items()]
    (folder / "two").mkdir()
    arguments = [_arguments(line, folder, folder / "two", device) for _, line, _ in cases]
    content = [
        {"name": name, "spoiled": how, "arguments": words, "port": _free_port()}
        for (name, _, how), words in zip(cases, arguments, strict=True)
    ]
    (folder / "cases.json").write_text(json.dumps(content))
    about = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, str(DRIVER), str(folder / "cases.json")],
            env={**os.environ, **about, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    for process in started:
        said = process.communicate(timeout=300)[1]
        assert process.returncode in (0, 9), said


def _arguments(line: str, folder: Path, out: Path, device: str) -> list[str]:
    words = line.replace("FOLDER", str(folder)).replace("OUT", str(out)).split()
    return [*words, "--device", device]


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _left(folder: Path, name: str, rank: int) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((folder / f"{name}.{rank}.txt").read_text())
    return result


@pytest.mark.parametrize("command", COMMANDS)
def test_two_processes_write_what_one_writes(
    command: str, folder: Path, device: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(_arguments(COMMANDS[command], folder, tmp_path, device)) == 0
    printed = capsys.readouterr().out
    results = [_left(folder, command, rank) for rank in (0, 1)]
    assert [result["status"] for result in results] == [0, 0], results
    assert [result["printed"] for result in results] == [printed, ""]
    written = sorted(tmp_path.iterdir())
    assert written
    for path in written:
        assert (folder / "two" / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.parametrize(
    ("case", "lines"),
    {
        "missing": "dnamamba evaluate: cannot read FASTA",
        "usage": "dnamamba evaluate: unknown flag --windows",
        "alone": "dnamamba generate: it is the work of one process",
        "one fails": "dnamamba evaluate: its disk is gone",
        "killed": "dnamamba evaluate: another process of this command has ended",
    }.items(),
)
def test_an_error_is_said_once_and_ends_both(case: str, lines: str, folder: Path) -> None:
    ranks = (0,) if case == "killed" else (0, 1)
    results = [_left(folder, case, rank) for rank in ranks]
    assert all(result["status"] in (1, 2) for result in results)
    said = "".join(result["said"] for result in results)
    assert said.count("\n") == 1, said
    assert said.startswith(lines)
    assert not (folder / "two" / "none.json").exists()


def test_the_first_waits_for_none_that_is_done(folder: Path) -> None:
    first, second = (_left(folder, "unwritten", rank) for rank in (0, 1))
    assert (first["status"], first["said"]) == (1, "dnamamba evaluate: its disk is full\n")
    assert (second["status"], second["said"]) == (0, "")
    assert first["seconds"] < processes._LAST


def test_of_several_that_miss_another_one_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_GRACE", 0.01)
    store, gone = torch.distributed.HashStore(), processes._OtherEndedError()
    worlds = [processes.World(rank, 3) for rank in (0, 2)]
    silent = [processes._is_said_elsewhere(gone, world, store) for world in worlds]
    assert silent == [False, True]
    store.set("failed/1", "")  # its own error says more
    assert processes._is_said_elsewhere(gone, worlds[0], store)


@pytest.mark.parametrize("address", [None, "no.such.host.invalid"])
def test_processes_that_cannot_meet_are_an_error_of_the_start(
    address: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(processes, "_PATIENCE", timedelta(seconds=1))
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    if address:
        monkeypatch.setenv("MASTER_ADDR", address)
    message = r"process 1 of 2 does not meet the others: .*; start them with torchrun"
    with pytest.raises(ValueError, match=message), processes.join_world():
        pass
