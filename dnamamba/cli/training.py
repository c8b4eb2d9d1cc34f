"""``fit``, ``validate``, ``test``, ``predict``: LightningCLI with this project's defaults.

A configuration has the sections ``model`` (arguments of ``PretrainModule``), ``data`` (of
``GenomeDataModule``) and ``trainer``, and says in ``run_dir`` where everything goes. A section
that names a ``class_path`` takes that class instead, with its arguments in ``init_args``.
"""

import dataclasses
import sys
from contextlib import ExitStack
from typing import Any

import pytorch_lightning as pl
from jsonargparse import Namespace
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI
from pytorch_lightning.utilities import rank_zero_only
from pytorch_lightning.utilities.exceptions import SIGTERMException

from dnamamba.alphabet import Tokenizer
from dnamamba.cli import dry_flags
from dnamamba.cli.dry import DryRun
from dnamamba.cli.errors import UsageError, innermost, unknown_key
from dnamamba.cli.failures import explained, say_stopped
from dnamamba.cli.launched import check_launched, end_with_launcher
from dnamamba.cli.lock import check_free, only_writer
from dnamamba.cli.loggers import check_loggers
from dnamamba.cli.quiet import quieten
from dnamamba.cli.run_config import SaveConfig, changes
from dnamamba.cli.run_parser import RunParser, add_run_flags
from dnamamba.cli.run_values import check_run
from dnamamba.cli.runs import RunFolder, callbacks
from dnamamba.cli.sections import names_a_class, sections
from dnamamba.cli.short_help import ABOUT, ALL
from dnamamba.cli.sigterm import SIGTERM_STATUS, unwound_by_sigterm
from dnamamba.cli.strategies import made
from dnamamba.data.genome.passing import keep_no_cache
from dnamamba.data.modules.genome import GenomeDataModule
from dnamamba.data.modules.resumable import ResumableDataModule
from dnamamba.training.checkpoint_io import AtomicCheckpointIO
from dnamamba.training.metrics_file import MetricsFile
from dnamamba.training.predictions import write_predictions
from dnamamba.training.pretrain import PretrainModule

__all__ = ["TrainingCLI", "run"]


def run(command: str, arguments: list[str]) -> int:
    """Build model, data and trainer from the arguments and run ``command`` on them."""
    quieten()
    end_with_launcher()
    with ExitStack() as stack:
        return _run(command, arguments, stack)


def _run(command: str, arguments: list[str], stack: ExitStack) -> int:
    try:
        cli = TrainingCLI(command, arguments, stack)
    except MisconfigurationException as error:  # of the trainer, which is made here
        raise ValueError(f"{error} Check the flags --trainer.*") from error
    except ValueError as error:
        if (message := innermost(str(error))) == str(error):
            raise
        raise ValueError(message) from error
    try:
        cli.run()
    except SIGTERMException:
        return cli.stopped(SIGTERM_STATUS)
    except SystemExit as error:  # Lightning turns Ctrl-C into it
        return cli.stopped(130) if error.code == 1 else int(error.code or 0)
    except MisconfigurationException as error:
        raise ValueError(str(error)) from error
    except (RuntimeError, MemoryError) as error:
        if said := explained(cli.trainer, error):
            raise ValueError(said) from error
        raise
    return 0


