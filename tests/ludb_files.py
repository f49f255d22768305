"""LUDB's native layout with invented records: `ludb.csv` with line breaks inside cells, `data/1.hea` … with lower-case leads."""

from __future__ import annotations

import csv
from pathlib import Path

from cmelt.records.record import LEADS
from ecg_files import heart, write_wfdb

COLUMNS = (
    "ID", "Sex", "Age", "Rhythms", "Electric axis of the heart", "Conduction abnormalities", "Extrasystolies", "Hypertrophies",
    "Cardiac pacing", "Ischemia", "Non-specific repolarization abnormalities", "Other states",
)  # fmt: skip
ROWS = (
    ("1", "F\n", "51\n", "Sinus bradycardia\n", "Electric axis of the heart: left axis deviation\n", "", "",
     "Left ventricular hypertrophy\nLeft ventricular overload\n", "", "",
     "Non-specific repolarization abnormalities: posterior wall\n", ""),
    ("2", "M\n", ">89\n", "Atrial flutter, typical\n", "Electric axis of the heart: normal\n", "III degree AV-block\n",
     "Ventricular extrasystole, localisation: LVOT, LVS\nVentricular extrasystole, type: single PVC\n", "",
     "UNIpolar ventricular pacing\n", "Undefined ischemia/scar/supp.NSTEMI: septal\n", "", ""),
    ("3", "M\n", "64\n", "Rhythm: Sinus rhythm. \n", "", "", "", "", "", "",
     "Non- specific repolarization abnormalities: apical \n", "Early repolarization syndrome\n"),
    ("4", "F\n", "33\n", "Sinus rhythm\n", "Electric axis of the heart: normal\n", "", "", "", "", "", "", ""),
)  # fmt: skip


def write_ludb(folder: Path, present: int = 3) -> Path:
    """A small LUDB with four rows, of which the first `present` have files."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "ludb.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        writer.writerows(ROWS)
    names = [lead.lower() for lead in LEADS]
    for number in range(1, present + 1):
        comments = "#<age>: 20\n#<sex>: M\n#<diagnoses>:\n#Rhythm: something else. \n"
        header = write_wfdb(folder / "data" / str(number), heart(number, 500.0), 500.0, names, comments=comments)
        for lead in names:
            header.with_suffix(f".{lead}").write_bytes(b"\x01\x9c\x01\x00")  # annotations, which are not read
    return folder
