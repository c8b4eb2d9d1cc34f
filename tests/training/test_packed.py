"""A packed row is what its segments are by themselves: loss, outputs, gradients."""

import numpy as np
import pytest
import torch

from dnamamba.alphabet import Tokenizer
from dnamamba.config import BackboneConfig, BiMambaConfig, MambaConfig, SymmetricBiMambaConfig
from dnamamba.data import GenomeSplit
from dnamamba.data.modules import GenomeDataModule
from dnamamba.model.families import build
from dnamamba.training.pretrain import PretrainModule

SIZES = {"d_model": 12, "n_layers": 2, "d_state": 4}
Batch = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    """Rows of scaffolds of 3 to 150 bases."""
    draw = np.random.default_rng(0)
    text = "".join(
        f">s{i}\n{''.join(draw.choice(list('ACGT'), n))}\n"
        for i, n in enumerate(draw.integers(3, 150, 30))
    )
    path = tmp_path_factory.mktemp("packed") / "g.fa"
    path.write_text(text)
    data = GenomeDataModule(
        [str(path)], length=100, global_batch_size=4, split=GenomeSplit(), rows="packed"
    )
    batch: Batch = next(iter(data.train_dataloader()))
    assert (batch["resets"][:, 1:].sum(1) > 0).sum() >= 3
    return batch


def segments(batch: Batch) -> list[tuple[int, int, int]]:
    """Row, start and end of each."""
    found = []
    for row, marks in enumerate(batch["resets"]):
        starts = sorted({0, *torch.nonzero(marks).flatten().tolist()})
        found += [(row, *ends) for ends in zip(starts, [*starts[1:], 100], strict=True)]
    return found


def shaken(model: torch.nn.Module) -> None:
    """In fp64, every parameter of order one."""
    drawn = torch.Generator().manual_seed(1)
    for parameter in model.double().parameters():
        parameter.data += 0.4 * torch.randn(parameter.shape, generator=drawn).double()


def test_the_loss_and_its_gradients_are_those_of_the_segments(batch: Batch) -> None:
    net = PretrainModule(MambaConfig(**SIZES), Tokenizer())
    shaken(net)
    loss, *_ = net.measure(batch)
    loss.backward()
    together = [p.grad.clone() for p in net.parameters() if p.grad is not None]
    net.zero_grad()
    total = torch.zeros(())
    for row, start, end in segments(batch):
        alone = {"tokens": batch["tokens"][row : row + 1, start:end], "index": torch.zeros(1)}
        part = net.measure(alone)[0] * (end - start) / 400
        part.backward()
        total = total + part.detach()
    torch.testing.assert_close(loss.detach().float(), total.float())
    apart = [p.grad for p in net.parameters() if p.grad is not None]
    torch.testing.assert_close(together, apart)


@pytest.mark.parametrize("family", [MambaConfig, BiMambaConfig, SymmetricBiMambaConfig])
def test_hidden_states_and_gradients_of_every_family(
    batch: Batch, family: type[BackboneConfig]
) -> None:
    model = build(family(**SIZES))
    shaken(model)
    tokens = batch["tokens"]
    hidden, _ = model(tokens, resets=batch["resets"])
    upstream = torch.randn(hidden.shape, dtype=torch.float64)
    (hidden * upstream).sum().backward()
    together = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    for row, start, end in segments(batch):
        alone, _ = model(tokens[row : row + 1, start:end])
        torch.testing.assert_close(hidden[row, start:end], alone[0])
        (alone[0] * upstream[row, start:end]).sum().backward()
    torch.testing.assert_close(together, [p.grad for p in model.parameters() if p.grad is not None])
