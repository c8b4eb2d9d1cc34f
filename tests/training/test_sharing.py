"""What devices cannot share is refused before any work."""

from collections.abc import Callable

import pytest
import pytorch_lightning as pl
from weighted import Weighted

from dnamamba.alphabet import Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.data.modules.position import Position
from dnamamba.training.pretrain import PretrainModule
from dnamamba.training.sequence_parallel import SequenceParallel
from dnamamba.training.variant_finetune import VariantModule

SIZES = MambaConfig(d_model=8, n_layers=1, d_state=2)
Make = Callable[..., pl.Trainer]


class Whole(Weighted):
    reads_pieces = False


def compiled() -> PretrainModule:
    module = PretrainModule(SIZES)
    module.hparams["compile"] = True  # torch's compiler takes seconds to import
    return module


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (compiled, "set model.compile to false"),
        (lambda: PretrainModule(SIZES, objective=Whole()), "Whole cannot read pieces"),
        (
            lambda: VariantModule(None, SIZES, Tokenizer()),
            "VariantModule reads whole sequences",
        ),
        (pl.LightningModule, "LightningModule does not say that it reads pieces"),
    ],
)
def test_modules_that_read_whole_sequences(
    make: Callable[[], pl.LightningModule], message: str, quiet_trainer: Make
) -> None:
    strategy = SequenceParallel(2)
    quiet_trainer(devices=2, strategy=strategy)
    with pytest.raises(ValueError, match=message):
        strategy.connect(make())


def test_devices_that_do_not_come_out(quiet_trainer: Make) -> None:
    with pytest.raises(ValueError, match=r"3 device\(s\) .* groups of 2 .* multiple of 2"):
        quiet_trainer(devices=3, strategy=SequenceParallel(2))
    with pytest.raises(ValueError, match="at least 1, got 0"):
        SequenceParallel(0)


def test_a_batch_that_groups_do_not_divide(quiet_trainer: Make) -> None:
    trainer = quiet_trainer(devices=4, strategy=SequenceParallel(2))
    with pytest.raises(ValueError, match=r"2 group\(s\) of 2 devices x 1 .* multiple of 2"):
        Position(3).batch(trainer)
    assert Position(4).batch(trainer) == 2


def test_one_device_a_sequence_is_ddp(quiet_trainer: Make) -> None:
    trainer = quiet_trainer(devices=2, strategy=SequenceParallel(1))
    assert trainer.distributed_sampler_kwargs == {"num_replicas": 2, "rank": 0}
    trainer.strategy.connect(pl.LightningModule())  # whatever it reads
