"""`cmelt classify` of files, folders and stores to the screen: the API's scores, in three forms, with what was wrong."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

import cmelt as package
from cmelt.pages.notice import NOTICE
from cmelt.records.record import LEADS
from ecg_files import UNREMARKABLE, heart, write_wfdb
from running import cmelt
from trained_towers import saved_model

ASKED = ["atrial-fibrillation", "left-bundle-branch-block"]


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    return saved_model(tmp_path_factory.mktemp("classify") / "model")


@pytest.fixture(scope="module")
def ecgs(tmp_path_factory):
    """Two ECGs in a folder, and a file that is none."""
    folder = tmp_path_factory.mktemp("ecgs")
    for number, seed in enumerate(UNREMARKABLE[:2]):
        write_wfdb(folder / f"{number}", heart(seed, rate=250.0), rate=250.0)
    (folder / "notes.xml").write_text("<notes/>")
    return folder


@pytest.fixture(scope="module")
def expected(model_folder, ecgs):
    model, processor = package.load(model_folder, device="cpu")
    return package.classify(model, processor, [ecgs / "0.hea", ecgs / "1.hea"], ASKED)


def run(model_folder, *arguments):
    return cmelt("classify", *arguments, "--model", model_folder, "--workers", "1", "--device", "cpu")


def test_json_has_the_api_s_scores_the_notice_and_what_is_wrong(model_folder, ecgs, expected):
    done = run(model_folder, ecgs / "0.hea", ecgs / "1", "--classes", "afib,lbbb", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["notice"], told["scoring"], told["classes"], told["left_out"]) == (NOTICE, "contrast", ASKED, [])
    for row, record in enumerate(told["records"]):
        assert [record["scores"][name] for name in ASKED] == pytest.approx(expected.values[row].tolist(), abs=1e-6)
        assert set(record) == {"record", "windows", "missing_leads", "flags", "scores"}
    assert [record["record"] for record in told["records"]] == [str(ecgs / "0.hea"), str(ecgs / "1")]


def test_csv_is_a_table_that_others_read(model_folder, ecgs, expected, tmp_path):
    (tmp_path / "findings.txt").write_text('atrial fibrillation, "fast"\nleft bundle branch block.\n')
    done = run(model_folder, ecgs / "0.hea", ecgs / "1.hea", "--prompts", tmp_path / "findings.txt", "--csv")
    assert done.returncode == 0 and NOTICE in done.stderr
    rows = list(csv.reader(io.StringIO(done.stdout)))
    assert rows[0] == ["record", 'atrial fibrillation, "fast"', "left bundle branch block.", "flags"]
    assert "“left bundle branch block.”: taken as the statement left-bundle-branch-block" in done.stderr
    assert [float(row[2]) for row in rows[1:]] == pytest.approx(expected.values[:, 1].tolist(), abs=1e-5)
    assert [len(row) for row in rows] == [4, 4, 4] and all(-2 < float(row[1]) < 2 for row in rows[1:])


def test_a_typed_line_is_scored_as_the_statement_that_it_names_and_says_so(model_folder, ecgs, expected, tmp_path):
    path = tmp_path / "findings.txt"
    path.write_text("is there atrial fibrillation?\ndelta wave\n")
    lines = ["is there atrial fibrillation?", "delta wave"]
    told = json.loads(run(model_folder, ecgs / "0.hea", "--prompts", path, "--json").stdout)
    assert told["taken_as"] == dict(zip(lines, ["atrial-fibrillation", None], strict=True))
    assert told["records"][0]["scores"][lines[0]] == pytest.approx(float(expected.values[0, 0]), abs=1e-6)
    shown = " ".join(run(model_folder, ecgs / "0.hea", "--prompts", path).stdout.split())
    assert "“is there atrial fibrillation?”: taken as the statement atrial-fibrillation" in shown
    assert "“delta wave”: scored as typed, no probability" in shown
    plain = json.loads(run(model_folder, ecgs / "0.hea", "--prompts", path, "--as-typed", "--json").stdout)
    assert set(plain["taken_as"].values()) == {None}
    assert plain["records"][0]["scores"][lines[0]] != pytest.approx(float(expected.values[0, 0]), abs=1e-4)


def test_one_record_s_table_is_sorted_and_no_table_comes_without_the_notice(model_folder, ecgs, expected):
    done = run(model_folder, ecgs / "0.hea", "--classes", "lbbb,afib")
    first, second = expected.of(0)
    assert done.stdout.index(first) < done.stdout.index(second)
    for arguments in (
        (ecgs / "0.hea", ecgs / "1.hea", "--classes", "afib"),
        (ecgs / "0.hea", ecgs / "1.hea", "--task", "cpsc2018"),
    ):
        told = " ".join(run(model_folder, *arguments).stdout.split())
        assert NOTICE in told and "no probability" in told


def test_a_folder_to_the_screen_has_the_scores_of_its_files(model_folder, ecgs, expected):
    done = run(model_folder, ecgs, "--classes", "afib,lbbb", "--json")
    told = json.loads(done.stdout)
    assert [record["record"] for record in told["records"]] == ["0.hea", "1.hea"] or len(told["records"]) == 2
    found = np.array([[record["scores"][name] for name in ASKED] for record in told["records"]])
    assert np.abs(found - expected.values).max() < 1e-5
    assert "of 2 records" in done.stderr or "of 3 records" in done.stderr


def test_files_of_several_folders_are_named_below_the_one_that_they_share(model_folder, ecgs, tmp_path):
    for ward in ("a", "b"):
        (tmp_path / "archive" / ward).mkdir(parents=True)
        write_wfdb(tmp_path / "archive" / ward / "0", heart(0, rate=250.0), rate=250.0)
    done = run(model_folder, tmp_path / "archive/a/0.hea", tmp_path / "archive/b/0.hea", "--classes", "afib")
    first, *lines = done.stdout.splitlines()
    assert first == f"in {tmp_path / 'archive'}:"
    assert [line.split()[1] for line in lines if "0.hea" in line] == ["a/0.hea", "b/0.hea"]


def test_a_store_to_the_screen(model_folder, tiny_store):
    done = run(model_folder, tiny_store, "--task", "atrial-fibrillation", "--csv")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 61


def test_what_is_none_is_told_and_the_others_go_on(model_folder, ecgs, tmp_path):
    done = run(model_folder, ecgs / "0.hea", ecgs / "notes.xml", ecgs / "gone.xml", "--classes", "afib", "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert len(told["records"]) == 1 and [one["record"][-8:] for one in told["left_out"]] == ["otes.xml", "gone.xml"]
    assert f"left out {ecgs / 'notes.xml'}" in done.stderr
    (tmp_path / "ward").mkdir()
    write_wfdb(tmp_path / "ward/flat", np.zeros((12, 1000), np.float32))
    ward = run(model_folder, ecgs / "0.hea", tmp_path / "ward", "--classes", "afib", "--json")
    assert ward.returncode == 1 and len(json.loads(ward.stdout)["records"]) == 1
    assert f"left out {tmp_path / 'ward'}: none of 1 records" in ward.stderr
    alone = run(model_folder, ecgs / "notes.xml", "--classes", "afib")
    assert alone.returncode == 1 and not alone.stdout and "notes.xml" in alone.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "does not name its leads"),
        (("--leads", ",".join(LEADS)), "--rate 500"),
        (("--leads", ",".join(LEADS), "--rate", "100"), "--unit mV"),
        (("--leads", ",".join(LEADS[:8]), "--rate", "100", "--unit", "uV"), "12 leads where 8 are named"),
        (("--leads", ",".join(LEADS), "--rate", "100", "--unit", "mV"), "mV"),
        (("--leads", ",".join(["X1", "X2", *LEADS[2:]]), "--rate", "0", "--unit", "uV"), "rate"),
        (("--leads", ",".join(f"E{number}" for number in range(12)), "--rate", "100", "--unit", "uV"), "no usable lead"),
    ],
)
def test_wrong_leads_rate_or_unit_of_bare_numbers_are_errors_and_never_guessed(model_folder, tmp_path, options, said):
    np.save(tmp_path / "bare.npy", heart() * 1000)
    done = run(model_folder, tmp_path / "bare.npy", "--classes", "afib", *options)
    assert done.returncode == 1 and not done.stdout
    assert said in done.stderr


def test_bare_numbers_with_what_they_are_have_the_scores_of_the_record(model_folder, tmp_path):
    np.save(tmp_path / "bare.npy", heart() * 1000)
    write_wfdb(tmp_path / "ecg", heart(), gain=20000.0)
    options = ("--leads", ",".join(LEADS), "--rate", "100", "--unit", "uV")
    found = [
        json.loads(run(model_folder, *arguments, "--classes", "afib", "--json").stdout)["records"][0]["scores"]
        for arguments in ((tmp_path / "bare.npy", *options), (tmp_path / "ecg.hea",))
    ]
    assert found[0]["atrial-fibrillation"] == pytest.approx(found[1]["atrial-fibrillation"], abs=1e-3)


def test_a_file_that_states_otherwise_is_not_overruled(model_folder, ecgs):
    done = run(model_folder, ecgs / "0.hea", "--classes", "afib", "--rate", "500")
    assert done.returncode == 1 and "states 250 Hz" in done.stderr


def test_millivolts_that_are_a_thousandth_are_refused_and_exchanged_leads_are_told(model_folder, tmp_path):
    write_wfdb(tmp_path / "small", heart(3, rate=250.0) / 60, rate=250.0, gain=1e6)
    done = run(model_folder, tmp_path / "small.hea", "--classes", "afib")
    assert done.returncode == 1 and "unit" in done.stderr and not done.stdout
    exchanged = heart(3, rate=250.0)
    exchanged[[0, 1]] = exchanged[[1, 0]]
    write_wfdb(tmp_path / "exchanged", exchanged, rate=250.0)
    told = run(model_folder, tmp_path / "exchanged.hea", "--classes", "afib")
    assert told.returncode == 0 and "I and II look exchanged" in told.stderr and "I and II look exchanged" in told.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "--prompts, --classes, --task"),
        (("--classes", "afib", "--task", "cpsc2018"), "give one of them"),
        (("--classes", "afib", "--json", "--csv"), "--json, --csv"),
        (("--classes", "afib", "--out", "x.csv"), "--csv"),
        (("--classes", "afib", "--out", "x.parquet", "--csv"), "leave --out away"),
    ],
)
def test_wrong_usage_ends_with_two_and_says_what_is_right(model_folder, ecgs, options, said):
    done = run(model_folder, ecgs, *options)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())


def test_findings_from_a_file_or_by_abbreviation_go_to_a_file_of_results_too(model_folder, ecgs, expected, tmp_path):
    out = tmp_path / "scores.parquet"
    done = run(model_folder, ecgs, "--classes", "afib,lbbb", "--out", out)
    assert done.returncode == 0, done.stderr
    table = pq.read_table(out)
    assert [float(table[name][1].as_py()) for name in ASKED] == pytest.approx(expected.values[1].tolist(), abs=1e-5)
    (tmp_path / "findings.txt").write_text("atrial flutter.\n")
    done = run(model_folder, ecgs, "--prompts", tmp_path / "findings.txt", "--out", tmp_path / "other.parquet")
    assert "atrial flutter." in pq.read_schema(tmp_path / "other.parquet").names


def test_what_an_abbreviation_means_is_not_guessed(model_folder, ecgs):
    done = run(model_folder, ecgs / "0.hea", "--classes", "af")
    assert done.returncode == 1 and "atrial-fibrillation or atrial-flutter" in done.stderr


def test_a_class_cannot_be_called_as_a_column_of_facts(model_folder, ecgs, tmp_path):
    (tmp_path / "findings.txt").write_text("flags\n")
    for target in ((), ("--out", tmp_path / "x.parquet")):
        done = run(model_folder, ecgs, "--prompts", tmp_path / "findings.txt", *target)
        assert done.returncode == 1 and "call the class otherwise" in done.stderr
