"""Two and four real processes compute the losses and gradients of one process with the whole batch."""

from __future__ import annotations

import socket
from functools import partial
from pathlib import Path
from weakref import WeakSet

import pytest
import torch
import torch.distributed
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from cmelt.model.across_ranks import even_share, gather
from cmelt.model.heads import hidden_of
from cmelt.objectives.ecg_alignment import ecg_alignment_loss
from cmelt.objectives.etm import etm_loss
from cmelt.objectives.ets import ets_loss
from cmelt.objectives.ets_ring import RING_FROM, Groups, ets_loss_by_ring, ets_loss_of_all
from cmelt.objectives.info_nce import info_nce_loss
from cmelt.objectives.mem import mem_loss, mem_target
from cmelt.objectives.mlm import mlm_loss
from cmelt.objectives.pairs import pairs
from cmelt.objectives.phrases import phrases_loss
from tiny_runs import apart

BATCH, WIDTH, PHRASES = 8, 5, 5
# Identical reports within a process and across; those of rows 1 and 5 stand at the same place in two processes.
OWN = torch.tensor([0, 1, 2, 0, 4, 1, 6, 7])
SEEN = torch.tensor([9, 1, 9, 0, 4, 1, 6, 1])  # rows 0, 2 and 7 carry another report: not as many in one process as in another
# Nothing that is averaged over is spread evenly: the first quarter of the batch has no masked piece, the last has most …
_ = -100
WORDS = torch.tensor([[_, _, _], [_, _, _], [_, 3, _], [_, _, _], [0, _, _], [_, _, 1], [2, 4, _], [3, 3, 0]])
# … leads are missing in some records …
MEASURED = torch.tensor([[1, 0], [0, 0], [1, 1], [1, 1], [1, 1], [0, 1], [1, 1], [1, 1]]).bool()
# … three of the records with phrase 0 lie in the first half, nobody has phrase 4, and two records cannot be asked for phrase 0.
HELD = torch.tensor([[1, 0, 0, 0, 0]] * 3 + [[0, 1, 0, 0, 0]] + [[0, 0, 0, 0, 0]] * 3 + [[0, 0, 1, 1, 0]]).bool()
COUNTED = torch.tensor([[1] * 5] * 4 + [[0, 1, 1, 1, 1]] * 2 + [[1] * 5] * 2).bool()
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def paired(ecg: Tensor, text: Tensor, rows: slice, scale: Tensor, bias: Tensor) -> dict[str, Tensor]:
    """Every objective that looks at other rows of the batch."""
    found = {}
    for identical in ("negative", "ignore", "positive"):
        groups = Groups(OWN[rows], SEEN[rows], identical)
        truth, back = pairs(groups.own, groups.seen, identical), pairs(groups.seen, groups.own, identical)
        for balance in (False, True):
            name = f"ets {identical}{' balanced' if balance else ''}"
            found[name] = ets_loss(ecg, gather(text), truth, scale, bias, balance)
            ring = ets_loss_by_ring if torch.distributed.is_initialized() else ets_loss_of_all
            found[f"{name}, by ring"] = ring(ecg, text, groups, scale, bias, balance)
        found[f"info_nce {identical}"] = info_nce_loss(ecg, gather(text), truth, scale)
        found[f"info_nce {identical} back"] = info_nce_loss(text, gather(ecg), back, scale)
    return found | {f"alignment {within}": ecg_alignment_loss(ecg, text, 0.5, within) for within in (False, True)}


