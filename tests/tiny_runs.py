"""A recipe so small that a step takes milliseconds, its store, and runs of it in processes that can be killed."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cmelt.config import Recipe, from_mapping, override

RATE, SAMPLES, RECORDS = 100.0, 1000, 60

#: What a run imports, sooner or later: processes that are started for it have it from the beginning.
PRELOADED = [
    "cmelt.training.loop", "cmelt.cli.pretrain", "transformers.models.t5.modeling_t5", "torch.utils.tensorboard", "pandas",
    "pyarrow.parquet", "sklearn.decomposition", "sklearn.feature_extraction.text", "sklearn.linear_model", "scipy.ndimage",
]  # fmt: skip

TINY: dict[str, Any] = {
    "name": "tiny",
    "seed": 7,
    "model": {
        "width": 16,
        "ecg": {
            "rate": RATE,
            "samples": SAMPLES,
            "stem_channels": [8, 8, 8, 8],
            "width": 16,
            "layers": 1,
            "heads": 2,
            "feed_forward": 16,
            "position_kernel": 8,
            "position_groups": 4,
        },
        "text": {
            "architecture": {"model_type": "t5", "d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2},
            "vocabulary": 400,
            "max_tokens": 24,
        },
        "fusion": {"layers": 2, "heads": 2, "feed_forward": 16},
        "decoder": {"fusion_layer": 1, "width": 8, "layers": 1, "heads": 2},
    },
    "negatives": {"strategy": "band", "candidates": 4},
    "objectives": {"info_nce": 1.0},
    "optimiser": {"rate": 1.0e-3},
    "training": {"batch": 4, "steps": 7, "log_every": 1, "checkpoint_every": 3, "precision": "32-true"},
}


def tiny_recipe(*assignments: str) -> Recipe:
    """The tiny recipe with `section.key=value` overrides."""
    return from_mapping(Recipe, override(TINY, list(assignments)), "tiny")


def tiny_recipe_file(folder: Path, *assignments: str) -> Path:
    """The same as a file."""
    import yaml

    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(override(TINY, list(assignments))))
    return path


def tiny_store_at(folder: Path) -> Path:
    """Prepare a store of simulated ECGs, 10 s at 100 Hz, for runs of `TINY`."""
    from cmelt.sources.simulated import Simulated
    from cmelt.store import ShardSettings, prepare_store

    prepare_store(
        Simulated(RECORDS, seed=5, rate=RATE),
        folder,
        ShardSettings(RATE, SAMPLES / RATE, "first", "a test's key"),
        shard_records=25,
    )
    return folder


@dataclass
class Notes:
    """A watcher that remembers; `at[step]` is called after that step has been logged."""

    said: list[str] = field(default_factory=list)
    steps: list[dict[str, float]] = field(default_factory=list)
    at: dict[int, Callable[[], None]] = field(default_factory=dict)

    def say(self, message: str) -> None:
        self.said.append(message)

    def step(self, done: int, steps: int, metrics: dict[str, float]) -> None:
        self.steps.append({"step": done, **metrics})
        if done in self.at:
            self.at[done]()


def losses_of(run: Path) -> list[dict[str, float]]:
    """What `metrics.jsonl` says of every step, without the rate, which is the machine's."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "records_per_second"} for line in lines]


def weights_of(run: Path) -> bytes:
    """The finished model's weights, byte for byte."""
    return (run / "model" / "model.safetensors").read_bytes()


def apart(target: Callable[..., None], *arguments: Any, environment: dict[str, str] | None = None) -> Any:
    """Start `target` in a process of its own that has the heavy imports behind it already; it can be killed at will."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=_enter, args=(target, arguments, environment or {}))
    process.start()
    return process


def _enter(target: Callable[..., None], arguments: tuple[Any, ...], environment: dict[str, str]) -> None:
    import torch

    os.environ.update(environment)
    torch.set_num_threads(1)
    target(*arguments)


def train(store: str, folder: str, assignments: tuple[str, ...] = ()) -> None:
    """Pre-train in this process and leave with the exit code."""
    from cmelt.store import open_store
    from cmelt.training.loop import pretrain

    raise SystemExit(pretrain(tiny_recipe(*assignments), open_store(store), Path(folder), Notes()))
