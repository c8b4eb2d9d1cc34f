"""The memory that a step is said to need, beside what allocators have counted on an H200."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dnamamba.config import BackboneConfig, BiMambaConfig, MambaConfig, SymmetricBiMambaConfig
from dnamamba.model import LanguageModel
from dnamamba.model.footprint import Reading
from dnamamba.model.heads import HeadConfig, VariantHeadConfig
from dnamamba.model.mixers import bidirectional, mamba1
from dnamamba.training.adapters import LoraSettings, adapter_memory
from dnamamba.training.finetune import ClassificationModule
from dnamamba.training.memory import Forecast, Step, readable_bytes
from dnamamba.training.module import TrainedModule
from dnamamba.training.pretrain import PretrainModule
from dnamamba.training.tuning import TuningConfig
from dnamamba.training.variant_finetune import VariantModule

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
# docs/long-contexts.md promises it.
WITHIN = 0.01
GIB = 2**30
FAMILIES: dict[str, type[BackboneConfig]] = {
    "causal": MambaConfig,
    "bidirectional": BiMambaConfig,
    "symmetric": SymmetricBiMambaConfig,
}
H200 = Step(256, 1, 1024, 2, on_gpu=True, may_capture=True, workspace=32 << 20)
CLASSES = HeadConfig(kind="multiclass", labels=("0", "1"))


@pytest.fixture(autouse=True)
def blocks_fuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU: plain blocks are one op."""
    for module in (mamba1, bidirectional):
        monkeypatch.setattr(module, "fuses_block", lambda device, dtype: True)


def results(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text())


def forecast(module: TrainedModule, step: Step) -> Forecast:
    return Forecast(module, step, "data.length", "recompute" in module.hparams)


def total(module: TrainedModule, step: Step) -> int:
    memory = forecast(module, step).of(step)
    assert memory is not None
    return memory.total


def small(family: type[BackboneConfig] = MambaConfig, **sizes: int) -> PretrainModule:
    return PretrainModule(family(**{"d_model": 128, "n_layers": 4, **sizes}))


class TestRecorded:
    """Those of ``model_gpu`` are of steps launch by launch: they are older than graphs."""

    @pytest.mark.parametrize(
        ("name", "captured"), [("model_gpu", False), ("bidirectional_gpu", True)]
    )
    def test_models(self, name: str, captured: bool) -> None:
        recorded = results(name)
        column = {title: k for k, title in enumerate(recorded["columns"])}
        modules = {family: PretrainModule(kind()) for family, kind in FAMILIES.items()}
        for row in recorded["rows"]:
            family = row[column["family"]] if "family" in column else "causal"
            length, rows = row[column["L"]], row[column["B"]]
            step = replace(
                H200,
                samples=rows,
                length=length,
                recompute=row[column["recomputed"]],
                may_capture=captured,
            )
            peak = row[-1] * 1024 * rows * length  # of padded rows, too
            assert total(modules[family], step) == pytest.approx(peak, rel=WITHIN), row

    def test_four_million(self) -> None:
        length = 4_194_304
        step = replace(H200, samples=1, length=length, recompute="everything")
        peak = results("model_gpu")["4M"]["bytes_per_token"] * length
        assert total(PretrainModule(MambaConfig()), step) == pytest.approx(peak, rel=WITHIN)

    @pytest.mark.parametrize(
        ("job", "rows", "length", "d_model", "n_layers"),
        [
            ("fit-small", 128, 1024, 128, 4),
            ("fit-1k", 256, 1024, 256, 8),
            ("fit-128k", 2, 131_072, 256, 8),
            ("fit-1m", 1, 1_048_576, 256, 8),
        ],
    )
    def test_pretraining(
        self, job: str, rows: int, length: int, d_model: int, n_layers: int
    ) -> None:
        module = PretrainModule(MambaConfig(d_model=d_model, n_layers=n_layers))
        step = replace(H200, samples=rows, length=length)
        peak = results("jobs_gpu")["after"]["jobs"][job]["peak_bytes"]
        assert step.captured == (rows * length <= 1 << 19)
        assert total(module, step) == pytest.approx(peak, rel=WITHIN)

    @pytest.mark.parametrize("rows", [32, 128])
    def test_classification(self, rows: int) -> None:
        module = ClassificationModule("vertebrate-0.5m", head=CLASSES)
        step = replace(H200, samples=rows, length=101)
        peak = results("jobs_gpu")["after"]["jobs"][f"fit-gue-{rows}"]["peak_bytes"]
        assert total(module, step) == pytest.approx(peak, rel=WITHIN)

    def test_a_width_that_no_tile_fits(self) -> None:
        # README: 13.2 KiB a base.
        step = replace(H200, samples=1024, may_capture=False)
        found = total(small(BiMambaConfig, d_model=118), step) / 2**30
        assert found == pytest.approx(13.2, rel=WITHIN)


