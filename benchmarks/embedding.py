"""Embedding ECGs on one core: the paper-size model in three precisions, beside the authors' release and a plain way; its cold
start; the bundled model; and what the lower precisions cost it.

    python benchmarks/embedding.py [--release FOLDER] [--store STORE] [--batch 8] [--rounds 2] [--json FILE]

FOLDER is a checkout of the release (github.com/manhph2211/D-BETA, CC BY-NC: it is run, nothing of it is here), by default
$CMELT_DBETA. STORE is PTB-XL at 100 Hz; without it, PTB-XL is prepared from $CMELT_DATA_DIR; without either, the comparison of
AUROCs is skipped. Weights of the paper-size model are random, which changes no cost. All ways of one figure run in turns in one
process, on one thread; its processor seconds are told.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any, Literal

from measuring import Figure, in_turns, options, peak_megabytes, ratio, tell, verdict

RELEASE, DATA = "CMELT_DBETA", "CMELT_DATA_DIR"
HERE = Path(__file__).resolve().parent
PRECISIONS: tuple[Literal["float32", "bfloat16", "int8"], ...] = ("float32", "bfloat16", "int8")
FLOAT32, LOWER, COLD_SECONDS, COLD_MEGABYTES, SMALL, LOSS = "≥ 1.5", "≥ 3", "≤ 3", "≤ 600", "< 20", "< 0.002"
TASKS = ("ptbxl-super", "ptbxl-diagnoses")


def main() -> None:
    """Measure each part in a process of its own, and tell."""
    chosen = arguments()
    if chosen.part:
        print(json.dumps(PARTS[chosen.part](chosen), default=asdict))
        return
    skipped = []
    if chosen.release is None:
        skipped.append(f"the authors' release: no checkout of it (--release FOLDER or ${RELEASE})")
    figures = throughput_figures(apart(chosen, "throughput"), chosen.batch) + cold_figures(chosen)
    figures += [Figure(**figure) for figure in apart(chosen, "small")]
    losses = apart(chosen, "losses")
    skipped += [] if losses else [f"AUROC in lower precisions: no PTB-XL (--store STORE, or ${DATA})"]
    tell([*figures, *(Figure(**figure) for figure in losses)], chosen.json, skipped)


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = options(__doc__)
    parser.add_argument("--release", type=Path, default=os.environ.get(RELEASE), help=f"a checkout of it (default ${RELEASE})")
    parser.add_argument("--store", type=Path, help="PTB-XL at 100 Hz")
    parser.add_argument("--batch", type=int, default=8, help="beside a single ECG")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--part", choices=list(PARTS), help="measure this one here, and print JSON")
    return parser.parse_args()


def apart(chosen: argparse.Namespace, part: str, **others: object) -> Any:
    """What a process of its own measures."""
    passed = {"batch": chosen.batch, "rounds": chosen.rounds, "release": chosen.release, "store": chosen.store, **others}
    told = [f"--{name}={value}" for name, value in passed.items() if value is not None]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--part", part, *told]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return json.loads(ended.stdout.splitlines()[-1])


def throughput_figures(taken: dict[str, dict[str, list[float]]], batch: int) -> list[Figure]:
    """Milliseconds an ECG of each precision, and how many times the rate of the release and of the plain way they reach."""
    figures = []
    for (size, of_size), precision in product(taken.items(), PRECISIONS):
        own, told = of_size[precision], f"in {precision}, paper's sizes, {'one' if size == '1' else batch} at once"
        milliseconds = [1000 * one for one in own]
        least, most = min(milliseconds), max(milliseconds)
        figures.append(Figure(f"one ECG {told}", median(milliseconds), "ms", low=least, high=most))
        for rival, name in (("release", "the authors' release"), ("plain", "the same model as first written down")):
            if rival in of_size:
                middle, low, high = ratio(of_size[rival], own)
                asked = asked_of(precision) if rival == "release" else ""
                met = verdict(middle, asked) if asked else None
                figures.append(Figure(f"ECGs a second {told}", middle, "×", f"{name}, float32", low, high, asked, met))
    return figures


def asked_of(precision: str) -> str:
    """The target of a precision; nothing is asked of bfloat16 where the processor does not multiply it itself."""
    import torch

    from cmelt.model.reduced_precision import native_precision

    if precision == "float32":
        return FLOAT32
    return LOWER if precision == "bfloat16" == native_precision(torch.device("cpu")) else ""


def throughput(chosen: argparse.Namespace) -> dict[int, dict[str, list[float]]]:
    """Processor seconds an ECG, round by round, of every way, by how many are embedded at once."""
    import torch

    from cmelt.config import load_recipe
    from cmelt.model.reduced_precision import reduce_precision

    torch.manual_seed(0)
    recipe = load_recipe("paper", ["model.text.weights=null"])
    ways: dict[str, Callable[[Any], Any]] = {}
    for precision in PRECISIONS:
        tower = ecg_tower(recipe)
        reduce_precision(tower, precision)
        ways[precision] = tower.embed_ecg
    ways["plain"] = written_down_first(ecg_tower(recipe))
    if chosen.release is not None:
        from release_model import release_embedding

        ways["release"] = release_embedding(chosen.release, recipe)
    found = {}
    for batch, rounds in ((1, chosen.rounds + 2), (chosen.batch, chosen.rounds)):
        ecg = torch.randn(batch, 12, recipe.model.ecg.samples)
        with torch.no_grad():
            taken = in_turns({name: partial(way, ecg) for name, way in ways.items()}, rounds)
        found[batch] = {name: [one.processor / batch for one in of_way] for name, of_way in taken.items()}
    return found


def ecg_tower(recipe: Any) -> Any:
    """An ECG tower of the recipe's sizes, weights drawn."""
    from cmelt.model.ecg_classifier import EcgTower

    tower = EcgTower(recipe.model)
    for module in tower.modules():
        if module is not tower and hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return tower.eval()


