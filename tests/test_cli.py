"""The command line: help, what it suggests, what it refuses; runs of every configuration."""

import csv
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import dnamamba
from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.cli import main
from dnamamba.cli.errors import explain, nearest
from dnamamba.cli.training import TrainingCLI
from dnamamba.config import MambaConfig
from dnamamba.model import LanguageModel

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
RESULTS = sorted((ROOT / "configs" / "results").glob("*.yaml"))
COMMANDS = ["fit", "validate", "test", "predict", "embed", "generate", "evaluate", "report"]


@pytest.fixture(autouse=True)
def in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Configurations name the bundled genomes relative to the checkout."""
    monkeypatch.chdir(ROOT)


def config(folder: Path, **sections: Any) -> str:
    """A small run on phiX174 (5,386 bp)."""
    content: dict[str, Any] = {
        "run_dir": str(folder / "run"),
        "data": {
            "genomes": ["data/samples/phix174.fa"],
            "length": 64,
            "global_batch_size": 4,
            "cache_dir": str(folder / "cache"),
            "split": {"validation": {"fraction": 0.2}, "test": {"fraction": 0.2}, "guard": 64},
        },
        "model": {
            "model": {"d_model": 8, "n_layers": 1, "d_state": 2},
            "optimizer": {"lr": 1e-2, "warmup_steps": 2, "min_lr_ratio": 1.0},
        },
        "trainer": {
            "accelerator": "cpu",
            "devices": 1,
            "max_steps": 6,
            "val_check_interval": 3,
            "check_val_every_n_epoch": None,
            "log_every_n_steps": 2,
        },
    }
    for name, section in sections.items():
        content[name] = {**content[name], **section} if isinstance(section, dict) else section
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


class TestHelp:
    def test_the_overview_is_there_without_torch(self) -> None:
        script = (
            "import sys, dnamamba.cli\n"
            "status = dnamamba.cli.main(['--help'])\n"
            "heavy = {'torch', 'pytorch_lightning', 'numpy', 'jsonargparse'} & set(sys.modules)\n"
            "sys.exit(f'imported {heavy}' if heavy else status)\n"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "dnamamba fit --config configs/quickstart.yaml" in done.stdout
        for command in COMMANDS:
            assert f"\n  {command} " in done.stdout

    @pytest.mark.parametrize("command", COMMANDS)
    def test_each_command_explains_itself(
        self, command: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as stop:
            main([command, "--help"])
        assert stop.value.code == 0
        said = capsys.readouterr().out
        assert f"usage: dnamamba {command}" in said
        if command in ("fit", "validate", "test", "predict"):
            assert "--model.optimizer.lr" in said
            assert "--data.split.validation.fraction" in said
        else:
            assert f"examples:\n  dnamamba {command} " in said

    def test_inference_does_not_wait_for_lightning(self) -> None:
        script = (
            "import sys, dnamamba.cli\n"
            "try: dnamamba.cli.main(['embed', '--help'])\n"
            "except SystemExit: pass\n"
            "sys.exit('pytorch_lightning' in sys.modules)\n"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def test_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--version"]) == 0
        assert capsys.readouterr().out.startswith("dnamamba 0.")


class TestSuggestions:
    @pytest.mark.parametrize(
        ("typed", "meant"),
        [
            ("data.lenght", "data.length"),
            ("optimizer.lr", "model.optimizer.lr"),
            ("d_modl", "model.model.d_model"),
            ("zebra", None),
        ],
    )
    def test_nearest(self, typed: str, meant: str | None) -> None:
        known = ["data.length", "model.optimizer.lr", "model.model.d_model", "trainer.devices"]
        assert nearest(typed, known) == (f"; did you mean {meant}?" if meant else "")

    def test_a_type_is_said_in_one_line(self) -> None:
        message = (
            'Parser key "data.length":\n  Does not validate against any of the Union subtypes\n'
            "  Subtypes: [<class 'int'>, <class 'NoneType'>]\n  Errors:\n    - x\n"
            "  Given value type: <class 'str'>\n  Given value: abc"
        )
        assert explain(message, []) == "data.length: expected one of int, null; got abc"

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["fti"], "dnamamba fti: there is no such command; did you mean fit?"),
            (
                ["fit", "--data.lenght", "9"],
                "unknown flag --data.lenght; did you mean --data.length",
            ),
            (["fit", "--optimizer.lr=1"], "did you mean --model.optimizer.lr?"),
            (["fit", "--data.length=abc"], "data.length: expected int; got abc"),
            (["fit", "--run_dir=x"], "data.genomes must be given"),
            (["fit", "--config", "no.yaml"], "there is no configuration file no.yaml"),
            (["fit", "--data.tokenizer.name=dna", "--data.genomes=a"], "data.tokenizer.name"),
            (["embed", "a", "b", "c.npz", "--poling", "mean"], "did you mean --pooling?"),
            (["embed", "a", "b", "c.npz", "--pool", "mean"], "did you mean --pooling?"),
            (["embed", "a", "b", "c.npz", "--pooling", "men"], "expected one of 'mean', 'max', "),
            (["fit", "--trainer.max_step", "9"], "did you mean --trainer.max_steps?"),
            (
                ["fit", "--run_dir=x", "--data.genomes=a", "--model.tokenizer.name=byte"],
                "set data.tokenizer.name instead",
            ),
            (["zebra"], "there is no such command; there are fit, validate, test, predict, embed,"),
            (["fit", "--config", "configs"], "cannot read the configuration configs: Is a dir"),
            (["generate", "a"], "output must be given"),
        ],
    )
    def test_wrong_flags(
        self, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(arguments) == 2
        error = capsys.readouterr().err.strip()
        assert said in error
        assert len(error.splitlines()) == 1

    @pytest.mark.parametrize(
        ("sections", "said"),
        [
            ({"modl": {"model": {}}}, "unknown key modl; did you mean model?"),
            (
                {"data": {"genomes": ["a"], "lenght": 5}},
                "unknown key data.lenght; did you mean data.length?",
            ),
            ({"model": {"model": {"d_modl": 5}}}, "did you mean model.model.d_model?"),
            (
                {"data": {"genomes": ["a"], "split": {"validtion": {"fraction": 0.1}}}},
                "did you mean data.split.validation.fraction?",
            ),
            ({"trainer": {"max_step": 5}}, "did you mean trainer.max_steps?"),
            ({"trainer": {"max_steps": "many"}}, "trainer.max_steps: expected int"),
        ],
    )
    def test_wrong_keys(
        self,
        sections: dict[str, Any],
        said: str,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        base = yaml.safe_load(Path(config(tmp_path)).read_text())
        (tmp_path / "wrong.yaml").write_text(yaml.safe_dump({**base, **sections}))
        assert main(["fit", "-c", str(tmp_path / "wrong.yaml")]) == 2
        assert said in capsys.readouterr().err

    def test_a_configuration_that_is_no_yaml(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "a.yaml").write_text("data: [1\nmodel: {")
        assert main(["fit", f"--config={tmp_path / 'a.yaml'}"]) == 2
        error = capsys.readouterr().err.strip()
        assert "a.yaml is not YAML" in error
        assert len(error.splitlines()) == 1

    def test_debug_shows_where(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["evaluate", "nowhere", "x.fa"]) == 1
        assert "Traceback" not in capsys.readouterr().err
        assert main(["evaluate", "nowhere", "x.fa", "--debug"]) == 1
        assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("path", CONFIGS, ids=[str(p.relative_to(ROOT)) for p in CONFIGS])
def test_every_configuration_runs(path: Path, tmp_path: Path) -> None:
    """As it stands but for its size, the device, and the number of steps."""
    arguments = [
        *("--config", str(path), "--run_dir", str(tmp_path / "run")),
        *("--trainer.accelerator=cpu", "--trainer.devices=1", "--trainer.max_steps=2"),
        *("--trainer.val_check_interval=1", "--trainer.limit_val_batches=1"),
        "--trainer.log_every_n_steps=1",
    ]
    model = yaml.safe_load(path.read_text())["model"]
    if "class_path" not in model:  # a pretraining
        arguments += ["--data.cache_dir", str(tmp_path / "cache")]
        arguments += ["--data.length=256", "--data.global_batch_size=2"]
        arguments += ["--model.model.d_model=8", "--model.model.n_layers=1"]
    else:
        sizes = MambaConfig(d_model=8, n_layers=1, d_state=2)
        arguments += ["--data.init_args.global_batch_size=2"]
        if model["init_args"].get("pretrained"):
            pretrained = checkpoint.save(tmp_path / "model", LanguageModel(sizes), Tokenizer())
            arguments += ["--model.init_args.pretrained", str(pretrained)]
        else:
            arguments += ["--model.init_args.model", json.dumps(asdict(sizes))]
    assert main(["fit", *arguments]) == 0
    assert (tmp_path / "run" / "model" / "model.safetensors").is_file()


@pytest.mark.parametrize("path", RESULTS, ids=[path.stem for path in RESULTS])
def test_every_configuration_of_the_results_is_built(path: Path, tmp_path: Path) -> None:
    """Their data is not in the checkout: classes, sizes and settings are checked as they stand."""
    run = ["--run_dir", str(tmp_path / "run"), "--trainer.accelerator=cpu", "--trainer.devices=1"]
    cli = TrainingCLI("fit", ["--config", str(path), *run])
    model = yaml.safe_load(path.read_text())["model"]
    assert type(cli.model).__name__ == model.get("class_path", "PretrainModule").split(".")[-1]


class TestRuns:
    def test_what_a_run_leaves(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["fit", "-c", config(tmp_path)]) == 0
        run = tmp_path / "run"
        files = sorted(str(p.relative_to(run)) for p in run.rglob("*") if p.is_file())
        assert files == [
            "checkpoints/best.ckpt",
            "checkpoints/last.ckpt",
            "config.yaml",
            "metrics.csv",
            "model/config.json",
            "model/model.safetensors",
        ]
        with (run / "metrics.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["step"] for row in rows if row["train/loss"]] == ["2", "4", "6"]
        assert [row["step"] for row in rows if row["validation/bits_per_base"]] == ["3", "6"]
        said = capsys.readouterr().err
        assert "step 2 of 6  loss " in said
        assert "GPU available" not in said

        # The saved configuration is whole: other commands need nothing else.
        saved = ["--config", str(run / "config.yaml")]
        assert main(["validate", *saved]) == 0
        assert "validation/bits_per_base" in capsys.readouterr().out
        assert main(["test", *saved, "--ckpt_path", "last"]) == 0
        assert "test/bits_per_base" in capsys.readouterr().out
        assert main(["predict", *saved]) == 0
        table = (run / "predictions.tsv").read_text().splitlines()
        assert table[0] == "window\tbits_per_base"
        assert table[1].startswith("phix174 ")
        assert len(table) == 1 + -(-5386 // 64)
        capsys.readouterr()
        assert main(["predict", *saved]) == 1
        assert "predictions.tsv exists; set --overwrite" in capsys.readouterr().err

    def test_a_run_is_not_overwritten_unasked(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = config(tmp_path, trainer={"max_steps": 2})
        assert main(["fit", "-c", path]) == 0
        before = (tmp_path / "run" / "checkpoints" / "last.ckpt").read_bytes()
        assert main(["fit", "-c", path]) == 1
        assert "holds a run already" in capsys.readouterr().err
        assert (tmp_path / "run" / "checkpoints" / "last.ckpt").read_bytes() == before
        assert main(["fit", "-c", path, "--overwrite", "--trainer.max_steps=1"]) == 0
        assert step(tmp_path / "run") == 1

    def test_a_checkpoint_that_is_not_there(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = config(tmp_path)
        assert main(["validate", "-c", path]) == 1
        assert "there is no checkpoint " in capsys.readouterr().err
        assert main(["fit", "-c", path, "--ckpt_path=old.ckpt"]) == 1
        assert "there is no checkpoint old.ckpt" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("flags", "said"),
        [
            (["--data.genomes=[no.fa]"], "no.fa"),
            (["--data.length=8192"], "8,192"),
            (["--model.model.d_conv=9"], "d_conv must be 2, 3 or 4, got 9"),
            (["--model.optimizer.lr=-1"], "optimizer.lr must be positive, got -1"),
            (["--trainer.accelerator=abacus"], "invalid accelerator"),
            (["--trainer.devices=0"], "trainer"),
            (["--checkpoint_every=0"], "checkpoint_every must be at least 1 step, got 0"),
            (["--data.split.test.contigs=[a]"], "got contigs ['a'] and fraction 0.2; take one"),
            (["--data.split.guard=9999"], "the split and its guard leave no base"),
        ],
    )
    def test_bad_values_are_one_line(
        self, flags: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["fit", "-c", config(tmp_path), *flags]) == 1
        error = capsys.readouterr().err
        assert said in error
        assert "Traceback" not in error
        assert not list((tmp_path / "run").rglob("*.ckpt"))

    def test_without_a_progress_bar(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        flags = ["--trainer.max_steps=2", "--trainer.enable_progress_bar=false"]
        assert main(["fit", "-c", config(tmp_path), *flags]) == 0
        assert step(tmp_path / "run") == 2
        assert "perplexity" not in capsys.readouterr().err

    def test_predictions_are_refused_before_the_work(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = config(tmp_path)
        assert main(["fit", "-c", path]) == 0
        assert main(["predict", "-c", path]) == 0
        table = tmp_path / "run" / "predictions.tsv"
        assert f"written to {table}" in capsys.readouterr().err
        monkeypatch.setattr("pytorch_lightning.Trainer.predict", None)
        assert main(["predict", "-c", path]) == 1
        assert f"{table} exists; set --overwrite" in capsys.readouterr().err

    def test_a_warning_of_the_input_is_one_line(self, tmp_path: Path) -> None:
        (tmp_path / "a.fa").write_text(">empty\n>a\nACGTACGT\n")
        checkpoint.save(
            tmp_path / "model",
            LanguageModel(MambaConfig(d_model=8, n_layers=1)),
            Tokenizer(),
        )
        command = [
            "embed",
            str(tmp_path / "model"),
            str(tmp_path / "a.fa"),
            str(tmp_path / "a.npz"),
        ]
        run = [sys.executable, "-m", "dnamamba", *command]
        done = subprocess.run(run, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        said = [line for line in done.stderr.splitlines() if "empty" in line]
        assert said[0].startswith("warning: ")
        assert "UserWarning" not in done.stderr

    def test_a_device_that_there_is_not(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["generate", "m", str(tmp_path / "o.fa"), "--device", "gpuu"]) == 1
        assert "device must be auto, cpu, cuda, cuda:N or mps, got" in capsys.readouterr().err

    def test_a_class_path_takes_another_module(self, tmp_path: Path) -> None:
        arguments = {
            "class_path": "PretrainModule",
            "init_args": {"model": {"d_model": 16, "n_layers": 1}, "compile": False},
        }
        base = yaml.safe_load(Path(config(tmp_path)).read_text())
        (tmp_path / "class.yaml").write_text(yaml.safe_dump({**base, "model": arguments}))
        assert main(["fit", "-c", str(tmp_path / "class.yaml"), "--trainer.max_steps=1"]) == 0
        model, _ = dnamamba.load(tmp_path / "run" / "model")
        assert model.config.d_model == 16

    def test_the_byte_tokenizer_sets_the_vocabulary(self, tmp_path: Path) -> None:
        path = config(tmp_path, trainer={"max_steps": 1})
        assert main(["fit", "-c", path, "--data.tokenizer.name=byte"]) == 0
        model, tokenizer = dnamamba.load(tmp_path / "run" / "model")
        assert tokenizer.name == "byte"
        assert model.config.vocab_size == 256


STOPPED = """
import os, signal, sys
from dnamamba.cli import main
from dnamamba.training.metrics_file import MetricsFile

