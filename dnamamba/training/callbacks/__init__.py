"""What happens around the training loop, one concern a file."""

from dnamamba.training.callbacks.checkpoints import LastCheckpoint
from dnamamba.training.callbacks.export import ExportModel
from dnamamba.training.callbacks.non_finite import NonFiniteError, StopOnNonFinite
from dnamamba.training.callbacks.progress import RunProgress, RunSummary
from dnamamba.training.callbacks.random_state import RandomState
from dnamamba.training.callbacks.test_report import TestReport

__all__ = [
    "ExportModel",
    "LastCheckpoint",
    "NonFiniteError",
    "RandomState",
    "RunProgress",
    "RunSummary",
    "StopOnNonFinite",
    "TestReport",
]
