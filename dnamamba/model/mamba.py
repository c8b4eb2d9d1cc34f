"""The backbone, small to large: State, RMSNorm, Block, Mamba.

Gu and Dao 2023 (arXiv:2312.00752), section 3.4 and figure 3. The letters are those of
``dnamamba.model.mixer``; parameter names are those of the reference implementation, so published
weights map one to one.
"""

from dataclasses import replace
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from dnamamba.config import MambaConfig
from dnamamba.model.mixer import Mixer, is_plain
from dnamamba.model.recompute import Recompute, recomputes, recomputing
from dnamamba_kernels import add_rms_norm, fuses_block, mamba_block

__all__ = ["Block", "Mamba", "RMSNorm", "State", "takes_weight_decay"]


class State(NamedTuple):
    """What a model carries from one chunk of a sequence to the next.

    Attributes:
        conv: (n_layers, B, D, W-1), the last inputs of each convolution, oldest first.
        ssm: (n_layers, B, D, N) fp32, each layer's scan state.
    """

    conv: Tensor
    ssm: Tensor

    def detach(self) -> "State":
        """The same numbers, cut from the graph: the boundary of truncated back-propagation."""
        return State(self.conv.detach(), self.ssm.detach())


def takes_weight_decay(name: str, parameter: Tensor) -> bool:
    """Whether an optimiser decays this parameter: matrices do; A_log, D, biases, norms do not.

    Args:
        name: the parameter's name in ``named_parameters()`` of any module that holds it.
        parameter: the parameter.
    """
    return parameter.ndim >= 2 and name.rpartition(".")[2] != "A_log"


