"""The Challenge's collections: parts told by name, several rates and lengths, codes as classes, patients where they are known."""

from __future__ import annotations

import os
from collections import Counter

import numpy as np
import pytest

from challenge_files import write_challenge
from cmelt.errors import RecordError, SourceError
from cmelt.records.record import LEADS
from cmelt.sources.cinc2021 import INCART_RECORDS, PARTS, Cinc2021, part_of, patient_of
from cmelt.store import ShardSettings, open_store, prepare_store
from ecg_files import heart

#: A record of each part where the published tree has it, with its rate.
TREE = {
    "training/cpsc_2018/g1/A0001": 500, "training/cpsc_2018_extra/g1/Q0001": 500, "training/st_petersburg_incart/g1/I0001": 257,
    "training/ptb/g1/S0001": 1000, "training/ptb-xl/g1/HR00001": 500, "training/georgia/g1/E00001": 500,
    "training/chapman_shaoxing/g1/JS00001": 500, "training/ningbo/g1/JS10647": 500,
}  # fmt: skip


@pytest.fixture(scope="module")
def real(data_dir):
    return Cinc2021(str(data_dir / "challenge-2021"))


def tree(tmp_path, records=TREE):
    for place, rate in records.items():
        write_challenge(tmp_path / place, rate=rate, units="mv")
    return tmp_path


def listed(folder, **chosen):
    return {entry.record: entry for entry in Cinc2021(str(folder), **chosen).entries().entries}


def test_the_published_tree_has_eight_parts(tmp_path):
    listing = Cinc2021(str(tree(tmp_path))).entries()
    assert [part_of(entry.record) for entry in listing.entries] == [
        "cpsc_2018", "georgia", "ptb-xl", "st_petersburg_incart", "chapman_shaoxing", "ningbo", "cpsc_2018_extra", "ptb",
    ]  # fmt: skip
    assert {entry.place for entry in listing.entries} == set(TREE)
    assert all(f"{part} 1" in listing.notes["parts"] for part in PARTS)


def test_a_record_s_part_is_told_by_its_name_not_by_its_folder(tmp_path):
    # A flat copy, and one whose folders bear other names.
    write_challenge(tmp_path / "HR00001")
    write_challenge(tmp_path / "cpsc2018-extra/A0002")
    assert set(listed(tmp_path, parts=("ptb-xl",))) == {"HR00001"}
    assert set(listed(tmp_path, parts=("cpsc_2018",))) == {"A0002"}


def test_chapman_ends_at_js10646():
    assert part_of("JS00001") == part_of("JS10646") == "chapman_shaoxing"
    assert part_of("JS10647") == part_of("JS45551") == "ningbo"


def test_every_record_keeps_its_own_rate_and_length(tmp_path):
    source = Cinc2021(str(tree(tmp_path)))
    rates = {entry.record: source.read(entry).rate for entry in source.entries().entries}
    assert Counter(rates.values()) == {500.0: 6, 257.0: 1, 1000.0: 1}
    assert rates["I0001"] == 257 and rates["S0001"] == 1000


def test_records_of_five_seconds_and_of_thirty_minutes_become_one_length(tmp_path):
    write_challenge(tmp_path / "E00001", heart(1, 500, 5.0))
    write_challenge(tmp_path / "I0001", heart(2, 257, 1800.0), rate=257)
    write_challenge(tmp_path / "S0001", heart(3, 1000, 38.4), rate=1000)
    source = Cinc2021(str(tmp_path))
    prepare_store(source, tmp_path / "store", ShardSettings(100.0, 10.0, "first", "key"))
    index = open_store(tmp_path / "store").index.set_index("record")
    assert index.seconds.round(3).to_dict() == {"E00001": 5.0, "I0001": 1800.0, "S0001": 38.4}
    assert index.samples.to_dict() == {"E00001": 500, "I0001": 1000, "S0001": 1000}


def test_the_second_spelling_of_millivolts_is_millivolts(tmp_path):
    signal = heart(4, 1000, 2.0)
    write_challenge(tmp_path / "S0001", signal, rate=1000, units="mv")
    source = Cinc2021(str(tmp_path))
    record = source.read(source.entries().entries[0])
    assert record.leads == LEADS
    assert np.allclose(record.signal, signal, atol=5.1e-4)


