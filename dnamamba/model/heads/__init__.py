"""From a vector to labels."""

from dnamamba.model.heads.head import (
    HEADS,
    Head,
    HeadConfig,
    HeadKind,
    Regression,
    VariantHeadConfig,
    prediction_columns,
)

__all__ = [
    "HEADS",
    "Head",
    "HeadConfig",
    "HeadKind",
    "Regression",
    "VariantHeadConfig",
    "prediction_columns",
]
