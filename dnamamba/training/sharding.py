"""A module's parameters in shards over devices, and whole again.

By PyTorch's ``fully_shard``: each parameter is a ``DTensor`` of which a device holds some rows, as
of its gradient and of the optimiser's state. A backbone's blocks are gathered one by one as forward
and backward come by them, all the rest where a step begins and where its backward does. Names and
shapes stay those of the whole module.
"""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.distributed import _composable_state
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from dnamamba.model.backbone import Backbone

__all__ = ["Shards", "gathered", "shard_state"]


class Shards:
    """A module that is divided, in place; ``join`` makes it whole.

    Args:
        module: on its device, the same on all.
        mesh: the devices.
        methods: those of the module by which it is used as by its forward.
    """

    def __init__(self, module: nn.Module, mesh: DeviceMesh, methods: Sequence[str]) -> None:
        # What a block returns may be a view; nobody writes to it in place.
        warnings.filterwarnings("ignore", "FSDP2-wrapped module")
        before = [(part, type(part), set(vars(part)), _hooks(part)) for part in module.modules()]
        for part, *_ in before:
            if isinstance(part, Backbone):
                for block in part.layers:
                    fully_shard(block, mesh=mesh, reshard_after_forward=True)
        fully_shard(module, mesh=mesh, reshard_after_forward=True)
        for name in methods:
            register_fsdp_forward_method(module, name)
        self._parts = [_Part(x, kind, set(vars(x)) - own, hooks) for x, kind, own, hooks in before]

    def join(self) -> None:
        """Give the module whole parameters, on the CPU; on all devices together."""
        whole: dict[int, nn.Parameter] = {}
        for part in self._parts:
            parameters = part.module._parameters
            for name, parameter in parameters.items():
                if isinstance(parameter, DTensor) and id(parameter) not in whole:
                    full = parameter.full_tensor().detach().cpu()
                    whole[id(parameter)] = nn.Parameter(full, parameter.requires_grad)
                    parameter.grad = None
                parameters[name] = whole.get(id(parameter), parameter)
            part.restore()


class _Part(NamedTuple):
    """What dividing has added to a module.

    Attributes:
        module: the module.
        kind: its class before.
        added: names of attributes.
        hooks: the hooks before, by the attributes that hold them.
    """

    module: nn.Module
    kind: type[nn.Module]
    added: set[str]
    hooks: dict[str, dict[Any, Any]]

    def restore(self) -> None:
        """Take it back."""
        self.module.__class__ = self.kind
        for name in self.added:
            delattr(self.module, name)
        for name, hooks in self.hooks.items():
            own = vars(self.module)[name]
            own.clear()
            own.update(hooks)
        # PyTorch keeps by module what it has divided, and divides none twice.
        _composable_state._module_state_mapping.pop(self.module, None)


def _hooks(module: nn.Module) -> dict[str, dict[Any, Any]]:
    return {n: dict(x) for n, x in vars(module).items() if "_hooks" in n and isinstance(x, dict)}


def gathered(tree: Any, keep: bool) -> Any:
    """The same with whole tensors on the CPU in place of shards; on all devices together.

    Args:
        tree: dictionaries, lists and tuples of anything.
        keep: whether this process is to have them; else None stands in their place.
    """
    if isinstance(tree, DTensor):
        full = tree.full_tensor().detach()
        return full.cpu() if keep else None
    if isinstance(tree, dict):
        return type(tree)((name, gathered(x, keep)) for name, x in tree.items())
    if isinstance(tree, list | tuple):
        return type(tree)(gathered(x, keep) for x in tree)
    return tree


def shard_state(optimizer: Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    """The state of an optimiser of whole parameters for one of their shards.

    Args:
        optimizer: of shards, its parameters in the state's order.
        state: as ``Optimizer.state_dict`` gives it.
    """
    numbers = [number for group in state["param_groups"] for number in group["params"]]
    parameters = [x for group in optimizer.param_groups for x in group["params"]]
    by_number = dict(zip(numbers, parameters, strict=False))  # others are refused by the optimiser

    def own(x: Any, parameter: Any) -> Any:
        alike = isinstance(x, Tensor) and isinstance(parameter, DTensor)
        if not alike or x.shape != parameter.shape:
            return x
        x = x.to(parameter.device, parameter.dtype)
        return distribute_tensor(x, parameter.device_mesh, parameter.placements, src_data_rank=None)

    each = {
        number: {name: own(x, by_number.get(number)) for name, x in values.items()}
        for number, values in state["state"].items()
    }
    return {**state, "state": each}
