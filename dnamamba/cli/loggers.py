"""Loggers of Lightning whose library is not there, said before anything else is done."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

__all__ = ["check_loggers"]

# Class -> the modules of which it needs one, and what installs it.
_NEEDED = {
    "TensorBoardLogger": (("tensorboardX", "tensorboard"), "'dnamamba[tensorboard]'"),
    "WandbLogger": (("wandb",), "wandb"),
    "MLFlowLogger": (("mlflow",), "mlflow"),
    "CometLogger": (("comet_ml",), "comet-ml"),
    "NeptuneLogger": (("neptune",), "neptune"),
}


def check_loggers(value: Any) -> None:
    """Refuse a logger that cannot be made here.

    Lightning says it of one alone, and in ten lines.

    Args:
        value: ``trainer.logger`` as parsed: one, a list, a switch or None.

    Raises:
        ModuleNotFoundError: names the logger, the library, and how to install it.
    """
    for each in value if isinstance(value, list | tuple) else [value]:
        path = each.get("class_path") if isinstance(each, Mapping) or hasattr(each, "get") else None
        name = str(path).rpartition(".")[2]
        modules, package = _NEEDED.get(name, ((), ""))
        if modules and not any(_is_there(module) for module in modules):
            raise ModuleNotFoundError(
                f"trainer.logger: {name} needs {modules[0]}: pip install {package}"
            )


def _is_there(module: str) -> bool:
    try:
        found = find_spec(module)
        # A folder of that name, as wandb leaves one where it runs, is a package without a file.
        return found is not None and found.origin is not None
    except ValueError:  # it is loaded without a spec, or shut out
        return False
