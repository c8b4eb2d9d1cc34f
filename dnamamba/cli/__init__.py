"""The command ``dnamamba``: what it can do, said at once; the work is imported when asked for."""

import logging
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dnamamba.cli.commands import COMMANDS
from dnamamba.cli.errors import UsageError, nearest
from dnamamba.cli.imports import collector_at_rest, hash_triton, import_module
from dnamamba.cli.waiting import wait_asleep
from dnamamba.version import installed_version

__all__ = ["main"]

_TRAINING = {
    "fit": "train a model on genomes, or resume a run",
    "validate": "loss and bits per base of a run's checkpoint on the validation windows",
    "test": "the same on the test windows",
    "predict": "what a run's checkpoint says of each window; or see below",
}
_EXAMPLES = """\
examples:
  dnamamba fit --config configs/quickstart.yaml
  dnamamba fit --config configs/quickstart.yaml --ckpt_path last    resume where it stopped
  dnamamba report runs/quickstart
  dnamamba embed runs/quickstart/model genome.fa vectors.parquet --bed regions.bed
  dnamamba predict runs/finetune-sequence/model new.fa labels.tsv
  dnamamba score runs/quickstart/model ref.fa scored.vcf --vcf variants.vcf
  dnamamba generate runs/quickstart/model out.fa --prompt ATGGCC --length 500
  dnamamba evaluate runs/quickstart/model genome.fa
  dnamamba benchmark labelled.csv --models runs/quickstart/model -o out

dnamamba COMMAND --help lists a command's options, and of what trains --help-all all of them.
--debug shows where an error came from; --dry_run checks all input, estimates time, writes nothing.
--print-completion bash, or zsh, gives a script by which the shell completes commands and flags."""

_python_warning = warnings.formatwarning


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: arguments after the program's name; None takes those of the process.

    Returns:
        The exit status: 0 done; 1 an error of the input or the run; 2 a wrong command, flag
        or configuration key; 130 and 143 stopped by Ctrl-C and SIGTERM.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments or bool(os.environ.get("DNAMAMBA_DEBUG"))
    arguments = [argument for argument in arguments if argument != "--debug"]
    command, *rest = arguments or ["help"]
    try:
        return _run(command, rest)
    except KeyboardInterrupt:
        return 130
    except UsageError as error:
        return _say(command, error, debug, status=2)
    except (ValueError, OSError, FloatingPointError, ModuleNotFoundError) as error:
        return _say(command, error, debug, status=1)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "t allocate memory" not in str(error):  # torch's
            raise
        full = MemoryError(f"the memory is full: {' '.join(str(error).split())}. Ask for less")
        return _say(command, full, debug, status=1)


def _run(command: str, arguments: list[str]) -> int:
    if command in ("-h", "--help", "help", "--version"):
        print(f"dnamamba {installed_version()}" if command == "--version" else _help())
        return 0
    if command == "--print-completion":
        print(import_module("dnamamba.cli.completion").completion(arguments, _TRAINING))
        return 0
    logging.basicConfig(format="%(message)s")
    logging.getLogger("dnamamba").setLevel(logging.INFO)
    warnings.formatwarning = _warning
    wait_asleep()
    if not {"-h", "--help", "--help-all"} & {*arguments}:
        hash_triton()
    labels = command == "predict" and bool(arguments) and not arguments[0].startswith("-")
    if command in _TRAINING and not labels:
        with collector_at_rest():
            import_module("dnamamba.lean").import_lightning()
        home = import_module("dnamamba.cli.training")
    elif command in COMMANDS:
        home = import_module("dnamamba.cli.use")
    else:
        known = dict.fromkeys((*_TRAINING, *COMMANDS))
        hint = nearest(command, known) or f"; there are {', '.join(known)}"
        raise UsageError(f"there is no such command{hint}")
    status: int = home.run(command, arguments)
    return status


def _warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: Any = None
) -> str:
    """What is said of the user's files in one line; of code, Python's own form."""
    if category is UserWarning and Path(filename).is_relative_to(Path(__file__).parents[1]):
        return f"warning: {message}\n"
    return _python_warning(message, category, filename, lineno, line)


def _say(command: str, error: Exception, debug: bool, status: int) -> int:
    if debug:
        traceback.print_exception(error)
    # All processes that torchrun starts are typed alike.
    if status != 2 or os.environ.get("RANK", "0") == "0":
        print(f"dnamamba {command}: {error}", file=sys.stderr)
    return status


def _help() -> str:
    # What is both is told apart by what follows it.
    use = {
        f"{name} MODEL" if name in _TRAINING else name: command.about
        for name, command in COMMANDS.items()
    }
    width = max(map(len, [*_TRAINING, *use]))
    sections = [
        f"{title}:\n" + "\n".join(f"  {name:{width}}  {text}" for name, text in commands.items())
        for title, commands in (("train", _TRAINING), ("use", use))
    ]
    opening = "usage: dnamamba COMMAND ...\n\nMamba sequence models for genomes."
    return "\n\n".join([opening, *sections, _EXAMPLES])
