"""The formulas of what is sent, against the bytes that the operating system saw leave the process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed
from torch import nn

from cmelt.config import load_recipe
from cmelt.model.across_ranks import gather
from cmelt.objectives.ets import ets_loss
from cmelt.objectives.ets_ring import Groups, ets_loss_by_ring
from cmelt.objectives.pairs import pairs
from cmelt.training import communication
from cmelt.training.communication import contrast_bytes, ddp_bytes, fsdp_bytes, sent_in_a_step
from processes import together

WRITTEN = Path("/proc/self/io")
BATCH, WIDTH, LAYER = 128, 256, 256


def bytes_written() -> int:
    """What this process has written so far, to sockets too."""
    (line,) = (line for line in WRITTEN.read_text().splitlines() if line.startswith("wchar"))
    return int(line.split()[1])


def sent_by(work: Callable[[], object]) -> int:
    """Bytes that `work` sends the second time: the first makes the connections."""
    work()
    torch.distributed.barrier()
    before = bytes_written()
    work()
    after = bytes_written()
    torch.distributed.barrier()
    return after - before


def count(rank: int, world: int, port: int, out: str) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
    ecg, text = (torch.randn(BATCH, WIDTH, requires_grad=True) for _ in range(2))
    one, none, group = torch.ones(()), torch.zeros(()), torch.arange(BATCH) + BATCH * rank
    groups = Groups(group, group, "ignore")
    layers = nn.Sequential(*(nn.Linear(LAYER, LAYER, bias=False) for _ in range(3)))
    together_trained = nn.parallel.DistributedDataParallel(layers)
    found = {
        "ring": sent_by(lambda: ets_loss_by_ring(ecg, text, groups, one, none, False).backward()),
        "gather": sent_by(lambda: ets_loss(ecg, gather(text), pairs(group, group, "ignore"), one, none).backward()),
        "ddp": sent_by(lambda: together_trained(torch.ones(2, LAYER)).sum().backward()),
        "fsdp": sent_by(divided()),
    }
    if rank == 0:
        Path(out).write_text(json.dumps(found))
    torch.distributed.destroy_process_group()


def divided() -> Callable[[], object]:
    """A step of three layers that the processes divide among them as they do the model's."""
    from torch.distributed.device_mesh import init_device_mesh

    from cmelt.training.sharding import shard

    class Layer(nn.Linear):
        pass

    class Model(nn.Sequential):
        _no_split_modules = ("Layer",)

    model = shard(
        Model(*(Layer(LAYER, LAYER, bias=False) for _ in range(3))),
        init_device_mesh("cpu", (torch.distributed.get_world_size(),)),
    )
    return lambda: model(torch.ones(2, LAYER)).sum().backward()


@pytest.mark.skipif(not WRITTEN.exists(), reason="this system does not say how much a process has written")
@pytest.mark.parametrize("world", [2, 4])
def test_the_formulas_say_what_is_sent(world, tmp_path):
    together(count, world, str(tmp_path / "sent.json"))
    sent = json.loads((tmp_path / "sent.json").read_text())
    weights = 3 * LAYER * LAYER
    # Reports' embeddings there and back; numbers of reports are 8 bytes a row besides.
    embeddings = 2 * (world - 1) * BATCH * WIDTH * 4
    assert sent["ring"] == pytest.approx(embeddings, rel=0.02)
    assert sent["gather"] == pytest.approx(embeddings, rel=0.02)
    assert sent["ddp"] == pytest.approx(ddp_bytes(weights, world), rel=0.02)
    # Gloo sums for everyone where only shares are wanted: the formula's last third twice.
    assert sent["fsdp"] == pytest.approx(fsdp_bytes(weights, weights, world) * 4 / 3, rel=0.02)


def test_a_step_s_volume_is_made_of_its_parts(monkeypatch):
    model = nn.Linear(10, 10)
    model.bias.requires_grad_(False)
    paper = load_recipe("paper", ["model.text.weights=null"])
    told = sent_in_a_step(paper, model, 8)
    assert told.weights == 2 * 7 / 8 * 4 * 100
    assert told.contrast == 2 * 7 * 128 * 768 * 4  # the reports alone are shown to others
    divided_model = load_recipe("paper", ["model.text.weights=null", "training.strategy=fsdp"])
    assert sent_in_a_step(divided_model, model, 8).weights == 7 / 8 * 4 * (2 * 110 + 100)
    small = load_recipe("small", ["training.accumulate=3"])
    of_each = 2 * 64 + 24  # both sides of info_nce, and a quarter of 96 phrases
    assert sent_in_a_step(small, model, 4).contrast == 3 * 2 * 3 * of_each * 256 * 4
    assert told.total == told.weights + told.contrast


@pytest.mark.parametrize("name", ["paper", "small", "simclr"])
def test_one_process_sends_nothing(name):
    recipe = load_recipe(name)
    assert contrast_bytes(recipe, 1) == ddp_bytes(10, 1) == fsdp_bytes(10, 10, 1) == 0
    assert communication.SINGLE == 4
