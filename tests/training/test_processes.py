"""Two processes with DDP: the same weights in both, the same run again, and a kill in between."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tiny_runs import Notes, apart, losses_of, tiny_recipe, tiny_recipe_file, weights_of

SOURCE = Path(__file__).resolve().parents[2] / "src"


def rank(store: str, folder: str, kill_at: int | None) -> None:
    """One of the two; its final weights' hash goes beside the run."""
    import hashlib

    import torch

    import cmelt.training.loop as loop
    from cmelt.store import open_store

    number = os.environ["RANK"]
    if kill_at is not None:
        take = loop.train_step

        def dying(run: loop.Run, step: int):
            if step == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return take(run, step)

        loop.train_step = dying
    save = loop._save

    def save_and_note(run: loop.Run, step: int) -> None:
        save(run, step)
        digest = hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in run.model.parameters()))
        Path(f"{folder}-rank{number}").write_text(digest.hexdigest())

    loop._save = save_and_note
    code = loop.pretrain(tiny_recipe(), open_store(store), Path(folder), Notes(), devices=2)
    torch.distributed.destroy_process_group()
    raise SystemExit(code)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def two(store: Path, run: Path, kill_at: int | None = None) -> list[int]:
    """Both processes, as torchrun would start them; their exit codes."""
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "TORCHELASTIC_RUN_ID": "test", "WORLD_SIZE": "2",
             "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "0"}  # fmt: skip
    processes = [
        apart(rank, str(store), str(run), kill_at, environment={**place, "RANK": str(n), "LOCAL_RANK": str(n)}) for n in (0, 1)
    ]
    for process in processes:
        process.join(240)
    return [process.exitcode for process in processes]


def agreed(run: Path) -> bool:
    first, second = (Path(f"{run}-rank{n}").read_text() for n in (0, 1))
    return first == second


def test_two_processes_hold_the_same_weights_and_go_on_after_a_kill(tiny_store, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert two(tiny_store, whole) == [0, 0]
    assert agreed(whole)
    assert two(tiny_store, cut, kill_at=4) == [-signal.SIGKILL] * 2
    assert two(tiny_store, cut) == [0, 0]
    assert agreed(cut)
    assert losses_of(cut) == losses_of(whole)
    assert weights_of(cut) == weights_of(whole)


@pytest.mark.slow
@pytest.mark.parametrize("starter", ["--devices", "torchrun"])
def test_the_command_starts_them_or_joins_torchrun_s(starter, tiny_store, tmp_path):
    recipe = tiny_recipe_file(tmp_path)
    arguments = ["pretrain", "--recipe", str(recipe), "--data", str(tiny_store), "--out", str(tmp_path / "run")]
    if starter == "torchrun":
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", f"--master-port={free_port()}",
                   "-m", "cmelt.cli", *arguments]  # fmt: skip
    else:
        command = [sys.executable, "-m", "cmelt.cli", *arguments, "--devices", "2"]
    env = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    ended = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=600)
    assert ended.returncode == 0, ended.stderr
    assert two(tiny_store, tmp_path / "again") == [0, 0]
    assert losses_of(tmp_path / "run") == losses_of(tmp_path / "again")
    assert weights_of(tmp_path / "run") == weights_of(tmp_path / "again")
    assert "on 2 × cpu" in ended.stderr
