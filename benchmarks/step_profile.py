"""Where a step's time goes: by part of the model (forward and backward), and by kind of kernel."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn
    from torch.autograd.profiler_util import FunctionEvent

PREFIX = "part: "
REST, UPDATE = "all else", "optimiser, clipping"
#: Kind → what a kernel's or an operator's name of that kind contains; the first that fits counts.
KINDS = {
    "attention": "flash|fmha|attention|sdpa",
    "convolution": "conv",
    "matrix products": "gemm|nvjet|cutlass|xmma|cublas|::mm$|addmm|bmm|linear",
    "optimiser": "adam|multi_tensor|foreach",
    "copies": "memcpy|memset|copy_",
    "fused elementwise": "triton|graph_",
}  # fmt: skip


@contextmanager
def parts_named(model: nn.Module, parts: Mapping[str, Iterable[str]]) -> Iterator[None]:
    """Inside, the profiler's record carries the name of the part that each forward operator belongs to."""
    from torch import nn
    from torch.profiler import record_function

    hooks = []
    for part, names in parts.items():
        for name in names:
            module = model.get_submodule(name)
            for called in module if isinstance(module, nn.ModuleList) else (module,):
                opened: list[Any] = []

                def enter(*_: object, part: str = part, opened: list[Any] = opened) -> None:
                    opened.append(record_function(PREFIX + part))
                    opened[-1].__enter__()

                def leave(*_: object, opened: list[Any] = opened) -> None:
                    opened.pop().__exit__(None, None, None)

                hooks += [called.register_forward_pre_hook(enter), called.register_forward_hook(leave)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def profiled(work: Callable[[], object]) -> list[FunctionEvent]:
    """The events of one call, warmed up before."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    work()
    gpu = [ProfilerActivity.CUDA] if torch.cuda.is_available() else []
    with profile(activities=[ProfilerActivity.CPU, *gpu]) as recorded:
        work()
    return list(recorded.events())


def seconds_by_part(events: Iterable[FunctionEvent]) -> dict[str, float]:
    """Seconds of the device by part, forward and backward together.

    A backward operator belongs to the part whose forward operator has its sequence number, which autograd gives to both.
    """
    launched = [event for event in events if _on_cpu(event)]
    part_of_number: dict[int, str] = {}
    for event in sorted(launched, key=lambda event: event.time_range.start):
        if event.sequence_nr >= 0 and not _is_backward(event):
            part_of_number[event.sequence_nr] = _open_part(event) or REST
    found: defaultdict[str, float] = defaultdict(float)
    for event in launched:
        found[_part_of(event, part_of_number)] += _own_seconds(event)
    return dict(found)


def seconds_by_kind(events: Iterable[FunctionEvent]) -> dict[str, float]:
    """Seconds of the device by kind of kernel; on a CPU by kind of operator."""
    events = list(events)
    kernels = [event for event in events if not _on_cpu(event) and not event.name.startswith(PREFIX)]
    found: defaultdict[str, float] = defaultdict(float)
    for event in kernels or events:
        seconds = event.time_range.elapsed_us() / 1e6 if kernels else event.self_cpu_time_total / 1e6
        found[kind_of(event.name)] += seconds
    return dict(found)


def kind_of(name: str) -> str:
    """The kind of a kernel or operator by its name."""
    return next((kind for kind, pattern in KINDS.items() if re.search(pattern, name, re.IGNORECASE)), "other")


def _on_cpu(event: FunctionEvent) -> bool:
    from torch.autograd import DeviceType

    return event.device_type == DeviceType.CPU


def _own_seconds(event: FunctionEvent) -> float:
    """On the device, for what this event itself started; without a GPU the processor's own."""
    import torch

    return (event.self_device_time_total if torch.cuda.is_available() else event.self_cpu_time_total) / 1e6


def _is_backward(event: FunctionEvent) -> bool:
    return any("autograd::engine" in above.name or above.name.endswith("Backward0") for above in _with_parents(event))


def _open_part(event: FunctionEvent) -> str | None:
    names = (above.name for above in _with_parents(event))
    return next((name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX)), None)


def _part_of(event: FunctionEvent, part_of_number: Mapping[int, str]) -> str:
    if (part := _open_part(event)) is not None:
        return part
    for above in _with_parents(event):
        if "Optimizer.step" in above.name or "clip_grad" in above.name:
            return UPDATE
        if above.sequence_nr >= 0 and _is_backward(above):
            return part_of_number.get(above.sequence_nr, REST)
    return REST


def _with_parents(event: FunctionEvent) -> Iterator[FunctionEvent]:
    above: FunctionEvent | None = event
    while above is not None:
        yield above
        above = above.cpu_parent
