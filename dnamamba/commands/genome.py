"""``dnamamba genome``: a reference by its name, fetched once and checked."""

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn
from rich.progress import TransferSpeedColumn as SpeedColumn

from dnamamba import arguments
from dnamamba.data.genome.assemblies import Assembly, assemblies, named
from dnamamba.fetching import Checksum, Cut, fetch, text_of
from dnamamba.files import why_not_writable
from dnamamba.log_lines import SparseLines, megabytes
from dnamamba.spelling import closest

__all__ = ["fetch_genome"]

_EXTRA = "genomes"
_GZIP = b"\x1f\x8b"
_MISSING = 404


def fetch_genome(
    name: Sequence[str] = (), *, output: str | None = None, list: bool = False
) -> None:
    """Fetch references by name, as hg38, from UCSC, Ensembl or NCBI, and print where they lie.

    A reference is fetched into the cache ($DNAMAMBA_CACHE, else ~/.cache/dnamamba) and checked by
    the checksum that its server lists. A download that breaks off is gone on with, also by another
    run. What is there and whole is not fetched again. Where a FASTA is asked for, on the command
    line and in YAML (data.genomes: {hg38: 1}), its name then stands for it.

    Args:
        name: one or more of those that --list shows.
        output: where one reference is to lie instead of in the cache; its name does not stand for
            it then.
        list: show the references, and which of them are at hand; fetch nothing.

    Raises:
        ValueError: an unknown name.
        FileNotFoundError: it cannot be fetched; says where to put which file by hand.
        ModuleNotFoundError: pooch is missing; names the extra.
    """
    if list:
        print(_listing())
        return
    if not name:
        raise ValueError("name a reference, as hg38; `dnamamba genome --list` shows all")
    if output is not None and len(name) > 1:
        raise ValueError(f"output is of one reference, got {len(name)}; leave it out")
    wanted = [_assembly(one) for one in name]
    for assembly in wanted:
        target = assembly.file if output is None else arguments.path("output", output).absolute()
        if why := why_not_writable(target):
            raise ValueError(f"output {target} {why}")
        print(_fetched(assembly, target))


def _assembly(name: str) -> Assembly:
    if assembly := named(name):
        return assembly
    near = closest(name, [each.name for each in assemblies()], 0.4)
    hint = f"did you mean {near}? " if near else ""
    raise ValueError(
        f"no reference is called {name!r}; {hint}`dnamamba genome --list` shows all, and any other "
        "FASTA is named by its file"
    )


def _fetched(assembly: Assembly, target: Path) -> Path:
    """Where it lies; fetched if need be."""
    if target == assembly.file and (file := assembly.at_hand):
        return file  # it has been checked when it came
    checksum = None
    try:
        checksum = _checksum(assembly)
        if target != assembly.file and target.exists():
            return _same(assembly, target, checksum)
        with _progress(assembly.name) as shown:
            fetch(assembly.address, target, checksum, _EXTRA, shown)
        if checksum is None:
            _refuse_other_than_gzip(target)
        return target
    except FileExistsError:
        raise
    except Cut as error:
        raise ConnectionError(f"{assembly.name}: {assembly.address}: {error}") from error
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None):  # of this machine, not of the net
            raise OSError(
                f"{assembly.name}: cannot write {target}: {error}; make room, or name another "
                "place with -o or $DNAMAMBA_CACHE"
            ) from error
        what = str(error)
        if isinstance(error, ValueError) and checksum is not None:
            what = f"what came has another checksum than {assembly.checksums} says"
        raise FileNotFoundError(
            f"{assembly.name}: cannot fetch {assembly.address}: {what}. Get the file by hand and "
            f"put it at {target}"
        ) from error


def _refuse_other_than_gzip(target: Path) -> None:
    """Throw away what a server gives in a file's place, as a page that asks for a password."""
    with open(target, "rb") as file:
        if file.read(2) == _GZIP:
            return
    target.unlink()
    raise ValueError("what came is not compressed by gzip")


def _same(assembly: Assembly, target: Path, checksum: Checksum | None) -> Path:
    """A file that stands where the reference is to lie, if it is the reference."""
    if checksum is None or checksum.of(target) != checksum.value:
        raise FileExistsError(f"{target} exists and is not known to be {assembly.name}; remove it")
    return target


def _checksum(assembly: Assembly) -> Checksum | None:
    """What the server says of the file; None, with a warning, where it says nothing."""
    listed = ""
    try:
        listed = text_of(assembly.checksums, _EXTRA)
    except OSError as error:
        if getattr(getattr(error, "response", None), "status_code", None) != _MISSING:
            raise
    if (checksum := _listed(listed, assembly.address.rpartition("/")[2])) is None:
        warnings.warn(
            f"{assembly.checksums} says nothing of {assembly.address}: its length alone is checked",
            stacklevel=2,
        )
    return checksum


def _listed(text: str, name: str) -> Checksum | None:
    """A file's checksum in a list of UCSC or NCBI (md5, name) or Ensembl (sum, blocks, name)."""
    for line in text.splitlines():
        columns = line.split()
        if len(columns) < 2 or columns[-1].lstrip("*").removeprefix("./") != name:
            continue
        if re.fullmatch("[0-9a-fA-F]{32}", columns[0]):
            return Checksum("md5", columns[0].lower())
        if re.fullmatch("[0-9]{1,5}", columns[0]) and len(columns) > 2:
            return Checksum("sum", str(int(columns[0])))
    return None


@contextmanager
def _progress(name: str) -> Iterator[Callable[[int, int], None]]:
    console = Console(stderr=True)
    if not console.is_terminal:
        lines: list[SparseLines] = []

        def say(done: int, total: int) -> None:
            if not lines:  # the server says how much it is
                size = total or None
                lines.append(SparseLines(f"fetch {name}", size, megabytes, before=done))
            lines[0].reach(done)

        yield say
        return
    columns = (f"fetch {name}", BarColumn(), DownloadColumn(), SpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


def _listing() -> str:
    rows = [("name", "Mb", "first contig", "of", "")]
    rows += [
        (
            each.name,
            f"{each.megabases:,}",
            each.contigs,
            each.title + (f"; also {', '.join(each.aliases)}" if each.aliases else ""),
            "at hand" if each.at_hand else "",
        )
        for each in assemblies()
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    return "\n".join(
        f"{a:{widths[0]}}  {b:>{widths[1]}}  {c:{widths[2]}}  {e + ': ' if e else ''}{d}"
        for a, b, c, d, e in rows
    )
