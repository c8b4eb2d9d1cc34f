"""A run's position in its stream of samples, told by Lightning's own count of batches."""

from typing import Any

import pytorch_lightning as pl

__all__ = ["Position", "devices_of_share", "rank_and_world"]


class Position:
    """How many samples all devices have consumed together, were every step as large.

    Of Lightning's counters only ``batch_progress.total.processed`` is right at every moment that
    a checkpoint may be written: after a batch, at an epoch's end, within validation, and when an
    exception cuts a batch short.

    Args:
        global_batch_size: samples in one optimiser step, over all devices and all batches whose
            gradients are accumulated.
    """

    def __init__(self, global_batch_size: int) -> None:
        self._global = global_batch_size
        self.reset()

    def reset(self) -> None:
        """Begin at sample 0."""
        self._samples, self._processed = 0, 0
        self._accumulated_before: int | None = None

    def batch(self, trainer: pl.Trainer | None) -> int:
        """Samples that one device takes in one batch.

        Raises:
            ValueError: the global batch does not divide.
        """
        world, accumulated = rank_and_world(trainer)[1], _accumulated(trainer)
        if self._global % (world * accumulated):
            sharing = devices_of_share(trainer)
            devices = "device(s)" if sharing == 1 else f"group(s) of {sharing} devices"
            raise ValueError(
                f"data.global_batch_size {self._global} does not divide by {world} {devices} x "
                f"{accumulated} accumulated batch(es) (trainer.accumulate_grad_batches); choose a "
                f"multiple of {world * accumulated}"
            )
        return self._global // (world * accumulated)

    def consumed(self, trainer: pl.Trainer | None) -> int:
        """Samples consumed by now."""
        since = _processed(trainer) - self._processed
        return self._samples + since * (self._global // _accumulated(trainer))

    def state(self, trainer: pl.Trainer | None) -> dict[str, int]:
        """For a checkpoint."""
        return {
            "samples": self.consumed(trainer),
            "processed": _processed(trainer),
            "accumulated": _accumulated(trainer),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint, whose count of batches Lightning takes over."""
        self._samples, self._processed = state["samples"], state["processed"]
        self._accumulated_before = state["accumulated"]

    def align(self, trainer: pl.Trainer | None) -> None:
        """Let a resumed run begin with a whole optimiser step; call before its first batch.

        Lightning counts batches, of which a step may take another number than before the resume:
        the counts are converted. Where a run broke off within a step, its batches come again:
        their gradients are in no checkpoint.
        """
        before = self._accumulated_before
        if trainer is None or before is None or _processed(trainer) != self._processed:
            return  # or the loops have not been restored yet
        self._accumulated_before = None
        progress: Any = trainer.fit_loop.epoch_loop.batch_progress
        self._samples -= progress.total.processed % before * (self._global // before)
        for counts in (progress.total, progress.current):
            steps, unfinished = divmod(counts.processed, before)
            shift = steps * _accumulated(trainer) - counts.processed
            for name in ("ready", "started", "completed", "processed"):
                kept = counts.processed if unfinished else getattr(counts, name)
                setattr(counts, name, kept + shift)
        self._processed = progress.total.processed


def rank_and_world(trainer: pl.Trainer | None) -> tuple[int, int]:
    """Which share of the data this process reads, of how many; devices may share one."""
    if trainer is None:
        return 0, 1
    shares: dict[str, int] = trainer.distributed_sampler_kwargs or {"rank": 0, "num_replicas": 1}
    return shares["rank"], shares["num_replicas"]


def devices_of_share(trainer: pl.Trainer | None) -> int:
    """How many devices read each share of the data, all of them the same rows."""
    return 1 if trainer is None else trainer.world_size // rank_and_world(trainer)[1]


def _accumulated(trainer: pl.Trainer | None) -> int:
    return 1 if trainer is None else trainer.accumulate_grad_batches


def _processed(trainer: pl.Trainer | None) -> int:
    if trainer is None:
        return 0
    total: Any = trainer.fit_loop.epoch_loop.batch_progress.total
    return int(total.processed)
