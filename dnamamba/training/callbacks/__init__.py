"""What happens around the training loop, one concern a file."""

from dnamamba.training.callbacks.average import AverageWeights
from dnamamba.training.callbacks.best_checkpoint import BEFORE, BestCheckpoint
from dnamamba.training.callbacks.carried_lanes import CarriedLanes
from dnamamba.training.callbacks.checkpoints import LastCheckpoint
from dnamamba.training.callbacks.export import ExportModel
from dnamamba.training.callbacks.held_out_report import HeldOutReport
from dnamamba.training.callbacks.memory_forecast import MemoryForecast
from dnamamba.training.callbacks.non_finite import NonFiniteError, StopOnNonFinite
from dnamamba.training.callbacks.progress import RunProgress
from dnamamba.training.callbacks.random_state import RandomState
from dnamamba.training.callbacks.resume_point import ResumePoint
from dnamamba.training.callbacks.running_sums import RunningSums
from dnamamba.training.callbacks.stop_together import StopTogether
from dnamamba.training.callbacks.summary import RunSummary
from dnamamba.training.callbacks.trial import Trial

__all__ = [
    "BEFORE",
    "AverageWeights",
    "BestCheckpoint",
    "CarriedLanes",
    "ExportModel",
    "HeldOutReport",
    "LastCheckpoint",
    "MemoryForecast",
    "NonFiniteError",
    "RandomState",
    "ResumePoint",
    "RunProgress",
    "RunSummary",
    "RunningSums",
    "StopOnNonFinite",
    "StopTogether",
    "Trial",
]
