"""Configurations that name their own classes: what can be set, and what is said of a mistake."""

import re
from pathlib import Path

import pytest
import yaml

from dnamamba.cli import main

SEQUENCES = "configs/finetune-sequence.yaml"
HELP = [
    line.strip("# \n").split()[1:]
    for path in sorted(Path("configs").glob("finetune-*.yaml"))
    for line in path.read_text().splitlines()
    if re.match(r"#.*--(model|data)\.help", line)
]


@pytest.mark.parametrize("command", HELP, ids=" ".join)
def test_what_can_be_set(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 0
    said = capsys.readouterr().out
    section = command[-2].removesuffix(".help")
    needed = {"--model": "tuning.unfreeze_every", "--data": "global_batch_size"}[section]
    assert f"{section}.{needed}" in said


def test_every_configuration_says_what_can_be_set() -> None:
    assert len(HELP) == 2 * len(list(Path("configs").glob("finetune-*.yaml")))


@pytest.mark.parametrize(
    ("section", "change", "said", "status"),
    [
        ("model", {"modle": {"n_layers": 1}}, "model: unknown key modle.n_layers; did you mean", 2),
        ("model", {"model": {"n_layer": 1}}, "unknown key n_layer; did you mean n_layers?", 2),
        ("model", {"head": {"pooling": "mena"}}, "model: head.pooling: expected one of 'mean'", 2),
        ("model", {"model": {"n_layers": 0}}, "fit: n_layers must be at least 1, got 0", 1),
        ("model", {"tuning": {"lora": {"rank": 0}}}, "fit: tuning.lora.rank must be at least 1", 1),
        ("model", {"pretrained": "no", "model": None}, "fit: there is no no; expected a folder", 1),
        ("data", {"files": {"trian": "a.csv"}}, "data: unknown key files.trian; did you mean", 2),
        ("data", {"files": {"validation": "a.csv"}}, "data: files.train must be given", 2),
        ("data", {"global_batch_size": "x"}, "data: global_batch_size: expected int; got x", 2),
        ("data", {"split": {"test": 2}}, "fit: split.test must be a share", 1),
    ],
)
def test_a_mistake_in_a_class_s_arguments(
    section: str,
    change: dict[str, object],
    said: str,
    status: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content = yaml.safe_load(Path(SEQUENCES).read_text())
    content["run_dir"] = str(tmp_path / "run")
    content[section]["init_args"] |= change
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(content))
    assert main(["fit", "--config", str(path)]) == status
    error = capsys.readouterr().err.strip()
    assert said in error
    assert len(error.splitlines()) == 1


def test_a_flag_of_a_class(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--data.init_args.files.tran", "a.csv"]
    assert main(["fit", "--config", SEQUENCES, *flags]) == 2
    assert "unknown flag --files.tran; did you mean --files.train?" in capsys.readouterr().err


def test_a_class_that_there_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(Path(SEQUENCES).read_text().replace("LabelledSequence", "LabeledSequence"))
    assert main(["fit", "--config", str(path)]) == 2
    assert "has no attribute 'LabeledSequenceDataModule'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("model", "data", "said"),
    [
        ("variant", "sequence", "model is a VariantModule, but data is a LabelledSequenceData"),
        ("sequence", "variant", "model is a ClassificationModule, but data is a VariantDataM"),
        (None, "species", "data is a SpeciesDataModule, whose labels PretrainModule does not"),
    ],
)
def test_a_module_and_data_that_do_not_go_together(
    model: str | None, data: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read = {
        name: yaml.safe_load(Path(f"configs/finetune-{name}.yaml").read_text())
        for name in {model, data} - {None}
    }
    sizes = {"model": {"d_model": 8, "n_layers": 1}}
    content = {**read[data], "run_dir": str(tmp_path / "run"), "model": sizes}
    if model:
        content["model"] = {**read[model]["model"], "init_args": sizes}
    path = tmp_path / "mixed.yaml"
    path.write_text(yaml.safe_dump(content))
    assert main(["fit", "--config", str(path), "--trainer.accelerator=cpu"]) == 1
    assert said in capsys.readouterr().err.splitlines()[-1]