@pytest.mark.parametrize(
    ("said", "age"),
    [("74", 74.0), ("0", 0.0), ("104", 104.0), ("92", 92.0), ("-1", None), ("NaN", None), ("300", 90.0), ("Unknown", None),
     ("", None), ("999", None), ("inf", None)],
)  # fmt: skip
def test_ages_that_nobody_has_are_left_out(tmp_path, said, age):
    write_challenge(tmp_path / "HR00001", comments={"Age": said})
    source = Cinc2021(str(tmp_path))
    entry = source.entries().entries[0]
    assert entry.age == age
    assert source.read(entry).age == age


@pytest.mark.parametrize(
    ("said", "sex"), [("Male", "male"), ("M", "male"), ("F", "female"), ("female", "female"), ("Unknown", None), ("", None)]
)
def test_sexes_in_every_spelling(tmp_path, said, sex):
    write_challenge(tmp_path / "A0001", comments={"Sex": said})
    assert listed(tmp_path)["A0001"].sex == sex


def test_equivalent_codes_are_one_class_in_labels(tmp_path):
    write_challenge(tmp_path / "A0001", comments={"Dx": "59118001,63593006"})
    write_challenge(tmp_path / "A0002", comments={"Dx": "713427006,284470004"})
    classes = [{label for label in entry.labels if label.startswith("cinc:")} for entry in listed(tmp_path).values()]
    assert classes == [{"cinc:CRBBB", "cinc:PAC"}] * 2


def test_a_header_without_diagnosis_has_no_labels_and_no_report_and_is_counted(tmp_path):
    write_challenge(tmp_path / "A0001", comments={"Dx": ""})
    write_challenge(tmp_path / "A0002", comments={"Dx": "Unknown"})
    write_challenge(tmp_path / "A0003")
    listing = Cinc2021(str(tmp_path)).entries()
    for entry in listing.entries[:2]:
        assert (entry.labels, entry.report) == ((), None)
    assert "2 records have no diagnosis in their header" in listing.warnings


def test_codes_that_the_challenge_does_not_name_are_named_in_a_warning(tmp_path):
    write_challenge(tmp_path / "JS20000", comments={"Dx": "426783006,6180003,"})
    listing = Cinc2021(str(tmp_path)).entries()
    assert listing.entries[0].labels == ("cinc:NSR", "snomed:426783006", "snomed:6180003")
    assert listing.entries[0].report == "12-lead ECG: sinus rhythm"
    assert any("6180003" in warning for warning in listing.warnings)


def test_reports_are_marked_as_assembled(tmp_path):
    write_challenge(tmp_path / "A0001", comments={"Dx": "426783006,164889003"})
    listing = Cinc2021(str(tmp_path)).entries()
    assert listing.entries[0].report == "12-lead ECG: atrial fibrillation; sinus rhythm"
    assert "not written by a clinician" in listing.notes["report"]


def test_st_petersburg_s_records_belong_to_thirty_two_patients():
    assert len(INCART_RECORDS) == 32 and sum(INCART_RECORDS) == 75
    patients = [patient_of(f"I{number:04d}") for number in range(1, 76)]
    assert len(set(patients)) == 32
    assert patients == sorted(patients, key=lambda patient: int(patient.removeprefix("incart-")))
    # As the patients' list of the database has them.
    for number, patient in ((1, 1), (2, 1), (3, 2), (8, 4), (16, 8), (17, 8), (36, 16), (49, 22), (50, 22), (71, 30), (75, 32)):
        assert patient_of(f"I{number:04d}") == f"incart-{patient}"


def test_records_of_one_patient_share_a_split(tmp_path):
    for number in (29, 30, 31, 32):
        write_challenge(tmp_path / f"I{number:04d}", heart(number, 257, 10.0), rate=257)
    prepare_store(Cinc2021(str(tmp_path)), tmp_path / "store", ShardSettings(100.0, 10.0, "first", "key"))
    index = open_store(tmp_path / "store").index
    assert index.patient.nunique() == index.split.nunique() == 1


def test_patients_that_nobody_tells_are_not_invented(tmp_path):
    listing = Cinc2021(str(tree(tmp_path))).entries()
    assert {entry.record for entry in listing.entries if entry.patient} == {"I0001"}
    (warning,) = [warning for warning in listing.warnings if "patients of" in warning]
    assert "cpsc_2018, cpsc_2018_extra, ptb, ptb-xl, georgia" in warning
    assert "ningbo" not in warning  # one record a patient, as published