def saved(model: nn.Module, tokens: Tensor, half: bool) -> int:
    """Bytes that autograd keeps of a forward on the CPU, weights apart."""
    weights = {x.untyped_storage().data_ptr() for x in model.parameters()}
    kept: dict[int, Tensor] = {}

    def keep(x: Tensor) -> Tensor:
        kept.setdefault(x.untyped_storage().data_ptr(), x)
        return x

    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x)
    with hooks, torch.autocast("cpu", torch.bfloat16, enabled=half):
        model(tokens)
    return sum(x.untyped_storage().nbytes() for at, x in kept.items() if at not in weights)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_operators_one_by_one_are_bounded(
    family: str, half: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (mamba1, bidirectional):
        monkeypatch.setattr(module, "fuses_block", lambda device, dtype: False)
    backbone = LanguageModel(FAMILIES[family](d_model=32, n_layers=3)).backbone
    counted = saved(backbone, torch.randint(4, 8, (2, 256)), half)
    said = backbone.footprint(Reading(2, 256, 2 if half else 4, on_gpu=False))
    assert said is not None
    assert counted <= said.kept + said.hidden <= 1.4 * counted
    again = backbone.footprint(Reading(2, 256, 2 if half else 4, False, "everything"))
    assert again is not None
    assert again.peak < said.peak


class TestWhatChanges:
    def test_fp32_doubles_all_but_the_stream(self) -> None:
        half, exact = (total(small(), replace(H200, itemsize=n)) for n in (2, 4))
        assert 1.5 * half < exact < 2 * half

    def test_devices_and_accumulation_share_the_batch(self) -> None:
        module = small()
        whole = forecast(module, H200).of(H200)
        parts = [
            forecast(module, H200).of(replace(H200, **settings))
            for settings in ({"devices": 2}, {"accumulated": 2}, {"samples": 128})
        ]
        assert whole is not None
        for part in parts:
            assert part is not None
            assert part.activations == parts[0].activations < 0.75 * whole.activations  # type: ignore[union-attr]

    def test_a_variant_is_two_windows(self) -> None:
        head = VariantHeadConfig(kind="multiclass", labels=("0", "1"))
        variants = VariantModule(model=MambaConfig(d_model=64, n_layers=2), head=head)
        sequences = ClassificationModule(model=MambaConfig(d_model=64, n_layers=2), head=CLASSES)
        step = replace(H200, samples=512, may_capture=False)
        pairs = replace(step, samples=256, windows=2)
        activations = [
            forecast(module, each).of(each).activations  # type: ignore[union-attr]
            for module, each in ((variants, pairs), (sequences, step))
        ]
        assert activations[0] == activations[1]

    def test_a_frozen_backbone_keeps_nothing(self) -> None:
        sizes = MambaConfig(d_model=128, n_layers=8)
        free, frozen, waiting = (
            ClassificationModule(model=sizes, head=CLASSES, tuning=tuning)
            for tuning in (
                TuningConfig(),
                TuningConfig(freeze=True),
                TuningConfig(unfreeze_every=9),
            )
        )
        step = replace(H200, samples=1024)
        assert total(frozen, step) < 0.3 * total(free, step)
        assert total(waiting, step) == total(free, step)  # its gradients are taken and dropped
        deeper = replace(sizes, n_layers=16)
        twice = ClassificationModule(model=deeper, head=CLASSES, tuning=TuningConfig(freeze=True))
        assert total(twice, step) == pytest.approx(total(frozen, step), rel=0.02)

    def test_adapters_take_the_operators_one_by_one(self) -> None:
        pytest.importorskip("peft")
        modules = [
            ClassificationModule(model=MambaConfig(), head=CLASSES, tuning=TuningConfig(lora=lora))
            for lora in (None, {"rank": 4})  # type: ignore[arg-type]
        ]
        plain, adapted = (total(module, H200) for module in modules)
        assert 1.5 * plain < adapted < 3 * plain

    @pytest.mark.parametrize("half", [False, True])
    @pytest.mark.parametrize("dropout", [0.0, 0.1])
    def test_adapters_are_bounded(self, dropout: float, half: bool) -> None:
        pytest.importorskip("peft")
        sizes = MambaConfig(d_model=64, n_layers=2)
        lora = LoraSettings(rank=4, dropout=dropout)
        module = ClassificationModule(model=sizes, head=CLASSES, tuning=TuningConfig(lora=lora))
        module.train()
        counted = saved(module.model.backbone, torch.randint(4, 8, (2, 256)), half)
        reading = Reading(2, 256, 2 if half else 4, on_gpu=False)
        blocks = module.model.backbone.footprint(reading)
        assert blocks is not None
        adapters = adapter_memory(module.model.backbone, reading, lora)
        assert counted <= blocks.kept + blocks.hidden + adapters < 1.4 * counted

    def test_a_large_vocabulary_counts(self) -> None:
        module = PretrainModule(MambaConfig(d_model=16, n_layers=1))
        reading = replace(H200, may_capture=False).reading
        few = module.activation_memory(reading, False)
        module.model.config = replace(module.model.config, vocab_size=4096)
        many = module.activation_memory(reading, False)
        assert few is not None
        assert many is not None
        assert many > few + reading.positions * 4 * 2000

    @pytest.mark.parametrize("accumulated", [1, 4])
    def test_states_of_lanes(self, accumulated: int) -> None:
        """Of 2,048 lanes of 64 bases they are nearly half as much as the activations."""
        module = PretrainModule(MambaConfig(d_model=256, n_layers=8))
        lane = 8 * 512 * (16 + 3) * 4
        assert module.lane_states.bytes_of_lane == lane
        step = replace(H200, samples=2048, length=64, accumulated=accumulated)
        carried = replace(step, carried=lane)
        rows = 2048 // accumulated
        assert total(module, carried) - total(module, step) == lane * (2 * 2048 + 4 * rows)
        launched = replace(carried, may_capture=False)
        assert launched.states == lane * (2 * 2048 + 2 * rows)


class TestRemedy:
    STEP = replace(H200, samples=256, length=131_072)

    @pytest.mark.parametrize("gib", [3, 8, 30, 100, 250, 700])
    def test_names_only_what_fits(self, gib: int) -> None:
        module = PretrainModule(MambaConfig())
        said = forecast(module, self.STEP)
        text = said.remedy(gib * GIB)
        assert text.startswith("Set ")
        for choice in text.removeprefix("Set ").partition(". ")[0].split("; or "):
            step = applied(self.STEP, choice)
            assert total(module, step) < gib * GIB
            assert step != self.STEP
            assert f"needs about {readable_bytes(total(module, step))}" in choice

    def test_recomputation_first(self) -> None:
        text = forecast(PretrainModule(MambaConfig()), self.STEP).remedy(700 * GIB)
        assert text.startswith("Set model.recompute: everything (needs about")
        assert "; or trainer.accumulate_grad_batches: 2 (needs about" in text
        assert text.endswith("It leaves the run the same")

    def test_no_recomputation_where_there_is_no_setting(self) -> None:
        module = ClassificationModule(model=MambaConfig(), head=CLASSES)
        text = Forecast(module, self.STEP, "data.length", False).remedy(700 * GIB)
        assert text.startswith("Set trainer.accumulate_grad_batches: 2")

    def test_recomputation_in_fine_tuning_too(self) -> None:
        module = ClassificationModule(model=MambaConfig(), head=CLASSES)
        text = forecast(module, self.STEP).remedy(700 * GIB)
        assert text.startswith("Set model.recompute: everything (needs about")

    def test_batches_divide(self) -> None:
        step = replace(self.STEP, samples=10, devices=2, recompute="everything")
        text = forecast(PretrainModule(MambaConfig()), step).remedy(8 * GIB)
        assert text.startswith("Set trainer.accumulate_grad_batches: 5 ")

    def test_one_long_row(self) -> None:
        step = replace(H200, samples=1, length=4_194_304)
        text = forecast(PretrainModule(MambaConfig()), step).remedy(10 * GIB)
        assert text.startswith("Set data.length: 262144 with model.recompute: everything (needs")

    def test_nothing_fits(self) -> None:
        text = forecast(PretrainModule(MambaConfig()), H200).remedy(2**20)
        assert text == "No batch and length would fit: choose a smaller model"


def applied(step: Step, choice: str) -> Step:
    """A step with the settings that a remedy names."""
    known: dict[str, tuple[str, Callable[[str], Any]]] = {
        "data.length": ("length", int),
        "trainer.accumulate_grad_batches": ("accumulated", int),
        "model.recompute": ("recompute", str),
    }
    for setting in choice.partition(" (")[0].split(" with "):
        name, value = setting.split(": ")
        field, kind = known[name]
        step = replace(step, **{field: kind(value)})
    return step


@pytest.mark.parametrize("family", FAMILIES)
def test_devices_that_share_a_row_hold_a_piece_each(family: str) -> None:
    """Of the activations; the first of them, whose piece is the longest."""
    module = small(FAMILIES[family])
    whole = replace(H200, samples=2, length=1 << 20)
    one, four = (forecast(module, whole).of(replace(whole, pieces=n)) for n in (1, 4))
    assert one is not None
    assert four is not None
    assert four.activations == pytest.approx(one.activations / 4, rel=0.1)  # and what each holds
    assert four.model > one.model  # gradients are exchanged
    uneven = replace(whole, length=1025, pieces=4)
    assert uneven.reading.length == 257
    assert not uneven.captured
