"""The bundled task of a shift: its classes mean the same in both vocabularies."""

from __future__ import annotations

import ast
import csv
from collections import Counter

import numpy as np

from cmelt.evaluation.tasks import load_task, tasks_in
from cmelt.sources.cinc2021 import Cinc2021
from cmelt.sources.code_tracings import CLASSES
from cmelt.sources.ptb_xl import read_vocabularies
from cmelt.sources.snomed import conditions, scored_classes
from cmelt.sources.vocabularies import CPSC2018

TASK = load_task("shift")


def of(prefix):
    return {label.removeprefix(prefix) for c in TASK.classes.values() for label in c.labels if label.startswith(prefix)}


def test_every_class_has_labels_of_ptb_xl_and_of_the_challenge():
    for name, c in TASK.classes.items():
        kinds = {label.partition(":")[0] for label in c.labels}
        assert "scp" in kinds, name
        assert kinds & {"cinc", "snomed"}, name
        assert kinds <= {"scp", "cinc", "snomed", "code", "sim"}


def test_no_label_is_in_two_classes():
    assert max(Counter(label for c in TASK.classes.values() for label in c.labels).values()) == 1


def test_all_labels_are_ones_that_the_sources_give(data_dir):
    from cmelt.simulation import CONDITIONS

    assert of("scp:") <= set(read_vocabularies(data_dir / "ptb-xl" / "scp_statements.csv"))
    assert of("cinc:") <= set(scored_classes())
    assert of("snomed:") <= set(conditions())
    assert of("code:") == set(CLASSES)
    assert of("sim:") <= set(CONDITIONS)


def test_a_scored_code_is_named_by_its_class():
    # "cinc:" holds all codes that were scored as one diagnosis; a bare code of them would leave the others out.
    assert not {code for code in of("snomed:") if conditions()[code].scored_class}


def test_cpsc2018_can_be_asked_of_all_its_nine_classes():
    known = of("snomed:") | {code for code, one in conditions().items() if one.scored_class in of("cinc:")}
    assert {one.code for one in CPSC2018} <= known


def test_the_task_is_measured_only_where_it_is_named():
    assert "shift" not in [task.name for task in tasks_in([["scp:AFIB"], ["cinc:AF"], ["sim:normal"], ["code:AF"]])]


def test_ptb_xl_s_records_inside_the_challenge_are_of_the_same_classes_in_both_vocabularies(data_dir):
    words = read_vocabularies(data_dir / "ptb-xl" / "scp_statements.csv")
    with (data_dir / "ptb-xl" / "ptbxl_database.csv").open(encoding="utf-8") as file:
        rows = {int(float(row["ecg_id"])): ast.literal_eval(row["scp_codes"]) for row in csv.DictReader(file)}
    entries = list(Cinc2021(str(data_dir / "challenge-2021"), parts=("ptb-xl",)).entries().entries)
    own = [[label for code in rows[int(entry.record[2:])] for label in words[code]] for entry in entries]
    theirs = TASK.truth([entry.labels for entry in entries])
    differ = TASK.truth(own) != theirs
    assert len(entries) > 30
    assert theirs.any(axis=0).sum() >= 10  # classes that these records have
    sinus = list(TASK.classes).index("sinus rhythm")
    # The Challenge calls every normal ECG a sinus rhythm, though its rhythm be a tachycardia or bradycardia.
    assert all("scp:NORM" in own[row] for row in np.flatnonzero(differ[:, sinus]))
    differ[:, sinus] = False
    assert differ.sum() <= 2  # statements that PTB-XL's later versions took back
