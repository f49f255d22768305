"""Linear maps on the CPU's own kernels: oneDNN's, where PyTorch asks MKL, which uses half of what an AMD processor has."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

#: The operator by which compiled graphs reach oneDNN; eager ones have no public name for it.
_HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")

#: Weights of fewer values are left to PyTorch: calling oneDNN takes longer than it saves.
_SMALLEST = 2**14


class Linear(nn.Linear):
    """`nn.Linear`, 2.2 times as fast on an AMD EPYC in single precision and the same elsewhere."""

    def forward(self, states: Tensor) -> Tensor:
        """[..., in] → [..., out]."""
        return linear(states, self.weight, self.bias)


def linear(states: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """states [..., in] · weight [out, in]ᵀ + bias [out] → [..., out]."""
    if not _by_onednn(states, weight):
        return F.linear(states, weight, bias)
    # Rows that lie apart from each other (the first token of every text) put oneDNN on a path a thousand times as slow.
    states = states.contiguous()
    if torch.is_grad_enabled():
        mapped: Tensor = _OneDnnLinear.apply(states, weight, bias)
        return mapped
    return _product(states, weight, bias)


def _by_onednn(states: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN computes it: single precision on a CPU, step by step. A graph that is captured holds the plain operator."""
    return (
        _HAS_ONEDNN
        and states.device.type == "cpu"
        and states.dtype == weight.dtype == torch.float32
        and states.numel() > 0
        and weight.numel() >= _SMALLEST
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and not torch.is_autocast_enabled("cpu")
    )


def _product(states: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """states [..., in] · weight [out, in]ᵀ + bias [out]; transposed views are read as they lie."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise(states, weight, bias, "none", [], "")
    return product


class _OneDnnLinear(torch.autograd.Function):
    """The map and its two gradients, each one product."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(states, weight)
        return _product(states, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        states, weight = ctx.saved_tensors
        of_states, of_weight, of_bias = ctx.needs_input_grad
        gradient = gradient.contiguous()
        flat = gradient.reshape(-1, gradient.shape[-1])
        return (
            _product(gradient, weight.t()) if of_states else None,
            _product(flat.t(), states.reshape(-1, states.shape[-1]).t()) if of_weight else None,
            flat.sum(0) if of_bias else None,
        )
