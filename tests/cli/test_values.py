"""Values that no setting can take: one line that names the setting, before any work."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from cli_cases import config

from dnamamba.cli import main

BIG = 10**30
NAN, INF = float("nan"), float("inf")
BITS = "must be an integer of 64 bits, got 1000"


def said(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """The error of a command, which is one line."""
    status = main(arguments)
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert status in (1, 2), error
    assert error.startswith(f"dnamamba {arguments[0]}: ")
    return error


def with_value(folder: Path, name: str, value: Any) -> str:
    """The small configuration with one setting, by its dotted name, set otherwise."""
    path = Path(config(folder))
    content = yaml.safe_load(path.read_text())
    section, *between, last = [content, *name.split(".")]
    for part in between:
        section = section.setdefault(part, {})
    section[last] = value
    path.write_text(yaml.safe_dump(content))
    return str(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("data.length", "an integer, got null; leave the line out for its default, 1024"),
        ("data.seed", "an integer, got null; leave the line out for its default, 0"),
        ("data.num_workers", "an integer, got null"),
        ("data.soft_mask_weight", "a number, got null; leave the line out for its default, 1.0"),
        ("data.windows.tail", "shift or pad or drop, got null"),
        ("data.windows.shuffle", "true or false, got null"),
        ("data.split.validation.fraction", "a number, got null"),
        ("data.split.test.contigs", "a list, got null"),
        ("model.optimizer.lr", "a number, got null; leave the line out for its default, 0.001"),
        ("model.optimizer.betas", "a list, got null"),
        ("model.model.d_model", "an integer, got null"),
        ("model.compile", "true or false, got null"),
        ("checkpoint_every", "an integer, got null"),
        ("overwrite", "true or false, got null"),
        ("seed_everything", "an integer, got null"),
        ("trainer.max_steps", "an integer, got null; leave the line out for its default, -1"),
        ("trainer.devices", "an integer, got null; leave the line out for its default, auto"),
        ("trainer.accumulate_grad_batches", "an integer, got null"),
    ],
)
def test_null(name: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = said(capsys, ["fit", "-c", with_value(tmp_path, name, None)])
    assert f"{name} must be " in error
    assert message in error
    assert not (tmp_path / "run").exists()
    short = said(capsys, ["fit", "-c", config(tmp_path), f"--{name}=null"])
    assert name in short
    assert "null" in short


@pytest.mark.parametrize(
    ("section", "name", "value", "message"),
    [
        ("data", "global_batch_size", None, "global_batch_size must be an integer, got null"),
        ("data", "labels", {"kind": None}, "labels.kind must be class or multilabel or number"),
        ("model", "class_weights", None, "class_weights must be true or false, got null"),
        ("model", "head", {"dropout": None}, "head.dropout must be a number, got null"),
        ("model", "head", {"dropout": NAN}, "head.dropout must be a number, got nan"),
        ("model", "tuning", {"lora": {"rank": None}}, "rank must be an integer, got null"),
        ("model", "tuning", {"lora": {"rank": BIG}}, f"rank {BITS}"),
        ("model", "model", {"d_model": None}, "d_model must be an integer, got null"),
    ],
)
def test_of_a_class(
    section: str,
    name: str,
    value: Any,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content = yaml.safe_load(Path("configs/finetune-sequence.yaml").read_text())
    content["run_dir"] = str(tmp_path / "run")
    content[section]["init_args"][name] = value
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    assert message in said(capsys, ["fit", "-c", str(path)])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patience": None}, "patience must be an integer, got null"),
        ({"patience": BIG}, f"patience {BITS}"),
        ({"min_delta": NAN}, "min_delta must be a number, got nan"),
    ],
)
def test_of_a_callback(
    settings: dict[str, Any], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    callback = {
        "class_path": "pytorch_lightning.callbacks.EarlyStopping",
        "init_args": {"monitor": "validation/loss", **settings},
    }
    path = with_value(tmp_path, "trainer.callbacks", [callback])
    assert f"trainer.callbacks: {message}" in said(capsys, ["fit", "-c", path])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        *((f"data.{name}", BIG, BITS) for name in ("windows.stride", "length", "seed")),
        *((f"data.{name}", BIG, BITS) for name in ("num_workers", "split.guard", "split.block")),
        *((f"trainer.{name}", BIG, BITS) for name in ("max_steps", "devices", "num_nodes")),
        ("data.num_workers", 10**6, "must be at most 256"),
        ("data.global_batch_size", 10**12, "must be at most 16,777,216"),
        ("data.split.validation.fraction", NAN, "must be a number, got nan"),
        ("data.split.validation.fraction", INF, "must be from 0 to below 1, got inf"),
        ("model.optimizer.lr", NAN, "must be a number, got nan"),
        ("model.optimizer.lr", 1e300, "must be at most 1e+30, got 1e+300"),
        ("model.optimizer.weight_decay", 1e300, "must be at most 1e+30"),
        ("model.optimizer.lr", 10**400, "a number of 401 digits"),
        ("model.model.d_model", 1 << 23, "the memory is full"),
        *(("trainer.devices", n, "1 to 1,024 devices") for n in (0, [], [1, 1], "x", "", 5000)),
        *(("trainer.devices", n, "should be an int > 0. Check the flags") for n in (-1, [0])),
        ("trainer.num_nodes", 0, "must be at least 1 machine"),
        ("trainer.val_check_interval", 0, "must be at least 1 step"),
        ("trainer.val_check_interval", -3, "must be at least 1 step"),
        ("trainer.check_val_every_n_epoch", 0, "must be at least 1 epoch, or null"),
        ("trainer.accumulate_grad_batches", 0, "must be at least 1 batch"),
        ("trainer.log_every_n_steps", -1, "must be at least 0 steps"),
        ("trainer.gradient_clip_val", -1.0, "must be at least 0 or null for no clipping"),
        ("trainer.gradient_clip_val", INF, "must be at least 0 or null for no clipping"),
        ("trainer.max_steps", -2, "max_steps"),
        ("trainer.limit_val_batches", NAN, "must be a number, got nan"),
        ("trainer.limit_val_batches", -1, "limit_val_batches"),
        ("run_dir", "", "run_dir is empty; name the folder"),
        ("run_dir", " ", "run_dir is empty; name the folder"),
        (
            "run_dir",
            "/dev/null",
            "/dev/null is no folder; make way for it, or name another --run_dir",
        ),
        ("data", None, "data holds no settings; indent them under it"),
    ],
)
def test_out_of_range(
    name: str, value: Any, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = said(capsys, ["fit", "-c", with_value(tmp_path, name, value)])
    assert message in error
    assert len(error) < 500


def test_a_trainer_without_a_line_is_left_at_its_defaults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = with_value(tmp_path, "trainer", None)
    flags = ["--trainer.accelerator=cpu", "--trainer.fast_dev_run=true"]
    assert "data.length must be" in said(capsys, ["fit", "-c", path, *flags, "--data.length=1"])
    assert main(["fit", "-c", path, *flags]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--n", "null"], "n: expected int; got null, leave it out for its default"),
        (["--length", str(BIG)], f"length {BITS}"),
        (["--temperature", "9" * 400], "out of range"),
        (["--temperature", ".nan"], "temperature must be a number, got nan"),
        (["--length", str(10**13)], "the memory is full"),
    ],
)
def test_of_a_command_that_uses_a_model(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["generate", "vertebrate-0.5m", str(tmp_path / "out.fa"), *arguments]
    assert message in said(capsys, command)


DATA = "class_path: dnamamba.data.modules.genome.GenomeDataModule\ninit_args:\n  genomes: a.fa\n"


@pytest.mark.parametrize("flag", ["--config", "--data", "--model", "--trainer.callbacks"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: 1\n#" + b"x" * (17 << 20), "it is longer than 16 MiB"),
        (DATA.encode("utf-16"), "can't decode byte 0xff in position 0"),
        ((DATA + "# caf\xe9").encode("latin-1"), "save it as UTF-8"),
        (b"\xef\xbb\xbf" + DATA.encode() + b"\tlength: 64\n", "found character '\\t'"),
        (DATA.encode() + b"  genomes: b.fa\n", "'genomes' stands twice in one section, in lines 3"),
    ],
    ids=["long", "utf-16", "latin-1", "tab", "twice"],
)
def test_a_file_of_settings(
    flag: str, content: bytes, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "part.yaml"
    path.write_bytes(content)
    error = said(capsys, ["fit", "--run_dir", str(tmp_path / "run"), flag, str(path)])
    assert f"{path} is not YAML: " in error
    assert message in error


def test_a_byte_order_mark_is_no_part_of_a_key(tmp_path: Path) -> None:
    path = Path(config(tmp_path))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert main(["fit", "-c", str(path), "--trainer.fast_dev_run=true"]) == 0


def test_no_end_of_the_input_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert "longer than 16 MiB" in said(capsys, ["fit", "-c", "/dev/zero"])