class TrainingCLI(LightningCLI):
    """One command's parser, and from it the run.

    Args:
        command: ``fit``, ``validate``, ``test`` or ``predict``.
        arguments: what follows it on the command line.
        stack: holds the lock of the run's folder until the command has ended; None locks nothing.
    """

    def __init__(self, command: str, arguments: list[str], stack: ExitStack | None = None) -> None:
        self.command, self.stack = command, stack
        whole = ALL in arguments
        arguments = ["--help" if argument == ALL else argument for argument in arguments]
        self.sections = sections(arguments)
        named = {name: names_a_class(name, arguments, self.sections) for name in ("model", "data")}
        self.fixed = not any(named.values())
        super().__init__(
            pl.LightningModule if named["model"] else PretrainModule,
            pl.LightningDataModule if named["data"] else GenomeDataModule,
            subclass_mode_model=named["model"],
            subclass_mode_data=named["data"],
            save_config_callback=SaveConfig,
            save_config_kwargs={"overwrite": True},  # the folder was checked as a whole
            trainer_defaults={"log_every_n_steps": 10, "enable_model_summary": False},
            seed_everything_default=1,
            parser_class=RunParser,
            parser_kwargs={
                "command": command,
                "whole": whole,
                "prog": f"dnamamba {command}",
                "description": ABOUT[command],
                "allow_abbrev": False,
            },
            args=arguments,
            run=False,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,  # the modules store plain hyper-parameters
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        add_run_flags(parser, self.command == "fit")
        if self.fixed:
            for field in dataclasses.fields(Tokenizer):
                name = f"tokenizer.{field.name}"
                parser.link_arguments(f"data.{name}", f"model.{name}")
            parser.link_arguments("data.tokenizer.name", "model.model.vocab_size", _vocab_size)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        known = {action.dest.partition(".")[0] for action in parser._actions}
        for key in self.sections:  # jsonargparse passes over unknown sections in silence
            if key not in known:
                raise UsageError(unknown_key(key, known))
        if self.sections.get("data", {}) is None:
            raise UsageError("data holds no settings; indent them under it")
        self.config = parser.parse_args(args)
        if self.sections.get("trainer", {}) is None:  # flags may have set some of it
            flags = vars(self.config.get("trainer") or Namespace())
            self.config["trainer"] = Namespace(
                **{**vars(parser.get_defaults()["trainer"]), **flags}
            )
        check_run(self.config)
        check_loggers(self.config["trainer"].get("logger"))
        self.dry: DryRun | None = None
        self.tried = self.config[dry_flags.DRY]
        self.folder = RunFolder(self.config["run_dir"])

    def before_instantiate_classes(self) -> None:
        self.folder.check_writable(self.command)
        if self.command == "fit":
            if self.tried:
                check_free(self.folder.path)
            elif self.stack is not None and rank_zero_only.rank == 0:  # type: ignore[attr-defined]
                self.stack.enter_context(only_writer(self.folder.path))
            self.checkpoint = self.folder.prepare(
                self.config["ckpt_path"], self.config["overwrite"]
            )
            self._say_changes()
        else:
            self.checkpoint = self.folder.find(self.config["ckpt_path"] or "best")
        if self.command == "predict":
            self.folder.refuse_predictions(self.config["overwrite"])

    def _say_changes(self) -> None:
        """Before the configuration of the run so far is written over."""
        if self.checkpoint is not None and rank_zero_only.rank == 0:  # type: ignore[attr-defined]
            saved = RunFolder.of(self.checkpoint) / "config.yaml"
            if said := changes(saved, self.parser.dump(self.config, skip_none=False)):
                print(said, file=sys.stderr)

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        config = {**self._get(self.config_init, "trainer", default={}), **kwargs}
        fit = self.command == "fit"
        config["default_root_dir"] = str(self.folder.path)
        # In a configuration steps are optimiser steps; Lightning counts batches.
        if isinstance(config["val_check_interval"], int):
            config["val_check_interval"] *= config["accumulate_grad_batches"]
        config["strategy"] = made(config["strategy"])
        config["plugins"] = [*_listed(config["plugins"]), AtomicCheckpointIO()]
        if config["logger"] is not False:
            loggers = [] if config["logger"] in (None, True) else _listed(config["logger"])
            config["logger"] = (
                [MetricsFile(self.folder.path), *loggers] if fit else loggers or False
            )
        every = self.config["checkpoint_every"] if fit else None
        config["callbacks"] = _listed(config["callbacks"])
        progress_bar = config["enable_progress_bar"] is not False
        card = self._get(self.config_init, "card") if fit else None
        shown = config["log_every_n_steps"], progress_bar
        extra = callbacks(self.folder, self.model, every, *shown, card)
        if self.tried:
            self.dry = DryRun(self.command, config)
            extra = self.dry.callbacks
            self.model.reports = False
        if self.tried or not fit:
            self.save_config_callback = None
        try:
            return self._instantiate_trainer(config, extra)
        except (TypeError, OverflowError) as error:  # as a list of devices, where there are none
            raise ValueError(f"{error} Check the flags --trainer.*") from error

    def run(self) -> None:
        """Train, or apply a checkpoint."""
        check_launched(self.trainer.world_size)
        if isinstance(self.datamodule, ResumableDataModule):
            # Here one process says it, before others are started and anything is read.
            self.datamodule.check_devices(self.trainer, self.command)
        begins = self.command == "fit" and self.checkpoint is None and not self.tried
        if begins and self.trainer.is_global_zero:
            self.folder.clear()  # not for a run that is refused
        function = getattr(self.trainer, self.command)
        path = None if self.checkpoint is None else str(self.checkpoint)
        reports = getattr(self.model, "reports", False)  # says itself what a test found
        if self.dry is not None:
            self._try(path, self.dry)
            return
        options = {"verbose": False} if self.command == "test" and reports else {}
        results = function(self.model, datamodule=self.datamodule, ckpt_path=path, **options)
        if self.command == "predict":
            overwrite = self.config["overwrite"]
            written = write_predictions(self.folder.path, self.trainer, results, overwrite)
            if self.trainer.is_global_zero:
                print(f"written to {written}", file=sys.stderr)

    def stopped(self, status: int) -> int:
        """The status, when a signal has ended the run."""
        if self.command == "fit" and not self.tried:
            say_stopped(self.folder)
        return status

    def _try(self, path: str | None, dry: DryRun) -> None:
        quiet = {"verbose": False} if self.command in ("validate", "test") else {}
        function = getattr(self.trainer, self.command)
        with unwound_by_sigterm(), keep_no_cache():
            function(self.model, datamodule=self.datamodule, ckpt_path=path, **quiet)
            if self.trainer.is_global_zero:
                print(dry.statement(self.trainer))


def _vocab_size(name: str) -> int:
    return Tokenizer(name).vocab_size


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
