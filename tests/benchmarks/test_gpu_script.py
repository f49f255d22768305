"""The GPU's script, as far as a machine without one can hold it: it runs whole, parts of a profile add up, batches that fit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import gpu
from cmelt.config import load_recipe
from run_all import HERE
from step_profile import REST, kind_of, parts_named, profiled, seconds_by_kind, seconds_by_part


@pytest.mark.parametrize(
    ("foreseen", "most", "largest"),
    [(700, 10_000, 640), (700, 600, 576), (700, 130, 128), (100, 10_000, 128)],
)
def test_the_largest_batch_is_foreseen_then_tried(monkeypatch, foreseen, most, largest):
    tried = []
    monkeypatch.setattr(gpu, "foreseen_batch", lambda *_: foreseen)
    monkeypatch.setattr(gpu, "fits", lambda _, size, __: tried.append(size) or size <= most)
    assert gpu.largest_batch(SimpleNamespace(), 128, 64) == largest
    assert tried == sorted(tried, reverse=True) and 128 not in tried


def test_a_batch_that_does_not_fit_is_told_and_leaves_no_gradients():
    class Full:
        device = torch.device("cpu")
        recipe = gpu.tiny(load_recipe("paper"))
        optimiser = torch.optim.SGD([nn.Parameter(torch.ones(2))])

        def step(self, batch: object) -> None:
            self.optimiser.param_groups[0]["params"][0].grad = torch.ones(2)
            raise torch.OutOfMemoryError("full")

    trainer = Full()
    assert not gpu.fits(trainer, 2, 8)
    assert trainer.optimiser.param_groups[0]["params"][0].grad is None


class Uneven(nn.Module):
    """One part that does next to nothing and one that multiplies large matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.small, self.large = nn.Linear(512, 512), nn.Sequential(*(nn.Linear(512, 512) for _ in range(16)))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.large(self.small(states[:4]).repeat(64, 1))


def test_forward_and_backward_time_go_to_the_part_that_takes_it():
    model, states = Uneven(), torch.randn(4, 512)
    with parts_named(model, {"small": ("small",), "large": ("large",)}):
        events = profiled(lambda: model(states).sum().backward())
    parts = seconds_by_part(events)
    assert parts["large"] > 5 * parts["small"] > 0
    assert parts["large"] > 0.5 * sum(parts.values()) and parts.get(REST, 0.0) < 0.4 * sum(parts.values())
    backward = [event for event in events if event.name == "autograd::engine::evaluate_function: AddmmBackward0"]
    assert len(backward) >= 17
    kinds = seconds_by_kind(events)
    assert max(kinds, key=lambda kind: kinds[kind]) == "matrix products"


def test_without_hooks_left_behind():
    model = Uneven()
    with parts_named(model, {"small": ("small",)}):
        pass
    assert not model.small._forward_hooks and not model.small._forward_pre_hooks


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("nvjet_hsh_128x256_64x4_1x2_h_bz_coopA_NNT", "matrix products"),
        ("sm90_xmma_gemm_bf16bf16_bf16f32", "matrix products"),
        ("pytorch_flash::flash_fwd_kernel", "attention"),
        ("triton_poi_fused_gelu_3", "fused elementwise"),
        ("multi_tensor_apply_kernel FusedAdamMathFunctor", "optimiser"),
        ("Memcpy HtoD (Pinned -> Device)", "copies"),
        ("cudnn::implicit_convolve_sgemm", "convolution"),
        ("reduce_kernel", "other"),
    ],
)
def test_kernels_are_told_apart_by_name(name, kind):
    assert kind_of(name) == kind


@pytest.mark.slow
def test_the_whole_script_runs_without_a_gpu_and_tells_no_figure(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU: the script measures")
    told = tmp_path / "told.json"
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent / "src")}
    subprocess.run([sys.executable, str(HERE / "gpu.py"), "--json", str(told)], env=environment, check=True, timeout=900)
    content = json.loads(told.read_text())
    assert content["figures"] == []
    skipped = " ".join(content["skipped"])
    assert "no GPU" in skipped
    for measured in ("training", "share of the matrix-product peak", "AdamW", "embedding", "negatives", "projected", "waits"):
        assert measured in skipped
