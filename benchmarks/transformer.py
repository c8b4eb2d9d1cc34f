"""A decoder-only Transformer in plain PyTorch, of a Mamba's width, depth and parameters.

Pre-norm with RMSNorm, rotary positions (Su et al. 2021, arXiv:2104.09864), attention by
``scaled_dot_product_attention``, SwiGLU (Shazeer 2020, arXiv:2002.05202), no biases, the head tied
to the embedding. A block is two parts with the attention between them: ``Before`` and ``After``
read tokens one by one, so that they neither know L nor, compiled, are compiled again for another.
H heads of 64 channels; T = B·L tokens.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dnamamba.config import MambaConfig
from dnamamba.model import LanguageModel
from dnamamba.model.mixers.mixer import compute_dtype

__all__ = [
    "HEAD_DIM",
    "Attention",
    "Transformer",
    "TransformerConfig",
    "beside",
    "causal_attention",
    "explicit_attention",
    "parameters",
]

HEAD_DIM = 64
EPS = 1e-5

Attention = Callable[[Tensor, Tensor, Tensor], Tensor]
"""q, k and v (B, H, positions, 64) -> what q's positions read (B, H, positions, 64)."""


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes: those of a Mamba, and the width of the MLP."""

    vocab_size: int
    d_model: int
    n_layers: int
    d_hidden: int

    @property
    def heads(self) -> int:
        return self.d_model // HEAD_DIM


def beside(config: MambaConfig) -> TransformerConfig:
    """The Transformer whose MLP is as wide as makes the parameters equal, in steps of 32.

    Raises:
        ValueError: they differ by more than 2 % all the same.
    """
    V, d, layers = config.vocab_size, config.d_model, config.n_layers
    target = parameters(LanguageModel(config))
    rest = target - V * d - d - layers * (4 * d * d + 2 * d)
    chosen = TransformerConfig(V, d, layers, 32 * round(rest / layers / (3 * d) / 32))
    got = parameters(Transformer(chosen))
    if abs(got / target - 1) > 0.02:
        raise ValueError(f"{got:,} parameters beside {target:,}: more than 2 % apart")
    return chosen


def parameters(model: nn.Module) -> int:
    """How many, one that is shared counted once."""
    return sum(x.numel() for x in model.parameters())


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def explicit_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The same, written out."""
    L = q.shape[2]
    scores = q @ k.transpose(-1, -2) * HEAD_DIM**-0.5
    later = torch.ones(L, L, dtype=torch.bool, device=q.device).triu(1)
    return scores.masked_fill(later, -torch.inf).softmax(-1) @ v


class Before(nn.Module):
    """What stands before a block's attention."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(config.d_model, eps=EPS)
        self.qkv = nn.Linear(config.d_model, 3 * config.d_model, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x (T, d_model), ``_rotations`` -> q, k and v (T, H, 64)."""
        T, d = x.shape
        both, v = self.qkv(self.norm(x)).split([2 * d, d], -1)
        both = both.view(T, -1, HEAD_DIM)
        one, other = both.chunk(2, -1)
        q, k = torch.addcmul(both * cos, torch.cat([other, one], -1), sin).chunk(2, 1)
        return q, k, v.view(T, -1, HEAD_DIM)


class After(nn.Module):
    """What stands behind a block's attention."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        d, hidden = config.d_model, config.d_hidden
        self.out = nn.Linear(d, d, bias=False)
        self.norm = nn.RMSNorm(d, eps=EPS)
        self.gate_up = nn.Linear(d, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, d, bias=False)

    def forward(self, x: Tensor, attended: Tensor) -> Tensor:
        """The stream (T, d_model) and what was attended to (T, d_model) -> the stream."""
        x = x + self.out(attended)
        gate, up = self.gate_up(self.norm(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


class Block(nn.Module):
    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.before, self.after = Before(config), After(config)


class Transformer(nn.Module):
    """Token ids to the logits of the token after each."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.norm = nn.RMSNorm(config.d_model, eps=EPS)

    def forward(self, tokens: Tensor, attention: Attention = causal_attention) -> Tensor:
        """Logits (B, L, V) at each of ``tokens`` (B, L)."""
        B, L = tokens.shape
        x = self.embedding(tokens.flatten())
        cos, sin = _rotations(torch.arange(L, device=x.device).repeat(B), compute_dtype(x))
        for block in self.blocks:
            heads = (y.unflatten(0, (B, L)).transpose(1, 2) for y in block.before(x, cos, sin))
            x = block.after(x, attention(*heads).transpose(1, 2).reshape(B * L, -1))
        return F.linear(self.norm(x), self.embedding.weight).view(B, L, -1)

    def step(
        self,
        tokens: Tensor,
        position: Tensor,
        cache: Sequence[tuple[Tensor, Tensor]],
        attention: Attention,
    ) -> Tensor:
        """Logits (B, V) of the token after one more token in each row.

        Args:
            tokens: (B,) ids.
            position: (1,) int64, where they stand, on their device.
            cache: of each layer the keys and values (B, H, positions, 64), which are written.
            attention: gets all of a layer's cache and must read up to ``position``.
        """
        x = self.embedding(tokens)
        cos, sin = _rotations(position, x.dtype)
        for block, (keys, values) in zip(self.blocks, cache, strict=True):
            q, k, v = (y[:, :, None] for y in block.before(x, cos, sin))
            keys.index_copy_(2, position, k)
            values.index_copy_(2, position, v)
            x = block.after(x, attention(q, keys, values).flatten(1))
        return F.linear(self.norm(x), self.embedding.weight)

    def compile_parts(self) -> None:
        """``torch.compile`` of all but the attention, which is one kernel already."""
        for block in self.blocks:
            block.before.compile(dynamic=False)
            block.after.compile(dynamic=False)


def _rotations(positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Of positions (T,), cos and sin (T, 1, 64): channel i turns with channel i + 32.

    In ``dtype``, computed in fp32; the first half of the sines is negative.
    """
    channels = torch.arange(HEAD_DIM // 2, device=positions.device)
    angles = positions[:, None, None] * 10_000.0 ** (-2 * channels / HEAD_DIM)
    cos, sin = angles.cos().to(dtype), angles.sin().to(dtype)
    return torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)
