"""How the bundled model stands noise, missing and exchanged leads, gain, rails, shifts, short records; and whether that is told.

    OMP_NUM_THREADS=1 python benchmarks/robustness.py PTBXL100 [OTHERS500] --scratch FOLDER [--minutes 4]

PTBXL100: a store of PTB-XL at 100 Hz. Its fold 10 is asked: no weight, no word, no limit of a warning was chosen on it.
`--folds 10 9` adds fold 9, on which limits of two warnings were chosen; there, warnings are not counted.
OTHERS500: a store of the Challenge 2021 at 500 Hz, of which PTB-XL's own records are left out
(`cmelt prepare cinc2021 ./challenge-2021 --rate 500 --out OTHERS500`).

What every condition gave is kept in FOLDER, so that a run that was stopped, or has used up its `--minutes` (it then ends with
status 75), goes on. Figures go to `benchmarks/results/robustness.json`; `robustness_page.py` makes tables and picture of them.
`--quick` asks a few records under one condition of each group. Everything takes some 10 minutes of one core.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

import cmelt
from cmelt.checkpoints import load_embedder
from cmelt.evaluation.contamination import rows_seen
from cmelt.evaluation.embedder import patients_of
from cmelt.evaluation.metrics import dense
from cmelt.evaluation.tasks import load_task
from cmelt.records.record import LEADS, Record
from cmelt.serving.engine import embedder_of
from cmelt.store import Store, open_store
from measuring import machine
from robustness_conditions import CLEAN, Condition, conditions
from robustness_figures import Answers, Question, Sample, answers, fewer, figures, joined, keep, kept

RESULTS = Path(__file__).resolve().parent / "results" / "robustness.json"
FORMAT = "cmelt-robustness"
PTBXL, OTHERS = "PTB-XL", "other hospitals"
#: Fold of PTB-XL → its split of a store; the first is asked first.
SPLITS = {10: "test", 9: "validation"}
#: Ended before all was done: what is left is done by the same command.
UNFINISHED = 75
#: Records, and replicates of the bootstrap, of `--quick`.
QUICK, QUICK_REPLICATES = 40, 50


def sample_of(name: str, store: Store, rows: np.ndarray, tasks: list[str], model: Any) -> Sample:
    """The records at `rows` of a store, asked about by `tasks`, as one part; all of them judged."""
    index = store.index.iloc[rows]
    signals = store.millivolts(rows)
    records = [Record(one, store.rate, LEADS, identifier=record) for one, record in zip(signals, index["record"], strict=True)]
    labels = index["labels"].tolist()
    questions = []
    for task in map(load_task, tasks):
        described = cmelt.describe(model[0], model[1], task)
        questions.append(Question(task.name, described, np.asarray(task.members(labels)), task.truth(labels)))
    patients = dense(patients_of(store.index, rows))
    return Sample(name, records, patients, np.ones(len(rows), bool), tuple(questions), {"all": np.arange(len(rows))})


def ptb_xl(folder: str, model: Any, splits: tuple[str, ...]) -> Sample:
    """Folds 9 and 10, or one of them; fold 10 is judged, and asked first."""
    store = open_store(folder)
    rows = store.rows(*splits)
    found = sample_of(PTBXL, store, rows, ["ptbxl-super", "ptbxl-diagnoses"], model)
    split = store.index["split"].iloc[rows].to_numpy(str)
    return replace(found, judged=split == "test", parts={name: np.flatnonzero(split == name) for name in splits})


def other_hospitals(folder: str, model: Any, seen: tuple[str, ...]) -> Sample:
    """Records of the Challenge with a scored class that are not of PTB-XL, and that training has not seen under any name."""
    store = open_store(folder)
    elsewhere = ~store.index["origin"].str.startswith("ptb-xl/").to_numpy()
    scored = load_task("cinc2021").members(store.index["labels"].tolist())
    rows = np.flatnonzero(elsewhere & scored).astype(np.int64)
    rows = np.setdiff1d(rows, rows_seen(store, rows, seen))
    return sample_of(OTHERS, store, rows, ["cinc2021"], model)


def few_of(samples: list[Sample], every: list[Condition]) -> tuple[list[Sample], list[Condition]]:
    """Some records, and the last condition of each group."""
    chosen = {condition.group: condition for condition in every}
    few = [fewer(one, np.arange(len(one.records))[-QUICK:]) for one in samples]
    return few, [CLEAN, *(one for one in chosen.values() if one is not CLEAN)]


def path_of(scratch: Path, sample: Sample, part: str, condition: Condition) -> Path:
    """Where the answers about a part of the records under a condition are kept."""
    words = f"{sample.name} {part} {condition.group} {condition.name} {len(sample.parts[part])}"
    return scratch / (re.sub(r"[^\w.×-]+", "-", words) + ".npz")


def ask(model: Any, samples: list[Sample], asked: list[Condition], scratch: Path, until: float, old: Path | None) -> bool:
    """Ask what is not yet kept; whether that is all, by the time `until`. `old` as `--vectors`."""
    scratch.mkdir(parents=True, exist_ok=True)
    parts = [(turn, sample, part) for sample in samples for turn, part in enumerate(sample.parts)]
    for _, sample, part in sorted(parts, key=lambda one: one[0]):
        records = fewer(sample, sample.parts[part])
        for condition in asked:
            path = path_of(scratch, sample, part, condition)
            if path.exists():
                continue
            if time.monotonic() > until:
                return False
            known = (
                None if old is None or condition.corrected or not (old / path.name).exists() else kept(old / path.name).vectors
            )
            keep(answers(model, records, condition, known), path)
            print(f"{sample.name}, {part}: {condition.group}, {condition.name}", flush=True)
    return True


def kept_of(scratch: Path, sample: Sample, condition: Condition) -> Answers:
    """All answers about a sample under a condition."""
    return joined(sample, {part: kept(path_of(scratch, sample, part, condition)) for part in sample.parts})


def results_of(samples: list[Sample], asked: list[Condition], scratch: Path, replicates: int) -> list[dict[str, Any]]:
    """The figures of every condition."""
    found = []
    clean = {sample.name: kept_of(scratch, sample, CLEAN) for sample in samples}
    for condition in asked:
        data = {
            sample.name: figures(sample, clean[sample.name], kept_of(scratch, sample, condition), replicates)
            for sample in samples
        }
        at = None if np.isnan(condition.at) else float(condition.at)
        found.append({"group": condition.group, "name": condition.name, "at": at, "data": data})
    return found


def as_text(content: dict[str, Any]) -> str:
    """As JSON, a condition a line."""
    lines = ",\n".join("  " + json.dumps(one, ensure_ascii=False) for one in content["conditions"])
    head = json.dumps({**content, "conditions": []}, indent=1, ensure_ascii=False)
    return head.replace('"conditions": []', f'"conditions": [\n{lines}\n ]') + "\n"


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ptbxl", help="a store of PTB-XL at 100 Hz")
    parser.add_argument("others", nargs="?", help="a store of the Challenge 2021 at 500 Hz")
    parser.add_argument("--model", default="small")
    parser.add_argument("--folds", type=int, nargs="+", choices=list(SPLITS), default=[10], help="of PTB-XL")
    parser.add_argument("--scratch", type=Path, required=True, help="the folder that keeps what was asked already")
    parser.add_argument("--vectors", type=Path, help="an older such folder: where flags have changed and nothing else")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin nothing more after these")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where the figures go")
    parser.add_argument("--quick", action="store_true", help="a few records, one condition of each group")
    parser.add_argument("--bootstrap", type=int, default=1000)
    return parser.parse_args()


def main() -> int:
    """Ask, and when all has been asked write the figures."""
    chosen = arguments()
    until = time.monotonic() + 60 * chosen.minutes
    network, processor = cmelt.load(chosen.model)
    model = (network, processor, embedder_of(network, processor))
    samples = [ptb_xl(chosen.ptbxl, model, tuple(SPLITS[fold] for fold in chosen.folds))]
    if chosen.others:
        samples.append(other_hospitals(chosen.others, model, load_embedder(chosen.model).seen))
    asked, replicates = conditions(), chosen.bootstrap
    if chosen.quick:
        samples, asked = few_of(samples, asked)
        replicates = min(replicates, QUICK_REPLICATES)
    if not ask(model, samples, asked, chosen.scratch, until, chosen.vectors):
        return UNFINISHED
    content = {
        "format": FORMAT,
        "date": date.today().isoformat(),
        "machine": machine(),
        "weights": processor.identity,
        "replicates": replicates,
        "samples": [
            {
                "name": one.name,
                "records": len(one.records),
                "patients": int(one.patients.max()) + 1,
                "judged": int(one.judged.sum()),
            }
            for one in samples
        ],
        "conditions": results_of(samples, asked, chosen.scratch, replicates),
    }
    chosen.json.write_text(as_text(content), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
