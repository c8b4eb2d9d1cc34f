"""Fine-tuning on variants, from a VCF to the folder that labels another one."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

import dnamamba
from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.commands.predict import predict_file
from dnamamba.config import MambaConfig
from dnamamba.data.labelled.labels import Labels
from dnamamba.data.modules.variants import VariantDataModule, VariantFiles
from dnamamba.data.variants import VariantChecks
from dnamamba.data.variants.labels import VariantFields
from dnamamba.data.variants.splits import VariantSplit
from dnamamba.data.windows.settings import Part
from dnamamba.model.heads import VariantHeadConfig
from dnamamba.training.callbacks import ExportModel
from dnamamba.training.optim import OptimizerConfig
from dnamamba.training.variant_finetune import VariantModule

Make = Callable[..., pl.Trainer]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> VariantFiles:
    """A random genome and 200 variants: to G or C is bad, to A or T is not; one in five inserts."""
    folder = tmp_path_factory.mktemp("variants")
    random = np.random.default_rng(0)
    genome = random.choice(np.frombuffer(b"ACGT", np.uint8), 6000).tobytes().decode()
    (folder / "genome.fa").write_text(f">chr1\n{genome}\n")
    lines = [
        "##fileformat=VCFv4.3",
        "##contig=<ID=chr1,length=6000>",
        '##INFO=<ID=BAD,Number=1,Type=String,Description="">',
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
    ]
    for i, at in enumerate(range(5, 6000, 30)):
        ref = genome[at]
        new = next(base for base in ("GC" if i % 2 else "AT") if base != ref)
        alt = ref + 3 * new if i % 5 == 0 else new
        bad = "yes" if i % 2 else "no"
        lines.append(f"chr1\t{at + 1}\t.\t{ref}\t{alt}\t.\t.\tBAD={bad}")
    (folder / "variants.vcf").write_text("\n".join(lines) + "\n")
    vcf = str(folder / "variants.vcf")
    return VariantFiles(str(folder / "genome.fa"), vcf, predict=vcf)


def data(files: VariantFiles, **options: Any) -> VariantDataModule:
    defaults: dict[str, Any] = {
        "fields": VariantFields(info="BAD"),
        "labels": Labels(classes=["no", "yes"]),
        "split": VariantSplit(Part(fraction=0.2), Part(fraction=0.2), guard=0, block=300),
        "length": 16,
        "global_batch_size": 16,
        "reverse_complement": True,
    }
    return VariantDataModule(files, **{**defaults, **options})


def module(**head: Any) -> VariantModule:
    pl.seed_everything(3, verbose=False)
    return VariantModule(
        model=MambaConfig(d_model=16, n_layers=1, d_state=4),
        head=VariantHeadConfig(both_strands=True, **head),
        optimizer=OptimizerConfig(lr=2e-2, warmup_steps=5),
        monitor="auroc",
    )


@pytest.fixture
def make(quiet_trainer: Make, tmp_path: Path) -> Make:
    return lambda **options: quiet_trainer(**{"default_root_dir": tmp_path / "run", **options})


def test_from_a_vcf_to_labels_of_another(files: VariantFiles, make: Make, tmp_path: Path) -> None:
    net, source = module(), data(files)
    trainer = make(max_steps=120, limit_val_batches=0, callbacks=[ExportModel(tmp_path / "model")])
    trainer.fit(net, source)
    metrics = make().test(net, source, verbose=False)[0]
    assert metrics["test/auroc"] > 0.9
    assert net.head == VariantHeadConfig("binary", ("no", "yes"), both_strands=True, length=16)
    stored = json.loads((tmp_path / "run" / "test.json").read_text())
    assert stored["samples"] == len(source.variants("test"))

    loaded = dnamamba.load(tmp_path / "model")
    batches = make().predict(net, source)
    assert batches is not None
    module_says = torch.cat([b["yes"][b["index"] >= 0] for b in batches])
    model, vcf, table = str(tmp_path / "model"), str(files.train), str(tmp_path / "labels.tsv")
    predict_file(model, files.genome, table, vcf=vcf, batch_size=7, chunk_length=9)
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    names = [":".join(row[key] for key in ("contig", "pos", "ref", "alt")) for row in rows]
    assert names == [variant.name for variant in source.variants("predict")]
    says = np.array([float(row["probability_yes"]) for row in rows])
    np.testing.assert_allclose(says, module_says, rtol=1e-3, atol=1e-4)
    assert {row["predicted"] for row in rows} == {"no", "yes"}
    columns = loaded.predict_file(vcf, genome=files.genome, batch_size=7, chunk_length=9)
    assert [*columns] == [*rows[0]]
    assert columns["predicted"] == [row["predicted"] for row in rows]

    genome = source.genome
    inputs = []
    for variant in source.variants("predict")[:9]:
        end = variant.start + len(variant.ref)
        longest = max(len(variant.ref), len(variant.alt))
        first, last = max(0, variant.start - 8), min(6000, end + 8 - longest)
        flanks = (genome.fetch("chr1", first, variant.start), genome.fetch("chr1", end, last))
        inputs.append((flanks[0], variant.ref, variant.alt, flanks[1]))
    predictions = loaded.predict(inputs)
    np.testing.assert_allclose(predictions.probabilities[:, 1], says[:9], rtol=1e-3, atol=1e-4)


def test_the_window_is_the_data_s_unless_it_is_set(files: VariantFiles, make: Make) -> None:
    net = module()
    make(max_steps=1, limit_val_batches=0).fit(net, data(files, length=24))
    assert net.head.length == 24  # type: ignore[attr-defined]
    again = VariantModule.load_from_checkpoint(saved(net, make), weights_only=True)
    assert again.head == net.head


def test_the_class_path_of_before_still_names_it() -> None:
    from dnamamba.training import finetune

    assert finetune.VariantModule is VariantModule


def saved(net: VariantModule, make: Make) -> Path:
    trainer = make()
    trainer.strategy.connect(net)
    path = Path(trainer.default_root_dir) / "a.ckpt"
    trainer.save_checkpoint(path)
    return path


def test_files_that_do_not_fit_are_named(files: VariantFiles, tmp_path: Path) -> None:
    from dnamamba.model import LanguageModel
    from dnamamba.model.classifier import Classifier, VariantClassifier
    from dnamamba.model.heads import HeadConfig

    sizes = MambaConfig(d_model=8, n_layers=1, d_state=2)
    head = {"kind": "binary", "labels": ("no", "yes")}
    models: dict[str, Any] = {
        "language": LanguageModel(sizes),
        "sequences": Classifier(sizes, HeadConfig(**head)),  # type: ignore[arg-type]
        "variants": VariantClassifier(sizes, VariantHeadConfig(**head, length=16)),  # type: ignore[arg-type]
        "no length": VariantClassifier(sizes, VariantHeadConfig(**head)),  # type: ignore[arg-type]
    }
    for name, model in models.items():
        checkpoint.save(tmp_path / name, model, Tokenizer())
    genome, vcf, out = files.genome, str(files.train), str(tmp_path / "out.tsv")
    (tmp_path / "stands.tsv").write_text("mine")
    cases: list[tuple[str, str, str, dict[str, Any], str]] = [
        ("language", genome, out, {}, "is a language model, which has no labels"),
        ("sequences", vcf, out, {}, "labels sequences, but .*variants.vcf is a VCF"),
        ("sequences", genome, out, {"vcf": vcf}, "--vcf has no meaning for a FASTA"),
        (
            "sequences",
            genome,
            out,
            {"checks": VariantChecks(kinds=["snv"])},
            "--checks has no mean",
        ),
        ("sequences", genome, out, {"window": 0}, "window must be at least 1 base, got 0"),
        ("sequences", genome, str(tmp_path / "o.txt"), {}, r"must end in \.parquet or \.tsv"),
        ("sequences", genome, str(tmp_path / "stands.tsv"), {}, "exists; remove it, or set"),
        ("variants", genome, out, {}, "name their VCF with --vcf"),
        ("variants", genome, out, {"vcf": vcf, "bed": "x"}, "--bed has no meaning for a VCF"),
        ("no length", genome, out, {"vcf": vcf}, "how long its windows are"),
    ]
    for name, fasta, output, options, message in cases:
        with pytest.raises(ValueError, match=message):
            predict_file(str(tmp_path / name), fasta, output, **options)
    assert not Path(out).exists()
    assert (tmp_path / "stands.tsv").read_text() == "mine"


@pytest.mark.usefixtures("no_gpu")
def test_windows_of_a_fasta(files: VariantFiles, tmp_path: Path) -> None:
    from dnamamba.model.classifier import Classifier
    from dnamamba.model.heads import HeadConfig

    torch.manual_seed(0)
    sizes = MambaConfig(d_model=8, n_layers=1, d_state=2)
    model = Classifier(sizes, HeadConfig("regression", both_strands=True))
    folder = str(checkpoint.save(tmp_path / "model", model, Tokenizer()))
    predict_file(folder, files.genome, str(tmp_path / "a.parquet"), window=2500)
    import pyarrow.parquet as pq

    rows = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert [(row["start"], row["end"]) for row in rows] == [(0, 2500), (2500, 5000), (5000, 6000)]
    columns = dnamamba.load(folder).predict_file(files.genome, window=2500)
    assert columns["predicted"] == [row["predicted"] for row in rows]
    sequence = data(files).genome.fetch("chr1", 2500, 5000)
    expected = dnamamba.load(folder).predict([sequence]).labels[0]
    assert rows[1]["predicted"] == pytest.approx(expected, rel=1e-4)
    bed = tmp_path / "a.bed"
    bed.write_text("chr1\t2500\t5000\tmine\t0\t-\n")
    predict_file(folder, files.genome, str(tmp_path / "b.tsv"), bed=str(bed), both_strands=False)
    header, line = (tmp_path / "b.tsv").read_text().splitlines()
    assert header == "id\tcontig\tstart\tend\tstrand\tpredicted"
    row = dict(zip(header.split("\t"), line.split("\t"), strict=True))
    assert (row["id"], row["strand"]) == ("mine", "-")
    minus = data(files).genome.fetch("chr1", 2500, 5000, "-")
    value = dnamamba.load(folder).predict([minus], both_strands=False).labels[0]
    assert float(row["predicted"]) == pytest.approx(value, rel=1e-4)
