"""A way into a backbone for what is no token: weights of the ids at each position."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dnamamba.model.backbone import Backbone

__all__ = ["entrance"]


@contextmanager
def entrance(backbone: Backbone, rows: Tensor) -> Iterator[None]:
    """Within the block the backbone reads ``rows`` in the place of the bases that it is given.

    A position's vector is the weighted sum of its ids' vectors; one-hot rows give what their
    tokens give. So the gradient by a sequence is that by ``rows``.

    Args:
        backbone: reads bases by ``Backbone.read``, or by ``forward`` behind its start tokens;
            every row has as many, none is padded.
        rows: (B, L, V), V the rows of the embedding.
    """

    def embed(embedding: nn.Module, tokens: tuple[Tensor], vectors: Tensor) -> Tensor:
        assert isinstance(embedding, nn.Embedding)
        start = torch.tensor(backbone.start_tokens, dtype=torch.int64, device=rows.device)
        begun = F.one_hot(start, rows.shape[-1]).to(rows).expand(len(rows), -1, -1)
        entered = backbone.embedded(torch.cat([begun, rows], 1)) @ embedding.weight
        assert entered.shape == vectors.shape
        return entered.to(vectors)

    handle = backbone.embedding.register_forward_hook(embed)
    try:
        yield
    finally:
        handle.remove()
