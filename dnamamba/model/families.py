"""Every family of backbones there is, and which one a configuration asks for."""

from collections.abc import Mapping
from dataclasses import field as dataclass_field
from dataclasses import fields, make_dataclass
from typing import TYPE_CHECKING, Any, Literal

from docstring_parser import parse

from dnamamba.config import BackboneConfig, MambaConfig
from dnamamba.model.backbone import Backbone
from dnamamba.model.bimamba import BiMamba, SymmetricBiMamba
from dnamamba.model.mamba import Mamba

__all__ = ["BACKBONES", "Sizes", "build", "config_type", "sizes_of"]

BACKBONES: dict[str, type[Backbone]] = {
    "mamba": Mamba,
    "bimamba": BiMamba,
    "bimamba-symmetric": SymmetricBiMamba,
}
"""Class by the ``family`` of its configuration; a row added here is trained, stored and loaded."""


def build(config: BackboneConfig) -> Backbone:
    """A new backbone of the family of its configuration.

    Raises:
        ValueError: no such family.
    """
    return _backbone(config.family)(config)


def config_type(values: Mapping[str, Any]) -> type[BackboneConfig]:
    """The class of a stored configuration.

    Args:
        values: its fields; without ``family``, which files of dnamamba 0.1 lack, a Mamba-1's.

    Raises:
        ValueError: no such family.
    """
    return _backbone(values.get("family", MambaConfig.family)).config_type


def sizes_of(values: Any) -> BackboneConfig:
    """A configuration as it is, as ``Sizes``, or from its fields as ``settings.plain`` stores them.

    Raises:
        ValueError: no such family, or a field out of range.
        TypeError: a field that the family does not have.
    """
    if isinstance(values, BackboneConfig):
        return values
    return config_type(values)(**values) if isinstance(values, dict) else values.config


def _backbone(family: object) -> type[Backbone]:
    if not isinstance(family, str) or family not in BACKBONES:
        raise ValueError(
            f"family must be one of {', '.join(BACKBONES)}, got {family!r}; import the module "
            "that adds it to dnamamba.model.families.BACKBONES first"
        )
    return BACKBONES[family]


def _sizes() -> type:
    """``Sizes``: a frozen dataclass of every field that the table's configurations have."""
    every: dict[str, tuple[str, Any, Any]] = {}
    about: dict[str, str] = {}
    for backbone in BACKBONES.values():
        kind = backbone.config_type
        for field in fields(kind):
            every.setdefault(
                field.name, (field.name, field.type, dataclass_field(default=field.default))
            )
        for part in kind.__mro__:
            for attribute in parse(part.__doc__ or "").params:
                words = (attribute.description or "").split()
                about.setdefault(attribute.arg_name, " ".join(words))
    names = tuple(BACKBONES)
    every["family"] = ("family", Literal[names], dataclass_field(default=names[0]))
    about["family"] = (
        "kind of backbone: mamba is causal, bimamba reads both ways and learns masked bases, "
        "bimamba-symmetric does so alike on both strands; another kind can have other sizes."
    )
    behaviour = {
        "config": property(_config_of),
        "__post_init__": _config_of,
        "__module__": __name__,  # the command line imports the class by its name
    }
    made = make_dataclass("Sizes", every.values(), frozen=True, namespace=behaviour)
    lines = [f"    {name}: {about.get(name, '')}" for name in every]
    made.__doc__ = "\n".join(["Sizes of a model of any family.", "", "Attributes:", *lines])
    return made


def _config_of(sizes: Any) -> BackboneConfig:
    """What ``Sizes`` says, in the class of its family.

    Raises:
        ValueError: a field out of range, or one set that the family does not have.
    """
    kind = config_type({"family": sizes.family})
    own = {field.name for field in fields(kind)}
    for field in fields(sizes):
        if field.name not in own and getattr(sizes, field.name) != field.default:
            raise ValueError(
                f"{field.name} is no size of family {sizes.family}; leave it out, or set family"
            )
    return kind(**{name: getattr(sizes, name) for name in own})


if TYPE_CHECKING:
    Sizes = Any
else:
    Sizes = _sizes()
"""A configuration of any family of the table, as the command line takes it: a flag a field."""
