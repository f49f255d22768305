"""What a test does otherwise than a page says, all in one place: hours become seconds, other machines this one.

Names on the left of a page's own are what the reader is told to have (`names_given`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ecg_files import heart, write_wfdb

#: Put behind a command: (how it begins, what is added, why).
ADDED = (
    (
        "cmelt pretrain",
        "--set training.epochs=null --set training.steps=2 --set training.batch=8",
        "two steps of eight pairs instead of hours",
    ),
    ("cmelt prepare simulated", "--records 40", "instead of thousands; the last of an option counts"),
    ("cmelt prepare", "--workers 1", "in this process: no time for others to start"),
    ("cmelt embed", "--workers 1 --device cpu", "in this process"),
    ("cmelt index", "--workers 1 --device cpu", "in this process"),
    ("torchrun", "--set training.epochs=null --set training.steps=2 --set training.batch=4", "two steps instead of days"),
    ("cmelt evaluate", "--bootstrap 20 --draws 1 --fractions 1", "replicates by the thousand take minutes"),
    ("cmelt finetune", "--leads 12 --bootstrap 20 --draws 1 --repeats 1 --epochs 1", "one pass, one set of leads"),
    ("cmelt calibrate", "--bootstrap 20", "few replicates"),
)

#: Said otherwise: (pattern, replacement, why).
SAID_OTHERWISE = (
    (r"--fractions 0\.1,1 ", "", "of the few labels that the small store has no tenth can be drawn"),
    (r" --port \d+", "", "the service listens at a free port; the one of the page may be taken"),
    (r"(cmelt import-dbeta sample\.pt)", r"\1 --config sizes.json", "a checkpoint of small sizes, random weights"),
    (r'load_dbeta\("sample\.pt"\)', 'load_dbeta("sample.pt", "sizes.json")', "the same"),
    (r"(cmelt explain \S+) ", r"\1 --model runs/small ", "a model of milliseconds; Python's line asks `small`"),
    (r"^dask scheduler$", "dask scheduler --host 127.0.0.1 --port PORT --no-dashboard", "at a free port"),
    (r"tcp://scheduler:8786 --nthreads 1", "tcp://127.0.0.1:PORT --nthreads 1 --no-dashboard", "the scheduler runs here"),
    (r"tcp://scheduler:8786", "tcp://127.0.0.1:PORT", "the scheduler runs here"),
    (r"/data/", "./", "this folder"),
    (r"--nnodes 8 --nproc-per-node 8 (.*)HOST:29500", r"--nnodes 1 --nproc-per-node 2 \g<1>127.0.0.1:PORT", "two processes here"),
    (r"^torchrun --nproc-per-node 8", "torchrun --nproc-per-node 2", "two processes"),
    (r"^(torchrun .*)--recipe paper", r"\1--recipe small", "of a size that fits"),
)


def shortened(command: str) -> str:
    """A line as the test runs it."""
    command = said_otherwise(command)
    more = [added for begins, added, _ in ADDED if command.startswith(begins)]
    head, redirect, target = command.partition(" > ")
    return " ".join([head, *more]) + redirect + target


def said_otherwise(text: str) -> str:
    """A line or a block with other words in it."""
    for pattern, replacement, _ in SAID_OTHERWISE:
        text = re.sub(pattern, replacement, text)
    return text


def names_given(page: str, folder: Path) -> dict[str, Any]:
    """The names that a page's Python takes for the reader's own: data, and what another tool made."""
    return GIVEN[page](folder) if page in GIVEN else {}


def _classifier_input(_: Path) -> dict[str, Any]:
    return {"millivolts": np.stack([heart(seed) for seed in range(3)])}


def _for_onnx(_: Path) -> dict[str, Any]:
    return {"millivolts": heart(1)}


def _for_the_authors_weights(_: Path) -> dict[str, Any]:
    import torch

    return {"ecg": torch.from_numpy(np.stack([heart(seed, 500.0) for seed in range(2)]))}


def _three_leads(_: Path) -> dict[str, Any]:
    return {"array": np.rint(heart(1, 500.0)[[0, 1, 6]] * 1000).astype(np.int16)}


def _to_draw(folder: Path) -> dict[str, Any]:
    import cmelt

    model, processor = cmelt.load("small")
    record = cmelt.record_of(_three_leads(folder)["array"], rate=500, unit="uV", leads=["I", "II", "V1"])
    return {**_three_leads(folder), "explanation": cmelt.explain(model, processor, record, "atrial-fibrillation")}


def _labelled_files(folder: Path) -> dict[str, Any]:
    return {"paths": [write_wfdb(folder / f"ecgs/{seed}", heart(seed)) for seed in range(4)], "has_af": [0, 1, 0, 1]}


def _vectors(folder: Path) -> dict[str, Any]:
    from cmelt.store import open_store

    store = open_store(folder / "ptbxl100")
    drawn = np.random.default_rng(0).standard_normal((len(store.index) + 3, 16), np.float32)
    return {"embeddings": drawn[3:], "queries": drawn[:3], "model_sha256": "ab" * 32, "store": store}


GIVEN: dict[str, Callable[[Path], dict[str, Any]]] = {
    "docs/evaluate.md": _classifier_input,
    "docs/export.md": _for_onnx,
    "docs/interop.md": _for_the_authors_weights,
    "docs/model.md": _three_leads,
    "docs/plot.md": _to_draw,
    "docs/python.md": _labelled_files,
    "docs/search.md": _vectors,
}
