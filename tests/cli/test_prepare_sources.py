"""Every source has its command, and what a shell says of files and stores."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from binary_files import write_dicom
from challenge_files import write_challenge
from cmelt.cli import app
from cmelt.errors import CMeltError
from cmelt.records.record import LEADS
from cmelt.records.resample import resample
from cmelt.sources import SOURCES
from cmelt.store import open_store
from code_files import write_code_15, write_code_test
from ecg_files import heart, write_ptb_xl, write_wfdb
from ludb_files import write_ludb
from mimic_files import studies, write_mimic
from vendor_files import calibrated, sierra, sierra_waveform, xli


def three(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        write_challenge(folder / name, heart(number, 500.0))
    return folder


ARCHIVES = {
    "ptb-xl": lambda folder: write_ptb_xl(folder, 4),
    "mimic-iv-ecg": lambda folder: write_mimic(folder, studies(4)),
    "cinc2021": lambda folder: three(folder, "g1/I0001", "g1/I0003", "g1/E00001"),
    "cpsc2018": lambda folder: three(folder, "g1/A0001", "g1/A0002", "g2/A6877"),
    "csn": lambda folder: three(folder, "WFDBRecords/01/010/JS00001", "WFDBRecords/01/010/JS00002", "WFDBRecords/02/JS45551"),
    "code-15": write_code_15,
    "code-test": write_code_test,
    "ludb": write_ludb,
    "folder": lambda folder: three(folder, "a/r1", "b/r2", "r3"),
}


def invoke(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def told(*arguments: object) -> dict:
    done = invoke(*arguments, "--json")
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


def test_every_source_has_a_command():
    listed = invoke("prepare", "--help").stdout
    assert all(name in listed for name in SOURCES)
    assert set(ARCHIVES) | {"simulated"} == set(SOURCES)


@pytest.mark.parametrize("name", list(ARCHIVES))
def test_a_source_becomes_a_store(name, tmp_path):
    ARCHIVES[name](tmp_path / "archive")
    done = told("prepare", name, tmp_path / "archive", "--out", tmp_path / "store", "--workers", 1)
    store = open_store(tmp_path / "store", verify="full")
    assert done["records"] == len(store) >= 3
    assert store.rate == 100 and store.samples == 1000
    assert store.manifest["source"]["name"] == name


@pytest.mark.parametrize("name", [name for name in ARCHIVES if name != "folder"])
def test_an_empty_folder_is_told_what_is_missing_and_where_to_get_it(name, tmp_path):
    failed = invoke("prepare", name, tmp_path, "--out", tmp_path / "store").exception
    assert isinstance(failed, CMeltError)
    assert "missing" in str(failed) or "holds no" in str(failed), str(failed)
    assert "get it at" in str(failed), str(failed)
    assert not (tmp_path / "store").exists()


def test_show_is_told_what_a_file_leaves_unsaid(tmp_path):
    np.save(tmp_path / "bare.npy", heart()[:2] * 1000)
    assert "does not name its leads (say them: --leads" in str(invoke("show", tmp_path / "bare.npy").exception)
    said = told("show", tmp_path / "bare.npy", "--rate", 100, "--unit", "uV", "--leads", "I, V1")
    assert said["leads"] == ["I", "V1"] and said["rate_hz"] == 100
    assert said["rms_mv"]["I"] == pytest.approx(float(np.sqrt(np.mean(heart()[0].astype(float) ** 2))), rel=1e-4)
    write_wfdb(tmp_path / "r", heart())
    assert "states 100 Hz" in str(invoke("show", tmp_path / "r", "--rate", 500).exception)


def test_show_tells_who_the_patient_is_only_when_asked_to(tmp_path):
    path = write_dicom(tmp_path / "e.dcm", heart())
    import pydicom

    held = pydicom.dcmread(path)
    held.PatientID = "PAT-4711"
    held.save_as(path)
    assert told("show", path)["patient"] is None and "4711" not in invoke("show", path).output
    assert told("show", path, "--identity")["patient"] == "PAT-4711"


def test_show_tells_a_calibration_pulse_from_the_heart(tmp_path):
    steps = calibrated(np.rint(heart() * 1000).astype(int))
    (tmp_path / "e.xml").write_text(sierra(sierra_waveform(xli(steps), steps.shape[1])))
    shown = told("show", tmp_path / "e.xml")
    assert shown["seconds"] == pytest.approx(10 + shown["calibration_seconds"]) and shown["calibration_seconds"] > 0.2
    assert "calibration pulse" in invoke("show", tmp_path / "e.xml").stdout


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """A: five ECGs at 100 Hz. B: two of them again, at 500 Hz and other gain, among three others."""
    folder = tmp_path_factory.mktemp("two")
    for number in range(5):
        write_wfdb(folder / "a" / f"a{number}", heart(number))
    for number in range(5):
        signal = resample(heart(number), 100, 500) * np.float32(1.5) if number < 2 else heart(number + 100, 500)
        write_wfdb(folder / "b" / f"b{number}", signal, 500)
    for name in "ab":
        told("prepare", "folder", folder / name, "--out", folder / f"store-{name}", "--workers", 1)
    return folder


def test_overlap_is_counted_and_listed(stores, tmp_path):
    a, b = stores / "store-a", stores / "store-b"
    found = told("inspect", a, "--overlap", b, "--out", tmp_path / "copies.csv")
    assert (found["copies"], found["records_of_b"]) == (2, 5)
    with (tmp_path / "copies.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert {(row["record_in_a"], row["record_in_b"]) for row in rows} == {("a0", "b0"), ("a1", "b1")}
    assert "2 of 5 records of store-b are in store-a" in invoke("inspect", a, "--overlap", b).stdout
    assert told("inspect", a, "--overlap", a)["copies"] == 5


def test_a_page_is_written_whole_and_its_path_printed(stores, tmp_path):
    shutil.copytree(stores / "store-a", tmp_path / "mine")
    said = invoke("inspect", tmp_path / "mine", "--html").stdout.strip()
    assert Path(said) == tmp_path / "mine.html"
    assert (tmp_path / "mine.html").read_text().endswith("</html>\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "mine.html"]
    there = invoke("inspect", tmp_path / "mine", "--html", "--out", tmp_path / "nowhere" / "x.html").exception
    assert "cannot be written" in str(there)


@pytest.mark.parametrize("arguments", [("--out", "x.html"), ("--html", "--overlap", "b")])
def test_options_that_make_no_sense_together_are_wrong_usage(stores, arguments):
    assert invoke("inspect", stores / "store-a", *arguments).exit_code == 2


def test_several_rates_and_leads_of_bare_numbers_may_be_said_for_a_whole_folder(tmp_path):
    (tmp_path / "n").mkdir()
    for number in range(3):
        np.save(tmp_path / "n" / f"e{number}.npy", heart(number, 250.0))
    arguments = ("--file-rate", 250, "--file-unit", "mV", "--file-leads", ",".join(LEADS))
    assert told("prepare", "folder", tmp_path / "n", "--out", tmp_path / "s", *arguments)["records"] == 3
    assert told("prepare", "folder", tmp_path / "n", "--out", tmp_path / "s", "--force", *arguments)["quarantined"] == 0
