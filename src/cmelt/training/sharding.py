"""FSDP: each process keeps its share of every weight, gradient and moment, and has a layer whole only while it computes it.

PyTorch's `fully_shard` (FSDP2): weights are DTensors, cut along their first axis. Its sums are those of DDP.
"""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from cmelt.checkpoints.divided import is_divided
from cmelt.config.settings import TrainingSettings
from cmelt.errors import TrainingError
from cmelt.model.across_ranks import processes

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

#: T5 has its table of positions inside its first layer and looks it up from outside: it must be had whole by itself.
_READ_FROM_OUTSIDE = "relative_attention_bias"


def shard(model: nn.Module, mesh: DeviceMesh) -> nn.Module:
    """Cut the model's weights among the processes of the mesh, in place, layer by layer (`_no_split_modules`), then the rest.

    Scalars (temperatures, biases of logits) cannot be cut: each process has them, and `finish_gradients` averages theirs.
    """
    from torch.distributed.fsdp import fully_shard

    device = torch.device(mesh.device_type, torch.cuda.current_device()) if mesh.device_type == "cuda" else torch.device("cpu")
    scalars = {parameter for parameter in model.parameters() if parameter.ndim == 0}
    for scalar in scalars:
        scalar.data = scalar.data.to(device)
    names = {name for part in model.modules() for name in getattr(part, "_no_split_modules", None) or ()}
    looked_up = [part for name, part in model.named_modules() if name.endswith(_READ_FROM_OUTSIDE)]
    layers = [part for part in model.modules() if type(part).__name__ in names]
    for part in (*looked_up, *layers, model):
        fully_shard(part, mesh=mesh, ignored_params=scalars)
    return model


def refuse_unless_shardable(settings: TrainingSettings) -> None:
    """Raise TrainingError, naming the setting, for what FSDP cannot do here, or has not been shown to."""
    if settings.compile:
        raise TrainingError("training.strategy", "fsdp is not tested with training.compile", "switch one of them off")
    if "ignored_params" not in _parameters_of_fully_shard():
        raise TrainingError("training.strategy", f"fsdp needs PyTorch 2.7, here is {torch.__version__}", "use ddp, or upgrade")


def finish_gradients(model: nn.Module, limit: float) -> Tensor:
    """Make the gradients of a step those of the whole batch in every process, and clip them together to a norm of `limit`.

    limit: 0 clips nothing. Returns the norm of all gradients before clipping, the same in every process.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.grad is not None]
    cut = [parameter for parameter in parameters if is_divided(parameter)]
    if not cut:
        return nn.utils.clip_grad_norm_(parameters, limit or math.inf)
    uncut = [parameter for parameter in parameters if not is_divided(parameter)]
    _average([parameter.grad for parameter in uncut if parameter.grad is not None])
    # A DTensor's norm is a sum over the processes that is still open: `full_tensor` takes it.
    whole: Any = nn.utils.get_total_norm([parameter.grad for parameter in cut if parameter.grad is not None])
    norms = [whole.full_tensor()] + [parameter.grad.norm() for parameter in uncut if parameter.grad is not None]
    norm = torch.stack(norms).norm()
    for group in (cut, uncut):
        nn.utils.clip_grads_with_norm_(group, limit or math.inf, norm)
    return norm


def _average(gradients: list[Tensor]) -> None:
    """Average scalars over the processes, in one message."""
    if gradients:
        together = torch.stack(gradients)
        torch.distributed.all_reduce(together)
        for gradient, value in zip(gradients, together / processes(), strict=True):
            gradient.copy_(value)


def _parameters_of_fully_shard() -> set[str]:
    try:
        from torch.distributed.fsdp import fully_shard
    except ImportError:
        return set()
    return set(inspect.signature(fully_shard).parameters)
