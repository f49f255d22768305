"""The same ECG, the same scores: whatever the file's format, its rate, the way of asking, and the company it is asked in.

Run: OMP_NUM_THREADS=1 python benchmarks/faults/same_scores.py [DATA] [--ecgs 20] [--json FILE]

Simulated ECGs of 10 s at 100 Hz in whole microvolts are written in twelve formats and as an array; scored by `cmelt.classify`
alone and together, by the command `cmelt classify`, and by a service at a local port that gets the same bytes. All are compared
with the array's scores by `cmelt.classify`, one by one. At other rates a recording is another recording: simulated ECGs are
sampled anew at 100, 250, 500 and 1000 Hz, and PTB-XL's own files at 100 and 500 Hz are compared where DATA has them; how far
scores move is stated, beside how far they lie apart from ECG to ECG.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import cmelt
from cmelt.records.readers import ReadOptions, read_ecg
from cmelt.records.record import LEADS, Record
from cmelt.simulation import simulate

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parent), str(HERE.parents[1] / "tests")]
from damage import FORMATS  # noqa: E402
from damaged_files import heart_of  # noqa: E402

from http_calls import files_at, process  # noqa: E402
from measuring import Figure, options, tell, verdict  # noqa: E402
from quality_records import HELD_FOLDS, data_folder, ptb_xl  # noqa: E402

CLASSES = (
    "atrial-fibrillation", "left-bundle-branch-block", "right-bundle-branch-block", "sinus-bradycardia", "normal-ecg",
    "first-degree-av-block", "left-ventricular-hypertrophy", "inferior-infarction",
)  # fmt: skip
RATES = (100, 250, 500, 1000)
TOLERANCE = 1e-5

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Scorer:
    """`cmelt.classify` with the bundled model."""

    model: Any
    processor: Any

    @classmethod
    def bundled(cls) -> Scorer:
        """On the CPU, as all ways here."""
        return cls(*cmelt.load("small", device="cpu"))

    def one_by_one(self, ecgs: Sequence[Any]) -> Scores:
        """[n, classes], each ECG asked alone."""
        return np.concatenate([self.together([ecg]) for ecg in ecgs])

    def together(self, ecgs: Sequence[Any]) -> Scores:
        """[n, classes], all asked at once."""
        return np.asarray(cmelt.classify(self.model, self.processor, list(ecgs), CLASSES).values, dtype=np.float64)


def written(folder: Path, number: int) -> Mapping[str, Path]:
    """One ECG as a file of each format, and as a bare array."""
    signal = heart_of(number)
    paths = {}
    for name, (suffix, writer) in FORMATS.items():
        place = folder / f"{number}" / name.replace(" ", "-")
        place.mkdir(parents=True)
        paths[name] = writer(place / f"e{suffix}", signal)
    np.save(folder / f"{number}" / "e.npy", signal)
    return {**paths, "npy": folder / f"{number}" / "e.npy"}


def by_format(scorer: Scorer, files: Sequence[Mapping[str, Path]]) -> Mapping[str, Scores]:
    """[n, classes] of each format; a bare array is told its rate, unit and leads."""
    said = ReadOptions(rate=100.0, unit="mV", leads=LEADS)
    found = {name: scorer.one_by_one([paths[name] for paths in files]) for name in FORMATS}
    return {**found, "npy": scorer.one_by_one([read_ecg(paths["npy"], said) for paths in files])}


def by_command(paths: Sequence[Path]) -> Scores:
    """[n, classes] by `cmelt classify`, all files in one call."""
    command = [sys.executable, "-m", "cmelt.cli", "classify", *map(str, paths), "--classes", ",".join(CLASSES), "--json"]
    ended = subprocess.run([*command, "--workers", "1", "--device", "cpu"], capture_output=True, text=True, check=True)
    return np.array([[record["scores"][name] for name in CLASSES] for record in json.loads(ended.stdout)["records"]])


def by_service(folder: Path, paths: Sequence[Path]) -> Scores:
    """[n, classes] by a service, a file a request."""
    rows = []
    with process(folder, "--model", "small") as running:
        for path in paths:
            beside = [path.with_suffix(".dat")] if path.suffix == ".hea" else []
            answer = running.service.upload("/v1/classify", files_at(path, *beside), classes=",".join(CLASSES))
            if answer.status != 200:
                raise RuntimeError(f"the service answered {answer.status}: {answer.body[:500]!r}")
            scores = answer.json["results"]
            rows.append([score_in(scores, name) for name in CLASSES])
    return np.array(rows)


def score_in(scores: Any, name: str) -> float:
    """A class's score in an answer."""
    return float(next(one["score"] for one in scores if one["class"] == name))


