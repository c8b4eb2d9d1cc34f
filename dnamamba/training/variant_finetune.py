"""The path by which configurations and runs of before name ``VariantModule``."""

from dnamamba.training.finetune import VariantModule

__all__ = ["VariantModule"]
