"""The model: a plain PyTorch Mamba-1 with its state in the open, and its heads."""

from dnamamba.model.language_model import LanguageModel
from dnamamba.model.mamba import Mamba, State

__all__ = ["LanguageModel", "Mamba", "State"]
