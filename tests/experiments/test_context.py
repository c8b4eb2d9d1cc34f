"""What context is worth: the bins of the distances, the folder of data, the page."""

import json
import math
from collections.abc import Callable
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from dnamamba.alphabet import Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.data.genome.fasta import Genome
from dnamamba.inference.intervals import Interval
from dnamamba.model import LanguageModel

Script = Callable[[str], ModuleType]
TOKENIZER = Tokenizer()


def bases(count: int, seed: int = 0) -> bytes:
    letters = np.frombuffer(b"ACGT", np.uint8)
    return letters[np.random.default_rng(seed).integers(4, size=count)].tobytes()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Every species in small, in the folder that ``prepare`` reads."""
    folder = tmp_path / "source"
    rows = ["assembly\tcontig\tchunk\tlength"]
    for path in ("vertebrates", "genomes"):
        (folder / path).mkdir(parents=True)
    for name in ("hg38", "mm10"):
        records = {f"chr{chunk}": bases(300 + int(chunk), int(chunk)) for chunk in ("54", "86")}
        records |= {"chr30_0": bases(400), "chr30_1": bases(200).lower(), "chr47": bases(900)}
        write(folder / "vertebrates" / f"{name}.fa.gz", records)
        rows += [f"{name}\t{contig}\t{contig[3:5]}\t{len(x)}" for contig, x in records.items()]
    (folder / "vertebrates" / "chunks.tsv").write_text("\n".join(rows) + "\n")
    write(folder / "genomes" / "escherichia_coli.K12_MG1655.fa.gz", {"gi|1|gb|E.1| x": bases(3000)})
    write(folder / "genomes" / "saccharomyces_cerevisiae.R64.fa.gz",
          {"I": bases(700), "IV": bases(800), "Mito": bases(90)})  # fmt: skip
    return folder


def write(path: Path, records: dict[str, bytes]) -> None:
    path.write_bytes(b"".join(b">%s\n%s\n" % (n.encode(), x) for n, x in records.items()))


@pytest.fixture
def data(script: Script, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What ``prepare`` and ``join`` write of it."""
    module: Any = script("context_data")
    groups = {"bacteria": ("escherichia",), "yeasts": ("saccharomyces",)}
    monkeypatch.setattr(module, "GROUPS", {**groups, "vertebrates": ("hg38", "mm10")})
    monkeypatch.setattr(module, "HELD_OUT", 1000)
    monkeypatch.setattr(module, "GAP", 100)
    monkeypatch.setattr(module, "LEAST_OF", {"saccharomyces": 100})
    monkeypatch.setenv("DNAMAMBA_CACHE", str(tmp_path / "cache"))
    module.prepare(source, tmp_path / "data", 500)
    module.join(tmp_path / "data")
    return tmp_path / "data"


def test_sides_share_nothing_and_are_joined(script: Script, data: Path) -> None:
    module: Any = script("context_data")

    def names(group: str, held_out: bool) -> list[str]:
        return [contig for _, contig in module.contigs_of(data, group, held_out)]

    assert names("vertebrates", True) == [
        f"{name}.chr{chunk}" for name in ("hg38", "mm10") for chunk in ("54", "86")
    ]
    assert "hg38.chr47" not in names("vertebrates", False), "600 bases are enough"
    assert names("bacteria", True) + names("bacteria", False) == [
        "escherichia.E.1_0_1000", "escherichia.E.1_1100_3000"
    ]  # fmt: skip
    assert names("yeasts", True) + names("yeasts", False) == [
        "saccharomyces.IV", "saccharomyces.I"
    ]  # fmt: skip
    joined = Genome(data / "joined" / "hg38.fa")
    assert joined.contigs == {"hg38.train": 700, "hg38.test": 354 + 100 + 386}
    assert joined.fetch("hg38.train", 500, 700) == bases(200)
    # hg38 and mm10 3 windows each, 1 of them with the joint; E. coli 4, yeast 3.
    assert module.spanning(data, 250) == {"windows": 13, "of_several": 2, "bases_left": 230}


def test_bins_against_whole_passes(script: Script, tmp_path: Path) -> None:
    distance: Any = script("context_distance")
    lengths, reach, window = (700, 1500), 256, 64
    write(tmp_path / "x.fa", {f"c{i}": bases(n, i) for i, n in enumerate(lengths)})
    genome = Genome(tmp_path / "x.fa", tmp_path / "cache")
    torch.manual_seed(0)
    model = LanguageModel(MambaConfig(d_model=8, n_layers=1, d_state=2)).eval()
    contigs = [Interval(genome, TOKENIZER, c, c, 0, n) for c, n in genome.contigs.items()]
    first, last = distance.by_distance(model, TOKENIZER, contigs, reach, window)
    assert (first["from"], first["to"], last["from"], last["to"]) == (0, 256, 256, None)
    for i, contig in enumerate(contigs):
        n = len(contig)
        ids = torch.from_numpy(contig.ids(0, n).copy()).long()
        near = [nats(model, ids[start : start + 256]).sum() for start in range(0, n, 256)]
        assert math.isclose(first["nats"][i], sum(near), rel_tol=1e-5)
        assert math.isclose(last["nats"][i], nats(model, ids)[256:].sum(), rel_tol=1e-5)
        assert (first["bases"][i], last["bases"][i]) == (n, n - 256)
        windows = [nats(model, ids[start : start + 64]).sum() for start in range(0, n, 64)]
        assert math.isclose(first["window_nats"][i], sum(windows), rel_tol=1e-5)
        assert math.isclose(last["window_nats"][i], sum(windows[4:]), rel_tol=1e-5)
    assert distance.edges(1 << 20) == [0, *(4**k for k in range(4, 11))]


