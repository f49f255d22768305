"""SLURM, by a stand-in for srun: who starts, who leads, what happens at the notice before the time is up."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cmelt.checkpoints.training_state import checkpoints
from cmelt.config.settings import TrainingSettings
from cmelt.errors import TrainingError
from cmelt.training import engine
from processes import free_port, started_by_torchrun
from tiny_runs import Notes, apart, losses_of, tiny_recipe, tiny_recipe_file, weights_of

SOURCE = Path(__file__).resolve().parents[2] / "src"

#: What srun does, for tasks on this machine alone: so many copies of the command, each told its place; signals are passed on.
SRUN = """#!/bin/bash
export SLURM_STEP_NUM_TASKS=$SLURM_NTASKS
for ((n = 0; n < SLURM_NTASKS; n++)); do
    each=$((SLURM_NTASKS / SLURM_NNODES))
    SLURM_PROCID=$n SLURM_LOCALID=$((n % each)) SLURM_NODEID=$((n / each)) "$@" &
    tasks+=($!)
done
trap 'kill -USR1 "${tasks[@]}"' USR1
code=0
for task in "${tasks[@]}"; do
    wait "$task"; left=$?
    while kill -0 "$task" 2> /dev/null; do wait "$task"; left=$?; done  # a signal ended the waiting, not the task
    ((left > code)) && code=$left
done
exit $code
"""


def job(tasks: int = 2, nodes: int = 1) -> dict[str, str]:
    """What SLURM tells a job of so many tasks on so many machines, which are all this one."""
    while True:  # Fabric listens at 15000 and the job number's last four digits
        number = 1_230_000 + random.randrange(10_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", 15_000 + number % 10_000))
            except OSError:
                continue
        break
    return {
        "SLURM_JOB_ID": str(number), "SLURM_JOB_NAME": "cmelt", "SLURM_NTASKS": str(tasks), "SLURM_NNODES": str(nodes),
        "SLURM_NTASKS_PER_NODE": str(tasks // nodes), "SLURM_NODELIST": "localhost", "SLURM_JOB_NODELIST": "localhost",
    }  # fmt: skip


def task(job: dict[str, str], number: int) -> dict[str, str]:
    """The same, and what srun adds for one of its tasks."""
    each = int(job["SLURM_NTASKS_PER_NODE"])
    place = {"SLURM_PROCID": number, "SLURM_LOCALID": number % each, "SLURM_NODEID": number // each}
    return {**job, "SLURM_STEP_NUM_TASKS": job["SLURM_NTASKS"], **{name: str(value) for name, value in place.items()}}


def trained(store: str, folder: str, notice_at: int | None) -> None:
    """One task: train, and get SLURM's notice after a step; who leads, and how many there are, is noted beside the run."""
    import torch

    import cmelt.training.loop as loop
    from cmelt.store import open_store

    take = loop.train_step

    def noticed(run: loop.Run, step: int):
        fabric = run.fabric
        said = f"{fabric.world_size} {fabric.global_rank} {fabric.node_rank} {fabric.local_rank} {os.environ['MASTER_ADDR']}"
        Path(f"{folder}-{fabric.global_rank}").write_text(said)
        if step == notice_at:
            os.kill(os.getpid(), signal.SIGUSR1)
        return take(run, step)

    loop.train_step = noticed
    code = loop.pretrain(tiny_recipe(), open_store(store), Path(folder), Notes())
    torch.distributed.destroy_process_group()
    raise SystemExit(code)


def by_srun(store: Path, run: Path, nodes: int = 1, notice_at: int | None = None) -> list[int]:
    """Two tasks on so many machines; their exit codes."""
    told = job(2, nodes)
    processes = [apart(trained, str(store), str(run), notice_at, environment=task(told, number)) for number in (0, 1)]
    for process in processes:
        process.join(240)
    return [process.exitcode for process in processes]


def by_torchrun(store: Path, run: Path) -> None:
    port = free_port()
    processes = [apart(trained, str(store), str(run), None, environment=started_by_torchrun(n, 2, port)) for n in (0, 1)]
    for process in processes:
        process.join(240)
    assert [process.exitcode for process in processes] == [0, 0]


