"""References by name, as hg38: where they come from, and where they lie once fetched."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import yaml

from dnamamba.data.genome.places import default_cache_dir
from dnamamba.spelling import closest

__all__ = ["Assembly", "assemblies", "located", "named"]


@dataclass(frozen=True)
class Assembly:
    """A reference that can be fetched.

    Attributes:
        name: what it is asked for by.
        title: of what, from whom.
        address: of its FASTA, compressed.
        checksums: of the list beside it.
        megabases: of the whole file.
        contigs: the name of its first contig, as an example.
        aliases: other names.
    """

    name: str
    title: str
    address: str
    checksums: str
    megabases: int
    contigs: str
    aliases: tuple[str, ...]

    @property
    def file(self) -> Path:
        """Where it lies in the cache once fetched; named so that windows show its name."""
        return default_cache_dir() / "genomes" / f"{self.name}.fa.gz"

    @property
    def at_hand(self) -> Path | None:
        """Where it lies, if it does; unpacked by hand, it will do, too."""
        return next((f for f in (self.file, self.file.with_suffix("")) if f.is_file()), None)


@cache
def assemblies() -> tuple[Assembly, ...]:
    """All there are."""
    text = files("dnamamba.data.genome").joinpath("assemblies.yaml").read_text("utf-8")
    table = yaml.safe_load(text)
    result = []
    for name, entry in table["assemblies"].items():
        fields = {**table["sources"][entry.pop("source")], **entry}
        address = fields["address"].replace("{name}", name)
        fields["checksums"] = f"{address.rpartition('/')[0]}/{fields['checksums']}"
        fields["aliases"] = tuple(fields.get("aliases", ()))
        result.append(Assembly(**{**fields, "name": name, "address": address}))
    return tuple(result)


def named(name: str) -> Assembly | None:
    """The reference of a name or an alias, whatever its case; None where there is none."""
    return _by_name().get(name.lower())


def located(given: str | Path) -> str | Path:
    """The file that a path or a reference's name stands for; nothing is fetched.

    Returns:
        A path as it was given, or where the reference lies.

    Raises:
        ValueError: it is the name of a reference that has not been fetched, or nearly one's name.
    """
    path = Path(given)
    text = str(path)
    if (path.exists() and not path.is_dir()) or text != path.name:
        return given
    if assembly := named(text):
        if file := assembly.at_hand:
            return file
        raise ValueError(
            f"{text} is no file, and the reference of that name has not been fetched: run "
            f"`dnamamba genome {assembly.name}`, or name a FASTA file"
        )
    if "." not in text and not path.exists() and (near := closest(text, _by_name(), 0.7)):
        raise ValueError(
            f"cannot read FASTA {text}: No such file or directory; did you mean the reference "
            f"{_by_name()[near].name}? `dnamamba genome --list` shows all"
        )
    return given


@cache
def _by_name() -> dict[str, Assembly]:
    return {
        name.lower(): assembly
        for assembly in assemblies()
        for name in (assembly.name, *assembly.aliases)
    }
