"""An ECG tower whose transformer multiplies in bfloat16 or int8; what lies between the products stays in single precision.

Norms, sums of a layer with its input, the front end (raw millivolts) and positions are cheap, and are where digits count.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmelt.errors import ConfigError
from cmelt.model.towers import Towers

#: What a tower's products are computed in.
Precision = Literal["float32", "bfloat16", "int8"]


class BFloat16Linear(nn.Module):
    """A linear map of bfloat16 numbers, summed in single precision; its result is bfloat16."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, whole: nn.Linear) -> None:
        super().__init__()
        self.register_buffer("weight", whole.weight.detach().bfloat16())
        self.register_buffer("bias", None if whole.bias is None else whole.bias.detach().bfloat16())

    def forward(self, states: Tensor) -> Tensor:
        """[..., in] → [..., out]."""
        return F.linear(states.bfloat16(), self.weight, self.bias)


class Int8Linear(nn.Module):
    """A linear map of whole numbers from −127 to 127: a fixed scale for each output, and one for each token when it comes.

    Source: Dettmers et al., "LLM.int8()" (arXiv 2208.07339), vector-wise quantisation, without its outliers' own product.
    """

    weight: Tensor
    scale: Tensor
    bias: Tensor

    def __init__(self, whole: nn.Linear) -> None:
        super().__init__()
        steps, scale = _steps(whole.weight.detach())
        self.register_buffer("weight", steps.t().contiguous())  # [in, out]
        self.register_buffer("scale", scale[:, 0])
        self.register_buffer("bias", torch.zeros_like(scale[:, 0]) if whole.bias is None else whole.bias.detach())

    def forward(self, states: Tensor) -> Tensor:
        """[..., in] → [..., out]."""
        steps, scale = _steps(states.reshape(-1, states.shape[-1]))
        product = torch._int_mm(steps, self.weight) * scale
        return torch.addcmul(self.bias, product, self.scale).view(*states.shape[:-1], -1)


_KINDS: dict[Precision, type[BFloat16Linear] | type[Int8Linear]] = {"bfloat16": BFloat16Linear, "int8": Int8Linear}


def reduce_precision(towers: Towers, precision: Precision) -> None:
    """Put another kind of linear map into the ECG encoder's transformer layers, in place; embeddings only, no training.

    Raises ConfigError for a precision that is none of ours, and for int8 anywhere but on a CPU.
    """
    if precision == "float32":
        return
    if precision not in _KINDS:
        raise ConfigError("precision", f"{precision!r} is none", "choose float32, bfloat16, int8 or auto")
    if precision == "int8" and towers.ecg_encoder.class_token.device.type != "cpu":
        raise ConfigError("precision", "int8 is for CPUs", "choose bfloat16 on this device")
    for module in list(towers.ecg_encoder.layers.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Linear):
                setattr(module, name, _KINDS[precision](child).eval())


def native_precision(device: torch.device) -> Precision:
    """bfloat16 where the device multiplies such numbers itself, which it does at twice the rate or more; float32 elsewhere."""
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    known = torch.cpu.get_capabilities() if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities") else {}
    return "bfloat16" if known.get("avx512_bf16") or known.get("amx_bf16") else "float32"


def _steps(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows [n, k] → whole numbers [n, k] int8 and what one of them is worth [n, 1]."""
    scale = rows.abs().amax(1, keepdim=True).clamp_(min=torch.finfo(rows.dtype).tiny) / 127
    return (rows / scale).round_().to(torch.int8), scale