def test_ptb_xl_s_table_gives_patients_and_folds(tmp_path):
    for number in (1, 2, 3, 137):
        write_challenge(tmp_path / f"HR{number:05d}")
    table = tmp_path / "ptbxl_database.csv"
    table.write_text("ecg_id,patient_id,strat_fold\n1,15709.0,3\n2,15709.0,9\n3,13243.0,10\n")
    entries = listed(tmp_path, ptb_xl_table=str(table))
    assert [entries[name].split for name in ("HR00001", "HR00002", "HR00003")] == ["train", "validation", "test"]
    assert [entries[name].patient for name in ("HR00001", "HR00002", "HR00003")] == ["ptb-xl-15709"] * 2 + ["ptb-xl-13243"]
    # One of the 38 that later versions dropped: neither patient nor fold is known.
    assert (entries["HR00137"].patient, entries["HR00137"].split) == (None, None)
    assert not any("ptb-xl" in warning for warning in Cinc2021(str(tmp_path), ptb_xl_table=str(table)).entries().warnings)


@pytest.mark.parametrize("row", ["1,15709.0,11", "1,,3", "one,15709.0,3"])
def test_a_table_that_cannot_be_ptb_xl_s_is_refused(tmp_path, row):
    write_challenge(tmp_path / "HR00001")
    table = tmp_path / "t.csv"
    table.write_text(f"ecg_id,patient_id,strat_fold\n{row}\n")
    with pytest.raises(SourceError, match=r"t\.csv"):
        Cinc2021(str(tmp_path), ptb_xl_table=str(table)).entries()


def test_a_record_that_lies_in_two_folders_is_listed_once(tmp_path):
    write_challenge(tmp_path / "b/A0001", heart(1, 500, 2.0))
    write_challenge(tmp_path / "a/A0001", heart(2, 500, 2.0))
    listing = Cinc2021(str(tmp_path)).entries()
    assert [entry.place for entry in listing.entries] == ["a/A0001"]
    assert "1 records lie in several folders; the first folder is taken" in listing.warnings


def test_headers_without_signals_and_names_without_headers_are_counted(tmp_path):
    write_challenge(tmp_path / "g1/A0001")
    write_challenge(tmp_path / "g1/A0002").with_suffix(".mat").unlink()
    write_challenge(tmp_path / "g1/A0003").with_suffix(".hea").unlink()
    (tmp_path / "g1/RECORDS").write_text("A0001\nA0002\nA0003\nA0004\n")
    (tmp_path / "RECORDS").write_text("g1/\n")  # the tree's own lists folders
    listing = Cinc2021(str(tmp_path)).entries()
    assert [entry.record for entry in listing.entries] == ["A0001"]
    assert listing.missing_files == 3


def test_files_that_are_no_records_of_the_challenge_are_passed_over(tmp_path):
    for name in ("A0001", "B0001", "A00001x", "._A0002", "JS123", "notes"):
        write_challenge(tmp_path / name)
    assert set(listed(tmp_path)) == {"A0001"}


def test_linked_folders_are_followed_and_circles_end(tmp_path):
    write_challenge(tmp_path / "elsewhere/E00001")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/georgia").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "tree")
    listing = Cinc2021(str(tmp_path / "tree")).entries()
    assert [entry.place for entry in listing.entries] == ["georgia/E00001"]
    assert not any("several folders" in warning for warning in listing.warnings)


