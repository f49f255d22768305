"""Two processes, by DDP and by FSDP: the same weights in both, the same run again, a kill in between, a change of strategy."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from cmelt.batches.corpus import corpus_of
from cmelt.errors import TrainingError
from cmelt.store import open_store
from cmelt.training.loop import pretrain
from cmelt.training.setup import open_run
from processes import free_port, started_by_torchrun
from tiny_runs import Notes, apart, losses_of, tiny_recipe, tiny_recipe_file, weights_of

SOURCE = Path(__file__).resolve().parents[2] / "src"


def rank(store: str, folder: str, kill_at: int | None, assignments: tuple[str, ...] = ()) -> None:
    """One of the two; its final weights' hash goes beside the run, or why it ended. `kill_at`: the second, before that step."""
    import hashlib

    import torch

    import cmelt.training.loop as loop
    from cmelt.checkpoints.divided import whole_tensors
    from cmelt.checkpoints.model_folder import distinct_tensors
    from cmelt.store import open_store

    number = os.environ["RANK"]
    if kill_at is not None and number == "1":
        take = loop.train_step

        def dying(run: loop.Run, step: int):
            if step == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return take(run, step)

        loop.train_step = dying
    save = loop._save

    def save_and_note(run: loop.Run, step: int) -> None:
        save(run, step)
        whole = whole_tensors(distinct_tensors(run.model))
        digest = hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in whole.values()))
        Path(f"{folder}-rank{number}").write_text(digest.hexdigest())

    loop._save = save_and_note
    try:
        code = loop.pretrain(tiny_recipe(*assignments), open_store(store), Path(folder), Notes())
    except TrainingError as error:
        Path(f"{folder}-rank{number}").write_text(f"{error}\n{type(error.__cause__).__name__}")
        raise SystemExit(1) from None
    torch.distributed.destroy_process_group()
    raise SystemExit(code)


def two(store: Path, run: Path, *assignments: str, kill_at: int | None = None) -> list[int]:
    """Both processes, as torchrun would start them; their exit codes."""
    port = free_port()
    processes = [
        apart(rank, str(store), str(run), kill_at, assignments, environment=started_by_torchrun(n, 2, port)) for n in (0, 1)
    ]
    for process in processes:
        process.join(240)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()  # one that waits for ever has the code None
    return codes


def agreed(run: Path) -> bool:
    first, second = (Path(f"{run}-rank{n}").read_text() for n in (0, 1))
    return first == second


def test_two_processes_hold_the_same_weights_and_go_on_after_a_kill(tiny_store, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert two(tiny_store, whole) == [0, 0]
    assert agreed(whole)
    assert two(tiny_store, cut, kill_at=4) == [1, -signal.SIGKILL], "the one that is left ends, too"
    error, cause = Path(f"{cut}-rank0").read_text().split("\n")
    assert error.startswith("rank 0 of 2: rank 1 has gone away") and cause == "RuntimeError"
    assert error.endswith("(start all processes again: the same command goes on from the last checkpoint, step-00000003)")
    assert two(tiny_store, cut) == [0, 0]
    assert agreed(cut)
    assert losses_of(cut) == losses_of(whole)
    assert weights_of(cut) == weights_of(whole)


def test_a_description_of_before_the_number_of_processes_was_said_is_still_that_of_its_run(tiny_store, tmp_path):
    store = open_store(tiny_store)
    corpus = corpus_of(store)
    open_run(tmp_path, tiny_recipe(), store, corpus, "auto", world=2)
    described = tmp_path / "run.json"
    described.write_text(json.dumps({key: value for key, value in json.loads(described.read_text()).items() if key != "world"}))
    open_run(tmp_path, tiny_recipe(), store, corpus, "auto", world=1)
    for changed in ("training.batch=8", "seed=3"):
        with pytest.raises(TrainingError, match="holds a run with another"):
            open_run(tmp_path, tiny_recipe(changed), store, corpus, "auto", world=1)
    described.write_text("[]")
    with pytest.raises(TrainingError, match="is not a run's description"):
        open_run(tmp_path, tiny_recipe(), store, corpus, "auto", world=1)


def near(one: list[dict[str, float]], other: list[dict[str, float]]) -> bool:
    """The same steps with the same losses but for the order in which sums were taken."""
    return [line["step"] for line in one] == [line["step"] for line in other] and all(
        line[key] == pytest.approx(same[key], rel=1e-4) for line, same in zip(one, other, strict=True) for key in line
    )


FSDP, AVERAGED = "training.strategy=fsdp", "training.average=0.9"


@pytest.mark.slow
def test_a_divided_run_leaves_whole_files_and_goes_on_divided_or_not(tiny_store, tmp_path):
    """FSDP: exactly itself after a kill; then the same run but for rounding by DDP, and in one process with twice the batch."""
    whole, cut, plain = tmp_path / "whole", tmp_path / "cut", tmp_path / "plain"
    assert two(tiny_store, whole, FSDP, AVERAGED) == [0, 0]
    assert agreed(whole)
    assert two(tiny_store, cut, FSDP, AVERAGED, kill_at=4) == [1, -signal.SIGKILL]
    assert Path(f"{cut}-rank0").read_text().startswith("rank 0 of 2: rank 1 has gone away")
    for copy in ("by-ddp", "alone"):
        shutil.copytree(cut, tmp_path / copy)
    assert two(tiny_store, cut, FSDP, AVERAGED) == [0, 0]
    assert losses_of(cut) == losses_of(whole)
    assert weights_of(cut) == weights_of(whole)

    assert two(tiny_store, plain, AVERAGED) == [0, 0]
    for name in ("model", "optimiser", "average"):
        one, other = (load_file(run / f"checkpoints/step-00000006/{name}.safetensors") for run in (plain, whole))
        assert {key: (value.shape, value.dtype) for key, value in one.items()} == {
            key: (value.shape, value.dtype) for key, value in other.items()
        }
    assert two(tiny_store, tmp_path / "by-ddp", AVERAGED) == [0, 0]
    assert near(losses_of(whole), losses_of(plain)) and near(losses_of(tmp_path / "by-ddp"), losses_of(plain))

    with pytest.raises(TrainingError, match="another number of pairs a step"):
        pretrain(tiny_recipe(AVERAGED), open_store(tiny_store), tmp_path / "alone", Notes())
    notes = Notes()
    assert pretrain(tiny_recipe(AVERAGED, "training.batch=8"), open_store(tiny_store), tmp_path / "alone", notes) == 0
    assert "going on after step 3" in notes.said
    # The same pairs at the same steps; what is hidden of them is drawn anew.
    alone = losses_of(tmp_path / "alone")
    assert near(alone[:3], losses_of(plain)[:3]) and not near(alone, losses_of(plain))


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