def nats(model: LanguageModel, ids: torch.Tensor) -> torch.Tensor:
    """Of each base, given all before it."""
    inputs = torch.cat([torch.tensor(model.backbone.start_tokens), ids[:-1]])
    with torch.no_grad():
        logits = model(inputs[None])[0][0]
    return -logits.double().log_softmax(1)[torch.arange(len(ids)), ids]


def test_as_many_bases_at_every_length(script: Script, tmp_path: Path) -> None:
    plan: Any = script("context_plan")
    context = plan.Context(tmp_path, tmp_path, 2e8)
    for length in plan.BATCHES:
        step = length * plan.LabelsJob(length).batch
        assert math.isclose(context.steps(step) * step, 2e8, rel_tol=0.01)
        assert context.steps(step) >= 90


def rows() -> dict[str, Any]:
    """A run of each kind: lanes a little better, the network behind the k-mers."""
    about = {"machine": {"device": "a card", "torch": "1", "date": "today"}, "bases": 2e8}
    made: dict[str, Any] = {}
    for group, trained in product(("bacteria", "vertebrates"), ("windows", "lanes")):
        nats = 1.25 if trained == "lanes" else 1.375
        counted = {"bases": [900, 100], "window_bases": [900, 0]}
        piece = {"nats": [900 * nats, 100 * nats], "window_nats": [900 * 1.5, 0.0], **counted}
        bins = [{"from": 0, "to": 256, **piece}, {"from": 256, "to": None, **piece}]
        made[f"lanes.{group}.{trained}"] = {
            **about, "kind": "lanes", "group": group, "rows": trained, "seed": 1, "window": 64,
            "parameters": 468_608, "batch": 2, "bases_a_lane": 5e4,
            "bases_per_second": 4e6, "contigs": ["a", "b"], "lengths": [900, 300], "bins": bins,
        }  # fmt: skip
    windows = {"hg38": 90, "escherichia": 10}
    for length, seed in product((1024, 16384), (1, 2)):
        right = {"hg38": 40 + 10 * seed, "escherichia": 10}
        spanning = {"windows": 100, "of_several": 3, "bases_left": 0}
        made[f"labels.{length}.{seed}"] = {
            **about, "kind": "labels", "length": length, "seed": seed, "batch": 2, "steps": 9,
            "recompute": "nothing", "peak_bytes": 2**30, "peak_bytes_before": None,
            "bases_per_second": 1e7, "right": right, "windows": windows, "spanning": spanning,
        }  # fmt: skip
    made["labels_kmers.1024"] = {
        **about, "kind": "labels_kmers", "length": 1024, "k": 4, "C": 0.1, "windows": windows,
        "right": {"hg38": 80, "escherichia": 10}, "samples": {"train": 50},
    }  # fmt: skip
    return made


def test_the_page_says_what_the_rows_say(script: Script, tmp_path: Path) -> None:
    render: Any = script("context_render")
    assert render.section(tmp_path) == ""
    assert render.drawings(tmp_path) == {}
    (tmp_path / "context.json").write_text(json.dumps(rows()))
    page = render.section(tmp_path)
    assert "$" not in page
    bits = [f"{nats / math.log(2):.4f}" for nats in (1.375, 1.5, 1.25, 1.5)]
    assert f"| 256 or more | 0.00 | {' | '.join(bits)} | 1 of 1 |" in page
    assert f"the model of lanes needs {0.25 / math.log(2):.4f} bits a base less than" in page
    assert "| 1,024 | 100 | 0.650 (0.553 to 0.736) | 0.900 (0.826 to 0.945) | 0.611 | " in page
    assert "| 1,024 | 2 | 9 | nothing | 1.00 | - | 10.0 | 3 of 100 | 0.00 |" in page
    assert "Ahead by more than the intervals: the k-mers at 1,024." in page
    figures = render.drawings(tmp_path)
    assert [*figures] == ["distance.png", "species-context.png"]
    for name, figure in figures.items():
        assert f"({name})" in page
        figure.canvas.draw()


def test_no_claim_survives_other_rows(script: Script, tmp_path: Path) -> None:
    other = {name: row for name, row in rows().items() if "lanes.vert" not in name}
    for row in other.values():
        if row.get("rows") == "lanes":
            row["bins"][-1]["nats"] = [2000.0, 200.0]
    (tmp_path / "context.json").write_text(json.dumps(other))
    page = script("context_render").section(tmp_path)
    assert "of lanes needs" in page
    assert "Vertebrates: 2 contigs" not in page
    assert "bits a base more than the model of windows in windows" in page
    assert "| 0 of 1 |" in page
