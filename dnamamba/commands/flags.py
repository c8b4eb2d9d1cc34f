"""Flags that make no sense for what a command is given: refused by name."""

from typing import Any

from dnamamba.data.variants import VariantChecks

__all__ = ["of_tables", "of_variants", "refuse"]


def refuse(path: str, flags: dict[str, Any], kind: str) -> None:
    """See that none of some flags is set.

    Args:
        path: the input.
        flags: name -> value; None where it is not set.
        kind: what the input is.

    Raises:
        ValueError: one is; names it and the input.
    """
    for name, value in flags.items():
        if value is not None:
            raise ValueError(f"--{name} has no meaning for {kind} (input: {path}); leave it out")


def of_variants(vcf: str | None, checks: VariantChecks) -> dict[str, Any]:
    """The flags of a VCF, for ``refuse``."""
    return {"vcf": vcf, "checks": None if checks == VariantChecks() else checks}


def of_tables(column: str | None, keep: Any) -> dict[str, Any]:
    """The flags of a table, likewise."""
    return {"column": column, "keep": keep or None}
