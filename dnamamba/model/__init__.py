"""The models: backbones behind one seam, with their state in the open, and their heads."""

from dnamamba.model.backbone import Backbone, CausalBackbone
from dnamamba.model.bimamba import BiMamba, SymmetricBiMamba
from dnamamba.model.language_model import LanguageModel
from dnamamba.model.mamba import Mamba
from dnamamba.model.mixers.mamba1 import Mamba1State
from dnamamba.model.state import State

__all__ = [
    "Backbone",
    "BiMamba",
    "CausalBackbone",
    "LanguageModel",
    "Mamba",
    "Mamba1State",
    "State",
    "SymmetricBiMamba",
]