def averaged(ecg: Tensor, text: Tensor, rows: slice, weight: Tensor, scale: Tensor, bias: Tensor) -> dict[str, Tensor]:
    """Every objective that is a mean over what the batch holds: pieces, tokens, rows, phrases."""
    words, ecgs = WORDS[rows], drawn(BATCH, 2, 8, seed=3)[rows].to(weight.dtype)
    states = text[:, None] * torch.arange(1, 4)[None, :, None]  # [B, 3, WIDTH]
    predicted = ecg[:, None, :4] * torch.arange(1, 5)[None, :, None]  # [B, 4 tokens, 2 leads × 2 samples]
    kept = torch.arange(BATCH)[rows, None] % 4
    hidden = predicted.gather(1, hidden_of(kept, 4)[..., None].expand(-1, -1, 4))
    world, rank = (1, 0) if rows == slice(BATCH) else (BATCH // len(words), rows.start // len(words))
    share = -(-PHRASES // world)
    own = drawn(PHRASES, WIDTH, seed=4).to(weight.dtype)[torch.arange(rank * share, (rank + 1) * share) % PHRASES] @ weight[1]
    return {
        "mlm": mlm_loss(states[words >= 0], words),
        "mem": mem_loss(hidden, mem_target(ecgs * MEASURED[rows, :, None], 4, 2), kept, MEASURED[rows]),
        "etm": etm_loss(ecg[:, :2], OWN[rows] == SEEN[rows]),
        "phrases": phrases_loss(ecg, gather(own)[:PHRASES], HELD[rows], COUNTED[rows], scale, bias),
    }


def found_by(rows: slice, dtype: torch.dtype) -> dict[str, Tensor]:
    """Losses and gradients (of two linear towers, of scale and bias) that a process with these rows finds."""
    inputs = drawn(BATCH, WIDTH, seed=0)[rows].to(dtype)
    leaves = [
        value.to(dtype).requires_grad_()
        for value in (drawn(2, WIDTH, WIDTH, seed=1) / WIDTH, torch.tensor(1.5).double(), torch.tensor(-0.5).double())
    ]
    ecg, text = inputs @ leaves[0][0], inputs.flip(1) @ leaves[0][1]
    losses = paired(ecg, text, rows, *leaves[1:]) | averaged(ecg, text, rows, *leaves)
    found = {}
    for name, loss in losses.items():
        assert loss.dtype == dtype, name
        gradients = torch.autograd.grad(loss, leaves, retain_graph=True, allow_unused=True, materialize_grads=True)
        parts = {"loss": loss.detach().clone(), "weight": gradients[0], "scale": gradients[1], "bias": gradients[2]}
        found |= {f"{name}: {part}": value.detach().contiguous() for part, value in parts.items()}
    return found


def one_of_several(rank: int, world: int, port: int, out: str) -> None:
    """A process with its share of the batch; losses and gradients averaged over the processes, as DDP does."""
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
    here = slice(rank * BATCH // world, (rank + 1) * BATCH // world)
    for dtype in TOLERANCE:
        found = found_by(here, dtype)
        for value in found.values():
            torch.distributed.all_reduce(value)
            value /= world
        if rank == 0:
            save_file(found, f"{out}-{dtype}")
    torch.distributed.destroy_process_group()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def together(work, world: int, *arguments: object) -> None:
    """Run `work(rank, world, port, …)` in so many processes, all of which must end well."""
    port = free_port()
    processes = [apart(work, rank, world, port, *arguments) for rank in range(world)]
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * world


@pytest.mark.parametrize("world", [2, 4])
def test_several_processes_compute_what_one_computes_of_the_whole_batch(world: int, tmp_path: Path) -> None:
    together(one_of_several, world, str(tmp_path / "found"))
    for dtype, tolerance in TOLERANCE.items():
        several, one = load_file(tmp_path / f"found-{dtype}"), found_by(slice(BATCH), dtype)
        assert several.keys() == one.keys()
        for name, value in one.items():
            size = max(1.0, float(value.abs().max()))
            torch.testing.assert_close(
                several[name] / size, value / size, atol=tolerance, rtol=0, msg=lambda s, n=name: f"{n}: {s}"
            )


def test_single_and_double_precision_agree_so_that_neither_is_checked_against_its_own_fault() -> None:
    single, double = found_by(slice(BATCH), torch.float32), found_by(slice(BATCH), torch.float64)
    for name, value in double.items():
        torch.testing.assert_close(single[name].double(), value, atol=1e-4, rtol=1e-4)


class Largest(TorchDispatchMode):
    """Notes the largest tensor that anything computes."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else (made,):
            if isinstance(tensor, Tensor):
                self.elements = max(self.elements, tensor.untyped_storage().nbytes() // tensor.element_size())
        return made


class Waiting:
    """A tensor that autograd keeps for the backward pass, counted as long as it does."""

    def __init__(self, alive: WeakSet[Waiting], tensor: Tensor) -> None:
        self.tensor = tensor
        alive.add(self)


def sizes_of(rank: int, world: int, port: int, out: str) -> None:
    """How much the two ways of ETS hold, for 32 pairs a process, 4 wide: the largest tensor, and all that waits for backward."""
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
    ecg, text = (torch.randn(32, 4, requires_grad=True) for _ in range(2))
    one, none, group = torch.ones(()), torch.zeros(()), torch.arange(32) + 32 * rank
    groups, found = Groups(group, group, "ignore"), {}
    ways = {
        "ring": lambda: ets_loss_by_ring(ecg, text, groups, one, none, True),
        "gather": lambda: ets_loss(ecg, gather(text), pairs(group, group, "ignore"), one, none, True),
    }
    for name, way in ways.items():
        waiting: WeakSet[Waiting] = WeakSet()
        with Largest() as largest, torch.autograd.graph.saved_tensors_hooks(partial(Waiting, waiting), lambda held: held.tensor):
            loss = way()
            held = sum(one.tensor.nbytes for one in waiting)
            loss.backward()
        found[name] = torch.tensor([largest.elements, held])
    if rank == 0:
        save_file(found, out)
    torch.distributed.destroy_process_group()


def test_the_ring_never_holds_more_than_one_block_whatever_the_number_of_processes(tmp_path: Path) -> None:
    for world in (2, 4):
        together(sizes_of, world, str(tmp_path / f"sizes-{world}"))
    two, four = load_file(tmp_path / "sizes-2"), load_file(tmp_path / "sizes-4")
    block, embeddings = 32 * 32, 32 * 4
    assert two["ring"][0] == four["ring"][0] == block
    assert (two["gather"][0], four["gather"][0]) == (2 * block, 4 * block)
    # What waits for the backward pass: two gradients the size of the embeddings, and two scalars; or several tensors [B, N].
    assert two["ring"][1] == four["ring"][1] == 4 * (2 * embeddings + 2)
    assert four["gather"][1] >= 2 * 4 * 4 * block


def test_reports_go_round_only_where_gathering_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    module = "cmelt.objectives.ets_ring"
    monkeypatch.setattr(f"{module}.ets_loss_by_ring", lambda *_: taken.append("ring"))
    monkeypatch.setattr(f"{module}.ets_loss", lambda *_: taken.append("gather"))
    monkeypatch.setattr(f"{module}.gather", lambda rows: rows)
    for world, batch in ((1, 2048), (2, 1024), (2, 2048), (8, 512), (8, 1024), (64, 128), (64, 256)):
        monkeypatch.setattr(f"{module}.processes", lambda world=world: world)
        group = torch.zeros(batch, dtype=torch.long)
        ecg = torch.zeros(batch, 1)
        ets_loss_of_all(ecg, ecg, Groups(group, group, "ignore"), torch.ones(()), torch.zeros(()), False)
    assert taken == ["gather", "gather", "ring", "gather", "ring", "gather", "ring"]
    assert RING_FROM * 4 * 6 < 128 * 2**20  # bytes that gathering holds below it


def test_fault_4_another_process_s_diagonal_is_no_positive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Second of two processes, two rows each: its own reports are columns 2 and 3; columns 0 and 1 are all negatives."""
    monkeypatch.setattr("cmelt.objectives.pairs.gather", lambda group: torch.cat([torch.tensor([5, 6]), group]))
    monkeypatch.setattr("cmelt.objectives.pairs.first_row", lambda rows: rows)
    for identical in ("negative", "ignore", "positive"):
        truth = pairs(torch.tensor([7, 8]), torch.tensor([7, 8]), identical)
        assert truth.positive.tolist() == [[False, False, True, False], [False, False, False, True]]
        assert truth.weight.min() == 1


def test_one_process_gathers_nothing_and_shares_with_nobody() -> None:
    rows = torch.randn(3, 2)
    assert gather(rows) is rows
    assert even_share(torch.tensor([0.0, 3.0])).tolist() == [1.0, 3.0]
