"""What a model's card says that no run knows: its licence, its data's names, what it is for."""

import re
from dataclasses import dataclass

__all__ = ["LICENSES", "CardSettings", "license_fields"]

_KNOWN = """
afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bigcode-openrail-m bigscience-bloom-rail-1.0
bigscience-openrail-m bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc
cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0
cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0
cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0
creativeml-openrail-m ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 gfdl gpl gpl-2.0
gpl-3.0 isc lgpl lgpl-2.1 lgpl-3.0 lgpl-lr lppl-1.3c mit mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1
openrail openrail++ osl-3.0 pddl postgresql unlicense wtfpl zlib
"""
LICENSES = frozenset(_KNOWN.split())
"""The identifiers that the Hugging Face hub knows (hub-docs, "Licenses")."""

_DATASET = re.compile(r"[\w.-]+(/[\w.-]+)?")
_LONGEST = 80


@dataclass(frozen=True)
class CardSettings:
    """What ``model/README.md`` says that no run knows.

    Attributes:
        license: under which others may use the model: an identifier, as apache-2.0, mit or
            cc-by-4.0, or the name of another licence; null: the card says that none is given.
        datasets: names of the data on the Hugging Face hub, as owner/name; without any, the card
            calls them by their files.
        about: what the model is for, and what else readers should know.

    Raises:
        ValueError: a licence that is no name, or a dataset that is none.
    """

    license: str | None = None
    datasets: tuple[str, ...] = ()
    about: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "datasets", tuple(self.datasets))  # YAML gives a list
        if self.license is not None:
            object.__setattr__(self, "license", _license(self.license))
        for name in self.datasets:
            if not isinstance(name, str) or _DATASET.fullmatch(name) is None:
                raise ValueError(
                    f"card.datasets must be names on the Hugging Face hub, as owner/name, got "
                    f"{name!r:.80}"
                )
        if not isinstance(self.about, str | None):
            raise ValueError(f"card.about must be text, got {self.about!r:.80}")


def license_fields(license: str | None) -> dict[str, str]:
    """How the hub wants a licence said in the head of a card.

    Args:
        license: as ``CardSettings`` has it.
    """
    if license is None:
        return {"license": "unknown"}
    if license in LICENSES:
        return {"license": license}
    return {"license": "other", "license_name": license}


def _license(license: object) -> str:
    """A name, or the identifier that it stands for: Apache 2.0 is apache-2.0."""
    if not isinstance(license, str) or not license.strip() or not license.isprintable():
        raise ValueError(f"card.license must name a licence, as apache-2.0, got {license!r:.80}")
    if len(license) > _LONGEST:
        raise ValueError(
            f"card.license must be a licence's name of at most {_LONGEST} characters, not its "
            f"text: got {license[:40]!r}..."
        )
    known = {_bare(name): name for name in LICENSES}
    return known.get(_bare(license), license.strip())


def _bare(license: str) -> str:
    return re.sub(r"[^a-z0-9.+]|licen[cs]e|version", "", license.lower())
