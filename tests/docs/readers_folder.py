"""What a reader of the pages has at hand: ECG files, archives in their publishers' layouts, stores, a trained run; all made here.

Each thing is made once a session, where a page names it, and copied into a fresh folder for every page.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from array_files import write_table
from binary_files import write_dicom, write_edf
from challenge_files import write_challenge, write_cpsc_struct, write_reference, write_split_list
from cmelt.sources.vocabularies import MERL_CSN
from code_files import write_code_15, write_code_test
from dbeta_release import WITH_WORDS, write_random
from ecg_files import heart, write_ptb_xl, write_wfdb
from ludb_files import write_ludb
from mimic_files import studies, write_mimic
from running import cmelt
from tiny_runs import tiny_recipe_file
from tiny_studies import study_file
from vendor_files import write_muse

RATE = 500.0
REPORTS = (
    "sinusrhythmus normales ekg",
    "atrial fibrillation with rapid response",
    "inferior infarction of unknown age",
    "t-wave abnormality in lateral leads",
    "left bundle branch block",
)
#: Sinus rhythm, atrial fibrillation, sinus bradycardia, left bundle branch block in SNOMED CT.
CODES = ("426783006", "164889003", "426177001", "164909002")

Maker = Callable[["Library", Path], object]


class Library:
    """Everything that has been made so far, each thing in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def made(self, name: str) -> Path:
        """The folder that holds the thing called `name`, made now if it was not."""
        place = self.folder / re.sub(r"\W", "_", name)
        if not place.exists():
            fresh = place.with_name(f"{place.name}.making")
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            THINGS[name](self, fresh)
            fresh.replace(place)
        return place

    def at(self, name: str) -> Path:
        """The thing itself."""
        return self.made(name) / name

    def lay_out(self, text: str, folder: Path) -> None:
        """Copy into `folder` everything that `text` names."""
        for name in THINGS:
            if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-]*\w)", text):
                shutil.copytree(self.made(name), folder, dirs_exist_ok=True)


def _done(*arguments: str | Path) -> None:
    done = cmelt(*arguments)
    if done.returncode:
        raise RuntimeError(f"cmelt {' '.join(map(str, arguments))}: {done.stderr}")


def _microvolts(folder: Path) -> None:
    np.save(folder / "bare.npy", np.rint(heart(5, RATE) * 1000).astype(np.int16))


def _signal_of_three_leads(folder: Path) -> None:
    np.save(folder / "ecg.npy", heart(4, RATE)[[0, 1, 6]].astype(np.float32))


def _ward(folder: Path) -> None:
    for number in range(3):
        write_wfdb(folder / f"{number}", heart(20 + number))


#: Records of each fold of the small PTB-XL: 70 to train on, patients enough in fold 9 for calibration.
FOLDS = {1: 35, 2: 35, 9: 100, 10: 20}


