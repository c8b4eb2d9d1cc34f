"""Several devices for one sequence: a strategy of Lightning beside data parallelism.

The devices of a run are dealt into groups of P. A group reads one share of the data, as one device
does under DDP, and each of its devices the piece of every row that stands in its place. The
devices of a group exchange what ``dnamamba_kernels.pieces`` says; all devices exchange gradients,
as under DDP. Each device's loss is its piece's share of the whole loss, so that the mean over all
devices, which DDP takes, is what one device would have.
"""

from typing import Any, Protocol, runtime_checkable

import pytorch_lightning as pl
from pytorch_lightning.strategies import StrategyRegistry
from torch import Tensor, distributed

from dnamamba.data.samples.piece import long_enough, piece
from dnamamba.training.replicated import Replicated
from dnamamba_kernels.pieces import Pieces, cut, over

__all__ = ["SequenceParallel", "check_groups", "pieces_of"]

_LEAST = 8  # positions of a piece, of rows that may be padded: more than a convolution sees


@runtime_checkable
class ReadsPieces(Protocol):
    """A module whose steps can read a piece of every row."""

    def check_pieces(self) -> None:
        """Raises:
        ValueError: it cannot, as it is set; says why.
        """
        ...

    def before_cut(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """A batch of whole rows, on the CPU, with what cannot be told of a piece alone."""
        ...


def check_groups(devices: int, per_sequence: int) -> None:
    """Refuse devices that cannot be dealt into groups.

    Raises:
        ValueError: names the settings that would fit.
    """
    if per_sequence < 1:
        raise ValueError(f"devices_per_sequence must be at least 1, got {per_sequence}")
    if devices % per_sequence:
        raise ValueError(
            f"{devices} device(s) cannot be dealt into groups of {per_sequence} that share a "
            f"sequence; set devices_per_sequence of trainer.strategy to a divisor of {devices}, "
            f"or trainer.devices to a multiple of {per_sequence}"
        )


class SequenceParallel(Replicated):
    """DDP in which groups of devices share each sequence, in contiguous pieces.

    What is trained, measured and saved is what one device would train, measure and save, within
    rounding. A batch is cut before it goes to the device: none holds more of a row than its piece.

    Args:
        devices_per_sequence: P, how many devices share a sequence; must divide all devices. None:
            all of them. 1 is DDP.

    Raises:
        ValueError: P is below 1; and, once a trainer has devices, it does not divide them.
    """

    strategy_name = "sequence_parallel"

    def __init__(self, devices_per_sequence: int | None = None) -> None:
        super().__init__()
        if devices_per_sequence is not None:
            check_groups(0, devices_per_sequence)
        self.devices_per_sequence = devices_per_sequence
        self.pieces: Pieces | None = None
        """What this device holds of the last batch; None before any, and where rows are whole."""
        self._group: distributed.ProcessGroup | None = None

    @property
    def sharing(self) -> int:
        """P."""
        return self.devices_per_sequence or self.world_size

    @property
    def distributed_sampler_kwargs(self) -> dict[str, Any]:
        """Which share of the data: a group's."""
        groups = self.world_size // self.sharing
        return {"num_replicas": groups, "rank": self.global_rank // self.sharing}

    def connect(self, model: pl.LightningModule) -> None:
        """Raises:
        ValueError: the model reads whole sequences.
        """
        super().connect(model)
        if self.sharing == 1:
            return
        if not isinstance(model, ReadsPieces):
            raise ValueError(
                f"{type(model).__name__} does not say that it reads pieces of sequences "
                "(check_pieces, before_cut); set trainer.strategy to ddp"
            )
        model.check_pieces()

    def setup_environment(self) -> None:
        super().setup_environment()
        P = self.sharing
        if P == 1 or self._group is not None:
            return
        for first in range(0, self.world_size, P):  # every process makes all of them
            group = distributed.new_group(list(range(first, first + P)), timeout=self._timeout)
            if first == self.global_rank - self.global_rank % P:
                self._group = group

    def batch_to_device(self, batch: Any, *args: Any, **kwargs: Any) -> Any:
        """Of a batch, this device's piece."""
        if self.sharing > 1:
            batch = self._piece_of(batch)
        return super().batch_to_device(batch, *args, **kwargs)

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        with over(self.pieces):
            return super().training_step(*args, **kwargs)

    def validation_step(self, *args: Any, **kwargs: Any) -> Any:
        with over(self.pieces):
            return super().validation_step(*args, **kwargs)

    def test_step(self, *args: Any, **kwargs: Any) -> Any:
        with over(self.pieces):
            return super().test_step(*args, **kwargs)

    def predict_step(self, *args: Any, **kwargs: Any) -> Any:
        with over(self.pieces):
            return super().predict_step(*args, **kwargs)

    def teardown(self) -> None:
        self.pieces = None
        super().teardown()

    def _configure_launcher(self) -> None:
        check_groups(self.world_size, self.sharing)  # before any process is started
        super()._configure_launcher()

    def _piece_of(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        module: Any = self.lightning_module
        batch = long_enough(module.before_cut(batch), _LEAST * self.sharing)
        rows, length = len(batch["tokens"]), batch["tokens"].shape[-1]
        parts, place = cut(length, self.sharing), self.global_rank % self.sharing
        lengths = tuple(part.stop - part.start for part in parts)
        # All of a group read the same batch: nobody need be asked.
        self.pieces = Pieces(self._group, place, rows, lengths)
        return piece(batch, parts[place])


def pieces_of(trainer: pl.Trainer) -> Pieces | None:
    """What this device holds of the batch that came last; None where it holds whole rows."""
    strategy = trainer.strategy
    return strategy.pieces if isinstance(strategy, SequenceParallel) else None


StrategyRegistry.register(
    SequenceParallel.strategy_name,
    SequenceParallel,
    description="all devices share each sequence, in contiguous pieces",
    override=True,
)
