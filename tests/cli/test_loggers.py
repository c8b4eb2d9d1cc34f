"""Any logger of Lightning through the configuration: metrics, steps and hyper-parameters."""

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli_cases import config
from pytorch_lightning.loggers import Logger

from dnamamba.cli import main
from dnamamba.cli.loggers import check_loggers

METRICS = {"train/loss", "train/lr", "train/bases_per_second", "validation/bits_per_base", "epoch"}


class Kept(Logger):
    """A logger of one's own, which keeps what it is told.

    Args:
        folder: nothing is written there.
    """

    made: "list[Kept]" = []  # noqa: RUF012

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder = folder
        self.rows: list[tuple[int | None, dict[str, float]]] = []
        self.hyper: dict[str, Any] = {}
        self.ended = ""
        Kept.made.append(self)

    name = version = "kept"

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.rows.append((step, metrics))

    def log_hyperparams(self, params: dict[str, Any], *_: Any, **__: Any) -> None:
        self.hyper |= params

    def finalize(self, status: str) -> None:
        self.ended = status


def fit(folder: Path, *loggers: dict[str, Any], **more: Any) -> int:
    return main(["fit", "-c", config(folder, trainer={"logger": [*loggers]}, **more)])


def logger(path: str, **arguments: Any) -> dict[str, Any]:
    return {"class_path": path, "init_args": arguments}


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> str:
    """The class as a configuration names it."""
    monkeypatch.setattr(Kept, "made", [])
    monkeypatch.setitem(sys.modules, "kept_logger", sys.modules[__name__])
    return "kept_logger.Kept"


def test_a_logger_of_one_s_own(tmp_path: Path, kept: str) -> None:
    assert fit(tmp_path, logger(kept, folder="a"), logger(kept, folder="b")) == 0
    for each in Kept.made:
        assert [step for step, row in each.rows if "train/loss" in row] == [2, 4, 6]
        assert [step for step, row in each.rows if "validation/loss" in row] == [3, 6]
        assert {name for _, row in each.rows for name in row} >= METRICS
        assert each.hyper["model"]["d_model"] == 8
        assert each.hyper["genomes"] == ["data/samples/phix174.fa"]
        assert each.ended == "success"
    with (tmp_path / "run" / "metrics.csv").open(newline="") as file:  # stands beside them
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [step for step, _ in Kept.made[0].rows]
    assert float(rows[0]["train/loss"]) == Kept.made[0].rows[0][1]["train/loss"]


def test_of_a_fine_tuning_and_a_test(tmp_path: Path, kept: str) -> None:
    lines = [f"{'ACGT'[i % 4] * 16},{'ab'[i % 2]}" for i in range(24)]
    (tmp_path / "t.csv").write_text("\n".join(["sequence,label", *lines]))
    path = Path(config(tmp_path, trainer={"logger": logger(kept, folder="a"), "max_steps": 2}))
    content = yaml.safe_load(path.read_text())
    files = dict.fromkeys(("train", "validation", "test"), str(tmp_path / "t.csv"))
    content["data"] = logger("dnamamba.data.modules.sequences.LabelledSequenceDataModule",
                             files=files, global_batch_size=4)  # fmt: skip
    content["model"] = logger("dnamamba.training.finetune.ClassificationModule",
                              model={"d_model": 8, "n_layers": 1, "d_state": 2})  # fmt: skip
    content["trainer"] |= {"val_check_interval": 2, "log_every_n_steps": 1}
    path.write_text(yaml.safe_dump(content))
    with pytest.warns(UserWarning, match="the splits are not independent"):
        assert main(["fit", "-c", str(path)]) == 0
    assert Kept.made[0].hyper["head"]["labels"] == ["a", "b"]
    with pytest.warns(UserWarning, match="the splits are not independent"):
        assert main(["test", "-c", str(path)]) == 0
    assert {"test/mcc", "test/loss"} <= {name for _, row in Kept.made[1].rows for name in row}


def test_lightning_s_csv_and_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="needs the extra tensorboard")
    from tensorboardX.proto.event_pb2 import Event

    where = {"save_dir": str(tmp_path / "logs"), "version": "one"}
    assert (
        fit(tmp_path, *(logger(n, **where, name=n) for n in ("CSVLogger", "TensorBoardLogger")))
        == 0
    )
    with (tmp_path / "logs/CSVLogger/one/metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows if row["train/loss"]] == ["2", "4", "6"]
    (events,) = (tmp_path / "logs/TensorBoardLogger/one").glob("events.out.*")
    data, found = events.read_bytes(), dict[str, list[int]]()
    while data:  # records: 8 bytes of length, 4 of checksum, the event, 4 of checksum
        size = int.from_bytes(data[:8], "little")
        event = Event.FromString(data[12 : 12 + size])
        for value in event.summary.value:
            found.setdefault(value.tag, []).append(event.step)
        data = data[16 + size :]
    assert found["train/loss"] == [2, 4, 6]
    assert found["validation/bits_per_base"] == [3, 6]
    for name in ("CSVLogger", "TensorBoardLogger"):
        assert "d_model: 8" in (tmp_path / f"logs/{name}/one/hparams.yaml").read_text()


def test_weights_and_biases_without_a_net(tmp_path: Path) -> None:
    """In a process of its own, at whose end it writes."""
    pytest.importorskip("wandb", reason="needs wandb, which no extra installs")
    (tmp_path / "logs").mkdir()
    where = {"save_dir": str(tmp_path / "logs"), "project": "dnamamba", "offline": True}
    path = config(tmp_path, trainer={"logger": logger("WandbLogger", **where)})
    command = [sys.executable, "-m", "dnamamba", "fit", "-c", path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "logs/wandb").glob("offline-run-*/run-*.wandb")
    content = run.read_bytes()
    assert b"validation/bits_per_base" in content
    assert b"soft_mask_weight" in content  # the hyper-parameters


@pytest.mark.parametrize(
    ("name", "modules", "remedy"),
    [
        ("TensorBoardLogger", ["tensorboardX", "tensorboard"], "'dnamamba[tensorboard]'"),
        ("WandbLogger", ["wandb"], "wandb"),
    ],
)
def test_a_logger_whose_library_is_not_there(
    name: str,
    modules: list[str],
    remedy: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)
    assert fit(tmp_path, logger("CSVLogger", save_dir="x"), logger(name, save_dir="x")) == 1
    said = f"fit: trainer.logger: {name} needs {modules[0]}: pip install {remedy}"
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_folder_of_a_library_s_name_is_no_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As W&B leaves one where it runs."""
    (tmp_path / "neptune").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="NeptuneLogger needs neptune: pip install"):
        check_loggers({"class_path": "NeptuneLogger"})