def _ptb_xl(folder: Path) -> None:
    """Every patient has two records, of one fold; two records come at 500 Hz as well."""
    write_ptb_xl(folder, sum(FOLDS.values()) - 1, REPORTS)
    names = folder / "scp_statements.csv"
    names.write_text(names.read_text() + "AFIB,fibrillation,,,1.0,,\n")
    table = pd.read_csv(folder / "ptbxl_database.csv", index_col="ecg_id", dtype=str)
    table["scp_codes"] = table["scp_codes"].replace("{'NDT': 0.0, 'SR': 0.0}", "{'NDT': 0.0, 'AFIB': 0.0}")
    table["strat_fold"] = [fold for fold, records in FOLDS.items() for _ in range(records)]
    table["patient_id"] = [str(20_000 + row // 2 + 500 * (row >= FOLDS[1])) for row in range(len(table))]
    table.to_csv(folder / "ptbxl_database.csv")
    for number in (1, 2):
        write_wfdb(folder / f"records500/00000/{number:05d}_hr", heart(number, RATE), RATE)


def _challenge(folder: Path, names: list[str]) -> None:
    for number, name in enumerate(names):
        code = CODES[number % len(CODES)]
        write_challenge(folder / name, heart(5000 + number, RATE), comments={"Dx": code, "Age": str(40 + number)})


def _lists(root: Path) -> None:
    for number, part in enumerate(("train", "val", "test")):
        rows = {f"JS{3 * k + number + 1:05d}": [MERL_CSN[k % 4]] for k in range(2)}
        write_split_list(root / f"chapman_{part}.csv", rows, MERL_CSN, "ecg_path")


def _cpsc(folder: Path) -> None:
    for number in range(3):
        write_cpsc_struct(folder / f"A{number + 1:04d}.mat", heart(number, RATE))
    write_reference(folder / "REFERENCE.csv", {f"A{number + 1:04d}": [number + 1] for number in range(3)})


def _archive(folder: Path) -> None:
    """Three formats mixed, beside a table."""
    write_wfdb(folder / "a/r1", heart(1))
    write_muse(folder / "r2.xml", heart(2))
    write_table(folder / "r3.csv", heart(3))
    rows = ("record,patient,report,labels", "a/r1,1,normal ecg,normal", "r2.xml,2,af,af", "r3.csv,3,lbbb,lbbb")
    (folder / "table.csv").write_text("\n".join(rows) + "\n")


def _store(name: str, source: str, thing: str) -> Maker:
    """A store called `name` of the archive `thing`."""
    return lambda library, root: _done("prepare", source, library.at(thing), "--out", root / name, "--workers", "1")


def _file(name: str, write: Callable[[Path], object]) -> Maker:
    return lambda _, root: write(root / name)


def _same(name: str, other: str) -> Maker:
    return lambda library, root: shutil.copytree(library.at(other), root / name)


def _run(name: str) -> Maker:
    """A finished run of the tiny recipe."""

    def make(library: Library, root: Path) -> None:
        recipe = tiny_recipe_file(library.folder, "model.text.vocabulary=300")
        _done("pretrain", "--recipe", recipe, "--data", library.at("ptbxl100"), "--out", root / name)

    return make


def _index(library: Library, root: Path) -> None:
    _done("index", library.at("ptbxl100"), "--model", "small", "--out", root / "ptbxl-index", "--workers", "1")


def _authors(_: Library, root: Path) -> None:
    write_random(root, WITH_WORDS)
    shutil.copy(root / "sample.pt", root / "small.pt")
    (root / "sizes.json").write_text(json.dumps(WITH_WORDS))


def _tokenizer(_: Library, root: Path) -> None:
    from cmelt.text import train_tokenizer

    train_tokenizer(list(REPORTS) * 4, 400).save_pretrained(root / "flan-t5-base")


def _study(_: Library, root: Path) -> None:
    """A study of two tiny cells and the store that it names."""
    (root / "studies").mkdir(exist_ok=True)
    asked = [{"kind": "zero-shot", "store": "store", "tasks": ["simulated"]}]
    study_file(root / "studies", evaluate=asked).rename(root / "studies/ptbxl.yaml")
    _done("prepare", "simulated", "--records", "60", "--seed", "5", "--out", root / "stores/store", "--workers", "1")


def _task(_: Library, root: Path) -> None:
    classes = {
        "atrial fibrillation": {"labels": ["scp:AFIB"], "prompts": ["atrial fibrillation"], "negative_prompts": ["normal"]}
    }
    (root / "mine.yaml").write_text(yaml.safe_dump({"name": "mine", "classes": classes}))


def _wfdb(name: str, seed: int) -> Maker:
    return lambda _, root: write_wfdb(root / name, heart(seed))


_JS = [f"WFDBRecords/01/010/JS{number:05d}" for number in range(1, 7)]
_GEORGIA = [f"training/georgia/g1/E{number:05d}" for number in range(1, 49)]

#: What pages name → what makes it, below the folder that it is given.
THINGS: dict[str, Maker] = {
    "patient.dcm": _file("patient.dcm", lambda path: write_dicom(path, heart(1))),
    "patient.xml": _file("patient.xml", lambda path: write_muse(path, heart(1))),
    "patient.hea": _wfdb("patient", 1),
    "a.dcm": _file("a.dcm", lambda path: write_dicom(path, heart(2))),
    "b.dcm": _file("b.dcm", lambda path: write_dicom(path, heart(3))),
    "a.xml": _file("a.xml", lambda path: write_muse(path, heart(2))),
    "b.xml": _file("b.xml", lambda path: write_muse(path, heart(3))),
    "ecg.dcm": _file("ecg.dcm", lambda path: write_dicom(path, heart(4))),
    "r.hea": _wfdb("r", 6),
    "ecg.npy": lambda _, root: _signal_of_three_leads(root),
    "bare.npy": lambda _, root: _microvolts(root),
    "holter.edf": _file("holter.edf", lambda path: write_edf(path, heart(7, seconds=150.0))),
    "ward": lambda _, root: _ward(root / "ward"),
    "folder": lambda _, root: _ward(root / "folder"),
    "mine.yaml": _task,
    "ptb-xl": lambda _, root: _ptb_xl(root / "ptb-xl"),
    "mimic": lambda _, root: write_mimic(root / "mimic", studies(12)),
    "mimic-iv-ecg": _same("mimic-iv-ecg", "mimic"),
    "challenge-2021": lambda _, root: _challenge(root / "challenge-2021", _GEORGIA),
    "ecg-arrhythmia": lambda _, root: _challenge(root / "ecg-arrhythmia", _JS),
    "chapman_train.csv": lambda _, root: _lists(root),
    "cpsc2018": lambda _, root: _cpsc(root / "cpsc2018"),
    "code-15": lambda _, root: write_code_15(root / "code-15"),
    "code-test": lambda _, root: write_code_test(root / "code-test"),
    "ludb": lambda _, root: write_ludb(root / "ludb"),
    "archive": lambda _, root: _archive(root / "archive"),
    "ptbxl100": _store("ptbxl100", "ptb-xl", "ptb-xl"),
    "mimic100": _store("mimic100", "mimic-iv-ecg", "mimic"),
    "cinc100": _store("cinc100", "cinc2021", "challenge-2021"),
    "csn100": _store("csn100", "csn", "ecg-arrhythmia"),
    "simulated": lambda _, root: _done("prepare", "simulated", "--records", "60", "--out", root / "simulated", "--workers", "1"),
    "ptbxl-index": _index,
    "mine": _same("mine", "mimic100"),
    "STORE": _same("STORE", "ptbxl100"),
    "OTHER": _same("OTHER", "cinc100"),
    "A": _same("A", "ptbxl100"),
    "B": _same("B", "mimic100"),
    "RUN": _run("RUN"),
    "runs/small": _same("runs/small", "RUN"),
    "runs/mine": _same("runs/mine", "RUN"),
    "sample.pt": _authors,
    "flan-t5-base": _tokenizer,
    "studies/ptbxl.yaml": _study,
}
