"""``attribute`` and ``motifs``: tables, tracks, logos, and motifs that Biopython reads."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from Bio import motifs
from models import opinionated

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.cli import main
from dnamamba.commands import attribution_plot, places
from dnamamba.config import MambaConfig
from dnamamba.data.genome.fasta import Genome
from dnamamba.inference.attribution import attribute
from dnamamba.inference.mutagenesis import mutate
from dnamamba.model.classifier import Classifier
from dnamamba.model.heads import HeadConfig

TOKENIZER = Tokenizer()
ONE = "GATTACAGATTACCAGGTTTTACGNACGTRCATGACCATTGACCAGTACC"


def _classifier() -> Classifier:
    torch.manual_seed(0)
    head = HeadConfig(kind="binary", labels=("closed", "open"), both_strands=True)
    model = Classifier(MambaConfig(d_model=16, n_layers=2, d_state=4), head)
    with torch.no_grad():
        model.backbone.embedding.weight.normal_()
        model.head.linear.weight.normal_()
    return model.eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("attribute")
    checkpoint.save(path / "model", _classifier(), TOKENIZER)
    checkpoint.save(path / "lm", opinionated(), TOKENIZER)
    (path / "ref.fa").write_text(f">two\nACGTACGTTGCAACCA\n>one\n{ONE}\n>gap\nNNNN\n")
    (path / "r.bed").write_text("one\t30\t50\none\t2\t12\ntwo\t1\t16\n")
    return path


def _run(folder: Path, command: str, model: str, output: str, *flags: str) -> int:
    files = [str(folder / name) for name in (model, "ref.fa", output)]
    return main([command, *files, *flags])


def _read(path: Path) -> list[Any]:
    with path.open() as file:
        return list(motifs.parse(file, "minimal"))


@pytest.mark.parametrize("method", ["integrated", "gradient", "substitution"])
def test_a_label(folder: Path, method: str) -> None:
    flags = ("--region", "one:20-35", "--method", method, "--motifs", "4")
    assert _run(folder, "attribute", "model", f"out/{method}", *flags) == 0
    names = sorted(path.name for path in (folder / "out").glob(f"{method}.*"))
    assert names == [f"{method}.{ending}" for ending in ("bedgraph", "meme", "png", "tsv")]
    (found,) = attribute(_classifier(), TOKENIZER, [ONE[20:35]], method=method)  # type: ignore[arg-type]
    head, *lines = [
        line.split("\t") for line in (folder / f"out/{method}.tsv").read_text().splitlines()
    ]
    assert head == ["contig", "start", "end", "ref", "contribution", *"ACGT"]
    assert [int(line[1]) for line in lines] == [at for at in range(20, 35) if ONE[at] not in "NR"]
    for line in lines:
        at = int(line[1]) - 20
        assert line[3] == ONE[at + 20]
        got = np.array(line[4:], dtype=float)
        np.testing.assert_allclose(got, [found.values[at], *found.each[at]], rtol=1e-2, atol=1e-4)
    track = [
        r.split("\t") for r in (folder / f"out/{method}.bedgraph").read_text().splitlines()[1:]
    ]
    assert [(r[1], r[3]) for r in track] == [(line[1], line[4]) for line in lines]
    assert (folder / f"out/{method}.png").read_bytes().startswith(b"\x89PNG")

    (motif,) = _read(folder / f"out/{method}.meme")
    place, _, span = motif.name.partition(":")
    first, last = map(int, span.split("-"))
    assert (place, last - first) == ("one", 4)
    known = np.where(found.known, np.abs(found.values), np.nan)
    sums = [known[i : i + 4].sum() for i in range(12)]
    assert first - 20 == np.nanargmax(sums)
    odds = np.exp(found.each[first - 20 : last - 20])
    for number, base in enumerate("ACGT"):
        expected = odds[:, number] / odds.sum(1)
        np.testing.assert_allclose(motif.pwm[base], expected, atol=2e-3)


def test_regions_of_a_language_model(folder: Path, recwarn: pytest.WarningsRecorder) -> None:
    flags = ("--bed", str(folder / "r.bed"), "--tracks", "bw", "--steps", "16", "--motifs", "5")
    assert _run(folder, "attribute", "lm", "lm-out", *flags) == 0
    assert sorted(path.name for path in folder.glob("lm-out.*")) == [
        f"lm-out.{ending}" for ending in ("1.png", "2.png", "3.png", "bw", "meme", "tsv")
    ]
    assert [motif.name.split(":")[0] for motif in _read(folder / "lm-out.meme")] == [
        "two", "one", "one",
    ]  # fmt: skip
    assert (folder / "lm-out.tsv").read_text().count("\n") == 1 + 20 + 10 + 15


def test_too_few_steps_are_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attribution_plot, "LEGIBLE", 9)  # areas, and what their colours are
    flags = ("--region", "one:0-20", "--steps", "1", "--baseline", "N")
    with pytest.warns(UserWarning, match="of one:0-20 to .* raise steps"):
        assert _run(folder, "attribute", "lm", "few", *flags) == 0


@pytest.mark.parametrize("command", ["attribute", "mutagenesis"])
def test_of_many_regions_the_first_are_drawn(
    folder: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(places, "PICTURES", 2)
    flags = ("--bed", str(folder / "r.bed"))
    with pytest.warns(UserWarning, match="the first 2 of 3 regions are drawn, .* by --region"):
        assert _run(folder, command, "lm", f"many/{command}", *flags) == 0
    pictures = sorted(path.name for path in (folder / "many").glob(f"{command}*.png"))
    assert pictures == [f"{command}.1.png", f"{command}.2.png"]
    with (folder / f"many/{command}.tsv").open() as file:
        assert {line.split("\t")[0] for line in file} == {"contig", "one", "two"}


def test_motifs_of_substitutions(folder: Path) -> None:
    flags = ("--region", "one:2-14", "--motifs", "6", "--both_strands", "false")
    assert _run(folder, "mutagenesis", "lm", "m", *flags) == 0
    effects = mutate(
        opinionated(), TOKENIZER, Genome(folder / "ref.fa"), "one", 2, 14, both_strands=False
    )
    (motif,) = _read(folder / "m.meme")
    first = int(motif.name.partition(":")[2].split("-")[0]) - 2
    odds = np.exp(effects.llr[first : first + 6])
    got = np.stack([motif.pwm[base] for base in "ACGT"], 1)
    np.testing.assert_allclose(got, odds / odds.sum(1, keepdims=True), atol=2e-3)


@pytest.mark.parametrize("bed", [False, True])
def test_a_motif_of_sequences(folder: Path, bed: bool) -> None:
    sites = ["GATTACA", "GATTGCA", "GANTACA", "CATTACA"]
    text = "".join(f">s{i}\n{site}\n" for i, site in enumerate(sites))
    (folder / "sites.fa").write_text(text)
    (folder / "s.bed").write_text("s0\t0\t3\ta\t0\t-\ns3\t0\t3\tb\t0\t-\n")
    flags = ["--bed", str(folder / "s.bed")] if bed else ["--name", "my motif"]
    output = folder / f"{bed}.meme"
    assert main(["motifs", str(folder / "sites.fa"), str(output), *flags]) == 0
    (motif,) = _read(output)
    if bed:  # ATC and ATG on the other strand
        assert (motif.name, motif.num_occurrences) == ("True", 2)
        assert [list(motif.pwm[base]) for base in "CG"] == [[0, 0, 0.5], [0, 0, 0.5]]
        return
    assert (motif.name, motif.num_occurrences, motif.length) == ("my_motif", 4, 7)
    np.testing.assert_allclose(list(motif.pwm["G"]), [0.75, 0, 0, 0, 0.25, 0, 0])
    np.testing.assert_allclose(list(motif.pwm["T"]), [0, 0, 1, 1, 0, 0, 0])


@pytest.mark.parametrize(
    ("command", "flags", "said"),
    [
        ("attribute", ["--region", "one:1-5", "--label", "x"], "no label 'x'; it has closed, open"),
        ("attribute", ["--region", "one:1-5", "--motifs", "6"], "do not fit into one:1-5, which"),
        ("attribute", ["--region", "one:1-5", "--steps", "0"], "steps must be at least 1"),
        (
            "attribute",
            ["--region", "one:1-5", "--steps", "64", "--method", "gradient"],
            "steps has no meaning for method=gradient, which",
        ),
        (
            "attribute",
            ["--region", "one:1-5", "--mask_every", "8"],
            "mask_every has no meaning for a fine-tuned model, for",
        ),
        ("attribute", [], "name either a region"),
    ],
)
def test_what_is_refused(
    folder: Path,
    command: str,
    flags: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _run(folder, command, "model", "bad", *flags) == 1
    assert said in capsys.readouterr().err
    assert not list(folder.glob("bad*"))


def test_a_causal_model_masks_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--region", "one:1-5", "--mask_every")
    assert _run(folder, "attribute", "lm", "bad", *flags, "null") == 1
    assert "mask_every has no meaning for a causal model, which" in capsys.readouterr().err
    assert not list(folder.glob("bad*"))


def test_steps_are_refused_before_the_model_is_read(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--region", "one:1-5", "--steps", "8", "--method", "substitution")
    assert _run(folder, "attribute", "no-such-model", "bad", *flags) == 1
    assert "steps has no meaning for method=substitution" in capsys.readouterr().err


def test_sequences_of_several_lengths(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["motifs", str(folder / "ref.fa"), str(folder / "bad.meme")]) == 1
    assert "number 2 has 50 bases, the first 16" in capsys.readouterr().err
    (folder / "n.fa").write_text(">a\nANA\n>b\nANA\n")
    assert main(["motifs", str(folder / "n.fa"), str(folder / "bad.meme")]) == 1
    assert "no sequence has a base at position 2; set --pseudocount" in capsys.readouterr().err
    assert main(["motifs", str(folder / "n.fa"), str(folder / "bad.meme"), "--name", " "]) == 1
    assert "this one is blank; set another by --name" in capsys.readouterr().err
