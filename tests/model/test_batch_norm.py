"""Batch norm of several processes is that of one with the whole batch: results, gradients, running statistics."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cmelt.model.batch_norm import BatchNorm
from cmelt.model.front_end import ResNet1dFrontEnd
from processes import together

BATCH, CHANNELS, SAMPLES, STEPS = 8, 3, 11, 2
# The values lie at thirty times their spread: in single precision they are themselves rounded by 2e-6 of it.
KINDS = {torch.float32: 5e-6, torch.float64: 1e-12}
MOMENTA = (0.1, None)


def drawn(step: int, *shape: int) -> Tensor:
    # Far from zero, and one half of the batch far from the other: squares that are subtracted would lose it.
    numbers = torch.randn(BATCH, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(step))
    return (
        numbers * torch.arange(1, CHANNELS + 1).view(1, -1, *[1] * (len(shape) - 1))
        + 30.0
        + 5.0 * (torch.arange(BATCH) > 3).view(-1, *[1] * len(shape))
    )


def found_by(norm: nn.BatchNorm1d, rows: slice, dtype: torch.dtype) -> dict[str, Tensor]:
    """Of two steps over [B, C, T] and one over [B, C]: results, gradients of a loss that is an even share of the whole one."""
    norm = norm.to(dtype).train()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([0.5, -1.0, 2.0]))
    found: dict[str, Tensor] = {}
    for step, shape in enumerate([(CHANNELS, SAMPLES)] * STEPS + [(CHANNELS,)]):
        given = drawn(step, *shape)[rows].to(dtype).requires_grad_()
        result = norm(given)
        weights = drawn(step + 9, *shape)[rows].to(dtype)
        ((result**3) * weights).sum().div(BATCH).backward()
        found |= {f"result {step}": result.detach(), f"gradient {step}": given.grad}
    found |= {f"of {name}": parameter.grad for name, parameter in norm.named_parameters()}
    return found | {f"kept {name}": kept.clone() for name, kept in norm.named_buffers()}


def one_of_several(rank: int, world: int, port: int, folder: str) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
    rows = slice(rank * BATCH // world, (rank + 1) * BATCH // world)
    for dtype in KINDS:
        for momentum in MOMENTA:
            found = found_by(BatchNorm(CHANNELS, momentum=momentum), rows, dtype)
            for name, gradient in found.items():
                if name.startswith("of "):
                    torch.distributed.all_reduce(gradient)
            save_file(found, f"{folder}/{dtype}-{momentum}-{rank}")
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("world", [2, 4])
def test_several_processes_are_one_with_the_whole_batch(world, tmp_path):
    together(one_of_several, world, str(tmp_path))
    for dtype, tolerance in KINDS.items():
        for momentum in MOMENTA:
            # The truth is PyTorch's own layer in double precision.
            truth = found_by(nn.BatchNorm1d(CHANNELS, momentum=momentum), slice(BATCH), torch.float64)
            shares = [load_file(tmp_path / f"{dtype}-{momentum}-{rank}") for rank in range(world)]
            for name, value in truth.items():
                if name.startswith(("result", "gradient")):
                    several = torch.cat([share[name] for share in shares])
                else:
                    several = shares[0][name]
                    assert all(torch.equal(share[name], several) for share in shares), name
                away = float((several.double() - value).abs().max()) / max(1.0, float(value.abs().max()))
                assert away <= 4 * tolerance, (dtype, momentum, name, away)


def test_alone_and_after_training_it_is_pytorch_s_own():
    own, other = BatchNorm(CHANNELS), nn.BatchNorm1d(CHANNELS)
    for name, value in found_by(own, slice(BATCH), torch.float32).items():
        theirs = found_by(other, slice(BATCH), torch.float32) if name == "result 0" else None
        assert theirs is None or torch.equal(value, theirs[name])
    given = drawn(3, CHANNELS, SAMPLES).float()
    assert torch.equal(own.eval()(given), other.eval()(given))


def half_precision(rank: int, world: int, port: int, folder: str) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
    torch.manual_seed(0)
    stem = ResNet1dFrontEnd(CHANNELS, [4, 8], 3).train()
    with torch.autocast("cpu", torch.bfloat16):
        tokens = stem(drawn(0, CHANNELS, 64)[rank * 4 : rank * 4 + 4].float())
    tokens.float().square().sum().backward()
    save_file(
        {"tokens": tokens.detach().float().contiguous(), "mean": stem.get_buffer("first_norm.running_mean")}, f"{folder}/{rank}"
    )
    torch.distributed.destroy_process_group()


def test_in_bfloat16_statistics_are_taken_in_single_precision(tmp_path):
    together(half_precision, 2, str(tmp_path))
    torch.manual_seed(0)
    stem = ResNet1dFrontEnd(CHANNELS, [4, 8], 3).train()
    whole = stem(drawn(0, CHANNELS, 64).float()).detach()
    several = [load_file(Path(tmp_path) / str(rank)) for rank in range(2)]
    assert torch.cat([share["tokens"] for share in several]) == pytest.approx(whole, abs=0.05 * float(whole.abs().max()))
    assert several[0]["mean"] == pytest.approx(stem.get_buffer("first_norm.running_mean"), rel=0.01)
    assert torch.equal(several[0]["mean"], several[1]["mean"])
