"""Small steps as CUDA graphs: what comes with a loss is what autograd gives."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from dnamamba.alphabet import PAD, Tokenizer
from dnamamba.config import BackboneConfig, BiMambaConfig, MambaConfig
from dnamamba.model.classifier import Classifier
from dnamamba.model.heads import HeadConfig
from dnamamba.training import captured
from dnamamba.training.captured import Batch, CapturedStep, is_small
from dnamamba.training.memory import Step
from dnamamba.training.pretrain import PretrainModule

IDS = Tokenizer().base_ids


class Small(nn.Module):
    """A classifier with dropout and a parameter that nothing reads."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        head = HeadConfig(kind="multiclass", labels=("a", "b", "c"), dropout=dropout)
        self.model = Classifier(MambaConfig(d_model=32, n_layers=2), head)
        self.unread = nn.Parameter(torch.zeros(3))

    def measure(self, batch: Batch) -> tuple[Tensor, ...]:
        outputs = self.model(batch["tokens"], batch["lengths"])
        losses = F.cross_entropy(outputs, batch["label"], reduction="none")
        return losses.mean(), losses.detach()


class Stepping(nn.Module):
    """What DDP wraps: its forward is the loss."""

    def __init__(self, module: nn.Module, step: CapturedStep) -> None:
        super().__init__()
        self.module = module
        self.step = step

    def forward(self, batch: Batch) -> Tensor:
        return self.step(batch)[0]


@contextmanager
def alone() -> Iterator[None]:
    """Distributed over one process."""
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def trains_under_ddp(device: str, unread: bool) -> None:
    """As without it; parameters that nothing reads DDP has to look for."""
    module = Small().to(device)
    if not unread:
        del module.unread
    plain, step = deepcopy(module), CapturedStep(module, module.measure)
    how = {"gradient_as_bucket_view": True, "find_unused_parameters": unread}
    ids = [0] if device == "cuda" else None
    with alone():
        ddp = DistributedDataParallel(Stepping(module, step), device_ids=ids, **how)
        for seed in range(5):
            batch = batch_of(seed, device=device)
            ddp(batch).backward()
            plain.measure(batch)[0].backward()
            assert_close(module, plain)
            for one in (module, plain):
                one.zero_grad()
    assert len(step._graphs) == (device == "cuda")


def batch_of(seed: int, rows: int = 5, length: int = 37, device: str = "cpu") -> Batch:
    drawn = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, length + 1, (rows,), generator=drawn)
    lengths[0] = length
    tokens = torch.tensor(IDS, dtype=torch.uint8)[torch.randint(4, (rows, length), generator=drawn)]
    tokens[torch.arange(length) >= lengths[:, None]] = PAD
    label = torch.randint(3, (rows,), generator=drawn)
    batch = {"tokens": tokens, "lengths": lengths, "label": label}
    return {name: x.to(device) for name, x in batch.items()}


def gradients(module: nn.Module) -> dict[str, Tensor | None]:
    return {name: x.grad for name, x in module.named_parameters()}


def assert_close(a: nn.Module, b: nn.Module) -> None:
    theirs = gradients(b)
    for name, x in gradients(a).items():
        y = theirs[name]
        assert (x is None) == (y is None), name
        if x is not None and y is not None:
            torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-6, msg=name)


