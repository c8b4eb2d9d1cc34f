"""The configuration that a run leaves, and what a resumed one sets otherwise."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import yaml
from jsonargparse import Namespace
from pytorch_lightning.cli import LightningArgumentParser, SaveConfigCallback

from dnamamba.cli.dry_flags import DRY
from dnamamba.yaml_text import read_yaml

__all__ = ["SaveConfig", "changes"]

# Of a resume itself, or where files lie.
_ASIDE = ("config", "ckpt_path", "overwrite", DRY, "run_dir", "data.cache_dir")
# The checkpoint has the generators, and the weights.
_WITHOUT_EFFECT = ("seed_everything", "model.pretrained", "model.init_args.pretrained")
_LONGEST = 60


class SaveConfig(SaveConfigCallback):
    """Writes ``config.yaml``, once the checkpoint of a resumed run is accepted.

    How the run was started stays out of it: its checkpoints are found as those of any run.
    """

    def __init__(self, parser: LightningArgumentParser, config: Namespace, **options: Any) -> None:
        config = config.clone()
        config["ckpt_path"] = None
        config.pop(DRY, None)
        super().__init__(parser, config, **options)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Nothing: it is too early."""

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().setup(trainer, pl_module, "fit")


def changes(saved: Path, now: str) -> str:
    """The settings that differ, in one line; empty where none does.

    Args:
        saved: the configuration that the run left; nothing is said if there is none.
        now: YAML of the one at hand.
    """
    try:
        before = read_yaml(saved)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return ""
    old, new = dict(_flat(before)), dict(_flat(yaml.safe_load(now)))
    differ = [
        f"{name} {_shown(new.get(name))} (before: {_shown(old.get(name))})"
        + (", which has no effect on a resumed run" if name in _WITHOUT_EFFECT else "")
        for name in dict.fromkeys([*new, *old])
        if new.get(name) != old.get(name) and name not in _ASIDE
    ]
    return f"resumed with other settings: {'; '.join(differ)}" if differ else ""


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of all that is set, lists by their places."""
    if isinstance(value, dict | list) and value:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in items:
            yield from _flat(part, f"{name}.{key}" if name else str(key))
    elif value is not None:
        yield name, value


def _shown(value: Any) -> str:
    text = "null" if value is None else str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
