"""What must change nothing (a second time, other loaders, a moved store, neighbours), and numbers that stop a run."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from striking import Poison, Trap
from training_campaigns import Tally
from training_runs import Bench, differences

from cmelt.checkpoints import load_embedder
from cmelt.checkpoints.training_state import checkpoints
from cmelt.store import open_store

#: Between the first checkpoint of the run and the second.
STRUCK_STEP = 5
WAYS = ("the same seed again", "0 loaders", "2 loaders", "4 loaders", "a moved store", "stopped and the store moved")


def numbers_refused(bench: Bench, objectives: tuple[str, ...], kinds: tuple[Poison, ...] = ("nan", "inf")) -> Tally:
    """Each objective's loss is made NaN, or infinite, at one step: refused by objective and records; then the run goes on."""
    tally = Tally("numbers that are none")
    for objective in objectives:
        for kind in kinds:
            name = bench.begun(f"{objective}-{kind}")
            ended = bench.command(name, Trap("loss", ((STRUCK_STEP, 0),), objective=objective, poison=kind))
            what = "the gradient" if kind == "gradient" else f"loss {objective}"
            faults = [] if ended.codes == (1,) else [f"ended with {ended.codes}"]
            faults += [] if f"step {STRUCK_STEP}: {what} is not finite" in ended.said else [f"said {ended.said[-300:]}"]
            records = bench.undisturbed.taken[0, STRUCK_STEP - 1]
            told = ended.said.rpartition("the batch's records: ")[2].partition(" (")[0].split(", ")
            faults += [] if tuple(told) == records else ["does not name the batch's records"]
            faults += [] if len(bench.losses_so_far(name)) == STRUCK_STEP - 1 else ["the step was logged"]
            kept = [path.name for path in checkpoints(bench.folder / name / "checkpoints")]
            faults += [] if kept == ["step-00000004", "step-00000002"] else [f"kept {kept}"]
            again = bench.command(name)
            faults += differences(bench.course(name), bench.undisturbed) if again.codes == (0,) else [f"then {again.codes}"]
            tally.add(f"{objective} {kind}", faults)
    return tally


def changed_nothing(bench: Bench, ways: tuple[str, ...] = WAYS) -> Tally:
    """The run once more in each of these ways; all of it must be what it was."""
    tally = Tally("the same again")
    for way in ways:
        name = bench.clear(way.replace(" ", "-"))
        by = bench.elsewhere(_moved(bench)) if "moved" in way else bench
        if "stopped" in way:
            half = len(bench.undisturbed.losses) // 2
            bench.command(name, Trap("asked", ((half, int(signal.SIGTERM)),)))
        ended = by.command(name, None, *(("--set", f"training.loaders={way[0]}") if "loaders" in way else ()))
        tally.add(way, differences(by.course(name), bench.undisturbed) if ended.codes == (0,) else [ended.said[-300:]])
    return tally


def _moved(bench: Bench) -> Path:
    moved = bench.folder / "moved" / "store"
    return moved if moved.exists() else Path(shutil.copytree(bench.store, moved))


def neighbours(store: Path, rng: np.random.Generator, records: int = 200, tolerance: float = 1e-5) -> Tally:
    """ECGs and reports of a store, each embedded alone and among others, one of them as long as the model reads."""
    tally, opened = Tally("neighbours"), open_store(store)
    embedder = load_embedder("small", device="cpu")
    rows = rng.permutation(len(opened.index))[:records]
    ecgs, reports = opened.millivolts(rows), opened.index["report"].iloc[rows].tolist()
    longest = " ".join(reports)[:20_000]
    alone = np.concatenate([embedder.embed_ecgs(ecg[None]) for ecg in ecgs])
    _compare(tally, "ECG", alone, embedder.embed_ecgs(ecgs), tolerance)
    texts = np.concatenate([embedder.embed_texts([report]) for report in reports])
    _compare(tally, "report", texts, embedder.embed_texts(reports), tolerance)
    padded = np.concatenate([embedder.embed_texts([report, longest])[:1] for report in reports])
    _compare(tally, "report beside the longest", texts, padded, tolerance)
    return tally


def _compare(tally: Tally, what: str, one: NDArray[np.float32], other: NDArray[np.float32], tolerance: float) -> None:
    for number, change in enumerate(np.abs(one - other).max(axis=1)):
        tally.add(f"{what} {number}", [] if change <= tolerance else [f"changed by {change:.2g}"])
        tally.note(f"change of an embedding ({what})", float(change))
