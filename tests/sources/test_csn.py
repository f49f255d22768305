"""Chapman–Shaoxing–Ningbo: labels from a record's own codes, MERL's beside them as they stand."""

from __future__ import annotations

import csv
import shutil

import pytest

from challenge_files import write_challenge, write_split_list
from cmelt.errors import SourceError
from cmelt.sources.csn import Csn
from cmelt.sources.vocabularies import MERL_CSN, MERL_CSN_WRONG
from cmelt.store import ShardSettings, open_store, prepare_store
from ecg_files import heart


@pytest.fixture(scope="module")
def merl(data_dir):
    """The paths of MERL's lists."""
    folder = data_dir / "label-maps/other-datasets/chapman"
    return tuple(str(folder / f"chapman_{split}.csv") for split in ("train", "val", "test"))


def published(tmp_path, diagnoses):
    """Records in the published tree, each with its codes."""
    for name, codes in diagnoses.items():
        write_challenge(tmp_path / f"WFDBRecords/{name[2:4]}/{name[2:5]}/{name}", comments={"Dx": codes})
    return str(tmp_path)


def of_kind(labels, kind):
    return {label.partition(":")[2] for label in labels if label.startswith(f"{kind}:")}


def test_labels_are_those_of_the_record_s_own_codes(tmp_path):
    folder = published(tmp_path, {"JS00001": "164889003,59118001,164934002", "JS45551": "426177001,55827005"})
    one, other = Csn(folder).entries().entries
    assert of_kind(one.labels, "csn") == {"AFIB", "RBBB", "TWC"}
    assert of_kind(one.labels, "cinc") == {"AF", "CRBBB", "TAb"}
    assert one.place == "WFDBRecords/00/000/JS00001"
    assert of_kind(other.labels, "csn") == {"SB"}
    assert of_kind(other.labels, "snomed") == {"426177001", "55827005"}  # high voltage: the Challenge's name, none in CSN's table
    assert of_kind(one.labels, "merl-csn") == set()


def test_reports_are_made_of_the_codes_names_and_marked_so(tmp_path):
    folder = published(tmp_path, {"JS00001": "164889003,28189009"})
    listing = Csn(folder).entries()
    assert listing.entries[0].report == "12-lead ECG: atrial fibrillation; 2 degree atrioventricular block (type two)"
    assert "not written by a clinician" in listing.notes["report"]


def test_a_report_of_csn_is_that_of_the_challenge_for_the_same_record(data_dir):
    from cmelt.sources.cinc2021 import Cinc2021

    folder = str(data_dir / "challenge-2021/chapman-ningbo")
    reports = {entry.record: entry.report for entry in Csn(folder).entries().entries}
    assert len(reports) == 85
    assert reports == {entry.record: entry.report for entry in Cinc2021(folder).entries().entries}


def test_merl_s_labels_stand_beside_the_right_ones(tmp_path):
    folder = published(tmp_path, {"JS00001": "164889003", "JS00002": "164890007", "JS00003": "270492004"})
    # As its lists have them: fibrillation is called flutter too, first-degree block ventricular bigeminy.
    rows = {
        "/chapman/x/JS00001.mat": ["AFIB", "AF"],
        "/chapman/x/JS00002.mat": ["AF"],
        "/chapman/x/JS00003.mat": ["1AVB", "AVB", "VB"],
    }
    path = write_split_list(tmp_path / "chapman_test.csv", rows, MERL_CSN, "ecg_path")
    listing = Csn(folder, splits=(str(path),)).entries()
    assert [of_kind(entry.labels, "csn") for entry in listing.entries] == [{"AFIB"}, {"AF"}, {"1AVB"}]
    merl = [of_kind(entry.labels, "merl-csn") for entry in listing.entries]
    assert merl == [{"AFIB", "AF"}, {"AF"}, {"1AVB", "AVB", "VB"}]
    assert {entry.split for entry in listing.entries} == {"test"}
    assert all(name in listing.notes["merl-csn"] for name in MERL_CSN_WRONG)


def test_only_listed_records_are_taken_and_listed_ones_that_are_not_here_are_counted(tmp_path):
    folder = published(tmp_path, {"JS00001": "426783006", "JS00002": "426783006"})
    path = write_split_list(tmp_path / "val.csv", {"JS00002": [], "JS00009": []}, ["SR"])
    listing = Csn(folder, splits=(str(path),)).entries()
    assert [(entry.record, entry.split) for entry in listing.entries] == [("JS00002", "validation")]
    assert listing.missing_files == 1
    with pytest.raises(SourceError, match="none of the 1 records"):
        Csn(folder, splits=(str(write_split_list(tmp_path / "test.csv", {"JS00009": []}, ["SR"])),)).entries()


