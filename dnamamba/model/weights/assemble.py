"""From named tensors to a model: checked name by name, and from other implementations' names."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from dnamamba.config import BackboneConfig, MambaConfig
from dnamamba.model.language_model import LanguageModel

__all__ = ["assemble", "from_published", "mismatches", "parameters_of"]

Model = TypeVar("Model", bound=nn.Module)

_SHOWN = 5
_DRAWS = ("normal_", "uniform_")


def assemble(
    kind: Callable[[BackboneConfig], Model], config: BackboneConfig, weights: Mapping[str, Tensor]
) -> Model:
    """A model of this kind with these weights, in evaluation mode.

    The tensors become the parameters themselves, uncopied, in their own dtype and on their own
    device. Nothing is drawn from a random generator.

    Args:
        kind: the class, or what else builds a model as ``kind(config)``.
        config: the sizes.
        weights: tensors by the names of ``state_dict()``.

    Raises:
        ValueError: names missing or unknown, or shapes or dtypes that do not fit; names them.
    """
    with _shapes_alone():
        model = kind(config)
    problems = mismatches(model.state_dict(), weights)
    if problems:
        raise ValueError(f"the weights do not fit a {type(model).__name__} of {config}: {problems}")
    model.load_state_dict(dict(weights), assign=True)
    return model.eval()


def parameters_of(config: BackboneConfig) -> dict[str, Tensor]:
    """Names and shapes of a language model's tensors; they hold nothing."""
    with _shapes_alone():
        return LanguageModel(config).state_dict()


class _NoDraws(TorchFunctionMode):
    """Leaves random draws out: to draw nothing, PyTorch imports its compiler, a second's work."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", None) in _DRAWS:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


@contextmanager
def _shapes_alone() -> Iterator[None]:
    """Modules that are built in this block have parameters without memory."""
    with torch.device("meta"), _NoDraws():
        yield


def mismatches(expected: Mapping[str, Tensor], got: Mapping[str, Tensor]) -> str:
    """In words, where ``got`` differs from ``expected`` in names, shapes or kind of dtype."""
    both = [name for name in expected if name in got]
    shapes = [
        f"{name} is {tuple(got[name].shape)}, expected {tuple(expected[name].shape)}"
        for name in both
        if got[name].shape != expected[name].shape
    ]
    dtypes = [
        f"{name} has {got[name].dtype}, no floating dtype"
        for name in both
        if not got[name].is_floating_point()
    ]
    problems = {
        "missing": [name for name in expected if name not in got],
        "unexpected": [name for name in got if name not in expected],
        "of another shape": shapes,
        "of another dtype": dtypes,
    }
    return "; ".join(f"{what}: {_some(names)}" for what, names in problems.items() if names)


def _some(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def from_published(weights: Mapping[str, Tensor], norm_eps: float = 1e-5) -> LanguageModel:
    """A language model from the weights of another Mamba-1 implementation.

    Reads the ``state_dict`` of mamba-ssm's ``MambaLMHeadModel`` and of transformers'
    ``MambaForCausalLM``: their names differ from the ones here only in the embedding's, and in
    that a tied head is stored twice. The sizes follow from the shapes. Tensors are copied, to
    fp32.

    Args:
        weights: the state dict.
        norm_eps: ε of the norms, the one size that no tensor tells; both default to 1e-5.

    Raises:
        ValueError: not a Mamba-1, or one with other parts (biases on projections, Mamba-2, ...);
            names the tensors.
    """
    tensors = {
        name.replace("backbone.embeddings.", "backbone.embedding."): tensor.detach()
        for name, tensor in weights.items()
    }
    embedding, head = tensors.get("backbone.embedding.weight"), tensors.get("lm_head.weight")
    mixer = "backbone.layers.0.mixer."
    try:
        D, N = tensors[mixer + "A_log"].shape
        V, d_model = tensors["backbone.embedding.weight"].shape
        R = tensors[mixer + "dt_proj.weight"].shape[1]
        W = tensors[mixer + "conv1d.weight"].shape[2]
    except (KeyError, ValueError, IndexError) as error:
        raise ValueError(
            f"not the weights of a Mamba-1 language model ({error}); expected names like "
            f"backbone.embedding.weight and {mixer}A_log, got {_some(list(weights))}"
        ) from error
    tied = head is None or (embedding is not None and torch.equal(head, embedding))
    if tied:
        tensors.pop("lm_head.weight", None)
    config = MambaConfig(
        vocab_size=V,
        d_model=d_model,
        n_layers=len({name.split(".")[2] for name in tensors if ".layers." in name}),
        d_state=N,
        d_conv=W,
        expand=D // d_model,
        dt_rank=R,
        norm_eps=norm_eps,
        tie_embeddings=tied,
    )
    copies = {name: tensor.to(torch.float32, copy=True) for name, tensor in tensors.items()}
    return assemble(LanguageModel, config, copies)
