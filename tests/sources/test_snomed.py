"""SNOMED CT codes have the Challenge's names, and count as the classes that it scored."""

from __future__ import annotations

import csv

import pytest

from cmelt.sources.snomed import assembled_report, conditions, parse_codes, scored_classes, snomed_labels

#: What is spelled otherwise than in the Challenge's tables, besides capitals and double blanks.
RESPELLED = {
    "countercolockwise rotation": "counterclockwise rotation",
    "qwave abnormal": "q wave abnormal",
    "s t changes": "st changes",
    "nonspecific st t abnormality": "nonspecific st-t abnormality",
}
EQUIVALENT = (
    ("733534002", "164909002", "CLBBB"),
    ("713427006", "59118001", "CRBBB"),
    ("284470004", "63593006", "PAC"),
    ("427172004", "17338001", "PVC"),
)


@pytest.fixture(scope="module")
def maps(data_dir):
    return data_dir / "label-maps"


def rows(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_every_code_of_the_challenge_has_its_abbreviation_and_name(maps):
    table = {row["snomed_code"]: row for row in rows(maps / "challenge2021_dx_mapping.csv")}
    assert set(conditions()) == set(table)
    assert len(table) == 133
    for code, condition in conditions().items():
        name = " ".join(table[code]["dx_name"].lower().split())
        assert condition.name == RESPELLED.get(name, name)
        assert condition.abbreviation == table[code]["abbreviation"]
        assert bool(condition.scored_class) == (table[code]["scored"] == "1")


def test_scored_and_unscored_tables_say_the_same(maps):
    scored = {row["SNOMEDCTCode"] for row in rows(maps / "challenge2021_dx_mapping_scored.csv")}
    unscored = {row["SNOMEDCTCode"] for row in rows(maps / "challenge2021_dx_mapping_unscored.csv")}
    assert {code for code, condition in conditions().items() if condition.scored_class} == scored
    assert {code for code, condition in conditions().items() if not condition.scored_class} == unscored


def test_the_challenge_of_2020_knew_no_other_codes_and_scored_three_fewer(maps):
    earlier = {row["snomed_code"]: row for row in rows(maps / "challenge2020_dx_mapping.csv")}
    assert all(conditions()[code].abbreviation == row["abbreviation"] for code, row in earlier.items())
    scored = {code for code, row in earlier.items() if row["scored"] == "1"}
    later = {code for code, condition in conditions().items() if condition.scored_class}
    assert {conditions()[code].abbreviation for code in later - scored} == {"BBB", "CLBBB", "PRWP"}
    assert scored < later


def test_scored_classes_are_the_columns_of_the_weights(maps):
    with (maps / "challenge2021_weights.csv").open() as file:
        columns = next(csv.reader(file))[1:]
    assert len(columns) == 26
    assert scored_classes() == tuple(conditions()[column.split("|")[0]].abbreviation for column in columns)
    for column, name in zip(columns, scored_classes(), strict=True):
        assert {code for code, known in conditions().items() if known.scored_class == name} == set(column.split("|"))


@pytest.mark.parametrize(("first", "second", "name"), EQUIVALENT)
def test_equivalent_codes_are_one_class(first, second, name):
    for codes in ([first], [second], [first, second]):
        assert [label for label in snomed_labels(codes) if label.startswith("cinc:")] == [f"cinc:{name}"]
        assert [label for label in snomed_labels(codes) if label.startswith("snomed:")] == sorted(f"snomed:{c}" for c in codes)


def test_incomplete_right_bundle_branch_block_is_not_the_complete_one():
    assert snomed_labels(["713426002"]) == ("cinc:IRBBB", "snomed:713426002")


def test_an_unscored_code_and_an_unknown_one_keep_their_number():
    assert snomed_labels(["164884008", "251238007"]) == ("snomed:164884008", "snomed:251238007")


def test_codes_of_a_header_s_line():
    assert parse_codes(" 59118001, 284470004 ") == ("59118001", "284470004")
    assert parse_codes("426783006,") == ("426783006",)  # as JS00344 ends
    assert parse_codes("426783006,,164934002") == ("426783006", "164934002")  # as JS03287 has it
    assert parse_codes("284470004,284470004") == ("284470004",)  # as many of Georgia's have it
    assert parse_codes("") == parse_codes("Unknown") == parse_codes("²") == ()


def test_the_same_diagnoses_give_the_same_report_in_whatever_order():
    codes = ["426783006", "164889003", "164934002"]
    assert assembled_report(codes) == assembled_report(reversed(codes))
    assert assembled_report(codes) == "12-lead ECG: atrial fibrillation; sinus rhythm; t wave abnormal"


def test_no_report_is_made_of_nothing():
    assert assembled_report([]) is None
    assert assembled_report(["251238007"]) is None
    assert assembled_report(["251238007", "28189009"], {"28189009": "av block, type two"}) == "12-lead ECG: av block, type two"


def test_every_assembled_report_is_enough_to_learn_from():
    from cmelt.text.cleaning import clean_report, usable

    for code in conditions():
        report = assembled_report([code])
        assert report is not None
        assert usable(clean_report(report)), report
