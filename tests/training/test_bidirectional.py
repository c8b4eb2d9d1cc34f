"""Models that read both ways: pretrained on masked bases, fine-tuned in every way, used."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from dnamamba import checkpoint
from dnamamba.alphabet import PAD, Tokenizer
from dnamamba.config import BackboneConfig, BiMambaConfig, SymmetricBiMambaConfig
from dnamamba.data.labelled.labels import Labels
from dnamamba.data.modules.genome import GenomeDataModule
from dnamamba.data.modules.sequences import LabelledFiles, LabelledSequenceDataModule
from dnamamba.data.modules.species import SpeciesDataModule
from dnamamba.data.modules.variants import VariantDataModule, VariantFiles
from dnamamba.data.variants.labels import VariantFields
from dnamamba.data.variants.splits import VariantSplit
from dnamamba.data.windows.settings import GenomeSplit, Part
from dnamamba.model.families import Sizes
from dnamamba.model.heads import HeadConfig, VariantHeadConfig
from dnamamba.training.adapters import LoraSettings
from dnamamba.training.callbacks import ExportModel
from dnamamba.training.finetune import ClassificationModule
from dnamamba.training.objectives import Masked
from dnamamba.training.optim import OptimizerConfig
from dnamamba.training.pretrain import PretrainModule
from dnamamba.training.tuning import TuningConfig
from dnamamba.training.variant_finetune import VariantModule

Make = Callable[..., pl.Trainer]

SIZES = {"d_model": 16, "n_layers": 2, "d_state": 4}
CONFIGS: dict[str, BackboneConfig] = {
    "plain": BiMambaConfig(**SIZES),
    "symmetric": SymmetricBiMambaConfig(**SIZES),
}
QUICK = OptimizerConfig(lr=3e-2, warmup_steps=0)
SPLIT = GenomeSplit(
    validation={"fraction": 0.2},  # type: ignore[arg-type]
    test={"fraction": 0.2},  # type: ignore[arg-type]
    guard=0,
)


@pytest.fixture
def make(quiet_trainer: Make, tmp_path: Path) -> Make:
    return lambda **options: quiet_trainer(**{"default_root_dir": tmp_path / "run", **options})


def genome(samples: Path, folder: Path, **options: Any) -> GenomeDataModule:
    settings: dict[str, Any] = {"length": 64, "global_batch_size": 8, "split": SPLIT}
    return GenomeDataModule(
        [str(samples / "phix174.fa")], cache_dir=str(folder / "cache"), **settings | options
    )


def pretraining(name: str, **options: Any) -> PretrainModule:
    pl.seed_everything(5, verbose=False)
    return PretrainModule(CONFIGS[name], optimizer=QUICK, **options)


@pytest.fixture(scope="module", params=CONFIGS)
def pretrained(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, samples: Path
) -> Path:
    """A folder with ``model/`` and ``last.ckpt`` of a short run on masked bases."""
    folder = tmp_path_factory.mktemp(request.param)
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1,
        max_steps=4,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[ExportModel(folder / "model")],
    )
    trainer.fit(pretraining(request.param), genome(samples, folder))
    trainer.save_checkpoint(folder / "last.ckpt")
    return folder


@pytest.mark.parametrize("name", CONFIGS)
def test_it_learns_what_both_sides_tell(
    name: str, toy_data: type, quiet_trainer: Make, tmp_path: Path
) -> None:
    """Every other base is drawn, and the next is the same: one side alone leaves 1 bit a base."""

    def doubled(i: int, sample: dict[str, torch.Tensor]) -> None:
        sample["tokens"] = sample["tokens"][::2].repeat_interleave(2)

    trainer = quiet_trainer(max_steps=80, limit_val_batches=0)
    net = pretraining(name, objective=Masked(mask=1, another=0, kept=0))
    data = toy_data(128, length=16, batch_size=16, change=doubled)
    before = quiet_trainer().validate(net, data, verbose=False)[0]
    trainer.fit(net, data)
    after = quiet_trainer().validate(net, data, verbose=False)[0]
    again = quiet_trainer().validate(net, data, verbose=False)[0]
    assert before["validation/bits_per_base"] > 3.5  # of 16 ids
    assert after["validation/bits_per_base"] < 0.9
    assert after["validation/accuracy"] > 0.75
    assert after == again  # the same bases are masked
    np.testing.assert_allclose(
        after["validation/perplexity"], 2 ** after["validation/bits_per_base"], rtol=1e-5
    )


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("settings", [{"recompute": "cheap"}, {"recompute": "everything"}])
def test_recomputed_it_is_the_same(name: str, settings: Any, toy_data: type) -> None:
    assert_same(*(steps(pretraining(name, **options), toy_data) for options in ({}, settings)))


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method:DeprecationWarning")
def test_compiled_it_is_one_graph_and_the_same(name: str, toy_data: type) -> None:
    compiled = pretraining(name, compile=True)
    compiled.model.compile(backend="eager", fullgraph=True)  # the default takes a minute on a CPU
    assert_same(steps(pretraining(name), toy_data), steps(compiled, toy_data))


def steps(net: PretrainModule, toy_data: type) -> list[torch.Tensor]:
    """Losses of a full and of a padded batch, and the gradients."""
    full = next(iter(toy_data(4, length=24).train_dataloader()))
    lengths = torch.tensor([24, 3, 1, 17])
    real = torch.arange(24) < lengths[:, None]
    padded = {**full, "tokens": full["tokens"].where(real, PAD), "lengths": lengths}
    losses = []
    for batch in (full, padded):
        example = net._example(batch)
        losses.append((net._losses(example)[0] * example.weight).sum())
    sum(losses).backward()  # type: ignore[union-attr]
    return [*(loss.detach() for loss in losses), *(p.grad for p in net.parameters())]


def assert_same(one: list[torch.Tensor], other: list[torch.Tensor]) -> None:
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_a_window_of_only_n_stops_nothing(toy_data: type, quiet_trainer: Make) -> None:
    def unknown(i: int, sample: dict[str, torch.Tensor]) -> None:
        sample["tokens"].fill_(8)

    net = pretraining("plain")
    weights = [p.detach().clone() for p in net.parameters()]
    trainer = quiet_trainer(max_steps=2, limit_val_batches=0)
    trainer.fit(net, toy_data(8, change=unknown))
    assert trainer.global_step == 2
    assert all(torch.isfinite(p).all() for p in net.parameters())
    # Nothing is learnt: weight decay alone moves them.
    for before, after in zip(weights, net.parameters(), strict=True):
        torch.testing.assert_close(before, after.detach(), rtol=5e-3, atol=0)


@pytest.mark.parametrize(
    "name", ["nucleotide", "caduceus", "plantcaduceus", "A=9 C=8 G=7 T=10 N=11 mask=3 size=16"]
)
def test_a_complement_left_out_is_the_tokenizer_s(name: str) -> None:
    tokenizer = Tokenizer(name)
    sizes = Sizes(**SIZES, family="bimamba-symmetric", vocab_size=tokenizer.vocab_size)
    module = PretrainModule(sizes, tokenizer)
    head = HeadConfig(kind="binary", labels=("no", "yes"))
    tuned = ClassificationModule(model=sizes, tokenizer=tokenizer, head=head)
    for config in (module.model.config, tuned.start.config):
        assert isinstance(config, SymmetricBiMambaConfig)
        assert config.complement == tuple(tokenizer.complement_table[: config.vocab_size])


def test_a_complement_must_be_the_tokenizer_s() -> None:
    pairs = list(range(16))
    config = SymmetricBiMambaConfig(**SIZES, complement=tuple(pairs))
    message = r"model\.complement pairs id 4 with 4, the nucleotide tokenizer with 7; leave"
    with pytest.raises(ValueError, match=message):
        PretrainModule(config)
    with pytest.raises(ValueError, match=message):
        ClassificationModule(model=config)
    for name, size in (("nucleotide", 16), ("byte", 256)):
        for policy in ("accept", "error"):
            tokenizer = Tokenizer(name, iupac=policy, uracil=policy)  # type: ignore[arg-type]
            PretrainModule(SymmetricBiMambaConfig(vocab_size=size, **SIZES), tokenizer)


@pytest.mark.parametrize("pretrained", ["symmetric"], indirect=True)
def test_what_was_pretrained_loads_in_a_fresh_process(pretrained: Path, tmp_path: Path) -> None:
    tokens = torch.tensor([[4, 3, 6, 7, 4, 5], [4, 5, 3, PAD, PAD, PAD]])
    lengths = torch.tensor([6, 3])
    code = (
        "import sys, torch, dnamamba\n"
        f"tokens, lengths = torch.tensor({tokens.tolist()}), torch.tensor({lengths.tolist()})\n"
        "with torch.inference_mode():\n"
        "    logits, _ = dnamamba.load(sys.argv[1]).model(tokens, lengths=lengths)\n"
        "torch.save(logits, sys.argv[2])\n"
    )
    output = tmp_path / "logits.pt"
    command = [sys.executable, "-c", code, str(pretrained / "model"), str(output)]
    subprocess.run(command, check=True)
    model, _ = checkpoint.load(pretrained / "last.ckpt")
    with torch.no_grad():
        expected, _ = model(tokens, lengths=lengths)  # type: ignore[call-arg]
    torch.testing.assert_close(torch.load(output), expected)


TUNINGS = {
    "full": (TuningConfig(), {0, 1, 2, 3}),
    "frozen": (TuningConfig(freeze=True), {3}),
    "gradual": (TuningConfig(unfreeze_every=1), {2, 3}),
    "by layer": (TuningConfig(layer_decay=0.5), {0, 1, 2, 3}),
    "lora": (TuningConfig(lora=LoraSettings(rank=2)), {1, 2, 3}),
}


def sequences(folder: Path, samples: Path) -> LabelledSequenceDataModule:
    random = np.random.default_rng(0)
    rows = ["sequence,label"]
    for i in range(40):
        letters = random.choice(list("AT" if i % 2 else "GC"), random.integers(4, 40))
        rows.append(f"{''.join(letters)},{'at' if i % 2 else 'gc'}")
    (folder / "t.csv").write_text("\n".join(rows) + "\n")
    return LabelledSequenceDataModule(
        LabelledFiles(train=str(folder / "t.csv")), global_batch_size=8
    )


def species(folder: Path, samples: Path) -> SpeciesDataModule:
    genomes = {"hiv": str(samples / "hiv1.fa"), "phix": str(samples / "phix174.fa")}
    return SpeciesDataModule(genomes, length=64, global_batch_size=8, split=SPLIT)


def variants(folder: Path, samples: Path) -> VariantDataModule:
    return VariantDataModule(
        VariantFiles(
            str(samples / "arabidopsis_chloroplast.fa"),
            str(samples / "labelled" / "chloroplast_stops.vcf"),
        ),
        fields=VariantFields(info="EFFECT"),
        labels=Labels(classes=["synonymous", "stop"]),
        split=VariantSplit(Part(fraction=0.2), Part(fraction=0.2), block=2000),
        length=32,
        global_batch_size=16,
        reverse_complement=True,
    )


TASKS: dict[str, tuple[Any, Any, HeadConfig]] = {
    "sequences": (sequences, ClassificationModule, HeadConfig(both_strands=True)),
    "species": (species, ClassificationModule, HeadConfig(both_strands=True, pooling="max")),
    "variants": (variants, VariantModule, VariantHeadConfig(both_strands=True)),
}


def depth(name: str) -> int:
    if ".layers." in name:
        return int(name.split(".layers.")[1][0]) + 1
    return 0 if "embedding" in name else 3


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("way", TUNINGS)
def test_it_is_fine_tuned_in_every_way(
    way: str, task: str, pretrained: Path, make: Make, samples: Path, tmp_path: Path
) -> None:
    """What moves, and that the exported model says of held-out samples what the module says."""
    source, kind, head = TASKS[task]
    tuning, moving = TUNINGS[way]
    data = source(tmp_path, samples)
    pl.seed_everything(1, verbose=False)
    start = str(pretrained / ("model" if way != "lora" else "last.ckpt"))
    net = kind(pretrained=start, head=head, tuning=tuning, optimizer=QUICK)
    make(max_steps=0, limit_val_batches=0).fit(net, data)
    before = {name: x.clone() for name, x in net.state_dict().items()}
    backbone = checkpoint.load(pretrained / "model")[0].backbone.state_dict()
    plain = {name.replace(".base_layer", ""): x for name, x in before.items()}
    for name, x in backbone.items():
        assert torch.equal(plain[f"model.backbone.{name}"], x), name

    export = ExportModel(tmp_path / "model")
    make(max_steps=2, limit_val_batches=1, callbacks=[export]).fit(net, data)
    moved = {
        name
        for name, x in net.named_parameters()
        if name.startswith("model.") and not torch.equal(before[name], x)
    }
    assert {depth(name) for name in moved} == moving
    if way == "lora":
        parts = {
            name.split(".lora_")[0].rpartition("mixer.")[2] for name in moved if "lora" in name
        }
        assert {"in_proj", "out_proj", "mamba_fwd.x_proj", "mamba_rev.dt_proj"} <= parts

    batch = next(iter(data.test_dataloader()))
    names = ("tokens", "lengths", "position", "right")
    inputs = [batch[name] for name in names[: 4 if task == "variants" else 2]]
    exported, tokenizer = checkpoint.load(tmp_path / "model")
    assert tokenizer == Tokenizer()
    with torch.no_grad():
        expected = net.eval()(batch)
        says = exported.both_strands(*inputs, net.complement)  # type: ignore[operator]
    torch.testing.assert_close(says, expected, rtol=1e-4, atol=1e-5)


def test_neither_padding_nor_the_strand_tells_a_classifier_anything(pretrained: Path) -> None:
    pl.seed_everything(2, verbose=False)
    head = HeadConfig("binary", ("no", "yes"))
    net = ClassificationModule(pretrained=str(pretrained / "model"), head=head).eval()
    assert net.model is not None
    lengths = torch.tensor([30, 7, 1])
    tokens = torch.randint(4, 8, (3, 30), dtype=torch.uint8)
    tokens = tokens.where(torch.arange(30) < lengths[:, None], PAD)
    with torch.no_grad():
        together = net.model(tokens, lengths)
        for row, length in enumerate(lengths):
            alone = net.model(tokens[row : row + 1, :length], lengths[row : row + 1])
            torch.testing.assert_close(alone[0], together[row], rtol=1e-4, atol=1e-5)
        averaged = net.model.both_strands(tokens, lengths, net.complement)
    symmetric = net.model.backbone.symmetric
    assert torch.allclose(averaged, together, rtol=1e-4, atol=1e-5) == symmetric
