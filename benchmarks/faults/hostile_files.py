"""Artefacts made to harm: each opened as a user would, watched for foreign code, files opened elsewhere, and memory.

Run: OMP_NUM_THREADS=1 python benchmarks/faults/hostile_files.py [--json FILE]

Foreign code would make a canary file, or show as an event of Python's audit hooks (a program started, a class found for pickle, a
connection). Files opened elsewhere show in the same hooks, and those of C libraries (HDF5) because the kernel watches the folder
that they are tempted with (inotify, on Linux). Memory is the most that this process, and the child that reads HDF5, has held
beyond what it held before: at most the file's own size and 64 MB.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cmelt.errors import CMeltError
from cmelt.records.readers import apart, read_ecg

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parent), str(HERE.parents[1] / "tests")]
from damaged_files import count  # noqa: E402
from hostile_makers import ARTEFACTS, HARMLESS, Place  # noqa: E402
from watching import Watch, forget_peak  # noqa: E402

from measuring import Figure, options, peak_megabytes, tell  # noqa: E402

MOST_MORE = 64.0  # MB beside the file's own size


@dataclass(frozen=True)
class Outcome:
    """What became of one artefact.

    Attributes:
        refused: whether it ended in an error of ours that names the file, or a folder or file of it, and a reason.
        told: the error, or what came instead.
        ran: what was started, imported by pickle, or connected to; and the canary, if it is there.
        outside: what was opened or changed elsewhere, by this process or, where the kernel says so, by any.
        more: megabytes beyond what was held before and the file's own size.
    """

    name: str
    refused: bool
    told: str
    ran: Sequence[str]
    outside: Sequence[str]
    more: float

    @property
    def harmless(self) -> bool:
        """Nothing foreign ran, nothing elsewhere was opened, memory stayed within its bound."""
        return not self.ran and not self.outside and self.more <= MOST_MORE


class Tempting:
    """A folder of files that nothing may touch; the kernel tells whether anyone did, where it can (Linux)."""

    _OPENED, _MODIFIED, _MADE = 0x20, 0x2, 0x100

    def __init__(self, folder: Path) -> None:
        from array_files import write_hdf5
        from ecg_files import heart

        folder.mkdir(parents=True)
        write_hdf5(folder / "secret.h5", heart())
        (folder / "secret.txt").write_bytes(bytes(range(256)) * 8)
        self._descriptor = -1
        library = ctypes.CDLL(None, use_errno=True)
        if hasattr(library, "inotify_init1"):
            self._descriptor = library.inotify_init1(os.O_NONBLOCK)
            library.inotify_add_watch(self._descriptor, os.fsencode(folder), self._OPENED | self._MODIFIED | self._MADE)

    def touched(self) -> list[str]:
        """Names of files that were opened, changed or made since this was last asked."""
        names = []
        with suppress(BlockingIOError):
            while self._descriptor >= 0 and (events := os.read(self._descriptor, 65536)):
                place = 0
                while place < len(events):
                    length = struct.unpack_from("iIII", events, place)[3]
                    names.append(events[place + 16 : place + 16 + length].rstrip(b"\0").decode() or "the folder")
                    place += 16 + length
        return sorted(set(names))


def openers(model: Path, good: Path) -> Mapping[str, Callable[[Path], object]]:
    """What a user does with each kind of artefact, each warmed up by a good one in the folder `good`."""
    import torch

    import cmelt
    from array_files import write_hdf5, write_npz
    from cmelt.config import load_recipe
    from cmelt.interop.dbeta_file import read_checkpoint, write_checkpoint
    from cmelt.text import load_tokenizer
    from ecg_files import heart

    ecg = write_npz(good / "good.npz", heart())

    def open_model(path: Path) -> object:
        loaded, processor = cmelt.load(path)
        cmelt.classify(loaded, processor, ecg, ["atrial-fibrillation"])
        return load_tokenizer(path)

    with suppress(CMeltError):
        (good / "letter.txt").write_text("Dear colleague")
        read_ecg(good / "letter.txt")  # what no format of ours knows is shown to those of packages: they are looked up once
    read_ecg(write_hdf5(good / "good.h5", heart()))
    write_checkpoint({"weight": torch.zeros(2)}, good / "good.pt")
    read_checkpoint(good / "good.pt")
    load_recipe("small")
    open_model(model)
    return {"read": read_ecg, "checkpoint": read_checkpoint, "model": open_model, "recipe": load_recipe}


def open_all(root: Path) -> list[Outcome]:
    """Every artefact, made below `root` and opened."""
    from cmelt.checkpoints.finding import BUNDLED

    model = BUNDLED / "small"
    tempting = Tempting(root / "outside")
    inside, temporary = root / "artefacts", root / "temporary"
    inside.mkdir()
    temporary.mkdir()
    opening = openers(model, temporary)
    tempfile.tempdir = str(temporary)  # where what is packed is unpacked: nothing else may be written anywhere
    watch = Watch(inside, temporary=temporary)
    outcomes = []
    for number, (name, (kind, make)) in enumerate({**ARTEFACTS, **HARMLESS}.items()):
        place = Place(inside / f"{number:02d}", root / "outside", root / f"canary-{number:02d}")
        place.folder.mkdir()
        path = make(place, model) if kind == "model" else make(place)
        tempting.touched()
        outcomes.append(_opened(name, opening[kind], path, place, watch))
        touched = [f"touched {name}" for name in tempting.touched()]
        if touched:
            outcomes[-1] = Outcome(**{**vars(outcomes[-1]), "outside": [*outcomes[-1].outside, *touched]})
    return outcomes


def _opened(name: str, opening: Callable[[Path], object], path: Path, place: Place, watch: Watch) -> Outcome:
    watch.outside.clear()
    watch.ran.clear()
    size = sum(one.stat().st_size for one in place.folder.rglob("*") if one.is_file()) / 1e6
    before = _held()
    forget_peak()
    try:
        with watch:
            opening(path)
    except CMeltError as error:
        refused, told = str(place.folder) in error.where and bool(error.fault), str(error)
    except BaseException as error:  # whatever else comes is a finding
        refused, told = False, f"{type(error).__name__}: {str(error)[:200]}"
    else:
        refused, told = False, "read"
    children = [peak_megabytes(str(child.process.pid)) for child in apart._children]
    more = max(peak_megabytes() - before, *(held - _CHILD_MB for held in children), 0.0) - size
    ran = [*watch.ran, *(["the canary"] if place.canary.exists() else [])]
    return Outcome(name, refused, told.replace(str(place.folder), "…"), ran, sorted(watch.outside), more)


#: What the child that reads HDF5 holds after a good file.
_CHILD_MB = 60.0


def _held() -> float:
    """Megabytes that this process holds now."""
    with suppress(OSError), open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 / 1e6 for line in status if line.startswith("VmRSS"))
    return peak_megabytes()


def figures_of(outcomes: Sequence[Outcome]) -> list[Figure]:
    """Counts of what was promised."""
    asked = [one for one in outcomes if one.name in ARTEFACTS]
    return [
        count("hostile artefacts refused, naming file and reason", sum(one.refused for one in asked), len(asked)),
        count("hostile artefacts that ran nothing", sum(not one.ran for one in outcomes), len(outcomes)),
        count("hostile artefacts that had nothing opened elsewhere", sum(not one.outside for one in outcomes), len(outcomes)),
        Figure("most memory beyond the file's size", max(one.more for one in outcomes), "MB", target=f"≤ {MOST_MORE:g}",
               met=all(one.more <= MOST_MORE for one in outcomes)),
    ]  # fmt: skip


def main() -> None:
    """Open all, print, tell."""
    chosen = options(__doc__).parse_args()
    with tempfile.TemporaryDirectory(prefix="cmelt-hostile-") as folder:
        outcomes = open_all(Path(folder))
    print("| artefact | what came of it | MB beyond the file | |\n|---|---|---|---|")
    for one in outcomes:
        harm = "; ".join([*one.ran, *one.outside])
        print(f"| {one.name} | {one.told} | {one.more:.0f} | {harm} |")
    tell(figures_of(outcomes), chosen.json)


if __name__ == "__main__":
    main()
