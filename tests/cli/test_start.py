"""A command imports what it needs, and no more; asserted by names, never by the clock."""

import gc
import json
import subprocess
import sys
from pathlib import Path

import pytest

from dnamamba.cli.commands import COMMANDS
from dnamamba.cli.imports import import_module
from dnamamba.cli.waiting import wait_asleep

ROOT = Path(__file__).parents[2]
HEAVY = {
    *("torch", "pytorch_lightning", "lightning_fabric", "torchmetrics", "safetensors", "triton"),
    *("transformers", "peft", "scipy", "sklearn", "matplotlib", "sympy", "dnamamba_kernels"),
    *("pandas", "pyarrow", "anndata", "vcfpy", "Bio"),
}
# What ``fit`` adds to Lightning, which itself imports torch._dynamo (with sympy and triton), and
# by torchmetrics transformers, scipy and matplotlib with its fonts where these are installed.
LATER = {*HEAVY, "tensorboard"} - {"torch", "pytorch_lightning", "dnamamba_kernels", "safetensors"}


def _modules(script: str, *arguments: str) -> set[str]:
    """The names that a script prints last, as JSON."""
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_help_of_what_uses_a_model_needs_no_torch() -> None:
    script = (
        "import json, sys\n"
        "from dnamamba.cli import main\n"
        "for command in sys.argv[1:]:\n"
        "    try: main([command, *(['model'] * (command == 'predict')), '--help'])\n"
        "    except SystemExit as stop: assert stop.code == 0, command\n"
        "print(json.dumps([*sys.modules]))\n"
    )
    assert not HEAVY & _modules(script, *COMMANDS)


def test_a_wrong_flag_is_told_without_torch() -> None:
    script = (
        "import json, sys\n"
        "from dnamamba.cli import main\n"
        "assert main(['embed', 'model', 'a.fa', 'a.npz', '--windw', '9']) == 2\n"
        "print(json.dumps([*sys.modules]))\n"
    )
    assert not HEAVY & _modules(script)


FIT = {
    "--config": "configs/quickstart.yaml",
    "--model.model": "{d_model: 8, n_layers: 1, d_state: 2}",
    "--data.length": "64",
    "--trainer.max_steps": "1",
    "--trainer.limit_val_batches": "1",
    "--trainer.val_check_interval": "1",
    "--trainer.accelerator": "cpu",
}


def _fit(tmp_path: Path) -> list[str]:
    flags = {**FIT, "--run_dir": str(tmp_path)}
    return [word for pair in flags.items() for word in pair]


def test_fit_imports_little_that_lightning_does_not(tmp_path: Path) -> None:
    script = (
        "import json, sys, pytorch_lightning\n"
        "before = {*sys.modules}\n"
        "from dnamamba.cli import main\n"
        "import dnamamba.training.finetune\n"
        "assert main(['fit', *sys.argv[1:]]) == 0\n"
        "print(json.dumps([*({*sys.modules} - before)]))\n"
    )
    added = _modules(script, *_fit(tmp_path))
    assert not {name for name in added if name.partition(".")[0] in LATER}
    assert not {name for name in added if name.startswith(("torch._dynamo", "torch._inductor"))}


def test_a_run_needs_neither_the_compiler_nor_others_metrics(tmp_path: Path) -> None:
    script = (
        "import json, sys\n"
        "from dnamamba.cli import main\n"
        "assert main(['fit', *sys.argv[1:]]) == 0\n"
        "print(json.dumps([*sys.modules]))\n"
    )
    unneeded = ("torch._dynamo", "torch._inductor", "torchmetrics.functional.", "torchmetrics.text")
    loaded = _modules(script, *_fit(tmp_path))
    assert not {name for name in loaded if name.startswith(unneeded)}
    assert not loaded & {"sympy", "scipy.signal", "transformers", "tensorboard"}
    assert "matplotlib.pyplot" not in loaded  # the run's own plots need no pyplot


def test_what_a_start_leaves_out_is_there_for_whoever_asks() -> None:
    """torchmetrics whole, its plots, and a compiled module that Lightning knows for one."""
    script = (
        "import json, sys\n"
        "from dnamamba.lean import import_lightning\n"
        "import_lightning()\n"
        "from torchmetrics.functional import classification\n"
        "lean = [*sys.modules]\n"
        "import torch, torchmetrics, torchmetrics.functional\n"
        "from pytorch_lightning.utilities.compile import OptimizedModule\n"
        "line = torch.nn.Linear(1, 1)\n"
        "assert not isinstance(line, OptimizedModule)\n"
        "assert isinstance(torch.compile(line), OptimizedModule)\n"
        "assert torchmetrics.Accuracy(task='binary')(torch.ones(1), torch.ones(1)) == 1\n"
        "mean = torchmetrics.MeanMetric()\n"
        "mean.update(2.0)\n"
        "assert mean.plot()[0].axes\n"
        "assert torchmetrics.functional.mean_squared_error(torch.ones(1), torch.ones(1)) == 0\n"
        "assert torchmetrics.Metric is torchmetrics.metric.Metric\n"
        "assert classification is torchmetrics.functional.classification\n"
        "print(json.dumps(lean))\n"
    )
    assert "torchmetrics.functional.text" not in _modules(script)


def test_the_collector_rests_for_the_first_import_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "watching_the_collector.py").write_text("import gc\nON = gc.isenabled()\n")
    monkeypatch.syspath_prepend(tmp_path)
    frozen: list[None] = []
    monkeypatch.setattr(gc, "freeze", lambda: frozen.append(None))
    module = import_module("watching_the_collector")
    assert not module.ON
    assert gc.isenabled()
    assert import_module("watching_the_collector") is module
    assert len(frozen) == 1
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        import_module("no_such_module")
    assert gc.isenabled()


def test_threads_wait_asleep_unless_the_user_says_how() -> None:
    environment: dict[str, str] = {}
    wait_asleep(environment)
    assert environment == {"OMP_WAIT_POLICY": "PASSIVE"}
    for chosen in ({"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "9"}, {"KMP_BLOCKTIME": "1"}):
        environment = dict(chosen)
        wait_asleep(environment)
        assert environment == chosen


def test_a_model_is_loaded_and_used_without_pytorchs_compiler() -> None:
    script = (
        "import json, sys, dnamamba\n"
        "from dnamamba.config import BiMambaConfig\n"
        "from dnamamba.model import LanguageModel\n"
        "from dnamamba.model.weights import assemble\n"
        "dnamamba.load('vertebrate-0.5m').embed(['ACGT'])\n"
        "sizes = BiMambaConfig(d_model=16, n_layers=1)\n"
        "assemble(LanguageModel, sizes, LanguageModel(sizes).state_dict())\n"
        "print(json.dumps([*sys.modules]))\n"
    )
    assert not {"torch._dynamo", "torch._inductor", "sympy", "pandas"} & _modules(script)