class RMSNorm(nn.Module):
    """Adds a branch's output to the residual stream and normalises the sum."""

    def __init__(self, d_model: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(
        self, x: Tensor, residual: Tensor | None, dtype: torch.dtype | None = None
    ) -> tuple[Tensor, Tensor]:
        """x (..., d_model), residual the same in fp32 or None -> (normalised sum, sum in fp32).

        The normalised sum is of ``dtype``, x's if that is None.
        """
        return add_rms_norm(x, residual, self.weight, self.eps, dtype=dtype)


class _Sum(nn.Module):
    """Adds a branch's output to the residual stream, no more: in place of a last norm."""

    def forward(self, x: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
        total = residual + x
        return total, total


class Block(nn.Module):
    """One residual layer: Norm(Add) -> Mixer. The mixer's output is added by the next norm."""

    def __init__(self, config: MambaConfig) -> None:
        super().__init__()
        self.norm = RMSNorm(config.d_model, config.norm_eps)
        self.mixer = Mixer(config)

    def forward(
        self,
        x: Tensor,
        residual: Tensor | None,
        conv_state: Tensor | None = None,
        ssm_state: Tensor | None = None,
        resets: Tensor | None = None,
        lengths: Tensor | None = None,
        recompute: Recompute = "nothing",
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(branch, stream before it) -> (branch, stream before it, conv state, SSM state)."""
        if lengths is None and self._fuses(x):
            return self._fused(x, residual, conv_state, ssm_state, resets, recomputes(recompute))
        block = recomputing(self._one_by_one, recompute)
        return block(x, residual, conv_state, ssm_state, resets, lengths)

    def _one_by_one(
        self,
        x: Tensor,
        residual: Tensor | None,
        conv_state: Tensor | None,
        ssm_state: Tensor | None,
        resets: Tensor | None,
        lengths: Tensor | None,
        dtype: torch.dtype | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The mixer reads ``dtype``, x's if that is None."""
        x, residual = self.norm(x, residual, dtype)
        x, conv_state, ssm_state = self.mixer(x, conv_state, ssm_state, resets, lengths)
        return x, residual, conv_state, ssm_state

    def _fuses(self, x: Tensor) -> bool:
        """Whether one op can stand for the block: nothing in it wrapped, no hook."""
        plain = is_plain(self.norm, RMSNorm) and self.mixer.is_plain()
        return plain and fuses_block(x.device, x.dtype)

    def _fused(
        self,
        x: Tensor,
        residual: Tensor | None,
        conv_state: Tensor | None,
        ssm_state: Tensor | None,
        resets: Tensor | None,
        recompute: bool,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The block as one op, which keeps little for the backward."""
        device = x.device.type
        autocast = torch.is_autocast_enabled(device)
        dtype = torch.get_autocast_dtype(device) if autocast else x.dtype
        m = self.mixer
        return mamba_block(
            x,
            residual,
            self.norm.weight,
            self.norm.eps,
            m.in_proj.weight.to(dtype),
            m.conv1d.weight[:, 0],
            m.conv1d.bias,
            m.x_proj.weight.to(dtype),
            m.dt_proj.weight.to(dtype),
            m.dt_proj.bias,
            -torch.exp(m.A_log),
            m.D,
            m.out_proj.weight.to(dtype),
            None if conv_state is None else conv_state.to(dtype),
            ssm_state,
            resets,
            recompute=recompute,
        )

    def step(
        self,
        x: Tensor,
        residual: Tensor | None,
        conv_state: Tensor,
        ssm_state: Tensor,
        in_place: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """``forward`` for one position, x (B, d_model)."""
        x, residual = self.norm(x, residual)
        x, conv_state, ssm_state = self.mixer.step(x, conv_state, ssm_state, in_place)
        return x, residual, conv_state, ssm_state


class Mamba(nn.Module):
    """The backbone: embedding, ``n_layers`` blocks, a final norm.

    Args:
        config: the sizes; kept as ``.config`` and never changed.

    Attributes:
        recompute: what blocks compute again in the backward instead of keeping it (``Recompute``);
            "nothing" unless set. It changes memory and time, neither results nor names.
    """

    causal: ClassVar[bool] = True  # no position sees what stands to its right
    recompute: Recompute = "nothing"

    def __init__(self, config: MambaConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.norm_f: nn.Module = RMSNorm(config.d_model, config.norm_eps)

    def initial_state(
        self,
        batch: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> State:
        """Zeros: the state before the first token.

        Args:
            batch: B.
            device: of the tensors; None is the model's.
            dtype: of the convolutions' inputs; None is the model's. The SSM state is fp32, or
                fp64 beside fp64.
        """
        c, weight = self.config, self.embedding.weight
        device, dtype = device or weight.device, dtype or weight.dtype
        held = torch.promote_types(dtype, torch.float32)
        return State(
            torch.zeros(c.n_layers, batch, c.d_inner, c.d_conv - 1, device=device, dtype=dtype),
            torch.zeros(c.n_layers, batch, c.d_inner, c.d_state, device=device, dtype=held),
        )

    def up_to(self, layer: int) -> "Mamba":
        """The backbone up to and with one block: its hidden states are the stream behind it.

        Parameters and blocks are shared, not copied. The final norm is left out, so that the
        stream is the plain sum of the embedding and the blocks' outputs, in fp32.

        Args:
            layer: number of the last block, from 0; -1 is the whole backbone, final norm included.

        Raises:
            ValueError: there is no such block.
        """
        if layer == -1:
            return self
        if not 0 <= layer < len(self.layers):
            raise ValueError(
                f"layer must be 0 to {len(self.layers) - 1}, the blocks of this model, or -1 for "
                f"what leaves its final norm; got {layer}"
            )
        part = Mamba.__new__(Mamba)
        nn.Module.__init__(part)
        part.config = replace(self.config, n_layers=layer + 1)
        part.embedding, part.layers = self.embedding, self.layers[: layer + 1]
        part.norm_f = _Sum()
        part.training, part.recompute = self.training, self.recompute
        return part

    def forward(
        self,
        tokens: Tensor,
        state: State | None = None,
        resets: Tensor | None = None,
        lengths: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Read a chunk of a sequence.

        A sequence cut anywhere into chunks, the state carried, gives what it gives uncut, within
        rounding. Matrix products run in autocast's dtype where it is on; the residual stream and
        the SSM states are fp32 always.

        Args:
            tokens: (B, L) ids, L at least 1; uint8, int32 or int64.
            state: what the chunk before returned; None at the start of a sequence.
            resets: (B, L) bool, True at the first base of each packed segment: nothing before it
                is seen from it on, ``state`` included.
            lengths: (B,) int32 or int64 in 0..L, the real positions of each row; the padding
                stands on the right and never enters the returned state, and its hidden states
                mean nothing. None: all are real.

        Returns:
            Hidden states after the final norm (B, L, d_model), and the state after each row's
            last real position.

        Raises:
            ValueError: a shape or a dtype does not fit; names the argument.
        """
        self._check(tokens, state, resets, lengths)
        return self._run(tokens, state, resets, lengths)

    def step(self, tokens: Tensor, state: State, in_place: bool = False) -> tuple[Tensor, State]:
        """``forward`` for one token a row, in fewer operations: recurrent decoding.

        Args:
            tokens: (B,) ids; uint8, int32 or int64.
            state: what came before; ``initial_state`` at the start.
            in_place: replace ``state`` by the new state; where no gradient is asked for, and in
                the dtype in which the projections run. Else it is left as it is.

        Returns:
            Hidden states (B, d_model) and the new state.

        Raises:
            ValueError: a shape does not fit; names the argument.
        """
        if tokens.dim() != 1:
            raise ValueError(f"tokens must be (B,), got {tuple(tokens.shape)}")
        self._check_state(state, tokens.shape[0])
        x, residual, conv, ssm = self._embed(tokens), None, [], []
        for layer, *before in zip(
            self.layers, state.conv.unbind(), state.ssm.unbind(), strict=True
        ):
            assert isinstance(layer, Block)
            x, residual, *after = layer.step(x, residual, before[0], before[1], in_place)
            conv_state, ssm_state = after
            conv.append(conv_state)
            ssm.append(ssm_state)
        hidden, _ = self.norm_f(x, residual)
        return hidden, state if in_place else State(torch.stack(conv), torch.stack(ssm))

    def _embed(self, tokens: Tensor) -> Tensor:
        # An embedding reads int32 or int64; batches travel as uint8.
        return self.embedding(tokens.int() if tokens.dtype == torch.uint8 else tokens)

    def _run(
        self,
        tokens: Tensor,
        state: State | None,
        resets: Tensor | None,
        lengths: Tensor | None,
    ) -> tuple[Tensor, State]:
        x = self._embed(tokens)
        none = [None] * len(self.layers)
        before = (none, none) if state is None else (state.conv.unbind(), state.ssm.unbind())
        residual, conv, ssm = None, [], []
        for layer, *carried in zip(self.layers, *before, strict=True):
            x, residual, conv_state, ssm_state = layer(
                x, residual, *carried, resets, lengths, self.recompute
            )
            conv.append(conv_state)
            ssm.append(ssm_state)
        hidden, _ = self.norm_f(x, residual)
        return hidden, State(torch.stack(conv), torch.stack(ssm))

    def _check(
        self, tokens: Tensor, state: State | None, resets: Tensor | None, lengths: Tensor | None
    ) -> None:
        if tokens.dim() != 2 or tokens.shape[1] < 1:
            raise ValueError(f"tokens must be (B, L) with L >= 1, got {tuple(tokens.shape)}")
        if state is not None:
            self._check_state(state, tokens.shape[0])
        if resets is not None and (resets.shape != tokens.shape or resets.dtype != torch.bool):
            raise ValueError(
                f"resets must be bool of tokens' shape {tuple(tokens.shape)}, "
                f"got {resets.dtype} of {tuple(resets.shape)}"
            )
        if lengths is not None and (
            lengths.shape != tokens.shape[:1] or lengths.dtype not in (torch.int32, torch.int64)
        ):
            raise ValueError(
                f"lengths must be int32 or int64 of shape {tuple(tokens.shape[:1])}, "
                f"got {lengths.dtype} of {tuple(lengths.shape)}"
            )

    def _check_state(self, state: State, batch: int) -> None:
        c = self.config
        expected = (
            (c.n_layers, batch, c.d_inner, c.d_conv - 1),
            (c.n_layers, batch, c.d_inner, c.d_state),
        )
        got = tuple(state.conv.shape), tuple(state.ssm.shape)
        if got != expected:
            raise ValueError(f"state must have shapes {expected}, got {got}")