@pytest.fixture
def everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the way of small batches on the CPU, too, where nothing can be captured."""
    monkeypatch.setattr(CapturedStep, "_is_small", lambda self, batch: True)
    monkeypatch.setattr(CapturedStep, "_capture", lambda *_: None)


@pytest.mark.usefixtures("everywhere")
class TestOnTheCPU:
    def test_loss_and_gradients_are_autograds(self) -> None:
        ours, plain = Small(), Small()
        step = CapturedStep(ours, ours.measure)
        for seed in range(2):  # the second is added to the first
            batch = batch_of(seed)
            loss, losses = step(batch)
            expected, others = plain.measure(batch)
            torch.testing.assert_close(loss, expected)
            torch.testing.assert_close(losses, others)
            (loss / 3).backward()
            (expected / 3).backward()
        assert_close(ours, plain)

    def test_frozen_parameters_and_unread_ones_get_no_gradient(self) -> None:
        ours = Small()
        ours.model.backbone.requires_grad_(False)
        loss, losses = CapturedStep(ours, ours.measure)(batch_of(0))
        assert loss.requires_grad
        assert not losses.requires_grad
        loss.backward()
        got = {name for name, x in gradients(ours).items() if x is not None}
        assert got == {"model.head.linear.weight", "model.head.linear.bias"}

    @pytest.mark.parametrize("unread", [False, True])
    def test_ddp_hears_of_the_gradients(self, unread: bool) -> None:
        trains_under_ddp("cpu", unread)

    def test_a_step_of_an_optimiser_is_seen_by_the_next_call(self) -> None:
        ours, plain = Small(), Small()
        step, trained = CapturedStep(ours, ours.measure), []
        for module, measure in ((ours, step), (plain, plain.measure)):
            optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
            for seed in range(3):
                optimizer.zero_grad()
                measure(batch_of(seed))[0].backward()
                optimizer.step()
            trained.append(module.state_dict())
        for name, value in trained[0].items():
            torch.testing.assert_close(value, trained[1][name], rtol=1e-4, atol=1e-6)

    @pytest.mark.parametrize("length", [1, 8, 9, 37, 101, 1000])
    def test_rows_are_padded_to_few_lengths(self, length: int) -> None:
        seen: list[int] = []
        ours = Small()

        def measure(batch: Batch) -> tuple[Tensor, ...]:
            seen.append(batch["tokens"].shape[1])
            return ours.measure(batch)

        batch = batch_of(0, length=length)
        loss, _ = CapturedStep(ours, measure)(batch)
        torch.testing.assert_close(loss, Small().measure(batch)[0])
        assert seen[0] >= length
        assert seen[0] - length < max(8, length // 8)
        assert seen[0] % 8 == 0

    def test_rows_that_are_full_stay_so(self) -> None:
        module = PretrainModule(MambaConfig(d_model=32, n_layers=1))
        tokens = torch.tensor(IDS, dtype=torch.uint8)[torch.randint(4, (2, 37))]
        batch = {"tokens": tokens, "index": torch.arange(2)}
        loss, _, weight, _ = CapturedStep(module, module.measure)(batch)
        torch.testing.assert_close(loss, module.measure(batch)[0])
        assert weight == tokens.numel()

    def test_one_graph_serves_lanes_whether_any_begins_anew(self) -> None:
        module = PretrainModule(MambaConfig(d_model=32, n_layers=1))
        step = CapturedStep(module, module.measure)
        tokens = torch.tensor(IDS, dtype=torch.uint8)[torch.randint(4, (2, 37))]
        state = module.model.backbone.initial_state(2)
        after = {f"state.{i}": torch.randn_like(x) for i, x in enumerate(state.tensors)}
        marks = {"resets": torch.zeros(2, 37, dtype=torch.bool)}
        marks["resets"][1, 5] = True
        for resets in (marks, {}, marks):
            batch = {"tokens": tokens, **resets, "lane": torch.arange(2), **after}
            batch["before"] = tokens[:, 0]
            torch.testing.assert_close(step(batch), module.measure(batch))
        assert list(step._seen.values()) == [3]


def test_what_is_taken_as_one_graph_is_small() -> None:
    """The forecast of memory goes by it, too."""
    assert is_small(1 << 19)
    assert not is_small((1 << 19) + 1)
    step = Step(samples=64, windows=1, length=100, itemsize=2, on_gpu=True, may_capture=True)
    assert step.captured
    assert replace(step, devices=2).captured
    assert not replace(step, length=1 << 14).captured
    assert not replace(step, pieces=2).captured  # in which processes tell each other


def test_on_the_cpu_and_beside_hooks_nothing_changes() -> None:
    module = Small()
    loss, _ = CapturedStep(module, module.measure)(batch_of(0))
    assert "WithGradients" not in str(loss.grad_fn)


@pytest.mark.gpu
class TestOnAGPU:
    def runs(self, module: nn.Module, step: Callable[[Batch], tuple[Tensor, ...]]) -> list[Tensor]:
        """Losses and weights of some training, two shapes in turn."""
        torch.cuda.manual_seed(3)
        optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
        found = []
        for seed in range(10):
            batch = batch_of(seed, length=37 + 50 * (seed % 2), device="cuda")
            with torch.autocast("cuda", torch.bfloat16):
                loss, losses = step(batch)
            (loss / 3).backward()
            found += [loss.detach().clone(), losses.clone()]
            if seed % 2:
                optimizer.step()
                optimizer.zero_grad()
        return [*found, *module.state_dict().values(), torch.cuda.get_rng_state()]

    @pytest.mark.parametrize("dropout", [0.0, 0.5])
    def test_replays_are_the_launches_bit_for_bit(
        self, monkeypatch: pytest.MonkeyPatch, dropout: float
    ) -> None:
        module = Small(dropout).cuda()
        other = deepcopy(module)
        step = CapturedStep(module, module.measure)
        replayed = self.runs(module, step)
        assert len(step._graphs) == 2
        monkeypatch.setattr(CapturedStep, "_capture", lambda *_: None)
        launched = self.runs(other, CapturedStep(other, other.measure))
        for a, b in zip(replayed, launched, strict=True):
            assert torch.equal(a, b)

    @pytest.mark.parametrize("unread", [False, True])
    def test_ddp_hears_of_the_gradients(self, unread: bool) -> None:
        trains_under_ddp("cuda", unread)

    def test_they_agree_with_autograd(self) -> None:
        module = Small().cuda()
        plain, step = deepcopy(module), CapturedStep(module, module.measure)
        for seed in range(5):
            batch = batch_of(seed, device="cuda")
            step(batch)[0].backward()
            plain.measure(batch)[0].backward()
        assert len(step._graphs) == 1
        assert_close(module, plain)

    def test_what_waits_for_the_device_is_launched_and_said_once(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        module = Small().cuda()
        plain = deepcopy(module)

        def measure(batch: Batch) -> tuple[Tensor, ...]:
            loss, losses = module.measure(batch)
            assert loss.item() > 0
            return loss, losses

        step = CapturedStep(module, measure)
        with caplog.at_level(logging.WARNING):
            for seed in range(6):
                batch = batch_of(seed, length=37 + 50 * (seed % 2), device="cuda")
                step(batch)[0].backward()
                plain.measure(batch)[0].backward()
        assert_close(module, plain)
        assert sum("cannot be captured" in record.message for record in caplog.records) == 1
        # And the next one that can be is.
        again = CapturedStep(module, module.measure)
        for _ in range(4):
            again(batch_of(0, device="cuda"))[0].backward()
        assert len(again._graphs) == 1

    def test_hooks_and_big_batches_are_left_to_autograd(self) -> None:
        module = Small().cuda()
        step = CapturedStep(module, module.measure)
        big = batch_of(0, rows=4097, length=128, device="cuda")
        assert "WithGradients" not in str(step(big)[0].grad_fn)
        small = batch_of(0, device="cuda")
        assert "WithGradients" in str(step(small)[0].grad_fn)
        module.model.register_forward_hook(lambda *_: None)
        assert "WithGradients" not in str(step(small)[0].grad_fn)

    @pytest.mark.parametrize("config", [MambaConfig, BiMambaConfig])
    def test_when_a_run_captures_changes_no_bit_of_it(
        self,
        monkeypatch: pytest.MonkeyPatch,
        toy_data: type,
        quiet_trainer: Callable[..., pl.Trainer],
        config: type[BackboneConfig],
    ) -> None:
        """So it may be resumed anywhere."""
        trained = []
        for seen in (1, 4, 100):
            monkeypatch.setattr(captured, "_SEEN", seen)
            torch.manual_seed(0)
            module = PretrainModule(config(d_model=32, n_layers=2))
            trainer = quiet_trainer(
                accelerator="gpu", precision="bf16-mixed", max_steps=8, gradient_clip_val=1.0,
                accumulate_grad_batches=3,
            )  # fmt: skip
            trainer.fit(module, toy_data(96, length=40))
            trained.append(module.state_dict())
        for name, value in trained[0].items():
            assert torch.equal(value, trained[1][name]), name
            assert torch.equal(value, trained[2][name]), name