def test_tasks_of_srun_are_one_run_and_go_on_after_the_notice(tiny_store, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    by_torchrun(tiny_store, whole)
    assert by_srun(tiny_store, cut, notice_at=2) == [138, 138]
    assert [path.name for path in checkpoints(cut / "checkpoints")] == ["step-00000003"]
    assert [Path(f"{cut}-{n}").read_text() for n in (0, 1)] == ["2 0 0 0 localhost", "2 1 0 1 localhost"]
    # Requeued, on two machines now: the same command.
    assert by_srun(tiny_store, cut, nodes=2) == [0, 0]
    assert [Path(f"{cut}-{n}").read_text() for n in (0, 1)] == ["2 0 0 0 localhost", "2 1 1 0 localhost"]
    assert losses_of(cut) == losses_of(whole)
    assert weights_of(cut) == weights_of(whole)


@pytest.mark.parametrize(
    ("told", "started"),
    [
        ({}, (0, 0)),
        ({"LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "8"}, (4, 2)),
        ({"SLURM_NTASKS": "16", "SLURM_NNODES": "2", "SLURM_NTASKS_PER_NODE": "8", "SLURM_STEP_NUM_TASKS": "16"}, (8, 2)),
        ({"SLURM_NTASKS": "1"}, (1, 1)),
        ({"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "interactive"}, (0, 0)),
        # torchrun inside a job: it is what started the processes.
        ({"SLURM_NTASKS": "2", "SLURM_NNODES": "2", "LOCAL_WORLD_SIZE": "8", "WORLD_SIZE": "16"}, (8, 2)),
    ],
)
def test_how_many_were_started_is_read_from_the_environment(told, started, monkeypatch):
    for name in [name for name in os.environ if name.startswith("SLURM_") or name.endswith("WORLD_SIZE")]:
        monkeypatch.delenv(name)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert engine._processes_started() == started


def test_a_job_s_command_without_srun_does_not_wait_for_ever(monkeypatch):
    for name, value in job(8).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainingError, match="put srun in front"):
        engine.launch(TrainingSettings(steps=1))


def test_asking_for_other_than_what_was_started_is_an_error_of_ours(monkeypatch):
    for name, value in task(job(2), 0).items():
        monkeypatch.setenv(name, value)
    for asked in ({"devices": 3}, {"nodes": 2}):
        with pytest.raises(TrainingError, match=r"(3 asked for, 2|2 asked for, 1) were started \(leave it out"):
            engine.launch(TrainingSettings(steps=1), **asked)
    monkeypatch.delenv("SLURM_NTASKS_PER_NODE")
    with pytest.raises(TrainingError, match="give --ntasks-per-node"):
        engine.launch(TrainingSettings(steps=1))


@pytest.mark.slow
@pytest.mark.parametrize("starter", ["srun", "torchrun"])
def test_the_command_itself_stops_when_told_and_goes_on(starter, tiny_store, tmp_path):
    """SLURM's notice goes to srun's tasks, a machine's shutdown to torchrun: both let the step end, and save."""
    srun = tmp_path / "srun"
    srun.write_text(SRUN)
    srun.chmod(0o755)
    run, recipe = tmp_path / "run", tiny_recipe_file(tmp_path, "training.steps=60", "training.checkpoint_every=1000")
    command = [
        sys.executable,
        "-m",
        "cmelt.cli",
        "pretrain",
        "--recipe",
        str(recipe),
        "--data",
        str(tiny_store),
        "--out",
        str(run),
    ]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    if starter == "srun":
        command, environment = [str(srun), *command], environment | job(2)
    else:
        command[1:2] = ["-m", "torch.distributed.run", "--nproc-per-node", "2", f"--master-port={free_port()}", "-m"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    while not (run / "metrics.jsonl").exists() or len(losses_of(run)) < 3:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.2)
    process.send_signal(signal.SIGUSR1 if starter == "srun" else signal.SIGTERM)
    said = process.communicate(timeout=300)[1]
    assert "the state is saved, the same command goes on from here" in said, said
    assert process.returncode == 138 if starter == "srun" else process.returncode != 0
    (saved,) = checkpoints(run / "checkpoints")
    if starter == "srun":
        environment |= job(2)
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert ended.returncode == 0, ended.stderr
    assert f"going on after step {int(saved.name.removeprefix('step-'))}" in ended.stderr
    assert [line["step"] for line in losses_of(run)] == list(range(1, 61))
