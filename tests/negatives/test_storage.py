"""A saved table comes back as it was, for the reports it was built for and no others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cmelt.errors import StoreError
from cmelt.negatives import NegativeTable, build_table, load_table, save_table

REPORTS = ["sinus rhythm. normal ecg", "atrial fibrillation with lbbb", "inferior infarct, old"]


@pytest.fixture
def table() -> NegativeTable:
    return build_table(np.eye(3, dtype=np.float32), candidates=4, band=(0.0, 1.0), seed=9)


def test_a_saved_table_comes_back_unchanged(table: NegativeTable, tmp_path: Path) -> None:
    save_table(table, tmp_path / "negatives", REPORTS)
    again = load_table(tmp_path / "negatives", REPORTS)
    np.testing.assert_array_equal(again.candidates, table.candidates)
    assert again.candidates.dtype == np.int32
    assert (again.strategy, again.band, again.seed) == ("band", (0.0, 1.0), 9)


@pytest.mark.parametrize(
    "reports", [REPORTS[::-1], REPORTS[:2], [*REPORTS[:2], "inferior infarct, new"], ["".join(REPORTS), "", ""]]
)
def test_a_table_for_other_reports_is_refused(reports: list[str], table: NegativeTable, tmp_path: Path) -> None:
    save_table(table, tmp_path, REPORTS)
    with pytest.raises(StoreError, match="other reports"):
        load_table(tmp_path, reports)


def test_a_flipped_byte_is_noticed(table: NegativeTable, tmp_path: Path) -> None:
    save_table(table, tmp_path, REPORTS)
    array = next(tmp_path.glob("candidates-*.npy"))
    content = bytearray(array.read_bytes())
    content[-1] ^= 1
    array.write_bytes(content)
    with pytest.raises(StoreError, match="changed"):
        load_table(tmp_path, REPORTS)


def test_what_is_missing_or_no_table_is_said(table: NegativeTable, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no table"):
        load_table(tmp_path, REPORTS)
    for content in ("{}", "not json", "[]"):
        (tmp_path / "table.json").write_text(content)
        with pytest.raises(StoreError, match="description"):
            load_table(tmp_path, REPORTS)
    save_table(table, tmp_path, REPORTS)
    next(tmp_path.glob("candidates-*.npy")).unlink()
    with pytest.raises(StoreError, match="missing"):
        load_table(tmp_path, REPORTS)


def test_a_write_that_dies_before_its_end_leaves_the_old_table(
    table: NegativeTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_table(table, tmp_path, REPORTS)
    other = build_table(np.eye(3, dtype=np.float32), strategy="random", candidates=4, seed=1)

    def power_cut(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(json, "dump", power_cut)
    with pytest.raises(KeyboardInterrupt):
        save_table(other, tmp_path, REPORTS)
    assert load_table(tmp_path, REPORTS).strategy == "band"
    monkeypatch.undo()
    save_table(other, tmp_path, REPORTS)
    assert load_table(tmp_path, REPORTS).strategy == "random"
    assert len(list(tmp_path.iterdir())) == 2 + len(list(tmp_path.glob(".table-*")))


def test_no_report_text_is_written(table: NegativeTable, tmp_path: Path) -> None:
    save_table(table, tmp_path, REPORTS)
    written = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert not any(word in written for report in REPORTS for word in (report.encode(), report.split()[0].encode()))