def written_down_first(tower: Any) -> Callable[[Any], Any]:
    """The tower by PyTorch's own linear maps and convolution, every state of the last layer computed."""
    from torch import nn

    from cmelt.model.positions import PositionalConvolution
    from plain_model import everywhere

    for module in tower.modules():
        if isinstance(module, nn.Linear):
            module.forward = nn.Linear.forward.__get__(module)
        elif isinstance(module, PositionalConvolution):
            module.forward = everywhere.__get__(module)
    return lambda ecg: tower.ecg_pooler(tower.encode_ecg(ecg))


def cold_figures(chosen: argparse.Namespace) -> list[Figure]:
    """From nothing to the first embedding, in a fresh Python: processor seconds, Python's own start included, and memory."""
    with tempfile.TemporaryDirectory(prefix="cmelt-bench-") as scratch:
        folder = Path(scratch) / "model"
        apart(chosen, "paper-folder", folder=folder)
        own = [apart(chosen, "cold", folder=folder) for _ in range(chosen.rounds + 1)]
    figures = []
    for what, unit, target in (("seconds", "s", COLD_SECONDS), ("megabytes", "MB", COLD_MEGABYTES)):
        values = [one[what] for one in own]
        # The least of them: what else the machine does only adds.
        value = min(values)
        told = "cold start to the first embedding, paper's sizes"
        figures.append(Figure(told, value, unit, low=value, high=max(values), target=target, met=verdict(value, target)))
    if chosen.release is not None:
        theirs = apart(chosen, "release-cold")
        told = "cold start to the first embedding, the release's"
        figures += [Figure(told, theirs["seconds"], "s"), Figure(told, theirs["megabytes"], "MB")]
    return figures


def paper_folder(chosen: argparse.Namespace) -> None:
    """A model folder of the paper's sizes with random weights: both towers, as they are handed on; no fusion, no heads."""
    import torch

    from cmelt.checkpoints.model_folder import save_model
    from cmelt.config import load_recipe
    from cmelt.model.cmelt import CMeltModel
    from cmelt.model.configuration import OPTIONAL_PARTS, CMeltConfig

    recipe = load_recipe("paper", ["model.text.weights=null"])
    config = CMeltConfig.of(recipe.model, recipe.objectives)
    config.absent = sorted(OPTIONAL_PARTS)
    torch.manual_seed(0)
    save_model(CMeltModel(config), None, chosen.folder, {}, "Random weights.\n")


def cold(chosen: argparse.Namespace) -> dict[str, float]:
    """One embedding by ours, from the folder."""
    import cmelt

    model, processor = cmelt.load(chosen.folder, device="cpu")
    cmelt.embed(model, processor, cmelt.record_of(one_ecg(), rate=500.0, unit="mV", leads=cmelt.LEADS))
    return {"seconds": time.process_time(), "megabytes": peak_megabytes()}


