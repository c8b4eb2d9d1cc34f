"""A long training in bf16 follows the one in fp32."""

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dnamamba.alphabet import Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.training.optim import OptimizerConfig
from dnamamba.training.pretrain import PretrainModule

STEPS = 1000


class Repeats(Dataset[dict[str, Tensor]]):
    """Random words of 8 bases, each said 16 times over: to be learnt by looking back."""

    def __len__(self) -> int:
        return STEPS * 8

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        bases = torch.tensor(Tokenizer().base_ids)
        generator = torch.Generator().manual_seed(i)
        return {"tokens": bases[torch.randint(4, (8,), generator=generator)].repeat(16)}


class Losses(pl.Callback):
    def __init__(self) -> None:
        self.losses: list[Tensor] = []

    def on_train_batch_end(
        self, trainer: object, module: object, outputs: dict[str, Tensor], *others: object
    ) -> None:
        self.losses.append(outputs["loss"].detach())


def losses(precision: str) -> Tensor:
    pl.seed_everything(0, verbose=False)
    kept = Losses()
    trainer = pl.Trainer(
        accelerator="gpu", devices=1, precision=precision, max_steps=STEPS, callbacks=[kept],
        logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # type: ignore[arg-type]  # fmt: skip
    module = PretrainModule(MambaConfig(d_model=64, n_layers=2), Tokenizer(), OptimizerConfig())
    trainer.fit(module, DataLoader(Repeats(), batch_size=8))
    return torch.stack(kept.losses).cpu()


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:.*no .val_dataloader")
@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_a_thousand_steps_in_bf16_track_those_in_fp32() -> None:
    exact, half = losses("32-true"), losses("bf16-mixed")
    assert half.isfinite().all()
    assert exact[-100:].mean() < 0.5 * exact[:10].mean()  # something was learnt
    hundreds = exact.view(10, 100).mean(1), half.view(10, 100).mean(1)
    torch.testing.assert_close(hundreds[1], hundreds[0], rtol=0.05, atol=0.02)
