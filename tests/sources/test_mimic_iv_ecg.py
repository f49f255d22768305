"""MIMIC-IV-ECG: what its tables mean, and its traps, each on a small tree that has the trap."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmelt.errors import RecordError, SourceError
from cmelt.records.leads import check_limb_leads
from cmelt.records.record import LEADS, MEASUREMENTS
from cmelt.sources.mimic_iv_ecg import QUALITY_WARNING, MimicIvEcg, masked
from cmelt.sources.mimic_iv_ecg_measurements import measured
from ecg_files import heart
from mimic_files import SOUND, Study, studies, write_mimic, write_study, write_tables


def listing_of(root: Path, listed: Sequence[Study]):
    return MimicIvEcg(str(write_mimic(root, listed))).entries()


def read(root: Path, study: Study):
    """The record of one study through its source, in a tree of its own."""
    source = MimicIvEcg(str(write_mimic(root, [study])))
    return source.read(source.entries().entries[0])


def test_leads_are_taken_by_name_though_the_files_have_avf_before_avl(tmp_path):
    record = read(tmp_path, replace(studies(1)[0], signal=heart(3, 500.0)))
    assert record.leads.index("aVF") < record.leads.index("aVL")
    rows = [record.leads.index(lead) for lead in LEADS]
    assert np.abs(record.signal[rows] - heart(3, 500.0)).max() <= 0.0026  # half a step of 1/200 mV
    assert check_limb_leads(record.signal, record.leads).consistent
    swapped = [LEADS.index(lead) for lead in ("I", "II", "III", "aVR", "aVF", "aVL")]
    assert not check_limb_leads(heart(3, 500.0)[swapped], LEADS[:6]).consistent  # by position they would contradict each other


def test_the_report_is_the_machine_s_statements_one_a_line_without_the_empty_cells_between(tmp_path):
    cells = (" Sinus rhythm ", "", "Left  axis deviation", "", "", "Abnormal ECG")
    entry = listing_of(tmp_path, [replace(studies(1)[0], report=cells)]).entries[0]
    assert entry.report == "Sinus rhythm\nLeft axis deviation\nAbnormal ECG"
    assert entry.labels == ()


def test_all_eighteen_statements_are_read(tmp_path):
    cells = [f"statement {number}" for number in range(18)]
    entry = listing_of(tmp_path, [replace(studies(1)[0], report=cells)]).entries[0]
    assert entry.report.split("\n") == cells


@pytest.mark.parametrize(
    "warning",
    [
        "--- Warning: Data quality may affect interpretation ---",
        "Poor data quality, interpretation may be adversely affected",
        "Poor quality data, interpretation may be affected",
        "--- Recording unsuitable for analysis - please repeat ---",
        "--- Suspect arm lead reversal - only aVF, V1-V6 analyzed ---",
        "--- Suspect limb lead reversal - only V1-V6 analyzed ---",
        "All 12 leads are missing",
        "Lead(s) unsuitable for analysis: V3 V4",
        "PACER DETECTION SUSPENDED DUE TO EXTERNAL NOISE-REVIEW ADVISED",
    ],
)
def test_a_quality_warning_is_a_label_and_not_the_diagnosis(tmp_path, warning):
    study = replace(studies(1)[0], report=(warning, "Atrial fibrillation", "", "Abnormal ECG"))
    entry = listing_of(tmp_path, [study]).entries[0]
    assert entry.report == "Atrial fibrillation\nAbnormal ECG"
    assert entry.labels == (QUALITY_WARNING,)


def test_a_report_that_is_a_warning_and_nothing_else_is_no_report(tmp_path):
    entry = listing_of(tmp_path, [replace(studies(1)[0], report=("Analysis error",))]).entries[0]
    assert (entry.report, entry.labels) == (None, (QUALITY_WARNING,))


@pytest.mark.parametrize("note", ["*** report made without knowing patient's sex ***", "--- Pediatric criteria used ---"])
def test_how_the_interpretation_was_made_is_neither_report_nor_warning(tmp_path, note):
    entry = listing_of(tmp_path, [replace(studies(1)[0], report=("Sinus rhythm", note))]).entries[0]
    assert (entry.report, entry.labels) == ("Sinus rhythm", ())


@pytest.mark.parametrize(
    "finding", ["Repeat if myocardial injury is suspected", "Low QRS voltages in limb leads", "Uncertain rhythm: review"]
)
def test_findings_that_sound_like_warnings_stay(tmp_path, finding):
    entry = listing_of(tmp_path, [replace(studies(1)[0], report=(finding,))]).entries[0]
    assert (entry.report, entry.labels) == (finding, ())


def test_a_study_without_a_row_of_measurements_has_no_report(tmp_path):
    first, second = studies(2)
    source = MimicIvEcg(str(write_mimic(tmp_path, [replace(first, measured=None), second])))
    bare, told = source.entries().entries
    assert (bare.report, bare.labels) == (None, ())
    assert told.report
    assert dict(source.read(bare).measurements) == {}


def test_rows_of_measurements_without_files_are_passed_over(tmp_path):
    listed = studies(6)
    write_mimic(tmp_path, listed)
    write_tables(tmp_path, listed[:4])
    with (tmp_path / "machine_measurements.csv").open("a") as stream:
        stream.write(f"{listed[5].subject},{listed[5].number},1,x,Sinus rhythm" + "," * 28 + "\n")
    assert len(MimicIvEcg(str(tmp_path)).entries().entries) == 4


def test_the_two_tables_are_joined_by_study_and_not_by_position(tmp_path):
    # Every third report is empty or a warning alone, so that an empty one cannot move the others up.
    told = [(f"told of {n}", ("", "Analysis error")[n % 2])[n % 3 == 0] for n in range(30)]
    listed = [replace(study, report=(report,)) for study, report in zip(studies(30), told, strict=True)]
    entries = listing_of(tmp_path, listed).entries
    assert [entry.record for entry in entries] == [str(study.number) for study in listed]  # the order of record_list.csv
    assert [entry.report for entry in entries] == [None if n % 3 == 0 else f"told of {n}" for n in range(30)]


def test_a_report_of_another_patient_is_not_taken(tmp_path):
    first, second = studies(2)
    write_mimic(tmp_path, [first, second])
    write_tables(tmp_path, [first, replace(second, subject=10_999_999)])
    measurements = (tmp_path / "machine_measurements.csv").read_bytes()
    write_tables(tmp_path, [first, second])
    (tmp_path / "machine_measurements.csv").write_bytes(measurements)
    listing = MimicIvEcg(str(tmp_path)).entries()
    assert [entry.report is None for entry in listing.entries] == [False, True]
    assert "1 studies have another patient" in listing.warnings[0]


@pytest.mark.parametrize("sentinel", [29999, 32767, 65535, "29999.0", "", "n/a"])
def test_sentinels_mean_not_measured(tmp_path, sentinel):
    # In atrial fibrillation there is no P wave: the carts write the sentinel for its times and its axis.
    values = (769, sentinel, sentinel, 200, 302, 636, sentinel, -18, -67)
    found = read(tmp_path, replace(studies(1)[0], measured=values)).measurements
    assert (measured(tmp_path / "machine_measurements.csv").values[0] == -32768).nonzero()[0].tolist() == [1, 2, 6]
    assert dict(found) == {
        "heart_rate_bpm": pytest.approx(60_000 / 769), "qrs_ms": 102, "qt_ms": 436, "qrs_axis_deg": -18, "t_axis_deg": -67,
    }  # fmt: skip


def test_intervals_are_differences_of_the_times_within_the_beat(tmp_path):
    found = read(tmp_path, studies(1)[0]).measurements
    assert found["heart_rate_bpm"] == pytest.approx(60_000 / 659)
    assert (found["p_ms"], found["pr_ms"], found["qrs_ms"], found["qt_ms"]) == (88, 130, 88, 348)
    assert (found["p_axis_deg"], found["qrs_axis_deg"], found["t_axis_deg"]) == (81, 77, 79)
    assert set(found) <= set(MEASUREMENTS)


@pytest.mark.parametrize(("column", "value", "lost"), [(0, 0, "heart_rate_bpm"), (4, 100, "qrs_ms"), (5, 5000, "qt_ms")])
def test_measurements_that_no_heart_has_are_left_out(tmp_path, column, value, lost):
    values = [*SOUND]
    values[column] = value
    found = read(tmp_path, replace(studies(1)[0], measured=values)).measurements
    assert lost not in found
    assert "t_axis_deg" in found


def test_a_table_of_reports_alone_will_do(tmp_path):
    write_mimic(tmp_path, studies(1))
    study = studies(1)[0]
    (tmp_path / "machine_measurements.csv").write_text(f"subject_id,study_id,report_0\n{study.subject},{study.number},AF\n")
    source = MimicIvEcg(str(tmp_path))
    record = source.read(source.entries().entries[0])
    assert (record.report, dict(record.measurements)) == ("AF", {})


def test_the_first_of_several_rows_of_a_study_is_used(tmp_path):
    study = studies(1)[0]
    write_mimic(tmp_path, [study])
    table = tmp_path / "machine_measurements.csv"
    row = table.read_text().splitlines()[1]
    table.write_text(table.read_text() + row.replace("Sinus rhythm", "Asystole").replace(",659,", ",6000,") + "\n")
    source = MimicIvEcg(str(tmp_path))
    record = source.read(source.entries().entries[0])
    assert record.report.startswith("Sinus rhythm")
    assert record.measurements["heart_rate_bpm"] == pytest.approx(60_000 / 659)


def test_patients_are_the_subjects_and_no_split_is_given(tmp_path):
    entries = listing_of(tmp_path, studies(6)).entries
    assert [entry.patient for entry in entries] == ["10000032"] * 3 + ["10001029"] * 3
    assert {entry.split for entry in entries} == {None}


@pytest.mark.parametrize("key", ["subject_id", "study_id"])
def test_a_list_of_splits_is_obeyed(tmp_path, key):
    listed = studies(9)
    write_mimic(tmp_path / "db", listed)
    names = [str(listed[0].subject), str(listed[3].subject)] if key == "subject_id" else [str(listed[k].number) for k in (0, 3)]
    (tmp_path / "splits.csv").write_text(f"{key},split\n{names[0]},val\n{names[1]},Test\n")
    listing = MimicIvEcg(str(tmp_path / "db"), splits=str(tmp_path / "splits.csv")).entries()
    splits = [entry.split for entry in listing.entries]
    others = ["validation", "validation", "test", "test"] if key == "subject_id" else [None] * 4
    assert splits == ["validation", *others[:2], "test", *others[2:], None, None, None]
    assert f"{splits.count(None)} records are not in the list of splits" in listing.warnings[0]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("patient,split\n1,train\n", "no column subject_id or study_id"),
        ("subject_id,split\n1,holdout\n", "none of ours"),
        ("subject_id,split\n1,train\n1,test\n", "two splits for one subject_id"),
        ("subject_id\n1\n", "no column split"),
    ],
)
def test_a_list_of_splits_that_cannot_be_meant_is_refused(tmp_path, text, complaint):
    write_mimic(tmp_path, studies(3))
    (tmp_path / "splits.csv").write_text(text)
    with pytest.raises(SourceError, match=complaint):
        MimicIvEcg(str(tmp_path), splits=str(tmp_path / "splits.csv")).entries()


@pytest.mark.parametrize("extension", ["", ".hea", ".dat"])
def test_paths_may_carry_an_extension(tmp_path, extension):
    source = MimicIvEcg(str(write_mimic(tmp_path, studies(3), extension)))
    entries = source.entries().entries
    assert [entry.place for entry in entries] == [study.path for study in studies(3)]
    assert source.read(entries[0]).rate == 500


def test_a_part_of_the_database_is_a_good_source(tmp_path):
    listed = [*studies(6), Study(49_999_999, 19_999_987)]
    write_tables(tmp_path, listed)
    for study in listed[:4]:
        write_study(tmp_path, study)
    listing = MimicIvEcg(str(tmp_path)).entries()
    assert (len(listing.entries), listing.missing_files) == (4, 3)


def test_rows_that_repeat_one_another_count_once_and_contradictions_not_at_all(tmp_path):
    first, second, third = studies(3)
    write_mimic(tmp_path, [first, second, third])
    elsewhere = replace(third, subject=10_777_777)
    write_study(tmp_path, elsewhere)
    write_tables(tmp_path, [first, second, first, third, elsewhere])
    listing = MimicIvEcg(str(tmp_path)).entries()
    assert [entry.record for entry in listing.entries] == [str(first.number), str(second.number)]
    assert [warning.split(" ", 1)[0] for warning in listing.warnings] == ["1", "2"]


def test_numbers_that_became_floats_in_a_spreadsheet_are_the_same_patients(tmp_path):
    write_mimic(tmp_path, studies(4))
    table = (tmp_path / "record_list.csv").read_text().replace("\n10000032,", "\n10000032.0,")
    (tmp_path / "record_list.csv").write_text("\ufeff" + table, encoding="utf-8")
    entries = MimicIvEcg(str(tmp_path)).entries().entries
    assert entries[0].patient == "10000032"
    assert entries[0].report


@pytest.mark.parametrize("path", ["/etc/passwd", "../s1/1", "files/../../s1/1", "C:/s1/1", "files\\..\\..\\x"])
def test_a_table_cannot_make_us_read_elsewhere(tmp_path, path):
    write_mimic(tmp_path, studies(3))
    with (tmp_path / "record_list.csv").open("a") as stream:
        stream.write(f"10000032,41,41,2180-07-23 08:44:00,{path}\n")
    with pytest.raises(SourceError, match="leaves the folder"):
        MimicIvEcg(str(tmp_path)).entries()


@pytest.mark.parametrize("zipped", [False, True])
def test_age_and_sex_come_from_mimic_iv_s_patients_where_they_lie_beside_it(tmp_path, zipped):
    rows = ("10000032,F,52,2178,2014 - 2016,", "10001029,M,91,2179,2014 - 2016,", "10002026,,17,2190,2014 - 2016,")
    table = "subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod\n" + "\n".join(rows) + "\n"
    write_mimic(tmp_path, studies(12))
    if zipped:
        (tmp_path / "patients.csv.gz").write_bytes(gzip.compress(table.encode()))
    else:
        (tmp_path / "patients.csv").write_text(table)
    listing = MimicIvEcg(str(tmp_path)).entries()
    known = [(entry.age, entry.sex) for entry in listing.entries][::3]
    # ECGs of 2180: two years after the anchor; 91 stands for over 89; ten years before the anchor; not in the table.
    assert known == [(54, "female"), (90, "male"), (7, None), (None, None)]
    assert "over 89" in listing.notes["age"]


def test_without_patients_there_is_neither_age_nor_sex(tmp_path):
    entry = listing_of(tmp_path, studies(1)).entries[0]
    assert (entry.age, entry.sex) == (None, None)


def test_the_header_s_comment_gets_nowhere(tmp_path):
    study = studies(1)[0]
    record = read(tmp_path, study)
    told = (record.identifier, record.report or "", record.origin, *record.labels)
    assert not any(str(study.subject) in text or str(study.subject)[:4] in text for text in told)
    assert record.patient == str(study.subject)


def test_a_header_of_another_patient_is_refused(tmp_path):
    first = studies(1)[0]
    source = MimicIvEcg(str(write_mimic(tmp_path, [first])))
    header = tmp_path / f"{first.path}.hea"
    header.write_text(header.read_text().replace(f"subject_id>: {first.subject}", "subject_id>: 10000099"))
    with pytest.raises(RecordError, match="another patient") as caught:
        source.read(source.entries().entries[0])
    assert "1000" not in str(caught.value)


def test_a_header_with_another_rate_is_refused(tmp_path):
    # The checksums cover samples alone: 250 Hz would make a heart rate of 45 of one of 90.
    study = studies(1)[0]
    source = MimicIvEcg(str(write_mimic(tmp_path, [study])))
    header = tmp_path / f"{study.path}.hea"
    header.write_text(header.read_text().replace(" 12 500 5000", " 12 250 5000"))
    with pytest.raises(RecordError, match="500 Hz"):
        source.read(source.entries().entries[0])


def test_paths_are_masked_part_by_part():
    assert masked("files/p1000/p10000032/s40689238/40689238", "10000032") == "files/pNNNN/pSUBJECT/s40689238/40689238"
    assert masked("10000032/s110000032/1", "10000032") == "SUBJECT/s110000032/1"


@pytest.mark.parametrize("name", ["record_list.csv", "machine_measurements.csv"])
def test_what_is_missing_is_named_with_where_to_get_it(tmp_path, name):
    write_mimic(tmp_path, studies(3))
    (tmp_path / name).unlink()
    with pytest.raises(SourceError, match=rf"missing {name} .*physionet.org/content/mimic-iv-ecg/1.0/ \(ODbL"):
        MimicIvEcg(str(tmp_path)).entries()


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("record_list.csv", "", "no column study_id"),
        ("record_list.csv", "subject_id,study_id,file_name,ecg_time,path\n", "no rows"),
        ("record_list.csv", "subject_id,study_id,file_name,ecg_time,path\n1,2,3\n", "cannot be read as a table"),
        ("record_list.csv", "subject_id,study_id,file_name,ecg_time,path\n,2,3,4,files/x\n", "rows without"),
        ("record_list.csv", "subject_id,study_id,path\n1,2,files/p1/p1/s2/2\n", "none of the 1 studies"),
        ("machine_measurements.csv", "subject_id,study_id,rr_interval\n1,2,3\n", "no column report_0"),
        ("machine_measurements.csv", "subject_id,report_0\n1,2\n", "no column study_id"),
        ("machine_measurements.csv", "subject_id,study_id,report_0\n1,2,Sinus rhythm\n3,4", "cannot be read as a table"),
    ],
)
def test_tables_that_are_not_as_published_are_refused(tmp_path, name, content, complaint):
    write_mimic(tmp_path, studies(3))
    (tmp_path / name).write_text(content)
    with pytest.raises(SourceError, match=complaint):
        MimicIvEcg(str(tmp_path)).entries()


def test_a_table_that_is_no_text_is_refused(tmp_path):
    write_mimic(tmp_path, studies(3))
    (tmp_path / "machine_measurements.csv").write_bytes(b"study_id,subject_id,report_0\n1,2,\xff\xfe\n")
    with pytest.raises(SourceError, match="cannot be read as a table"):
        MimicIvEcg(str(tmp_path)).entries()
