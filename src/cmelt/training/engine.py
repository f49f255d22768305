"""Devices and processes: the one place that knows Lightning Fabric."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import ParallelStrategy

from cmelt.config.settings import TrainingSettings
from cmelt.errors import TrainingError
from cmelt.training.sharding import refuse_unless_shardable, shard

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh


def launch(settings: TrainingSettings, devices: int | None = None, nodes: int | None = None) -> Fabric:
    """A running Fabric on the GPUs there are, or on the CPU; several processes with DDP or FSDP.

    Under `torchrun` or SLURM the processes exist already and are joined, and `devices` (a machine) and `nodes` are theirs unless
    given. Otherwise `devices` None means every GPU, or one CPU process.
    Raises TrainingError where more GPUs are asked for than there are, or bf16 where the device has none, and where the processes
    that were started are not as many as are asked for.
    """
    on_gpu = torch.cuda.is_available()
    started_devices, started_nodes = _processes_started()
    count = devices or started_devices or (torch.cuda.device_count() if on_gpu else 1)
    machines = nodes or started_nodes or 1
    if on_gpu and count > torch.cuda.device_count():
        raise TrainingError(
            "--devices",
            f"{count} processes on this machine, {torch.cuda.device_count()} GPUs visible here",
            "ask for fewer; under SLURM leave --gpus-per-task and --gpu-bind out, every task must see all of its machine's GPUs",
        )
    for option, asked, started in (("--devices", devices, started_devices), ("--nodes", nodes, started_nodes)):
        if asked and started and asked != started:
            raise TrainingError(option, f"{asked} asked for, {started} were started", "leave it out, or start as many")
    fabric = Fabric(
        accelerator="cuda" if on_gpu else "cpu",
        devices=count,
        num_nodes=machines,
        strategy=_strategy(settings, count * machines),
        precision=_precision(settings, on_gpu),
    )
    fabric.launch()
    return fabric


def set_up(fabric: Fabric, model: torch.nn.Module, settings: TrainingSettings) -> Any:
    """The model as its processes train it together; its own weights are on the device then, or are this process's shares.

    Build the optimiser afterwards: FSDP puts shares in the weights' place. Raises TrainingError for what FSDP does not support.
    """
    if settings.strategy == "fsdp" and fabric.world_size > 1:
        refuse_unless_shardable(settings)
    return fabric.setup_module(torch.compile(model) if settings.compile else model)


def processes_here(fabric: Fabric) -> int:
    """How many of the run's processes share this machine."""
    strategy = fabric.strategy
    return len(strategy.parallel_devices or ()) or 1 if isinstance(strategy, ParallelStrategy) else 1


def _strategy(settings: TrainingSettings, processes: int) -> Any:
    if processes == 1:
        return "auto"  # nothing to share
    if settings.strategy != "fsdp":
        return "ddp"
    # Fabric's own FSDP strategy is the older one, and wants GPUs.
    from lightning_fabric.strategies import ModelParallelStrategy

    def over(model: torch.nn.Module, mesh: DeviceMesh) -> torch.nn.Module:
        return shard(model, mesh["data_parallel"])

    return ModelParallelStrategy(over, data_parallel_size=processes, tensor_parallel_size=1)


def _processes_started() -> tuple[int, int]:
    """Processes on each machine, and machines, that torchrun or srun started; (0, 0) without them."""
    said = os.environ
    if "LOCAL_WORLD_SIZE" in said:
        each = int(said["LOCAL_WORLD_SIZE"])
        return each, int(said.get("WORLD_SIZE", each)) // each
    # An interactive job has SLURM's variables too, but its shell starts one process itself: Fabric ignores SLURM then.
    if "SLURM_NTASKS" not in said or said.get("SLURM_JOB_NAME") in ("bash", "interactive"):
        return 0, 0
    tasks, machines = int(said["SLURM_NTASKS"]), int(said.get("SLURM_NNODES", "1"))
    if tasks > 1 and "SLURM_STEP_NUM_TASKS" not in said:  # which srun sets, and sbatch does not
        fault = f"the job has {tasks} tasks, but srun has not started them: this one process would wait for the others for ever"
        raise TrainingError("SLURM", fault, "put srun in front of the command")
    if tasks > 1 and "SLURM_NTASKS_PER_NODE" not in said:
        raise TrainingError("SLURM", f"{tasks} tasks may lie on the machines in any number", "give --ntasks-per-node")
    return tasks // machines, machines


def _precision(settings: TrainingSettings, on_gpu: bool) -> str:
    bf16 = on_gpu and torch.cuda.is_bf16_supported()
    if settings.precision == "auto":
        return "bf16-mixed" if bf16 else "32-true"
    if settings.precision == "bf16-mixed" and on_gpu and not bf16:
        raise TrainingError("training.precision", "this GPU has no bf16", "set it to 32-true, or auto")
    return settings.precision
