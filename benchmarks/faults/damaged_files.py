"""Damaged ECG files of twelve formats among good ones: is each refused or flagged, and is every good one stored?

Run: OMP_NUM_THREADS=1 python benchmarks/faults/damaged_files.py [--damaged 10000] [--good 1000] [--json FILE]

Half of the damaged files have a fixed fault (of bytes or of content), half random edits (`damage.py`). Each is read alone, in one
process whose time, memory and opened files are watched; then all of them and the good ones go through `cmelt prepare folder`.
The outcome of a file is

* refused: an error that names the file and the reason;
* flagged: read, with a flag that its original has not;
* the same: leads, rate and every sample as in the original, because the edit hit what is not read or what can be told apart;
* other samples: some samples differ, each of them possible in an ECG; leads, rate, length and scale are the original's. No reader
  can know in a format without checksums: this is counted, and not asked of any;
* another ECG: leads, rate, length or scale differ and nothing is said. Of fixed faults none may be; random edits can turn one
  valid statement into another ("1000 steps/mV" into "1070" in the only place where the format says it).

With `--folder F` the files and what was found stay in F, and a second call goes on from there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from cmelt.errors import RecordError
from cmelt.records.readers import apart, read_ecg
from cmelt.records.record import Record
from cmelt.records.standard import standardise
from cmelt.simulation import simulate

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parent), str(HERE.parents[1] / "tests")]
from damage import EDITS, FIXED_BYTES, FORMATS, faults_of_content, random_edit  # noqa: E402
from watching import Watch, forget_peak  # noqa: E402

from measuring import Figure, options, peak_megabytes, tell, verdict  # noqa: E402

REFUSED, FLAGGED, SAME, SAMPLES, OTHER = "refused", "flagged", "the same", "other samples", "another ECG"
CRASHED, NAMELESS = "crashed", "refused without file or reason"
MOST_SECONDS, MOST_MEGABYTES = 2.0, 512.0
#: A sample counts as another one beyond this, mV; a lead as another lead where so many samples differ.
_SAME_MV, _MOST_DIFFERING = 1e-6, 0.5


@dataclass(frozen=True)
class Damaged:
    """A damaged file: where it lies below the root, of which good record, in what format, and what was done to it."""

    place: str
    original: int
    format: str
    fault: str
    fixed: bool


@dataclass(frozen=True)
class Look:
    """What became of one file.

    Attributes:
        seconds: that it took, by the clock.
        megabytes: the most that this process, or its reading child, has held.
        told: the error, the flags, or in what it differs.
        outside: what was opened or changed outside meanwhile.
    """

    outcome: str
    seconds: float
    megabytes: float
    told: str
    outside: Sequence[str] = ()


def heart_of(number: int) -> np.ndarray:
    """The signal of good record `number`, [12, 1000] mV, in whole microvolts."""
    return (np.rint(simulate(70_000 + number, rate=100).signal.astype(np.float64) * 1000) / 1000).astype(np.float32)


def write_good(root: Path, count: int) -> list[str]:
    """Good files of all formats in turn; their places below the root."""
    names = list(FORMATS)
    places = []
    for number in range(count):
        suffix, writer = FORMATS[names[number % len(names)]]
        path = root / "good" / f"{number:05d}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        places.append(str(writer(path, heart_of(number)).relative_to(root)))
    return places


def write_damaged(root: Path, good: Sequence[str], count: int, seed: int = 6) -> Iterator[Damaged]:
    """So many damaged files, by turns with a fixed fault of bytes, of content, and twice with random edits."""
    rng = np.random.default_rng(seed)
    names = list(FORMATS)
    for number in range(count):
        original = int(rng.integers(len(good)))
        name = names[original % len(names)]
        path = root / "damaged" / f"{number // 1000:02d}" / f"{number:05d}{FORMATS[name][0]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = number % 4
        if kind == 1:
            faults = faults_of_content(name)
            fault = str(rng.choice(list(faults)))
            FORMATS[name][1](path, faults[fault](heart_of(original), rng).astype(np.float32))
        else:
            fault = _damage_bytes(root / good[original], path, rng, fixed=kind == 0)
        yield Damaged(str(path.relative_to(root)), original, name, fault, kind < 2)


def _damage_bytes(good: Path, path: Path, rng: np.random.Generator, *, fixed: bool) -> str:
    """A copy of the good file (of a WFDB record both, one of them damaged) at `path`; what was done."""
    part = "" if good.suffix != ".hea" else str(rng.choice([".hea", ".dat"]))
    content = good.with_suffix(part or good.suffix).read_bytes()
    if fixed:
        fault = str(rng.choice(list(FIXED_BYTES)))
        changed = FIXED_BYTES[fault](content, rng)
    else:
        fault, changed = random_edit(content, rng)
    if part:
        header = good.read_text().replace(good.stem, path.stem)
        if part == ".hea":
            content = header.encode()
            changed = FIXED_BYTES[fault](content, rng) if fixed else random_edit(content, rng)[1]
        path.write_text(header)
        path.with_suffix(".dat").write_bytes(good.with_suffix(".dat").read_bytes())
    path.with_suffix(part or path.suffix).write_bytes(changed)
    return fault + (f" of the {part} file" if part else "")


def read_flagged(path: Path) -> tuple[Record, set[str]]:
    """A record and its flags, as preparation sees them."""
    record = read_ecg(path)
    return record, set(standardise(record, record.rate).flags)


def look(path: Path, original: tuple[Record, set[str]]) -> Look:
    """Read one file."""
    begin = time.perf_counter()
    try:
        read = read_flagged(path)
    except RecordError as error:
        named = Path(error.where).parent == path.parent and len(error.fault) > 4  # the file, or one that its header names
        outcome, told = REFUSED if named else NAMELESS, f"{error.where}: {error.fault}"
    except Exception as error:  # a crash is a finding, not the end of the measurement
        outcome, told = CRASHED, f"{type(error).__name__}: {error}"
    else:
        outcome, told = compared(read, original)
    seconds = time.perf_counter() - begin
    children = [peak_megabytes(str(child.process.pid)) for child in apart._children]
    return Look(outcome, seconds, max([peak_megabytes(), *children]), told)


def compared(read: tuple[Record, set[str]], original: tuple[Record, set[str]]) -> tuple[str, str]:
    """The outcome of a file that was read, and in what it differs."""
    (record, flags), (truth, known) = read, original
    if new := flags - known:
        return FLAGGED, ", ".join(sorted(new))
    if set(record.leads) != set(truth.leads) or record.rate != truth.rate:
        return OTHER, f"{record.rate:g} Hz, {' '.join(record.leads)}"
    if record.signal.shape != truth.signal.shape:
        return OTHER, f"{record.signal.shape[1]} samples"
    order = [record.leads.index(lead) for lead in truth.leads]
    differing = ~(np.abs(record.signal[order] - truth.signal) <= _SAME_MV)  # NaN differs
    if not differing.any():
        return SAME, ""
    share = differing.mean(axis=1)
    told = f"{int(differing.sum())} samples, at most {np.abs(record.signal[order] - truth.signal).max():.3f} mV"
    return (OTHER, f"scale: {told}") if share.max() > _MOST_DIFFERING else (SAMPLES, told)


def looks_at(root: Path, damaged: Sequence[Damaged], good: Sequence[str], kept: Path) -> list[Look]:
    """Every damaged file read alone, watched; what an earlier call, perhaps stopped, has looked at is kept in a file of lines."""
    looks = [Look(**json.loads(line)) for line in kept.read_text().splitlines()] if kept.exists() else []
    originals: dict[int, tuple[Record, set[str]]] = {}
    watch = Watch(root)
    read_flagged(root / good[0])
    with kept.open("a") as lines:
        for one in damaged[len(looks) :]:
            if one.original not in originals:
                originals[one.original] = read_flagged(root / good[one.original])
            forget_peak()
            with watch:
                told = look(root / one.place, originals[one.original])
            looks.append(replace(told, outside=sorted(watch.outside)))
            watch.outside.clear()
            lines.write(json.dumps(asdict(looks[-1])) + "\n")
            lines.flush()
    return looks


def prepared(root: Path, damaged: Sequence[Damaged], good: Sequence[str]) -> tuple[list[Figure], float]:
    """All files through `cmelt prepare folder` in one go: which are stored, which are named, how large the processes became."""
    import pandas as pd

    table, store = root / "table.csv", root / "store"
    table.write_text("record\n" + "\n".join([*good, *(one.place for one in damaged)]) + "\n")
    command = [sys.executable, "-m", "cmelt.cli", "prepare", "folder", str(root), "--table", str(table), "--out", str(store)]
    begin = time.perf_counter()
    ended = subprocess.run([*command, "--workers", "2", "--json"], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begin
    if ended.returncode:
        raise RuntimeError(f"cmelt prepare ended with {ended.returncode}: {ended.stderr[-2000:]}")
    stored = set(pd.read_parquet(store / "index.parquet", columns=["record"])["record"])
    lines = [json.loads(line) for line in (store / "quarantine.jsonl").read_text().splitlines()]
    named = [line for line in lines if line["path"] and line["reason"]]
    total = len(good) + len(damaged)
    return [
        count("good files stored", len(stored & set(good)), len(good)),
        count("files that were not stored, named with file and reason", len(named), total - len(stored)),
    ], seconds


def count(what: str, hits: int, total: int, note: str = "") -> Figure:
    """A share that has to be whole."""
    value = 100.0 * hits / max(total, 1)
    told = f"{hits:,} of {total:,}" + (f"; {note}" if note else "")
    return Figure(what, value, "%", target="≥ 100", met=verdict(value, "≥ 100"), note=told)


def figures_of(damaged: Sequence[Damaged], looks: Sequence[Look]) -> list[Figure]:
    """What the looks come to."""
    fixed = [look.outcome for one, look in zip(damaged, looks, strict=True) if one.fixed]
    edited = [look.outcome for one, look in zip(damaged, looks, strict=True) if not one.fixed]
    told = Counter(fixed), Counter(edited)
    accepted = [sum(of[outcome] for outcome in (REFUSED, FLAGGED, SAME)) for of in told]
    broken = sum(of[outcome] for of in told for outcome in (CRASHED, NAMELESS))
    possible = len(edited) - told[1][SAMPLES]
    outside = {told for look in looks for told in look.outside}
    slowest, largest = max(look.seconds for look in looks), max(look.megabytes for look in looks)
    return [
        count("fixed faults refused, flagged, or read as if there were none", accepted[0], len(fixed), _shares(told[0])),
        replace(
            count("random edits refused, flagged, or without effect, of those that a reader can know", accepted[1], possible),
            target="", met=None, note=f"{accepted[1]:,} of {possible:,}; {_shares(told[1])}",
        ),
        count("files that ended in a record or in an error naming file and reason", len(looks) - broken, len(looks)),
        Figure("slowest file", slowest, "s", target=f"≤ {MOST_SECONDS:g}", met=slowest <= MOST_SECONDS),
        Figure(
            "most memory, this process or its reading child", largest, "MB", target=f"≤ {MOST_MEGABYTES:g}",
            met=largest <= MOST_MEGABYTES,
        ),
        Figure("files opened or changed outside", float(len(outside)), "files", target="≤ 0", met=not outside),
    ]  # fmt: skip


def _shares(counted: Counter[str]) -> str:
    return ", ".join(f"{outcome} {number:,}" for outcome, number in counted.most_common())


def print_tables(damaged: Sequence[Damaged], looks: Sequence[Look]) -> None:
    """Outcomes by format, and each that nothing was said of."""
    outcomes = (REFUSED, FLAGGED, SAME, SAMPLES, OTHER)
    for fixed, title in ((True, "fixed faults"), (False, f"random edits ({len(EDITS)} kinds)")):
        print(f"\n## {title}\n\n| format | files | {' | '.join(outcomes)} |\n|---|---|{'---|' * len(outcomes)}")
        for name in FORMATS:
            of = Counter(
                look.outcome for one, look in zip(damaged, looks, strict=True) if (one.format, one.fixed) == (name, fixed)
            )
            print(f"| {name} | {of.total()} | {' | '.join(str(of[outcome]) for outcome in outcomes)} |")
    for one, look in zip(damaged, looks, strict=True):
        if look.outcome in (OTHER, CRASHED, NAMELESS) or (one.fixed and look.outcome == SAMPLES) or look.outside:
            print(f"{look.outcome}: {one.place} ({one.format}, {one.fault}): {look.told} {' '.join(look.outside)}")


def main() -> None:
    """Write, look, prepare, tell."""
    parser = options(__doc__)
    parser.add_argument("--damaged", type=int, default=10_000)
    parser.add_argument("--good", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=6, help="of the damage")
    parser.add_argument("--no-prepare", action="store_true", help="read them alone only")
    parser.add_argument("--folder", type=Path, help="keep the files and what was found there, and go on from it")
    chosen = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(prefix="cmelt-damaged-") as folder:
        root = chosen.folder or Path(folder)
        good, damaged, looks = looked_at(root, chosen.good, chosen.damaged, chosen.seed)
        print_tables(damaged, looks)
        figures = figures_of(damaged, looks)
        if not chosen.no_prepare:
            stored, seconds = prepared(root, damaged, good)
            figures += [*stored, Figure("cmelt prepare, all of them", seconds, "s", note="2 workers")]
    tell(figures, chosen.json)


def looked_at(root: Path, good_count: int, count: int, seed: int) -> tuple[list[str], list[Damaged], list[Look]]:
    """Good files, damaged ones, and the looks at these: made now, or gone on with in `root`."""
    made = root / "files.json"
    if made.exists():
        told = json.loads(made.read_text())
        good, damaged = told["good"], [Damaged(**one) for one in told["damaged"]]
    else:
        good = write_good(root, good_count)
        damaged = list(write_damaged(root, good, count, seed))
        made.write_text(json.dumps({"good": good, "damaged": [asdict(one) for one in damaged]}))
    return good, damaged, looks_at(root, damaged, good, root / "looks.jsonl")


if __name__ == "__main__":
    main()
