"""What happens around the training loop, one concern a file."""

from dnamamba.training.callbacks.non_finite import NonFiniteError, StopOnNonFinite
from dnamamba.training.callbacks.random_state import RandomState

__all__ = ["NonFiniteError", "RandomState", "StopOnNonFinite"]
