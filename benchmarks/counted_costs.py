"""What a real model computes in a training step, counted operator by operator with PyTorch's own formulas, part by part."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import conv_flop_count, flop_registry

#: Part → the model's modules that it is made of.
PARTS: Mapping[str, Sequence[str]] = {
    "front end": ("ecg_encoder.front_end",),
    "positional convolution": ("ecg_encoder.positions",),
    "ECG transformer": ("ecg_encoder.layers",),
    "T5": ("text_encoder",),
    "projections": ("ecg_encoder.project", "ecg_projection", "text_projection", "ecg_pooler", "text_pooler"),
    "fusion": ("fusion", "match_head"),
    "MEM decoder": ("ecg_decoder",),
    "MLM head": ("word_head",),
}
OUTSIDE = "outside"


@dataclass
class Counted:
    """Of one part, forward and backward: operations, values that matrix products touch, values that all operators touch."""

    operations: dict[bool, int] = field(default_factory=lambda: {False: 0, True: 0})
    product_values: dict[bool, int] = field(default_factory=lambda: {False: 0, True: 0})
    all_values: dict[bool, int] = field(default_factory=lambda: {False: 0, True: 0})


class PartCounter(TorchDispatchMode):
    """Counts what runs inside it, by part, forward (False) and backward (True) apart.

    A backward operator belongs to the part whose forward pass made its node: autograd numbers nodes in the order of the forward
    pass, and the numbers that a part has made are noted as it is entered and left.
    """

    def __init__(self, model: nn.Module, parts: Mapping[str, Sequence[str]] = PARTS) -> None:
        super().__init__()
        self.counted: defaultdict[str, Counted] = defaultdict(Counted)
        self._open: list[str] = []
        self._made: list[tuple[int, str]] = [(0, OUTSIDE)]
        self._hooks = [hook for part, names in parts.items() for name in names for hook in self._watch(model, name, part)]

    def __exit__(self, *fault: Any) -> None:
        super().__exit__(*fault)
        for hook in self._hooks:
            hook.remove()

    def _watch(self, model: nn.Module, name: str, part: str) -> Iterator[Any]:
        module = model.get_submodule(name)
        # A list of layers is not called itself.
        for called in module if isinstance(module, nn.ModuleList) else (module,):
            yield called.register_forward_pre_hook(lambda *_: self._enter(part))
            yield called.register_forward_hook(lambda *_: self._leave())

    def _enter(self, part: str) -> None:
        self._open.append(part)
        self._made.append((torch.autograd._get_sequence_nr(), part))

    def _leave(self) -> None:
        self._open.pop()
        self._made.append((torch.autograd._get_sequence_nr(), self._open[-1] if self._open else OUTSIDE))

    def _where(self) -> tuple[str, bool]:
        node = torch._C._current_autograd_node()
        if node is None:
            return (self._open[-1] if self._open else OUTSIDE), False
        number = node._sequence_nr()
        # The last part that was entered at or before this number; gradients' accumulation has a number beyond all.
        return next(part for start, part in reversed(self._made) if start <= number), True

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        result = function(*arguments, **(keywords or {}))
        part, backward = self._where()
        counted = self.counted[part]
        touched = sum(leaf.numel() for leaf in tree_leaves((arguments, keywords, result)) if isinstance(leaf, Tensor))
        if not _is_view(function):
            counted.all_values[backward] += touched
        operations = _operations(function, arguments, keywords or {}, result)
        if operations:
            counted.operations[backward] += operations
            counted.product_values[backward] += touched
        return result


def _is_view(function: Any) -> bool:
    return any(found.alias_info is not None and not found.alias_info.is_write for found in function._schema.returns)


def _operations(function: Any, arguments: Any, keywords: Any, result: Any) -> int:
    packet = function._overloadpacket
    if packet is torch.ops.aten.convolution_backward:
        return _convolution_backward(arguments)
    if packet in flop_registry:
        return int(flop_registry[packet](*arguments, **keywords, out_val=result))
    if "attention" in str(packet) or "linear" in str(packet):
        raise NotImplementedError(f"{packet} multiplies matrices, and nothing here says how many operations that takes")
    return 0


def _convolution_backward(arguments: Any) -> int:
    """As many for each gradient that is asked as the convolution itself took. PyTorch's formula forgets the groups."""
    gradient, values, weight, transposed, wanted = arguments[0], arguments[1], arguments[2], arguments[7], arguments[10]
    forward = conv_flop_count(list(values.shape), list(weight.shape), list(gradient.shape), transposed)
    return int(forward * (int(wanted[0]) + int(wanted[1])))


@contextmanager
def plain_graph() -> Iterator[None]:
    """The model as a captured graph has it: no kernel of one device alone, and nothing computed twice to save memory."""
    with mock.patch.object(torch.compiler, "is_compiling", return_value=True), sdpa_kernel(SDPBackend.MATH):
        yield


def count_step(recipe: Any, size: int, text_tokens: int) -> dict[str, Counted]:
    """Count a training step of the recipe's model on `size` made-up pairs, in bfloat16 on the CPU."""
    from cmelt.model.cmelt import CMeltModel
    from cmelt.model.configuration import CMeltConfig
    from cmelt.objectives.total import total_loss
    from synthetic_pairs import synthetic_batch

    # Weights are all the same: what is counted does not depend on them, and drawing 321 million takes seconds.
    with torch.device("meta"):
        model = CMeltModel(CMeltConfig.of(recipe.model, recipe.objectives)).to(torch.bfloat16)
    model = model.to_empty(device="cpu").train()
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.fill_(0.01)
    batch = synthetic_batch(recipe, size, text_tokens)
    views, truth = batch.views(recipe.model.ecg.samples_per_token)
    views = views._replace(ecg=views.ecg.to(torch.bfloat16))
    with plain_graph(), PartCounter(model) as counter:
        total_loss(model(views, frozenset(recipe.objectives.weights)), truth, recipe.objectives).total.backward()
    return dict(counter.counted)