def test_without_lists_the_split_is_left_to_the_signal(tmp_path):
    folder = published(tmp_path, {f"JS{number:05d}": "426783006" for number in range(1, 6)})
    assert {entry.split for entry in Csn(folder).entries().entries} == {None}
    prepare_store(Csn(folder), tmp_path / "store", ShardSettings(100.0, 2.0, "first", "key"))
    index = open_store(tmp_path / "store").index
    assert index.patient.nunique() == 5
    assert set(index.split) <= {"train", "validation", "test"}


def test_the_same_signal_under_two_names_stays_in_one_split(tmp_path):
    for name in ("JS00001", "JS00002"):
        write_challenge(tmp_path / f"data/{name}", heart(7, 500, 10.0))
    prepare_store(Csn(str(tmp_path / "data")), tmp_path / "store", ShardSettings(100.0, 10.0, "first", "key"))
    index = open_store(tmp_path / "store").index
    assert len(index) == 2 and index.split.nunique() == index.patient.nunique() == 1


def test_a_name_in_two_folders_is_listed_once(tmp_path):
    published(tmp_path, {"JS00001": "426783006"})
    write_challenge(tmp_path / "copy/JS00001")
    listing = Csn(str(tmp_path)).entries()
    assert len(listing.entries) == 1
    assert listing.warnings == ("1 records lie in several folders; the first folder is taken",)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"WFDBRecords/01/010/JS00001\.hea.*physionet\.org/content/ecg-arrhythmia"):
        Csn(str(tmp_path)).entries()
    with pytest.raises(SourceError, match="no such folder"):
        Csn(str(tmp_path / "absent")).entries()
    write_challenge(tmp_path / "JS00001").with_suffix(".mat").unlink()
    with pytest.raises(SourceError, match="no record is here whole"):
        Csn(str(tmp_path)).entries()


def test_our_labels_of_real_records_are_the_acronyms_that_merl_read(data_dir, merl):
    """Its `diagnose` column is the record's own acronyms; one record's codes differ between the two publications."""
    said = {}
    for path in merl:
        with open(path, encoding="utf-8") as file:
            said |= {row["ecg_path"][-11:-4]: set(row["diagnose"].split(",")) for row in csv.DictReader(file)}
    listing = Csn(str(data_dir / "challenge-2021/chapman-ningbo"), splits=merl).entries()
    assert len(listing.entries) == 36
    assert listing.missing_files == 23_026 - 36
    other = {entry.record for entry in listing.entries if of_kind(entry.labels, "csn") != said[entry.record]}
    assert other == {"JS00005"}
    for entry in listing.entries:
        assert of_kind(entry.labels, "merl-csn") == {name for name in MERL_CSN if name in ",".join(said[entry.record])} or (
            entry.record == "JS00005"
        )


def test_real_records_with_flat_leads_are_kept_and_marked(data_dir, tmp_path):
    for name in ("JS11438", "JS00001"):
        for suffix in (".hea", ".mat"):
            shutil.copy(data_dir / f"challenge-2021/chapman-ningbo/{name}{suffix}", tmp_path)
    prepare_store(Csn(str(tmp_path)), tmp_path / "store", ShardSettings(100.0, 10.0, "first", "key"))
    index = open_store(tmp_path / "store").index.set_index("record")
    assert len(index.missing_leads["JS11438"]) >= 3
    assert len(index.missing_leads["JS00001"]) == 0


def test_tasks_find_their_classes_in_a_store_of_either_labelling(tmp_path):
    from cmelt.evaluation.tasks import load_task

    folder = published(tmp_path, {"JS00001": "164889003", "JS00002": "164890007"})
    path = write_split_list(tmp_path / "test.csv", {"JS00001": ["AFIB", "AF"], "JS00002": ["AF"]}, MERL_CSN)
    labels = [entry.labels for entry in Csn(folder, splits=(str(path),)).entries().entries]
    flutter = [list(load_task(name).classes).index("AF") for name in ("csn", "csn-merl")]
    assert load_task("csn").truth(labels)[:, flutter[0]].tolist() == [False, True]
    assert load_task("csn-merl").truth(labels)[:, flutter[1]].tolist() == [True, True]
