"""Devices and processes: the one place that knows Lightning Fabric."""

from __future__ import annotations

import os

import torch
from lightning_fabric import Fabric

from cmelt.config.settings import TrainingSettings
from cmelt.errors import TrainingError


def launch(settings: TrainingSettings, devices: int | None = None, nodes: int = 1) -> Fabric:
    """A running Fabric on the GPUs there are, or on the CPU; several processes with DDP.

    Under `torchrun` or SLURM the processes exist already and are joined. `devices` None means every GPU, or one CPU process.
    Raises TrainingError where more GPUs are asked for than there are, or bf16 where the device has none.
    """
    on_gpu = torch.cuda.is_available()
    count = devices or _processes_started() or (torch.cuda.device_count() if on_gpu else 1)
    if on_gpu and nodes == 1 and count > torch.cuda.device_count():
        raise TrainingError("--devices", f"{count} asked for, {torch.cuda.device_count()} GPUs here", "ask for fewer")
    fabric = Fabric(
        accelerator="cuda" if on_gpu else "cpu",
        devices=count,
        num_nodes=nodes,
        strategy="ddp" if count * nodes > 1 else "auto",
        precision=_precision(settings, on_gpu),
    )
    fabric.launch()
    return fabric


def _processes_started() -> int:
    """Processes that torchrun started on this machine; 0 without it."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "0"))


def _precision(settings: TrainingSettings, on_gpu: bool) -> str:
    bf16 = on_gpu and torch.cuda.is_bf16_supported()
    if settings.precision == "auto":
        return "bf16-mixed" if bf16 else "32-true"
    if settings.precision == "bf16-mixed" and on_gpu and not bf16:
        raise TrainingError("training.precision", "this GPU has no bf16", "set it to 32-true, or auto")
    return settings.precision