def release_cold(chosen: argparse.Namespace) -> dict[str, float]:
    """One embedding by the release, whose weights are drawn: reading them from its file would come on top."""
    import torch

    from cmelt.config import load_recipe
    from release_model import release_embedding

    embed = release_embedding(chosen.release, load_recipe("paper", ["model.text.weights=null"]))
    with torch.no_grad():
        embed(torch.from_numpy(one_ecg())[None])
    return {"seconds": time.process_time(), "megabytes": peak_megabytes()}


def one_ecg() -> Any:
    """Noise, [12, 5000] float32 millivolts."""
    import numpy as np

    return np.random.default_rng(0).normal(size=(12, 5000)).astype(np.float32)


def small(_: argparse.Namespace) -> list[Figure]:
    """Milliseconds of the bundled model for one ECG, in the model's form and from a record of 500 Hz."""
    import torch

    import cmelt
    from cmelt.simulation import simulate

    model, processor = cmelt.load("small", device="cpu")
    record = simulate(1, rate=500.0)
    prepared = torch.from_numpy(processor.record(record).ecg)
    with torch.no_grad():
        taken = in_turns(
            {"form": lambda: model.embed_ecg(prepared), "file": lambda: cmelt.embed(model, processor, record)}, rounds=20, warm=3
        )
    told = {"form": "one ECG, the bundled small model", "file": "one record of 500 Hz resampled and embedded, small"}
    figures = []
    for way, rounds in taken.items():
        values = [1000 * one.processor for one in rounds]
        least, value, most = min(values), median(values), max(values)
        figures.append(Figure(told[way], value, "ms", low=least, high=most, target=SMALL, met=verdict(value, SMALL)))
    return figures


def losses(chosen: argparse.Namespace) -> list[Figure]:
    """Zero-shot macro AUROC of the bundled model in lower precisions minus that in float32, on PTB-XL's folds 9 and 10."""
    with tempfile.TemporaryDirectory(prefix="cmelt-bench-") as scratch:
        store = chosen.store or ptb_xl(Path(scratch) / "ptbxl")
        return [] if store is None else differences(store)


def ptb_xl(folder: Path) -> Path | None:
    """PTB-XL as a store; None where there is no copy of it."""
    named = os.environ.get(DATA)
    source = (Path(named) if named else HERE.parents[1] / "shared" / "data") / "ptb-xl"
    if not (source / "ptbxl_database.csv").is_file():
        return None
    from cmelt.sources.ptb_xl import PtbXl
    from cmelt.store import ShardSettings, prepare_store

    prepare_store(PtbXl(str(source)), folder, ShardSettings(100.0, 10.0, "first", "benchmark"), workers=2)
    return folder


def differences(path: Path) -> list[Figure]:
    """A figure a task and precision."""
    import cmelt
    from cmelt.evaluation.agreement import embedded_by, zero_shot_differences
    from cmelt.evaluation.tasks import load_task
    from cmelt.serving.engine import embedder_of
    from cmelt.store import open_store

    store = open_store(path)
    rows = store.rows("validation", "test")
    loaded = {precision: cmelt.load("small", device="cpu", precision=precision) for precision in PRECISIONS}
    ways = {precision: embedder_of(*model) for precision, model in loaded.items()}
    embedded = embedded_by(ways, store, rows)
    note = f"{len(rows)} records of folds 9 and 10; paired patient bootstrap, the interval's upper end is judged"
    figures = []
    for task in TASKS:
        for precision, gain in zero_shot_differences(embedded, ways["float32"], store, rows, load_task(task)).items():
            least, loss, most = -gain.high, -gain.value, -gain.low
            told = f"AUROC lost in {precision}, {task}, small"
            figures.append(Figure(told, loss, "", "float32, same records", least, most, LOSS, verdict(most, LOSS), note))
    return figures


PARTS: Mapping[str, Callable[[argparse.Namespace], Any]] = {
    "throughput": throughput, "paper-folder": paper_folder, "cold": cold, "release-cold": release_cold,
    "small": small, "losses": losses,
}  # fmt: skip


if __name__ == "__main__":
    main()
