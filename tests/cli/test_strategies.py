"""Strategies that cannot be are refused in one sentence, before any work."""

from pathlib import Path
from typing import Any

import pytest
from jsonargparse import Namespace
from pytorch_lightning.strategies import StrategyRegistry

from dnamamba.cli import main
from dnamamba.cli.strategies import check_strategy, made
from dnamamba.training.fully_sharded import FullySharded
from dnamamba.training.replicated import Replicated
from dnamamba.training.sequence_parallel import SequenceParallel

CLASSES: list[Any] = [
    {"class_path": "pytorch_lightning.strategies.FSDPStrategy"},
    {"class_path": "pytorch_lightning.strategies.ModelParallelStrategy", "init_args": None},
    {
        "class_path": "pytorch_lightning.strategies.DDPStrategy",
        "init_args": {"start_method": "spawn"},
    },
]


@pytest.mark.parametrize("name", sorted(StrategyRegistry.available_strategies()))
def test_every_name_that_lightning_knows(name: str) -> None:
    parameters = StrategyRegistry[name]["init_params"]
    copied = parameters.get("start_method", "popen") != "popen"
    if copied or name.startswith(("fsdp_", "deepspeed")):
        with pytest.raises(ValueError, match=rf"{name} .*--trainer\.strategy ddp"):
            check_strategy(name)
    else:
        check_strategy(name)


@pytest.mark.parametrize("strategy", CLASSES, ids=lambda s: s["class_path"].rpartition(".")[2])
@pytest.mark.parametrize("kind", [dict, Namespace])
def test_classes(strategy: dict[str, Any], kind: Any) -> None:
    settings = {k: kind(**v) if isinstance(v, dict) else v for k, v in strategy.items()}
    with pytest.raises(ValueError, match=r"trainer\.strategy \w+ .*--trainer\.strategy ddp"):
        check_strategy(kind(**settings))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sequence_paralel", "no trainer.strategy sequence_paralel; did you mean sequence_paral"),
        ("DPP", "no trainer.strategy DPP.*; take auto, ddp, fsdp or sequence_parallel"),
        ("{class_path: SequenceParallel, init_args: {pieces: 2}}", "settings that it does not"),
        ("DeepSpeed", "in a way that is not supported"),
    ],
)
def test_a_name_of_nothing(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_strategy(name)


def test_what_goes_is_let_through() -> None:
    popen = {"start_method": "popen"}
    check_strategy({"class_path": "pytorch_lightning.strategies.DDPStrategy", "init_args": popen})
    check_strategy("auto")
    check_strategy("FSDP")
    check_strategy({"class_path": "dnamamba.training.fully_sharded.FullySharded"})


def test_what_the_trainer_is_given() -> None:
    assert isinstance(made("fsdp"), FullySharded)
    assert isinstance(made("FSDP"), FullySharded)  # Lightning's names are of any case
    assert made("ddp") == "ddp"
    ddp = StrategyRegistry.get("ddp")
    assert isinstance(ddp, Replicated)
    assert ddp._start_method == "popen"
    for strategy in (ddp, SequenceParallel()):
        assert strategy._ddp_kwargs["gradient_as_bucket_view"]


@pytest.mark.parametrize(
    "flags",
    [
        ["--trainer.strategy=ddp_spawn"],
        ["--trainer.strategy=fsdp_cpu_offload", "--trainer.gradient_clip_val=1.0"],
        ["--trainer.strategy=pytorch_lightning.strategies.FSDPStrategy"],
    ],
)
def test_one_line_and_no_folder(
    flags: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["fit", "--run_dir=run", "--data.genomes=[none.fa]", *flags]) == 1
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith("dnamamba fit: trainer.strategy ")
    assert error.endswith(("starts each anew", "the whole model on each device"))
    assert not Path("run").exists()
