"""What `cmelt inspect` says of a store agrees with what was put in; the page shows it."""

from __future__ import annotations

import re

import numpy as np
import pytest

from cmelt.inspection.examples import HARMLESS, examples_of
from cmelt.inspection.facts import counts, facts_of, flags_by_lead, spread
from cmelt.inspection.page import LINKS, data_report
from cmelt.sources.folder import Folder
from cmelt.store import ShardSettings, open_store, prepare_store
from ecg_files import heart, write_wfdb

REPORTS = [
    "sinus rhythm. normal ecg.",
    "Sinusrhythmus normales EKG",
    "sinus rhythm. normal ecg. ***",
    "<b>left</b> bundle branch block",
    "",
    "af",
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Six ECGs of five patients: one with V1 flat, one of 5 s, reports in two languages, and one that cannot be used."""
    folder = tmp_path_factory.mktemp("archive")
    rows = ["record,patient,report,labels,age,sex"]
    for number, report in enumerate(REPORTS):
        signal = heart(number, seconds=5.0 if number == 4 else 10.0)
        if number == 2:
            signal[6] = 0
        write_wfdb(folder / f"r{number}", signal)
        rows.append(f"r{number},p{max(number, 1)},{report},{'dx:AF' if number == 5 else 'dx:N'},{40 + number},{'fm'[number % 2]}")
    write_wfdb(folder / "r6", np.zeros((12, 1000), np.float32))
    rows.append("r6,p6,,dx:N,,")
    (folder / "t.csv").write_text("\n".join(rows) + "\n")
    out = tmp_path_factory.mktemp("stores") / "store"
    prepare_store(Folder(str(folder), str(folder / "t.csv")), out, ShardSettings(100.0, 10.0, "first", "k"))
    return open_store(out)


def test_figures_are_those_of_the_records(store):
    found = facts_of(store)
    assert (found["records"], found["patients"], found["quarantined"]) == (6, 5, 1)
    assert found["classes"]["dx:N"]["all"] == 5 and found["classes"]["dx:AF"]["all"] == 1
    assert sum(found["classes"]["dx:N"][split] for split in ("train", "validation", "test")) == 5
    assert found["missing_leads"] == {"V1": 1}
    assert found["flags"]["flat:V1"] == 1 and found["flags"]["padded"] == 1
    assert found["sex"] == {"female": 3, "male": 3}
    assert found["age"]["least"] == 40 and found["age"]["greatest"] == 45
    assert found["source_seconds"]["least"] == 5 and found["identical_signals"] == 0


def test_reports_are_counted_as_written_and_as_cleaned(store):
    reports = facts_of(store)["reports"]
    assert (reports["with_report"], reports["without_report"], reports["usable"]) == (5, 1, 4)
    assert (reports["distinct"], reports["distinct_cleaned"]) == (5, 4)
    assert reports["languages"] == {"en": 3, "de": 1, "unknown": 1}


def test_flags_stand_under_their_lead(store):
    by_lead = flags_by_lead(store)
    assert by_lead["flat"] == {"V1": 1}
    assert by_lead["padded"] == {"": 1}


def test_examples_are_one_ordinary_record_and_one_of_each_fault(store):
    shown = examples_of(store)
    flags = store.index["flags"]
    assert not {flag.partition(":")[0] for flag in flags.iloc[shown[0].row]} - HARMLESS
    assert any("flat:V1" in flags.iloc[example.row] for example in shown)
    assert len({example.row for example in shown}) == len(shown)
    assert examples_of(store) == shown


def test_the_page_has_every_part_and_shows_reports_as_text(store):
    page = data_report(store)
    for anchor in LINKS:
        assert f'id="{anchor}"' in page
    assert "<b>left</b>" not in page and "&lt;b&gt;left" in page
    assert page.count('class="ecg"') == len(examples_of(store)) >= 2
    assert "not a medical device" in page and "keep it where the archive is kept" in page
    assert not re.search(r"\bp[1-6]\b", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)), "a patient's key of the table"


def test_a_store_without_reports_labels_and_ages_has_a_page_too(tmp_path):
    write_wfdb(tmp_path / "a" / "r0", heart())
    prepare_store(Folder(str(tmp_path / "a")), tmp_path / "store", ShardSettings(100.0, 10.0, "first", "k"))
    page = data_report(open_store(tmp_path / "store"))
    assert "have no reports" in page and "have no labels" in page


def test_small_summaries():
    assert counts([1.0, 1.0, 2.5]) == {"1": 2, "2.5": 1}
    assert spread([]) is None
    assert spread([1.0, 2.0, 3.0])["middle"] == 2.0


def test_copies_are_counted_at_any_gain(tmp_path):
    write_wfdb(tmp_path / "a" / "r0", heart(1))
    write_wfdb(tmp_path / "a" / "r1", heart(1) * np.float32(1.7))
    write_wfdb(tmp_path / "a" / "r2", heart(2))
    prepare_store(Folder(str(tmp_path / "a")), tmp_path / "store", ShardSettings(100.0, 10.0, "first", "k"))
    assert facts_of(open_store(tmp_path / "store"))["identical_signals"] == 1