def distance(one: Scores, other: Scores) -> float:
    """The farthest that two scores of one ECG and class lie apart."""
    return float(np.abs(one - other).max())


def same_figures(scorer: Scorer, folder: Path, ecgs: int) -> list[Figure]:
    """Formats, company, command and service against the bare arrays' scores."""
    files = [written(folder / "files", number) for number in range(ecgs)]
    scores = by_format(scorer, files)
    truth = scores["npy"]
    figures = [_same(f"as {name}", distance(scores[name], truth), ecgs) for name in FORMATS]
    paths = [paths[name] for number, paths in enumerate(files) for name in [list(FORMATS)[number % len(FORMATS)]]]
    figures.append(_same("all in one call", distance(scorer.together(paths), truth), ecgs))
    figures.append(_same("by the command, all in one call", distance(by_command(paths), truth), ecgs))
    return [*figures, _same("by the service, one by one", distance(by_service(folder / "service", paths), truth), ecgs)]


def _same(what: str, value: float, ecgs: int) -> Figure:
    target = f"≤ {TOLERANCE:g}"
    note = f"{ecgs} ECGs × {len(CLASSES)} classes"
    return Figure(
        f"farthest score from that of the array: {what}", value, "", target=target, met=verdict(value, target), note=note
    )


def rate_figures(scorer: Scorer, ecgs: int, data: Path | None) -> list[Figure]:
    """How far scores move with the rate, and how far apart ECGs lie."""
    simulated = {rate: [simulate(80_000 + number, rate=rate) for number in range(ecgs)] for rate in RATES}
    sets: dict[str, tuple[Sequence[Record], Sequence[Record]]] = {
        f"simulated at {rate} Hz against 500 Hz": (simulated[rate], simulated[500]) for rate in RATES if rate != 500
    }
    if data is not None:
        fast = {record.identifier[:5]: record for record in ptb_xl(data, 500, HELD_FOLDS)}
        slow = [record for record in ptb_xl(data, 100, HELD_FOLDS) if record.identifier[:5] in fast]
        twins = [fast[record.identifier[:5]] for record in slow]
        sets["PTB-XL's files at 100 Hz against those at 500 Hz"] = slow, twins
        every_second = [replace(record, signal=_halved(record), rate=250.0) for record in twins]
        sets["PTB-XL's files at 500 Hz, halved to 250 Hz, against 500 Hz"] = every_second, twins
    return [figure for name, (one, other) in sets.items() for figure in _moved(scorer, name, one, other)]


def _halved(record: Record) -> NDArray[np.float32]:
    from cmelt.records.resample import resample

    return resample(record.signal, record.rate, record.rate / 2)


def _moved(scorer: Scorer, name: str, one: Sequence[Record], other: Sequence[Record]) -> list[Figure]:
    first, second = scorer.together(one), scorer.together(other)
    moved = np.abs(first - second)
    apart = float(np.median(second.std(axis=0)))
    ranks = [
        float(np.corrcoef(a.argsort().argsort(), b.argsort().argsort())[0, 1]) for a, b in zip(first.T, second.T, strict=True)
    ]
    note = (
        f"{len(first)} ECGs × {len(CLASSES)} classes; scores of different ECGs spread by {apart:.3f} (median class's deviation)"
    )
    return [
        Figure(f"scores move: {name}", float(np.median(moved)), "", high=float(moved.max()), low=0.0,
               note=f"median; spread up to the farthest; {note}"),
        Figure(f"99 % of scores move less: {name}", float(np.quantile(moved, 0.99)), ""),
        Figure(f"rank correlation of the least agreeing class: {name}", min(ranks), ""),
    ]  # fmt: skip


def main() -> None:
    """Everything, told."""
    parser = options(__doc__)
    parser.add_argument("data", nargs="?", help="the folder of real ECGs")
    parser.add_argument("--ecgs", type=int, default=20)
    chosen = parser.parse_args()
    scorer = Scorer.bundled()
    with tempfile.TemporaryDirectory(prefix="cmelt-same-") as folder:
        figures = same_figures(scorer, Path(folder), chosen.ecgs)
    tell(figures + rate_figures(scorer, 5 * chosen.ecgs, data_folder(chosen.data)), chosen.json)


if __name__ == "__main__":
    main()
