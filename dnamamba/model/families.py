"""Every family of backbones there is, and which one a configuration asks for."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Union

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

if TYPE_CHECKING:
    Sizes = BackboneConfig
else:
    Sizes = Union[tuple(backbone.config_type for backbone in BACKBONES.values())]  # noqa: UP007
"""A configuration of any of them, as the command line takes it: of the rows written above."""


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
    """A configuration as it is, or from its fields as ``dnamamba.settings.plain`` stores them.

    Raises:
        ValueError: no such family, or a field out of range.
    """
    return config_type(values)(**values) if isinstance(values, dict) else values


def _backbone(family: object) -> type[Backbone]:
    if not isinstance(family, str) or family not in BACKBONES:
        raise ValueError(
            f"family must be one of {', '.join(BACKBONES)}, got {family!r}; import the module "
            "that adds it to dnamamba.model.families.BACKBONES first"
        )
    return BACKBONES[family]
