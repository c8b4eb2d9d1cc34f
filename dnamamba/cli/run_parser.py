"""The parser of ``fit``, ``validate``, ``test`` and ``predict``: flags of a run, and its help."""

from argparse import HelpFormatter
from typing import Any

from jsonargparse import ActionYesNo
from pytorch_lightning.cli import LightningArgumentParser

from dnamamba.cards import CardSettings
from dnamamba.cli import dry_flags
from dnamamba.cli.parsers import CheckedParser
from dnamamba.cli.short_help import short_help

__all__ = ["RunParser", "add_run_flags"]


class RunParser(CheckedParser, LightningArgumentParser):
    """Lightning's, with the checks of all commands, and a help of the flags that come first."""

    def __init__(self, *args: Any, command: str = "", whole: bool = False, **kwargs: Any) -> None:
        self._short = "" if whole else command
        super().__init__(*args, **kwargs)

    def format_help(self, formatter: HelpFormatter | None = None) -> str:
        if self._short:
            return short_help(self, self._short)
        text: str = super().format_help(formatter)
        return text


def add_run_flags(parser: LightningArgumentParser, fit: bool) -> None:
    """What a run is told beside its model, data and trainer: folder, checkpoint, card.

    Args:
        parser: they are added to it.
        fit: the run trains.
    """
    resume = "Checkpoint to resume from: a file, or 'last' for run_dir's, if there is one."
    load = "Checkpoint to load: a file, or 'last' or 'best' of run_dir; null is 'best'."
    parser.add_argument(
        "--run_dir", type=str, required=True, help="Folder of everything that the run writes."
    )
    parser.add_argument("--ckpt_path", type=str | None, default=None, help=resume if fit else load)
    parser.add_argument(
        "--overwrite", action=ActionYesNo, default=False, help="Replace what run_dir holds."
    )
    parser.add_argument(
        "--checkpoint_every", type=int, default=500, help="Steps between saves of last.ckpt."
    )
    parser.add_argument(*dry_flags.FLAGS, action="store_true", help=dry_flags.ABOUT)
    parser.add_class_arguments(CardSettings, "card")  # one configuration serves all commands
