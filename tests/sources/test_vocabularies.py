"""The benchmarks' vocabularies are those that were published, and what is wrong with MERL's CSN labels can be recomputed."""

from __future__ import annotations

import csv
from collections import Counter

import pytest

from cmelt.sources.snomed import conditions
from cmelt.sources.vocabularies import (
    BENCHMARKS,
    CPSC2018,
    MERL_CSN,
    MERL_CSN_WRONG,
    cpsc_labels,
    csn_conditions,
    csn_labels,
    csn_names,
)

RESPELLED = {
    "colockwise rotation": "clockwise rotation",
    "countercolockwise rotation": "counterclockwise rotation",
    "myocardial infraction in back wall": "myocardial infarction in the back wall",
    "myocardial infgraction in the front wall": "myocardial infarction in the front wall",
    "myocardial infraction in the lower wall": "myocardial infarction in the lower wall",
    "myocardial infraction in the side wall": "myocardial infarction in the side wall",
    "wandering in the atrioventricalualr node": "wandering in the atrioventricular node",
    "2 degree atrioventricular block(type one)": "2 degree atrioventricular block (type one)",
    "2 degree atrioventricular block(type two)": "2 degree atrioventricular block (type two)",
}


def rows(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def lists(data_dir):
    """MERL's three CSN lists."""
    folder = data_dir / "label-maps/other-datasets/chapman"
    return {split: rows(folder / f"chapman_{split}.csv") for split in ("train", "val", "test")}


def test_six_benchmarks_have_merl_s_numbers_of_classes():
    counts = {name: len(labels) for name, labels in BENCHMARKS.items()}
    assert counts == {"ptbxl-super": 5, "ptbxl-sub": 23, "ptbxl-form": 19, "ptbxl-rhythm": 12, "cpsc2018": 9, "csn": 38}
    assert all(len(set(labels)) == len(labels) for labels in BENCHMARKS.values())


def test_the_ptb_xl_benchmarks_are_the_labels_that_its_source_gives(data_dir):
    from cmelt.sources.ptb_xl import read_vocabularies

    given = {label for labels in read_vocabularies(data_dir / "ptb-xl/scp_statements.csv").values() for label in labels}
    for kind in ("super", "sub", "form", "rhythm"):
        assert set(BENCHMARKS[f"ptbxl-{kind}"]) == {label for label in given if label.startswith(f"{kind}:")}


def test_every_condition_of_csn_s_table_is_known_by_its_first_acronym(data_dir):
    first: dict[str, tuple[str, str]] = {}
    for row in rows(data_dir / "label-maps/chapman_ConditionNames_SNOMED-CT.csv"):
        name = " ".join(row["FullName"].lower().split())
        first.setdefault(row["Snomed_CT"], (row["AcronymName"], RESPELLED.get(name, name)))
    assert dict(csn_conditions()) == first
    assert len(first) == 55


def test_csn_labels_of_codes():
    assert csn_labels(["164889003", "59118001", "55827005"]) == ("csn:AFIB", "csn:RBBB")  # high voltage is not in its table
    assert csn_labels(["164890007"]) == ("csn:AF",)
    assert csn_names()["28189009"] == "2 degree atrioventricular block (type two)"


def test_four_codes_of_csn_are_not_the_challenge_s():
    assert set(csn_conditions()) - set(conditions()) == {"28189009", "251148003", "251147008", "233896004"}


def test_cpsc_classes_have_the_counts_of_the_challenge_s_codes(data_dir):
    """The Challenge's copy has each of the nine codes as often as REFERENCE.csv has its number, and no other."""
    numbers = Counter()
    for row in rows(data_dir / "label-maps/other-datasets/cpsc2018_REFERENCE.csv"):
        # A set: A0953 is given its class twice.
        numbers.update({int(float(row[column])) for column in ("First_label", "Second_label", "Third_label") if row[column]})
    counts = {}
    for table in ("scored", "unscored"):
        for row in rows(data_dir / f"label-maps/challenge2021_dx_mapping_{table}.csv"):
            counts[row["SNOMEDCTCode"]] = int(row["CPSC"])
    assert {one.code: numbers[one.number] for one in CPSC2018} == {code: count for code, count in counts.items() if count}


def test_merl_s_cpsc_lists_are_the_reference_by_its_numbers(data_dir):
    folder = data_dir / "label-maps/other-datasets"
    name_of = {one.number: one.name for one in CPSC2018}
    reference = {
        row["Recording"]: {name_of[int(float(row[c]))] for c in ("First_label", "Second_label", "Third_label") if row[c]}
        for row in rows(folder / "cpsc2018_REFERENCE.csv")
    }
    for split in ("train", "val", "test"):
        for row in rows(folder / f"icbeb/icbeb_{split}.csv"):
            assert {one.name for one in CPSC2018 if row[one.name] == "1"} == reference[row["filename"]]


def test_cpsc_labels_of_codes():
    assert cpsc_labels(["59118001", "164884008", "427172004"]) == ("cpsc:CRBBB", "cpsc:VPC")
    assert cpsc_labels(["713427006"]) == ()  # the nine are what CPSC2018's copy holds, not their equivalents


def test_merl_s_columns_are_those_of_its_lists(lists):
    for split in lists.values():
        assert tuple(split[0])[3:] == MERL_CSN
    assert {split: len(found) for split, found in lists.items()} == {"train": 16_546, "val": 1_860, "test": 4_620}


def test_merl_s_columns_say_whether_the_acronym_occurs_in_the_text(lists):
    for row in (row for split in lists.values() for row in split):
        for name in MERL_CSN:
            assert (row[name] == "1") == (name in row["diagnose"])


def test_seven_of_merl_s_columns_hold_others_records(lists):
    wrong: dict[str, Counter[str]] = {}
    others: dict[str, set[str]] = {}
    for row in (row for split in lists.values() for row in split):
        carried = row["diagnose"].split(",")
        for name in MERL_CSN:
            if row[name] == "1":
                wrong.setdefault(name, Counter())["all"] += 1
                if name not in carried:
                    wrong[name]["wrong"] += 1
                    others.setdefault(name, set()).update(one for one in carried if name in one)
    found = {name: (counts["wrong"], counts["all"]) for name, counts in wrong.items() if counts["wrong"]}
    # The figures of the module's text.
    assert found == {
        "VB": (913, 916), "AVB": (737, 913), "CR": (141, 216), "2AVB": (16, 38), "AF": (1413, 4753), "SA": (721, 2828),
        "ST": (1184, 6338),
    }  # fmt: skip
    assert {name: tuple(sorted(whose)) for name, whose in others.items()} == dict(MERL_CSN_WRONG)


def test_what_merl_calls_ventricular_bigeminy_in_the_test_list_is_av_block_throughout(lists):
    claimed = [row["diagnose"].split(",") for row in lists["test"] if row["VB"] == "1"]
    assert len(claimed) == 169
    assert not any("VB" in carried for carried in claimed)


def test_what_else_merl_s_lists_leave_out(lists):
    listed = [row for split in lists.values() for row in split]
    counts = Counter(name for row in listed for name in row["diagnose"].split(","))
    without_column = {name: count for name, count in counts.items() if name not in MERL_CSN and count >= 10}
    assert without_column == {"SB": 3903, "LVQRSAL": 751, "IDC": 412, "VPE": 12}
    assert not any(row["diagnose"] == "SB" for row in listed)
    assert {row["age"] for row in listed} == {"12"}  # the number of leads, out of the header's first line
