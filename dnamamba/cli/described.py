"""The parsers of what trains, for whoever asks what their flags are."""

from contextlib import suppress
from typing import Any

from pytorch_lightning.cli import LightningArgumentParser

from dnamamba.cli.training import TrainingCLI

__all__ = ["parser_of"]


def parser_of(command: str) -> LightningArgumentParser:
    """The parser of a command that trains or tests, with the flags of pretraining."""
    cli = _Described.__new__(_Described)
    with suppress(_Made):
        cli.__init__(command, [])  # type: ignore[misc]
    parser: LightningArgumentParser = cli.parser
    return parser


class _Made(Exception):  # noqa: N818 (no error)
    """The parser is there, and no run is to follow."""


class _Described(TrainingCLI):
    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        raise _Made
