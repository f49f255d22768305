"""What the backward pass finds: matrix products, which are dear, are kept; what lies between them is computed again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

#: The operators whose results are kept. Norms, activations, dropout and attention weights are not: they take most of the room
#: and little of the time, and dropout draws again what it drew.
_PRODUCTS = frozenset(
    operator
    for operator in (
        torch.ops.aten.addmm.default,
        torch.ops.aten.mm.default,
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default,
        getattr(torch.ops.mkldnn, "_linear_pointwise", None) and torch.ops.mkldnn._linear_pointwise.default,
    )
    if operator is not None
)


def frugally(layer: nn.Module, states: Tensor, *inputs: object, everything: bool = False) -> Tensor:
    """layer(states, *inputs), keeping little of it for the backward pass; the gradients are the same.

    Products alone are kept on a CPU. A GPU in eager mode would wait for the bookkeeping, and a captured graph decides for
    itself: there everything is kept.

    Args:
        everything: nothing is kept but the inputs, the whole layer is computed twice.
    """
    training = layer.training and torch.is_grad_enabled()
    if not training or not (everything or _worth_it(states)):
        result: Tensor = layer(states, *inputs)
        return result
    chosen: dict[str, Any] = {} if everything else {"context_fn": _products_kept}
    with _no_cached_casts():
        result = checkpoint(layer, states, *inputs, use_reentrant=False, **chosen)
    return result


@contextmanager
def _no_cached_casts() -> Iterator[None]:
    """Autocast would cast a layer's weights at its first use in a step alone: computed again, a later use finds no such cast."""
    before = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_cache_enabled(before)


def _worth_it(states: Tensor) -> bool:
    return states.device.type == "cpu" and not torch.compiler.is_compiling()


def _products_kept() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    contexts: tuple[AbstractContextManager[None], AbstractContextManager[None]] = create_selective_checkpoint_contexts(_policy)
    return contexts


def _policy(_: Any, operator: Any, *_arguments: Any, **_named: Any) -> CheckpointPolicy:
    return CheckpointPolicy.MUST_SAVE if operator in _PRODUCTS else CheckpointPolicy.PREFER_RECOMPUTE
