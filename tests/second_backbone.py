"""A backbone and an objective as a user would write them: see ``test_second_backbone``."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from dnamamba.alphabet import MASK
from dnamamba.config import BackboneConfig
from dnamamba.model.backbone import Backbone
from dnamamba.model.families import BACKBONES
from dnamamba.training.objectives import Example, Objective, base_weights


@dataclass(frozen=True)
class EchoConfig(BackboneConfig):
    """The sizes of an ``Echo``."""

    family: Literal["echo"] = "echo"


class Echo(Backbone):
    """Each layer adds what it makes of both neighbours and of the mean of the whole row."""

    config_type = EchoConfig
    causal = False
    start_tokens = ()

    def __init__(self, config: EchoConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        layers = [nn.Linear(4 * config.d_model, config.d_model) for _ in range(config.n_layers)]
        self.layers = nn.ModuleList(layers)
        self.norm_f = nn.LayerNorm(config.d_model)

    def _run(self, tokens, state, resets, lengths, layer):  # type: ignore[no-untyped-def]
        at = torch.arange(tokens.shape[1], device=tokens.device)
        n = torch.full_like(tokens[:, 0], tokens.shape[1]).int() if lengths is None else lengths
        real = (at < n[:, None])[..., None]
        x = self.embedding(tokens.int()) * real
        for each in self.layers if layer is None else self.layers[: layer + 1]:
            mean = (x.sum(1) / n.clamp(min=1)[:, None])[:, None].expand_as(x)
            around = torch.cat([x.roll(1, 1), x.roll(-1, 1), mean, x], -1)
            around[:, 0, : x.shape[2]] = 0
            around[:, -1, x.shape[2] : 2 * x.shape[2]] = 0
            x = (x + torch.tanh(each(around))) * real
        return (self.norm_f(x) if layer is None else x), None


BACKBONES["echo"] = Echo


class FillIn(Objective):
    """Every fourth base is masked, and predicted from what stands on both sides."""

    causal = False

    def example(self, batch, tokenizer, soft_mask_weight=1.0):  # type: ignore[no-untyped-def]
        tokens: Tensor = batch["tokens"]
        at = torch.arange(tokens.shape[1], device=tokens.device)
        chosen = (at + batch["index"][:, None]) % 4 == 0
        weight = base_weights(batch, tokenizer, soft_mask_weight) * chosen
        masked = torch.where(weight > 0, MASK, tokens)
        return Example(masked, tokens, weight, batch.get("lengths"))
