"""A saved table comes back as it was, for the reports it was built for and no others."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from cmelt.errors import StoreError
from cmelt.negatives import NegativeTable, build_table, load_table, save_table
from cmelt.publishing import published
from unpickled import Canary

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
    save_table(table, tmp_path / "t", REPORTS)
    with pytest.raises(StoreError, match=rf"(?s){tmp_path / 't'}.*other reports.*delete the folder and build it anew"):
        load_table(tmp_path / "t", reports)


def test_tables_saved_by_earlier_versions_are_known_by_their_reports(table: NegativeTable, tmp_path: Path) -> None:
    """The digest is part of the format: of each report in UTF-8, after its length in eight bytes, the lowest first."""
    save_table(table, tmp_path / "t", ["Vorhofflimmern", "größere Q-Zacke", ""])
    parts = [b"\x0e" + bytes(7) + b"Vorhofflimmern", b"\x11" + bytes(7) + "größere Q-Zacke".encode(), bytes(8)]
    manifest = json.loads((tmp_path / "t" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["reports_sha256"] == hashlib.sha256(b"".join(parts)).hexdigest()


@pytest.mark.parametrize("options", [{"strategy": "farthest"}, {"strategy": "random"}])
def test_a_table_without_a_band_comes_back_without_one(options: dict, tmp_path: Path) -> None:
    save_table(build_table(np.eye(3, dtype=np.float32), candidates=2, seed=4, **options), tmp_path / "t", REPORTS)
    again = load_table(tmp_path / "t", REPORTS)
    assert (again.strategy, again.band, again.seed) == (options["strategy"], None, 4)


def test_a_pickle_in_the_place_of_the_table_is_not_opened(table: NegativeTable, tmp_path: Path) -> None:
    """Whoever writes the folder writes its hashes, too: what numpy would unpickle it must refuse."""
    save_table(table, tmp_path / "t", REPORTS)
    manifest = json.loads((tmp_path / "t" / "manifest.json").read_text())
    details = {name: manifest[name] for name in ("strategy", "band", "seed", "reports_sha256")}
    with published(tmp_path / "t", details, replace=True) as staging:
        np.save(staging / "candidates.npy", np.array([Canary(tmp_path / "was-here")], dtype=object), allow_pickle=True)
    with pytest.raises(StoreError, match=r"(?s)candidates\.npy.*no array of numbers.*delete the folder"):
        load_table(tmp_path / "t", REPORTS)
    assert not (tmp_path / "was-here").exists()


def test_a_flipped_byte_is_noticed(table: NegativeTable, tmp_path: Path) -> None:
    save_table(table, tmp_path / "t", REPORTS)
    array = tmp_path / "t" / "candidates.npy"
    content = bytearray(array.read_bytes())
    content[-1] ^= 1
    array.write_bytes(content)
    with pytest.raises(StoreError, match="SHA-256"):
        load_table(tmp_path / "t", REPORTS)


def test_what_is_missing_or_no_table_is_said(table: NegativeTable, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="missing"):
        load_table(tmp_path / "t", REPORTS)
    save_table(table, tmp_path / "t", REPORTS)
    (tmp_path / "t" / "candidates.npy").unlink()
    with pytest.raises(StoreError, match="missing"):
        load_table(tmp_path / "t", REPORTS)
    for content in ("{}", "not json"):
        (tmp_path / "t" / "manifest.json").write_text(content)
        with pytest.raises(StoreError, match="manifest"):
            load_table(tmp_path / "t", REPORTS)


def test_a_write_that_dies_before_its_end_leaves_the_old_table(
    table: NegativeTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "t"
    save_table(table, folder, REPORTS)
    other = build_table(np.eye(3, dtype=np.float32), strategy="random", candidates=4, seed=1)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_table(other, folder, REPORTS)
    assert load_table(folder, REPORTS).strategy == "band"
    monkeypatch.undo()
    save_table(other, folder, REPORTS)
    assert load_table(folder, REPORTS).strategy == "random"
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_no_report_text_is_written(table: NegativeTable, tmp_path: Path) -> None:
    save_table(table, tmp_path / "t", REPORTS)
    written = b"".join(file.read_bytes() for file in (tmp_path / "t").iterdir())
    assert not any(word in written for report in REPORTS for word in (report.encode(), report.split()[0].encode()))