log = MetricsFile.log_metrics

def log_and_stop(self, metrics, step=None):
    log(self, metrics, step)
    if step == 7:
        os.kill(os.getpid(), signal.SIGTERM)

MetricsFile.log_metrics = log_and_stop
sys.exit(main(sys.argv[1:]))
"""


class TestResume:
    def test_sigterm_then_last_gives_the_uninterrupted_run(self, tmp_path: Path) -> None:
        """Bit for bit, and metrics.csv goes on where it stopped."""
        path = config(tmp_path, trainer={"max_steps": 12, "log_every_n_steps": 1})
        assert main(["fit", "-c", path, "--run_dir", str(tmp_path / "whole")]) == 0

        fit = ["fit", "-c", path, "--ckpt_path", "last"]
        stopped = subprocess.run(
            [sys.executable, "-c", STOPPED, *fit], capture_output=True, text=True
        )
        assert stopped.returncode == 143, stopped.stderr
        assert "repeat the command with --ckpt_path last" in stopped.stderr
        assert step(tmp_path / "run") == 7

        assert main(fit) == 0
        whole, resumed = (
            torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)
            for name in ("whole", "run")
        )
        assert resumed["global_step"] == 12
        for name, value in whole["state_dict"].items():
            assert torch.equal(resumed["state_dict"][name], value), name
        assert losses(tmp_path / "run") == losses(tmp_path / "whole")

    def test_a_damaged_checkpoint_is_named(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = config(tmp_path)
        assert main(["fit", "-c", path]) == 0
        last = tmp_path / "run" / "checkpoints" / "last.ckpt"
        last.write_bytes(last.read_bytes()[:1000])
        capsys.readouterr()
        assert main(["fit", "-c", path, "--ckpt_path", "last"]) == 1
        error = capsys.readouterr().err
        assert "last.ckpt is truncated or damaged" in error
        assert "best.ckpt" in error

    def test_another_architecture_is_named(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = config(tmp_path)
        assert main(["fit", "-c", path]) == 0
        capsys.readouterr()
        again = ["fit", "-c", path, "--ckpt_path", "last", "--model.model.d_model=16"]
        assert main(again) == 1
        assert "model.d_model is 16 here and 8 in the checkpoint" in capsys.readouterr().err


def step(run: Path) -> int:
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    return int(checkpoint["global_step"])


def losses(run: Path) -> list[tuple[str, str, str]]:
    with (run / "metrics.csv").open(newline="") as file:
        return [
            (row["step"], row["train/loss"], row["validation/loss"]) for row in csv.DictReader(file)
        ]
