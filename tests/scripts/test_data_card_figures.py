"""The figures of the data card are those of a plain count over the pairs that training takes, and of nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from cmelt.store import open_store

from .conftest import script

figures = script("data_card_figures")


def told(capsys, monkeypatch, *arguments: object) -> dict[str, str]:
    monkeypatch.setattr(sys, "argv", ["data_card_figures.py", *map(str, arguments)])
    figures.main()
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    return dict(rows)


def test_only_training_records_with_a_usable_report_are_counted(tiny_store: Path, capsys, monkeypatch):
    found = told(capsys, monkeypatch, tiny_store)
    index = open_store(tiny_store).index
    train = index[index["split"] == "train"]
    usable = train[train["report"].str.split().str.len() >= 3]
    assert 0 < len(usable) < len(index)
    assert found["pairs"] == f"{len(usable):,} of {usable['patient'].nunique():,} patients"
    assert int(found["training records without a usable report"]) == len(train) - len(usable)
    normal = sum("sim:normal" in labels for labels in usable["labels"])
    assert f"sim:normal {normal}" in found["labels"].split("; ")
    female = int((usable["sex"] == "female").sum())
    assert f"female {female} ({female / len(usable):.0%})" in found["sex"]


def test_of_ptb_xl_the_database_tells_years_devices_and_sites_of_these_very_records(tmp_path: Path):
    pairs = pd.DataFrame({"record": ["2", "5"]})
    database = tmp_path / "ptbxl_database.csv"
    database.write_text(
        "ecg_id,recording_date,device,site,validated_by_human,static_noise,baseline_drift\n"
        "1,1999-01-01 09:00:00,other,9.0,False,,\n"
        "2,1987-02-03 09:00:00,CS-12  ,1.0,True,alles,\n"
        "5,1988-02-03 09:00:00,CS-12  ,,True,,\n",
        encoding="utf-8",
    )
    found = dict(figures._of_ptb_xl(pairs, database))
    assert found["years"] == "1987 1 (50%); 1988 1 (50%)"
    assert found["devices"] == "CS-12 2 (100%)"
    assert found["sites"] == "site 1 1 (50%); unknown 1 (50%)"
    assert found["validated by a human, as the database says"] == "2"
    assert found["noted as noisy"] == "1 static, 0 drift"


def test_values_beyond_the_most_frequent_are_told_together():
    assert figures._shares(pd.Series(list("aaabbcd")), most=2) == "a 3 (43%); b 2 (29%); 2 others 2 (29%)"
