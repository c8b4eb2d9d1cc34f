"""What ``--help`` of a training command shows: the settings that a user sets first.

Lightning and our classes have some two hundred flags, all of which ``--help-all`` lists.
"""

import argparse
import re
import textwrap
from collections.abc import Iterable

__all__ = ["ALL", "FIRST", "short_help"]

ALL = "--help-all"

FIRST = {
    "run": (
        *("config", "run_dir", "ckpt_path", "overwrite", "checkpoint_every", "seed_everything"),
        *("print_config", "card.license"),
    ),
    "data": (
        *("data.genomes", "data.length", "data.global_batch_size", "data.rows"),
        *("data.soft_mask_weight", "data.windows.reverse_complement"),
        *("data.split.validation.fraction", "data.split.validation.contigs"),
        *("data.split.validation.bed", "data.split.test.fraction"),
    ),
    "model": (
        *("model.model.family", "model.model.d_model", "model.model.n_layers"),
        *("model.objective", "model.recompute"),
    ),
    "optimiser": (
        *("model.optimizer.lr", "model.optimizer.weight_decay", "model.optimizer.warmup_steps"),
        *("model.optimizer.min_lr_ratio", "model.optimizer.average"),
    ),
    "trainer": (
        *("trainer.max_steps", "trainer.max_time", "trainer.val_check_interval"),
        *("trainer.precision", "trainer.devices", "trainer.strategy"),
        *("trainer.accumulate_grad_batches", "trainer.gradient_clip_val"),
        *("trainer.limit_val_batches", "trainer.enable_progress_bar"),
    ),
}
"""Section -> settings by their names in the parser, where it has them."""

_WIDTH, _FLAG = 98, 38
_CLASSES = """\
Other data and models are classes that a configuration names by class_path; of each
--model.help CLASS and --data.help CLASS list the settings, as
  dnamamba fit --model.help dnamamba.training.finetune.ClassificationModule"""


def short_help(parser: argparse.ArgumentParser, command: str) -> str:
    """The help of a training command, without the flags that are seldom set."""
    actions = {action.dest: action for action in parser._actions}
    text = [f"usage: dnamamba {command} --config FILE [--run_dir FOLDER] [--KEY VALUE ...]", ""]
    text += [parser.description or "", ""]
    for title, names in FIRST.items():
        lines = [line for name in names if name in actions for line in _lines(actions[name])]
        text += [f"{title}:", *lines, ""] if lines else []
    every = f"dnamamba {command} {ALL} lists every flag; what one sets can stand in the YAML file."
    return "\n".join([*text, _CLASSES, "", every, ""])


def _lines(action: argparse.Action) -> Iterable[str]:
    """A flag, what it is, and its default where it has one."""
    flag = next(name for name in action.option_strings if name.startswith("--"))
    about = _first_sentence(str(action.help or ""))
    if action.default not in (None, argparse.SUPPRESS, False, (), []):
        about += f" ({action.default})"
    wrapped = textwrap.wrap(about, _WIDTH - _FLAG)
    yield f"  {flag:{_FLAG - 3}} {wrapped[0]}"
    for line in wrapped[1:]:
        yield " " * _FLAG + line


def _first_sentence(text: str) -> str:
    """Of a help text, without the types that jsonargparse adds."""
    text = " ".join(text.replace("``", "").split())
    text = re.split(r" \((?:required, )?(?:type|default):", text)[0]
    return re.split(r"(?<=[a-z)])\. |; see | Default: ", text)[0].rstrip(".")
