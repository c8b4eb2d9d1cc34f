"""From a vector to labels: what a head gives out, what it costs to be wrong, what it decides.

=============  ===========================  ======================  ============================
kind           labels                       outputs                 label of a batch
=============  ===========================  ======================  ============================
binary         2 names                      (B, 1) log-odds         (B,) int64, 0 or 1
multiclass     C >= 2 names                 (B, C) logits           (B,) int64
multilabel     C >= 1 names, any hold       (B, C) log-odds         (B, C) float32, 0 or 1
regression     none                         (B, 1) in deviations    (B,) float32
=============  ===========================  ======================  ============================

What a label is, how it is measured, drawn and written, is the head's to say: another kind is one
file beside ``classes.py`` and one row of ``HEADS``.
"""

from dnamamba.model.heads.classes import Binary, Multiclass
from dnamamba.model.heads.columns import prediction_columns
from dnamamba.model.heads.config import HeadConfig, HeadKind, VariantHeadConfig
from dnamamba.model.heads.head import Head
from dnamamba.model.heads.multilabel import Multilabel
from dnamamba.model.heads.regression import Regression
from dnamamba.model.heads.table import HEADS, HIGHER_IS_BETTER, kind_for

__all__ = [
    "HEADS",
    "HIGHER_IS_BETTER",
    "Binary",
    "Head",
    "HeadConfig",
    "HeadKind",
    "Multiclass",
    "Multilabel",
    "Regression",
    "VariantHeadConfig",
    "kind_for",
    "prediction_columns",
]
