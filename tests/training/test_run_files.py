"""What a run leaves behind: metrics, the last checkpoint, the shareable folder; what it says."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities.exceptions import SIGTERMException
from rich.console import Console

import dnamamba
from dnamamba.alphabet import Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.training.callbacks import (
    ExportModel,
    LastCheckpoint,
    RunProgress,
    RunSummary,
    progress,
)
from dnamamba.training.metrics_file import MetricsFile
from dnamamba.training.optim import OptimizerConfig
from dnamamba.training.pretrain import PretrainModule

Make = Callable[..., pl.Trainer]


def module() -> PretrainModule:
    pl.seed_everything(5, verbose=False)
    optimizer = OptimizerConfig(lr=1e-2, warmup_steps=0, min_lr_ratio=1.0)
    return PretrainModule(MambaConfig(d_model=8, n_layers=1, d_state=2), Tokenizer(), optimizer)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


class StopAt(pl.Callback):
    """Raises in the middle of a step, at its optimiser, or between two."""

    def __init__(self, step: int, where: str, error: BaseException) -> None:
        self.step, self.where, self.error = step, where, error

    def _at(self, where: str, trainer: pl.Trainer) -> None:
        if where == self.where and trainer.global_step == self.step:
            raise self.error

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        self._at("between", trainer)

    def on_before_backward(self, trainer: pl.Trainer, *_: Any) -> None:
        self._at("forward", trainer)

    def on_before_zero_grad(self, trainer: pl.Trainer, *_: Any) -> None:
        self._at("optimizer", trainer)


class TestMetricsFile:
    def test_a_new_metric_adds_a_column(self, tmp_path: Path) -> None:
        log = MetricsFile(tmp_path / "run")
        log.log_metrics({"a": 1.5}, step=1)
        log.log_metrics({"b": 2.0}, step=2)
        log.log_metrics({"b": 3.0, "a": 0.1}, step=3)
        assert (tmp_path / "run" / "metrics.csv").read_text() == (
            "step,a,b\n1,1.5,\n2,,2.0\n3,0.1,3.0\n"
        )

    @pytest.mark.parametrize("cut", ["", "4,0.1", "4"])
    def test_a_resume_continues(self, tmp_path: Path, cut: str) -> None:
        first = MetricsFile(tmp_path)
        for step in (1, 2, 3):
            first.log_metrics({"a": step / 2}, step=step)
        with first.path.open("a") as file:
            file.write(cut)
        second = MetricsFile(tmp_path)
        second.log_metrics({"a": 9.0}, step=3)
        second.log_metrics({"a": 10.0}, step=4)
        assert first.path.read_text() == "step,a\n1,0.5\n2,1.0\n3,9.0\n4,10.0\n"


class TestLastCheckpoint:
    def fit(
        self, make: Make, data: Any, folder: Path, steps: int, *more: pl.Callback, **options: Any
    ) -> PretrainModule:
        net = module()
        last = LastCheckpoint(folder, every_n_steps=2)
        trainer = make(
            max_steps=steps,
            limit_val_batches=0,
            enable_checkpointing=True,
            callbacks=[*more, last],
            **{key: value for key, value in options.items() if key != "ckpt_path"},
        )
        trainer.fit(net, data, ckpt_path=options.get("ckpt_path"))
        return net

    @pytest.mark.parametrize(("steps", "epochs"), [(5, -1), (-1, 2)])
    def test_the_last_step_is_saved(
        self, steps: int, epochs: int, toy_data: type, quiet_trainer: Make, tmp_path: Path
    ) -> None:
        net = self.fit(quiet_trainer, toy_data(20), tmp_path, steps, max_epochs=epochs)
        saved = torch.load(tmp_path / "last.ckpt", weights_only=True)
        assert saved["global_step"] == (5 if steps > 0 else 10)
        weight = "model.backbone.embedding.weight"
        assert torch.equal(saved["state_dict"][weight], net.state_dict()[weight])
        assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]

    @pytest.mark.filterwarnings("ignore:.*dataloader is not resumable")
    @pytest.mark.filterwarnings("ignore:Checkpoint directory .* is not empty")
    def test_a_finished_run_can_be_made_longer(
        self, toy_data: type, quiet_trainer: Make, tmp_path: Path
    ) -> None:
        """Stopped in the middle of an epoch of 8; every batch is alike, so order is no matter."""

        def alike(i: int, sample: dict[str, torch.Tensor]) -> None:
            sample["tokens"][:] = 5

        whole = self.fit(quiet_trainer, toy_data(32, change=alike), tmp_path / "a", 11)
        self.fit(quiet_trainer, toy_data(32, change=alike), tmp_path / "b", 5)
        path = tmp_path / "b" / "last.ckpt"
        longer = self.fit(
            quiet_trainer, toy_data(32, change=alike), tmp_path / "b", 11, ckpt_path=path
        )
        for name, value in whole.state_dict().items():
            assert torch.equal(longer.state_dict()[name], value), name
        assert torch.load(path, weights_only=True)["epoch"] == 1

    @pytest.mark.parametrize("error", [SIGTERMException(), RuntimeError("on purpose")])
    @pytest.mark.parametrize("where", ["between", "forward"])
    def test_a_run_cut_short_is_saved_where_it_stands(
        self, where: str, error: BaseException, toy_data: type, quiet_trainer: Make, tmp_path: Path
    ) -> None:
        with pytest.raises(type(error)):
            self.fit(quiet_trainer, toy_data(32), tmp_path, 8, StopAt(3, where, error))
        assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 3

    @pytest.mark.parametrize("error", [None, RuntimeError("on purpose")])
    def test_gathered_gradients_are_not_cut(
        self,
        error: BaseException | None,
        toy_data: type,
        quiet_trainer: Make,
        tmp_path: Path,
    ) -> None:
        """In the second of four batches of a step SIGTERM waits, and an error saves nothing."""

        class Interrupt(pl.Callback):
            def on_before_backward(self, trainer: Any, *_: Any) -> None:
                if trainer.fit_loop.epoch_loop.batch_progress.total.processed == 13:
                    if error is not None:
                        raise error
                    trainer._signal_connector.received_sigterm = True

        with pytest.raises(SIGTERMException if error is None else RuntimeError):
            self.fit(
                quiet_trainer, toy_data(99), tmp_path, 8, Interrupt(), accumulate_grad_batches=4
            )
        saved = torch.load(tmp_path / "last.ckpt", weights_only=True)
        assert saved["global_step"] == (4 if error is None else 2)
        progress = saved["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]
        assert progress["processed"] == 4 * saved["global_step"]

    @pytest.mark.filterwarnings("ignore:.*dataloader is not resumable")
    @pytest.mark.filterwarnings("ignore:Checkpoint directory .* is not empty")
    @pytest.mark.parametrize("every", [1, 2, 3])
    def test_a_module_that_brings_nothing_is_validated_at_the_same_steps(
        self, every: int, toy_data: type, quiet_trainer: Make, tmp_path: Path
    ) -> None:
        class Bare(PretrainModule):
            def configure_callbacks(self) -> list[pl.Callback]:
                return []

        class Validated(pl.Callback):
            steps: ClassVar[list[int]] = []

            def on_validation_end(self, trainer: pl.Trainer, *_: Any) -> None:
                self.steps.append(trainer.global_step)

        def fit(*more: pl.Callback, resume: Path | None = None) -> None:
            trainer = quiet_trainer(
                max_steps=9,
                val_check_interval=3,
                check_val_every_n_epoch=None,
                enable_checkpointing=True,
                callbacks=[*more, Validated(), LastCheckpoint(tmp_path, every)],
            )
            net = Bare(MambaConfig(d_model=8, n_layers=1, d_state=2))
            trainer.fit(net, toy_data(99), ckpt_path=resume)

        for step, where in ((4, "optimizer"), (3, "between"), (6, "forward")):
            Validated.steps = []
            with pytest.raises(RuntimeError, match="on purpose"):
                fit(StopAt(step, where, RuntimeError("on purpose")))
            before = torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"]
            Validated.steps = [each for each in Validated.steps if each <= before]
            fit(resume=tmp_path / "last.ckpt")
            assert Validated.steps == [3, 6, 9]

    def test_but_not_with_half_a_step_taken(
        self, toy_data: type, quiet_trainer: Make, tmp_path: Path
    ) -> None:
        class HalfStep(pl.Callback):
            def on_before_optimizer_step(self, trainer: Any, *_: Any) -> None:
                optimizer = trainer.optimizers[0]

                def half(*args: Any) -> bool:
                    optimizer.param_groups[0]["params"][0].data += 1
                    raise RuntimeError("out of memory")

                if trainer.global_step == 3:
                    optimizer._init_group = half  # after the gradients, before the update

        with pytest.raises(RuntimeError, match="out of memory"):
            self.fit(quiet_trainer, toy_data(32), tmp_path, 8, HalfStep())
        assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 2


class TestExport:
    def test_the_best_weights_are_shared(
        self, toy_data: type, quiet_trainer: Make, tmp_path: Path
    ) -> None:
        best = ModelCheckpoint(
            tmp_path,
            "best",
            monitor="validation/bits_per_base",
            save_on_train_epoch_end=False,
            enable_version_counter=False,
        )

        class Spoil(pl.Callback):
            def on_train_batch_start(self, trainer: Any, net: Any, *_: Any) -> None:
                if trainer.global_step == 5:
                    net.model.backbone.norm_f.weight.data *= -3

        trainer = quiet_trainer(
            max_steps=8,
            val_check_interval=2,
            enable_checkpointing=True,
            callbacks=[Spoil(), best, ExportModel(tmp_path / "model")],
        )
        trainer.fit(module(), toy_data())
        model, tokenizer = dnamamba.load(tmp_path / "model")
        saved = torch.load(tmp_path / "best.ckpt", weights_only=True)
        assert saved["global_step"] == 4
        weight = saved["state_dict"]["model.backbone.embedding.weight"]
        assert torch.equal(model.backbone.embedding.weight, weight)
        assert tokenizer == Tokenizer()

    def test_a_metric_that_cannot_be_measured_stops_no_export(
        self, toy_data: type, quiet_trainer: Make, tmp_path: Path
    ) -> None:
        class Unknown(PretrainModule):
            def on_validation_epoch_end(self) -> None:
                self.log("validation/auroc", torch.tensor(float("nan")))

        best = ModelCheckpoint(
            tmp_path, monitor="validation/auroc", mode="max", save_on_train_epoch_end=False
        )
        trainer = quiet_trainer(
            max_steps=4,
            val_check_interval=2,
            enable_checkpointing=True,
            callbacks=[best, ExportModel(tmp_path / "model")],
        )
        trainer.fit(Unknown(MambaConfig(d_model=8, n_layers=1, d_state=2)), toy_data())
        assert dnamamba.load(tmp_path / "model").model.config.d_model == 8

    def test_without_validation_the_last_ones(
        self, toy_data: type, quiet_trainer: Make, tmp_path: Path
    ) -> None:
        net = module()
        callbacks = [ExportModel(tmp_path / "model")]
        quiet_trainer(limit_val_batches=0, callbacks=callbacks).fit(net, toy_data())
        model, _ = dnamamba.load(tmp_path / "model")
        assert torch.equal(model.backbone.embedding.weight, net.model.backbone.embedding.weight)


class TestWhatIsSaid:
    def said(self, make: Make, data: Any, terminal: bool, width: int = 140) -> str:
        text = io.StringIO()
        console = Console(file=text, force_terminal=terminal, width=width, color_system=None)
        trainer = make(
            max_steps=6,
            log_every_n_steps=2,
            val_check_interval=3,
            enable_progress_bar=True,
            callbacks=[RunProgress(2, console), RunSummary("runs/toy", console)],
        )
        trainer.fit(module(), data)
        return text.getvalue()

    def test_lines_where_there_is_no_terminal(self, toy_data: type, quiet_trainer: Make) -> None:
        said = self.said(quiet_trainer, toy_data(24), terminal=False)
        lines = said.splitlines()
        steps = [line for line in lines if line.startswith("step")]
        assert [line.split("  ")[0].split(":")[0] for line in steps] == [
            "step 2 of 6",
            "step 3",
            "step 4 of 6",
            "step 6",
            "step 6 of 6",
        ]
        assert "loss 2." in steps[0]
        assert "perplexity " in steps[0]
        assert steps[0].endswith("bp/s")
        assert "validation" in steps[1]
        assert "bits per base" in steps[1]
        assert lines[0].startswith("model: ")
        assert lines[0].endswith(" parameters on cpu, 32-true")
        assert "bases read  288 bp" in said
        assert "runs/toy/" in said

    def test_no_more_lines_than_tenths(
        self, toy_data: type, quiet_trainer: Make, capsys: pytest.CaptureFixture[str]
    ) -> None:
        quiet = {"enable_progress_bar": True, "callbacks": [RunProgress(1)]}
        quiet_trainer(max_steps=40, limit_val_batches=0, **quiet).fit(module(), toy_data(24))
        steps = [line for line in capsys.readouterr().err.splitlines() if " of 40  " in line]
        assert [line.split()[1] for line in steps] == [str(n) for n in range(4, 41, 4)]

    def test_lines_of_a_validation_and_a_test(
        self,
        toy_data: type,
        quiet_trainer: Make,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr(progress, "LONG", 0.0)
        monkeypatch.setattr(progress, "SHORT", 0.0)
        quiet = {"enable_progress_bar": True, "callbacks": [RunProgress(9)]}
        trainer = quiet_trainer(max_steps=2, val_check_interval=2, **quiet)
        trainer.fit(module(), toy_data(24))
        assert "step 2: validating: 50 %, 3 of 6 batches, " in capsys.readouterr().err
        for command, title in (("validate", "validating"), ("test", "testing")):
            getattr(trainer, command)(module(), toy_data(24), verbose=False)
            said = capsys.readouterr().err.splitlines()
            lines = [line for line in said if line.startswith(f"{title}: ")]
            assert len(lines) == 6
            assert lines[-1].startswith(f"{title}: 100 %, 6 of 6 batches, ")

    def test_a_bar_on_a_terminal(self, toy_data: type, quiet_trainer: Make) -> None:
        said = self.said(quiet_trainer, toy_data(24), terminal=True)
        assert "training" in said
        assert "6/6" in said
        assert "loss" in said
        assert "bp/s" in said

    def test_nothing_is_cut_off_in_80_columns(self, toy_data: type, quiet_trainer: Make) -> None:
        said = self.said(quiet_trainer, toy_data(24), terminal=True, width=80)
        assert " 6/6 " in said
        assert "bp/s" in said
        assert "…" not in said