def test_a_folder_that_cannot_be_listed_is_not_an_empty_one(tmp_path, monkeypatch):
    write_challenge(tmp_path / "a/A0001")
    write_challenge(tmp_path / "b/A0002")
    listed_folder = os.scandir

    def refusing(path):
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied", str(path))
        return listed_folder(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(SourceError, match=r"/b: cannot be listed: Permission denied"):
        Cinc2021(str(tmp_path)).entries()


def test_a_header_whose_first_line_is_spoiled_is_listed_and_quarantined(tmp_path):
    """Two headers of the published data lost the line break after the record line."""
    write_challenge(tmp_path / "JS01051", comments={"Dx": "426783006"})
    spoiled = write_challenge(tmp_path / "JS01052", comments={"Dx": "426177001"}).with_suffix(".hea")
    spoiled.write_text(spoiled.read_text().replace(" 12-May-2020 12:33:59\nJS01052.mat 16+24 1000", "00", 1))
    source = Cinc2021(str(tmp_path))
    entry = source.entries().entries[1]
    assert entry.labels == ("cinc:SB", "snomed:426177001")
    with pytest.raises(RecordError):
        source.read(entry)
    prepared = prepare_store(source, tmp_path / "store", ShardSettings(100.0, 2.0, "first", "key"))
    assert (prepared.records, prepared.quarantined) == (1, 1)


def test_an_unknown_part_and_an_empty_folder_are_refused(tmp_path):
    with pytest.raises(SourceError, match="no part cpsc2018"):
        Cinc2021(str(tmp_path), parts=("cpsc2018",))
    with pytest.raises(SourceError, match=r"physionet\.org/content/challenge-2021"):
        Cinc2021(str(tmp_path)).entries()
    write_challenge(tmp_path / "A0001")
    with pytest.raises(SourceError, match="no record of georgia"):
        Cinc2021(str(tmp_path), parts=("georgia",)).entries()


def test_a_signal_that_went_since_the_listing_is_a_record_error(tmp_path):
    write_challenge(tmp_path / "A0001")
    source = Cinc2021(str(tmp_path))
    entry = source.entries().entries[0]
    stamp = source.stamp(entry)
    (tmp_path / "A0001.hea").unlink()
    assert source.stamp(entry) != stamp
    with pytest.raises(RecordError, match="not there"):
        source.read(entry)


def test_the_real_records_are_all_listed_with_their_codes(real, data_dir):
    import pandas as pd

    index = pd.read_csv(data_dir / "challenge-2021/INDEX.csv", dtype={"dx": str}).set_index("record")
    entries = real.entries().entries
    assert {entry.record for entry in entries} == set(index.index)
    for entry in entries:
        codes = {label.removeprefix("snomed:") for label in entry.labels if label.startswith("snomed:")}
        assert codes == {code for code in str(index.dx[entry.record]).split(",") if code.isdigit()}
    folders = {"chapman_shaoxing": "chapman-ningbo", "ningbo": "chapman-ningbo", "cpsc_2018": "cpsc2018"}
    folders |= {"cpsc_2018_extra": "cpsc2018-extra", "ptb": "ptb", "ptb-xl": "ptb-xl"}
    assert all(index.dataset[entry.record] == folders[part_of(entry.record)] for entry in entries)


def test_the_real_records_have_the_rates_and_lengths_of_their_index(real, data_dir):
    import pandas as pd

    index = pd.read_csv(data_dir / "challenge-2021/INDEX.csv").set_index("record")
    entries = {entry.record: entry for entry in real.entries().entries}
    for name in ("A0001", "A1041", "Q0001", "S0001", "HR00001", "JS00001", "JS20000"):
        if name in entries:
            record = real.read(entries[name])
            assert record.rate == index.fs[name]
            assert record.signal.shape == (12, index.n_samples[name])
            assert record.leads == LEADS


def test_real_ptb_xl_records_have_the_folds_and_ages_of_its_table(data_dir):
    import pandas as pd

    path = data_dir / "ptb-xl/ptbxl_database.csv"
    table = pd.read_csv(path).set_index("ecg_id")
    listing = Cinc2021(str(data_dir / "challenge-2021"), parts=("ptb-xl",), ptb_xl_table=str(path)).entries()
    assert len(listing.entries) == 39
    for entry in listing.entries:
        row = table.loc[int(entry.record[2:])]
        assert entry.split == ("train" if row.strat_fold <= 8 else "validation" if row.strat_fold == 9 else "test")
        assert entry.patient == f"ptb-xl-{int(row.patient_id)}"
        # The numbers are ecg_ids: the header's age and sex are the table's.
        assert entry.age == min(row.age, 90.0) or (entry.age is None and not row.age >= 0)
        assert entry.sex == ("female" if row.sex == 1 else "male")


@pytest.mark.slow
def test_as_many_headers_as_the_challenge_has_are_listed_within_a_minute(tmp_path):
    import time

    header = write_challenge(tmp_path / "JS00000").with_suffix(".hea").read_bytes()
    for number in range(1, 88_253):
        folder = tmp_path / f"g{number // 1000}"
        folder.mkdir(exist_ok=True)
        (folder / f"JS{number:05d}.hea").write_bytes(header)
        (folder / f"JS{number:05d}.mat").touch()
    start = time.process_time()
    listing = Cinc2021(str(tmp_path)).entries()
    assert len(listing.entries) == 88_253
    assert time.process_time() - start < 60
